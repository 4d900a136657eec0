/* hj212_records.c: see hj212_records.h. */
#include "hub/gateway/hj212_records.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/member.h"

enum {
    MINUTE_S = 60,
    OTHERS_MAX = 100, /* of a record: the hub takes no longer lists */
    REAL_TIME = 2011,
    UPLOAD_FIRST = 2000,
    UPLOAD_LAST = 3999, /* commands by which devices tell what is to be kept */
};

/* What is told of a factor, by the suffix of the item's name. */
enum part { INSTANT, MINIMUM, MEAN, MAXIMUM, TOTAL, CONVERTED_MINIMUM, CONVERTED_MEAN, CONVERTED_MAXIMUM, PARTS };

static const struct {
    const char *suffix;
    const char *field; /* of IntervalValue */
} parts[PARTS] = {
    [INSTANT] = {"Rtd", "mean"},
    [MINIMUM] = {"Min", "minimum"},
    [MEAN] = {"Avg", "mean"},
    [MAXIMUM] = {"Max", "maximum"},
    [TOTAL] = {"Cou", "total"},
    [CONVERTED_MINIMUM] = {"ZsMin", "converted_minimum"},
    [CONVERTED_MEAN] = {"ZsAvg", "converted_mean"},
    [CONVERTED_MAXIMUM] = {"ZsMax", "converted_maximum"},
};

/* Items that are read elsewhere, the first of each name: the frame's time, what a host asks for, the frame's one flag.
 */
static const char *const read_elsewhere[] = {"DataTime", "BeginTime", "EndTime", "Flag"};

/* A factor of the dialect in this frame. */
struct slot {
    const struct hj212_item *given[PARTS]; /* NULL = it is not */
    double value[PARTS];
};

struct making {
    const struct hj212_frame *frame;
    const struct hj212_origin *origin;
    struct hj212_outcome *outcome;
    struct slot slots[HJ212_FACTORS_MAX];
    cJSON *others; /* {key, value} of what is left over */
    int64_t time_ms;
    int code; /* 0 or CH_EMEMORY */
};

/* ---- items */

/* Kept under its own name, as it came; what has no = has no value. */
static void leave_over(struct making *making, const struct hj212_item *item) {
    if (making->outcome->left_over++ == 0) {
        snprintf(making->outcome->first_left_over, sizeof making->outcome->first_left_over, "%s", item->name);
    }
    cJSON *other = cJSON_CreateObject();
    char again[128]; /* of what comes more than once, each is kept */
    const char *key = item->name;
    for (int n = 2; member_find(making->others, "key", key) != NULL; n++) {
        snprintf(again, sizeof again, "%.100s (%d)", item->name, n);
        key = again;
    }
    if (other == NULL || cJSON_AddStringToObject(other, "key", key) == NULL ||
        cJSON_AddStringToObject(other, "value", item->value == NULL ? "" : item->value) == NULL ||
        !cJSON_AddItemToArray(making->others, other)) {
        cJSON_Delete(other);
        making->code = CH_EMEMORY;
    }
}

static int part_of(const char *suffix) {
    for (int i = 0; i < PARTS; i++) {
        if (strcasecmp(parts[i].suffix, suffix) == 0) {
            return i;
        }
    }
    return -1;
}

/* Whether an item is to be kept by nobody: it says nothing, or nothing more than what is read elsewhere. */
static bool is_passed_over(const struct making *making, const struct hj212_item *item) {
    if (item->value == NULL || *item->value == '\0') {
        return item->value != NULL;
    }
    for (size_t i = 0; i < COUNT_OF(read_elsewhere); i++) {
        if (strcasecmp(read_elsewhere[i], item->name) == 0) {
            return strcmp(hj212_value(making->frame, item->name), item->value) == 0;
        }
    }
    return false;
}

/* The flag of the standard that a value is, in any case; 0 = it is none. */
static char flag_letter(const char *value) {
    char letter = value == NULL ? '\0' : (char)toupper((unsigned char)*value);
    return letter != '\0' && value[1] == '\0' && strchr(HJ212_FLAGS, letter) != NULL ? letter : '\0';
}

static bool is_flag(const struct hj212_item *item, const char *suffix) {
    return strcasecmp(suffix, "Flag") == 0 && flag_letter(item->value) != '\0';
}

static int factor_of(const struct hj212_dialect *dialect, const char *code, size_t length) {
    for (size_t i = 0; i < dialect->factor_count; i++) {
        const char *known = dialect->factors[i].code;
        if (strncasecmp(known, code, length) == 0 && known[length] == '\0') {
            return (int)i;
        }
    }
    return -1;
}

static bool read_value(const char *text, double *value) {
    char *end = NULL;
    if (text == NULL || *text == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0') {
        return false;
    }
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

/* The device's number in the field's unit; without what is beyond the 12 digits that no device has. */
static double convert(double value, const struct hj212_factor *factor) {
    char text[32];
    snprintf(text, sizeof text, "%.12g", value * factor->scale + factor->add);
    return factor->scale == 1 && factor->add == 0 ? value : strtod(text, NULL);
}

/* An item is CODE-SUFFIX; of CODE-x-SUFFIX, as some send it, the middle says nothing. What is none, or of no factor
 * that the dialect knows, or said already, is left over. */
static void take_item(struct making *making, const struct hj212_item *item) {
    const char *first = strchr(item->name, '-'), *last = strrchr(item->name, '-');
    if (is_passed_over(making, item)) {
        return;
    }
    const struct hj212_dialect *dialect = making->origin->dialect;
    int part = first == NULL ? -1 : part_of(last + 1);
    int factor = first == NULL ? -1 : factor_of(dialect, item->name, (size_t)(first - item->name));
    double value = 0;
    if (factor >= 0 && is_flag(item, last + 1)) { /* see leave_flags_over */
        return;
    }
    if (part < 0 || factor < 0 || making->slots[factor].given[part] != NULL || !read_value(item->value, &value)) {
        leave_over(making, item);
        return;
    }
    /* A total is an amount in the device's own unit. */
    const struct hj212_factor *known = &dialect->factors[factor];
    making->slots[factor].given[part] = item;
    making->slots[factor].value[part] = part == TOTAL ? value : convert(value, known);
}

static bool has_value(const struct slot *slot) {
    for (int part = 0; part < PARTS; part++) {
        if (slot->given[part] != NULL) {
            return true;
        }
    }
    return false;
}

/* ---- flags */

/* Whether an item is a factor's flag (CODE-Flag, CODE-Rtd-Flag), or, `factor` NULL, the frame's one for all. */
static bool is_flag_of(const struct hj212_item *item, const struct hj212_factor *factor) {
    size_t code = factor == NULL ? 0 : strlen(factor->code);
    const char *suffix = factor == NULL ? item->name : strrchr(item->name, '-');
    return item->value != NULL && *item->value != '\0' && suffix != NULL &&
           strcasecmp(factor == NULL ? suffix : suffix + 1, "Flag") == 0 &&
           (factor == NULL || (strncasecmp(item->name, factor->code, code) == 0 && item->name[code] == '-'));
}

/* One that is no flag of the standard counts as B, and so do some that contradict each other: whatever they say, they
 * do not say N. 0 = there is none. */
static char flag_said(const struct making *making, const struct hj212_factor *factor) {
    char said = '\0';
    for (size_t i = 0; i < making->frame->item_count; i++) {
        const struct hj212_item *item = &making->frame->items[i];
        if (is_flag_of(item, factor)) {
            char letter = flag_letter(item->value);
            letter = letter == '\0' ? 'B' : letter;
            said = said == '\0' || said == letter ? letter : 'B';
        }
    }
    return said;
}

/* The flag of a factor, or the frame's one flag for all; 0 = there is none. */
static char flag_of(const struct making *making, const struct hj212_factor *factor) {
    char own = flag_said(making, factor);
    return own != '\0' ? own : flag_said(making, NULL);
}

/* Flags that no value is stored with: of factors that have none, and what contradicts another. True if there is one of
 * the first. */
static bool leave_flags_over(struct making *making) {
    const struct hj212_dialect *dialect = making->origin->dialect;
    bool told = false;
    for (size_t i = 0; i < making->frame->item_count; i++) {
        const struct hj212_item *item = &making->frame->items[i];
        for (size_t f = 0; f < dialect->factor_count; f++) {
            const char *dash = strrchr(item->name, '-');
            if (dash == NULL || !is_flag(item, dash + 1) || !is_flag_of(item, &dialect->factors[f])) {
                continue;
            }
            if (!has_value(&making->slots[f]) || flag_letter(item->value) != flag_of(making, &dialect->factors[f])) {
                told = told || !has_value(&making->slots[f]);
                leave_over(making, item);
            }
        }
    }
    return told;
}

static bool is_usable(const struct making *making, char flag) {
    return flag == '\0' || strchr(making->origin->dialect->use, flag) != NULL;
}

/* 超测上限: the value is beyond the instrument's upper limit, and is one all the same. */
static bool is_over_range(const struct making *making, const struct hj212_factor *factor) {
    char flag = flag_of(making, factor);
    return !is_usable(making, flag) && strchr(making->origin->dialect->over_range, flag) != NULL &&
           factor->metric->kind == METRIC_GAUGE;
}

static bool is_reading(const struct making *making, const struct hj212_factor *factor) {
    return is_usable(making, flag_of(making, factor)) || is_over_range(making, factor);
}

/* ---- records */

static void put(struct making *making, cJSON *object, const char *name, cJSON *value) {
    int code = member_put(object, name, value);
    making->code = code == 0 ? making->code : code;
}

/* A record with the device; its time is `time_name`. NULL = out of memory. */
static cJSON *record_new(struct making *making, const char *time_name) {
    cJSON *record = cJSON_CreateObject();
    if (record == NULL) {
        making->code = CH_EMEMORY;
        return NULL;
    }
    put(making, record, "device_code", cJSON_CreateString(making->origin->device_code));
    put(making, record, time_name, cJSON_CreateNumber((double)making->time_ms));
    return record;
}

/* Gives the record to the array, or deletes it. Returns how many were added. */
static unsigned record_add(struct making *making, cJSON *array, cJSON *record, int values) {
    if (values > 0 && making->code == 0 && cJSON_AddItemToArray(array, record)) {
        return 1;
    }
    making->code = values > 0 ? CH_EMEMORY : making->code;
    cJSON_Delete(record);
    return 0;
}

/* What the frame's flags say of the whole device: the first one that is not N. */
static void put_flag(struct making *making, cJSON *record, int *values) {
    const struct hj212_dialect *dialect = making->origin->dialect;
    char device = '\0';
    for (size_t i = 0; i < dialect->factor_count; i++) {
        char flag = making->slots[i].given[INSTANT] != NULL ? flag_of(making, &dialect->factors[i]) : '\0';
        device = device == '\0' || device == 'N' ? (flag != '\0' ? flag : device) : device;
    }
    int value = device == '\0' ? -1 : dialect->flag_values[strchr(HJ212_FLAGS, device) - HJ212_FLAGS];
    if (dialect->flag_metric != NULL && value >= 0) {
        put(making, record, dialect->flag_metric->key, cJSON_CreateNumber(value));
        (*values)++;
    }
}

static void put_over_range(struct making *making, cJSON *record, const struct hj212_factor *factor) {
    cJSON *list = cJSON_GetObjectItemCaseSensitive(record, "over_range");
    cJSON *name = cJSON_CreateString(factor->metric->key);
    list = list == NULL ? cJSON_AddArrayToObject(record, "over_range") : list;
    if (name == NULL || !cJSON_AddItemToArray(list, name)) {
        cJSON_Delete(name);
        making->code = CH_EMEMORY;
    }
}

static void make_reading(struct making *making, cJSON *telemetry) {
    const struct hj212_dialect *dialect = making->origin->dialect;
    cJSON *record = record_new(making, "observed_at_ms");
    int values = 0;
    for (size_t i = 0; record != NULL && i < dialect->factor_count; i++) {
        const struct hj212_factor *factor = &dialect->factors[i];
        const struct hj212_item *given = making->slots[i].given[INSTANT];
        if (given == NULL || !is_reading(making, factor)) {
            continue;
        }
        if (member_get(record, factor->metric->key) != NULL) {
            leave_over(making, given);
            continue;
        }
        put(making, record, factor->metric->key, cJSON_CreateNumber(making->slots[i].value[INSTANT]));
        if (is_over_range(making, factor)) {
            put_over_range(making, record, factor);
        }
        values++;
    }
    if (record != NULL) {
        put_flag(making, record, &values);
        making->outcome->readings += record_add(making, telemetry, record, values);
    }
}

/* What another factor of the same field said already. */
static bool leave_slot_over(struct making *making, const struct slot *slot, enum part first, enum part last) {
    for (int part = (int)first; part <= (int)last; part++) {
        if (slot->given[part] != NULL) {
            leave_over(making, slot->given[part]);
        }
    }
    return false;
}

/* Adds what a slot has from `first` to `last` to the list; true if that is anything. */
static bool add_value(struct making *making, cJSON *list, size_t factor, enum part first, enum part last) {
    const struct hj212_factor *known = &making->origin->dialect->factors[factor];
    const struct slot *slot = &making->slots[factor];
    char flag[2] = {flag_of(making, known), '\0'};
    bool any = false;
    if (member_find(list, "metric", known->metric->key) != NULL) {
        return leave_slot_over(making, slot, first, last);
    }
    cJSON *value = cJSON_CreateObject();
    for (int part = (int)first; value != NULL && part <= (int)last; part++) {
        if (slot->given[part] != NULL) {
            put(making, value, parts[part].field, cJSON_CreateNumber(slot->value[part]));
            any = true;
        }
    }
    if (value == NULL || !any) {
        making->code = value == NULL ? CH_EMEMORY : making->code;
        cJSON_Delete(value);
        return false;
    }
    put(making, value, "metric", cJSON_CreateString(known->metric->key));
    if (flag[0] != '\0') {
        put(making, value, "flag", cJSON_CreateString(flag));
    }
    if (!cJSON_AddItemToArray(list, value)) {
        cJSON_Delete(value);
        making->code = CH_EMEMORY;
    }
    return true;
}

/* An interval of `seconds` with the parts from `first` to `last`; of instant values those alone that are not readings.
 */
static void make_interval(struct making *making, cJSON *intervals, int seconds, enum part first, enum part last) {
    const struct hj212_dialect *dialect = making->origin->dialect;
    cJSON *record = record_new(making, "began_at_ms");
    cJSON *list = record == NULL ? NULL : cJSON_AddArrayToObject(record, "values");
    int values = 0;
    for (size_t i = 0; list != NULL && i < dialect->factor_count; i++) {
        if (first != INSTANT || !is_reading(making, &dialect->factors[i])) {
            values += add_value(making, list, i, first, last);
        }
    }
    if (record != NULL) {
        put(making, record, "seconds", cJSON_CreateNumber(seconds));
        making->outcome->intervals += record_add(making, intervals, record, list == NULL ? 1 : values);
    }
}

/* What is left over, beside the values of the same time. */
static void make_others(struct making *making, cJSON *intervals, int seconds) {
    int count = cJSON_GetArraySize(making->others);
    for (int done = 0; done < count && making->code == 0; done += OTHERS_MAX) {
        cJSON *record = record_new(making, "began_at_ms");
        cJSON *list = record == NULL ? NULL : cJSON_AddArrayToObject(record, "others");
        for (int i = 0; list != NULL && i < OTHERS_MAX && making->others->child != NULL; i++) {
            cJSON_AddItemToArray(list, cJSON_DetachItemFromArray(making->others, 0));
        }
        if (record != NULL) {
            put(making, record, "seconds", cJSON_CreateNumber(seconds));
            making->code = list == NULL ? CH_EMEMORY : making->code;
            making->outcome->intervals += record_add(making, intervals, record, 1);
        }
    }
}

/* Of states and the like, which have no values, the frame's own time does where they say none. */
static int read_time(struct making *making, bool values) {
    const char *time = hj212_value(making->frame, "DataTime");
    int offset_s = making->origin->offset_minutes * MINUTE_S;
    time = time == NULL && !values ? making->frame->qn : time;
    if (time != NULL && hj212_time(time, offset_s, &making->time_ms) == 0) {
        return 0;
    }
    snprintf(making->outcome->problem, sizeof making->outcome->problem,
             time == NULL ? "DataTime is missing: nobody knows when these values were measured"
                          : "DataTime: \"%.40s\" is no time; it must be YYYYMMDDhhmmss",
             time);
    return CH_EINVAL;
}

/* An upload without CP=&&: whatever it says stands among the header's fields, where nothing is read. It is for
 * quarantine, whole. */
static void leave_header_over(struct making *making) {
    for (size_t i = 0; i < making->frame->other_count; i++) {
        const struct hj212_item *field = &making->frame->others[i];
        if (strcasecmp(field->name, "RF") != 0 && *field->value != '\0') {
            leave_over(making, field);
        }
    }
    making->outcome->left_over += (making->frame->oddities & HJ212_NO_VALUE) != 0;
}

/* States, logs and the like (2021, 2041, 2081, 3020): kept as they are. */
static int keep_items(struct making *making, cJSON *intervals) {
    for (size_t i = 0; i < making->frame->item_count; i++) {
        const struct hj212_item *item = &making->frame->items[i];
        if (!is_passed_over(making, item)) {
            leave_over(making, item);
        }
    }
    int code = making->outcome->left_over == 0 ? 0 : read_time(making, false);
    if (code == 0) {
        make_others(making, intervals, 0);
    }
    return code;
}

static int make_records(struct making *making, cJSON *telemetry, cJSON *intervals, int seconds) {
    bool any = false;
    for (size_t i = 0; i < making->frame->item_count; i++) {
        take_item(making, &making->frame->items[i]);
    }
    for (size_t i = 0; i < making->origin->dialect->factor_count; i++) {
        any = any || has_value(&making->slots[i]);
    }
    any = leave_flags_over(making) || any;
    /* Also asked for by a host (BeginTime, EndTime), and answered without values. */
    int code = any ? read_time(making, true) : 0;
    if (code != 0 || !any) {
        return code;
    }
    make_reading(making, telemetry);
    make_interval(making, intervals, 0, INSTANT, INSTANT);
    make_interval(making, intervals, seconds, MINIMUM, CONVERTED_MAXIMUM);
    make_others(making, intervals, making->frame->command == REAL_TIME ? 0 : seconds);
    return 0;
}

int hj212_records(const struct hj212_frame *frame, const struct hj212_origin *origin, cJSON *telemetry,
                  cJSON *intervals, struct hj212_outcome *outcome) {
    struct making making = {.frame = frame, .origin = origin, .outcome = outcome};
    int seconds = hj212_dialect_seconds(origin->dialect, frame->command);
    *outcome = (struct hj212_outcome){0};
    if (seconds == 0 && (frame->command < UPLOAD_FIRST || frame->command > UPLOAD_LAST)) {
        return 0;
    }
    making.others = cJSON_CreateArray();
    if (making.others == NULL) {
        return CH_EMEMORY;
    }
    int code = 0;
    if ((frame->oddities & HJ212_NO_CONTENT) != 0) {
        leave_header_over(&making);
    } else {
        code = seconds == 0 ? keep_items(&making, intervals) : make_records(&making, telemetry, intervals, seconds);
    }
    cJSON_Delete(making.others);
    return making.code == 0 ? code : making.code;
}
