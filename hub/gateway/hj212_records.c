/* hj212_records.c: see hj212_records.h. */
#include "hub/gateway/hj212_records.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/member.h"

enum { MINUTE_S = 60 };

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

/* Suffixes that say something of a value and are none, or what the hub computes itself. */
static const char *const silent[] = {"Flag", "EFlag", "SampleTime", "ZsRtd", "ZsCou"};

/* A factor of the dialect in this frame. */
struct slot {
    bool given[PARTS];
    double value[PARTS];
};

struct making {
    const struct hj212_frame *frame;
    const struct hj212_origin *origin;
    struct hj212_outcome *outcome;
    struct slot slots[HJ212_FACTORS_MAX];
    int64_t time_ms;
    int code; /* 0 or CH_EMEMORY */
};

/* ---- items */

static void leave_over(struct making *making, const char *name) {
    if (making->outcome->left_over++ == 0) {
        snprintf(making->outcome->first_left_over, sizeof making->outcome->first_left_over, "%s", name);
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

static bool is_silent(const char *suffix) {
    for (size_t i = 0; i < COUNT_OF(silent); i++) {
        if (strcasecmp(silent[i], suffix) == 0) {
            return true;
        }
    }
    return false;
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
    if (*text == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0') {
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

/* An item is CODE-SUFFIX; of CODE-x-SUFFIX, as some send it, the middle says nothing. */
static void take_item(struct making *making, const struct hj212_item *item) {
    const char *first = strchr(item->name, '-'), *last = strrchr(item->name, '-');
    if (first == NULL || is_silent(last + 1)) {
        return;
    }
    const struct hj212_dialect *dialect = making->origin->dialect;
    int part = part_of(last + 1), factor = factor_of(dialect, item->name, (size_t)(first - item->name));
    double value = 0;
    if (part < 0 || factor < 0 || !read_value(item->value, &value)) {
        if (*item->value != '\0') {
            leave_over(making, item->name);
        }
        return;
    }
    /* A total is an amount in the device's own unit. */
    const struct hj212_factor *known = &dialect->factors[factor];
    making->slots[factor].given[part] = true;
    making->slots[factor].value[part] = part == TOTAL ? value : convert(value, known);
}

/* ---- flags */

/* The flag of a factor, or the frame's one flag for all; 0 = there is none. One that is no flag of the standard counts
 * as B: whatever it says, it does not say N. */
static char flag_of(const struct making *making, const struct hj212_factor *factor) {
    char name[80];
    snprintf(name, sizeof name, "%.64s-Flag", factor->code);
    const char *flag = hj212_value(making->frame, name);
    if (flag == NULL) {
        snprintf(name, sizeof name, "%.64s-Rtd-Flag", factor->code);
        flag = hj212_value(making->frame, name);
    }
    flag = flag == NULL ? hj212_value(making->frame, "Flag") : flag;
    if (flag == NULL || *flag == '\0') {
        return '\0';
    }
    char letter = (char)(*flag >= 'a' && *flag <= 'z' ? *flag - 'a' + 'A' : *flag);
    return flag[1] == '\0' && strchr(HJ212_FLAGS, letter) != NULL ? letter : 'B';
}

static bool is_usable(const struct making *making, char flag) {
    return flag == '\0' || strchr(making->origin->dialect->use, flag) != NULL;
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
        char flag = making->slots[i].given[INSTANT] ? flag_of(making, &dialect->factors[i]) : '\0';
        device = device == '\0' || device == 'N' ? (flag != '\0' ? flag : device) : device;
    }
    int value = device == '\0' ? -1 : dialect->flag_values[strchr(HJ212_FLAGS, device) - HJ212_FLAGS];
    if (dialect->flag_metric != NULL && value >= 0) {
        put(making, record, dialect->flag_metric->key, cJSON_CreateNumber(value));
        (*values)++;
    }
}

static void make_reading(struct making *making, cJSON *telemetry) {
    const struct hj212_dialect *dialect = making->origin->dialect;
    cJSON *record = record_new(making, "observed_at_ms");
    int values = 0;
    for (size_t i = 0; record != NULL && i < dialect->factor_count; i++) {
        const struct hj212_factor *factor = &dialect->factors[i];
        if (making->slots[i].given[INSTANT] && is_usable(making, flag_of(making, factor)) &&
            member_get(record, factor->metric->key) == NULL) {
            put(making, record, factor->metric->key, cJSON_CreateNumber(making->slots[i].value[INSTANT]));
            values++;
        }
    }
    if (record != NULL) {
        put_flag(making, record, &values);
        making->outcome->readings += record_add(making, telemetry, record, values);
    }
}

/* Adds what a slot has from `first` to `last` to the list; true if that is anything. */
static bool add_value(struct making *making, cJSON *list, size_t factor, enum part first, enum part last) {
    const struct hj212_factor *known = &making->origin->dialect->factors[factor];
    const struct slot *slot = &making->slots[factor];
    char flag[2] = {flag_of(making, known), '\0'};
    bool any = false;
    cJSON *value = cJSON_CreateObject();
    for (int part = (int)first; value != NULL && part <= (int)last; part++) {
        if (slot->given[part]) {
            put(making, value, parts[part].field, cJSON_CreateNumber(slot->value[part]));
            any = true;
        }
    }
    if (value == NULL || !any || member_find(list, "metric", known->metric->key) != NULL) {
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
        if (first != INSTANT || !is_usable(making, flag_of(making, &dialect->factors[i]))) {
            values += add_value(making, list, i, first, last);
        }
    }
    if (record != NULL) {
        put(making, record, "seconds", cJSON_CreateNumber(seconds));
        making->outcome->intervals += record_add(making, intervals, record, list == NULL ? 1 : values);
    }
}

static int read_time(struct making *making) {
    const char *time = hj212_value(making->frame, "DataTime");
    int offset_s = making->origin->offset_minutes * MINUTE_S;
    if (time != NULL && hj212_time(time, offset_s, &making->time_ms) == 0) {
        return 0;
    }
    snprintf(making->outcome->problem, sizeof making->outcome->problem,
             time == NULL ? "DataTime is missing: nobody knows when these values were measured"
                          : "DataTime: \"%.40s\" is no time; it must be YYYYMMDDhhmmss",
             time);
    return CH_EINVAL;
}

int hj212_records(const struct hj212_frame *frame, const struct hj212_origin *origin, cJSON *telemetry,
                  cJSON *intervals, struct hj212_outcome *outcome) {
    struct making making = {.frame = frame, .origin = origin, .outcome = outcome};
    int seconds = hj212_dialect_seconds(origin->dialect, frame->command);
    *outcome = (struct hj212_outcome){0};
    if (seconds == 0) {
        return 0;
    }
    bool any = false;
    for (size_t i = 0; i < frame->item_count; i++) {
        take_item(&making, &frame->items[i]);
    }
    for (size_t i = 0; i < origin->dialect->factor_count; i++) {
        for (int part = 0; part < PARTS; part++) {
            any = any || making.slots[i].given[part];
        }
    }
    /* Also asked for by a host (BeginTime, EndTime), and answered without values. */
    int code = any ? read_time(&making) : 0;
    if (code != 0 || !any) {
        return code;
    }
    make_reading(&making, telemetry);
    make_interval(&making, intervals, 0, INSTANT, INSTANT);
    make_interval(&making, intervals, seconds, MINIMUM, CONVERTED_MAXIMUM);
    return making.code;
}
