/* mapping_apply.c: a foreign message as records. Must never drop a value: what becomes no field is kept under its own
 * name, and a record of which nothing can be made is told. */
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/decode/json_document.h"
#include "hub/gateway/hj212.h"
#include "hub/gateway/hj212_records.h"
#include "hub/gateway/mapping.h"

enum { OTHERS_MAX = 100, CODE_MAX = 129 };

struct work {
    const struct mapping *mapping;
    const struct mapping_origin *origin;
    cJSON *telemetry, *intervals;
    struct mapping_outcome *outcome;
    unsigned records;
    int code; /* 0 or CH_EMEMORY */
    /* the record that is being made */
    char device[CODE_MAX];
    int64_t ms;
    cJSON *reading, *others;
    unsigned values;
};

/* ---- values ---- */

static void put(struct work *work, cJSON *object, const char *name, cJSON *value) {
    int code = member_put(object, name, value);
    work->code = code == 0 ? work->code : code;
}

/* As text: a text as it is, all else as JSON. The caller frees. */
static char *show(const cJSON *value) {
    return cJSON_IsString(value) ? strdup(value->valuestring) : cJSON_PrintUnformatted(value);
}

static void leave_over(struct work *work, const char *name, const cJSON *value) {
    char *text = show(value);
    cJSON *other = text == NULL ? NULL : cJSON_CreateObject();
    if (work->outcome->left_over++ == 0) {
        snprintf(work->outcome->first_left_over, sizeof work->outcome->first_left_over, "%s", name);
    }
    if (other == NULL || cJSON_AddStringToObject(other, "key", name) == NULL ||
        cJSON_AddStringToObject(other, "value", text) == NULL || !cJSON_AddItemToArray(work->others, other)) {
        cJSON_Delete(other);
        work->code = CH_EMEMORY;
    }
    free(text);
}

static bool is_ignored(const struct mapping *mapping, const char *name) {
    for (const cJSON *one = mapping->ignore == NULL ? NULL : mapping->ignore->child; one != NULL; one = one->next) {
        if (cJSON_IsString(one) && strcmp(one->valuestring, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The code map's value for what came; NULL = it has none. */
static const cJSON *translate(const cJSON *map, const cJSON *value) {
    char text[64];
    if (cJSON_IsNumber(value)) {
        member_key(value, text, sizeof text);
        return member_get(map, text);
    }
    return member_get(map, cJSON_IsString(value) ? value->valuestring : cJSON_IsTrue(value) ? "true" : "false");
}

bool mapping_number(const cJSON *value, double *number) {
    if (cJSON_IsString(value)) {
        const char *text = value->valuestring + strspn(value->valuestring, " \t\r\n");
        char *end = NULL;
        size_t length = strspn(text, "0123456789+-.eE");
        *number = strtod(text, &end);
        return length > 0 && end == text + length && end[strspn(end, " \t\r\n")] == '\0' && isfinite(*number);
    }
    *number = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    return isfinite(*number);
}

/* The field's value; NULL = it is none. */
static cJSON *convert(const struct metric *metric, const cJSON *rule, const cJSON *value) {
    struct dialect_parser parser = {.problem = (char[DIALECT_PROBLEM_MAX]){""}};
    double scale = member_number(rule, "scale", 1), add = member_number(rule, "add", 0), number = 0;
    const cJSON *map = member_get(rule, "map");
    if (map != NULL) {
        value = translate(map, value);
        return value == NULL ? NULL : cJSON_Duplicate(value, true);
    }
    if (metric->kind == METRIC_TEXT) {
        return cJSON_IsString(value) ? cJSON_CreateString(value->valuestring) : NULL;
    }
    if (cJSON_IsBool(value)) {
        return cJSON_CreateBool(cJSON_IsTrue(value));
    }
    if (!mapping_number(value, &number) || !dialect_read_unit(&parser, rule, metric, &scale)) {
        return NULL;
    }
    if (scale == 1 && add == 0) {
        return cJSON_CreateNumber(number);
    }
    char text[32]; /* without what is beyond the 12 digits that no device has */
    snprintf(text, sizeof text, "%.12g", number * scale + add);
    number = strtod(text, NULL);
    return isfinite(number) ? cJSON_CreateNumber(number) : NULL;
}

static void take_value(struct work *work, const char *name, const cJSON *value) {
    const cJSON *rule = member_get(work->mapping->fields, name);
    const struct metric *metric =
        adapter_metric(work->origin->adapter, rule == NULL ? name : member_text(rule, "field"));
    if (value == NULL || cJSON_IsNull(value) || is_ignored(work->mapping, name)) {
        return;
    }
    cJSON *made =
        metric == NULL || member_get(work->reading, metric->key) != NULL ? NULL : convert(metric, rule, value);
    if (made == NULL) {
        leave_over(work, name, value);
        return;
    }
    put(work, work->reading, metric->key, made);
    work->values++;
}

static bool take_pair(void *user, const struct mapping_place *place) {
    struct work *work = user;
    cJSON scratch;
    const cJSON *name = mapping_find(work->mapping->names, place, &scratch);
    if (cJSON_IsString(name)) {
        take_value(work, name->valuestring, mapping_find(work->mapping->pair_values, place, &(cJSON){0}));
    } else {
        leave_over(work, "", place->record);
    }
    return work->code == 0;
}

/* ---- frames ---- */

static unsigned char *decode(enum mapping_encoding encoding, const char *text, size_t *length) {
    size_t size = strlen(text);
    unsigned char *bytes = malloc(size + 1);
    const char *end = NULL;
    int code = bytes == NULL ? -1 : 0;
    *length = size;
    if (code == 0 && encoding == MAPPING_BASE64) {
        code = sodium_base642bin(bytes, size + 1, text, size, " \r\n", length, &end, sodium_base64_VARIANT_ORIGINAL);
    } else if (code == 0 && encoding == MAPPING_HEX) {
        code = sodium_hex2bin(bytes, size + 1, text, size, " \r\n", length, &end);
    } else if (code == 0) {
        memcpy(bytes, text, size + 1);
    }
    if (code != 0 || (end != NULL && *end != '\0')) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

/* One frame's records. False: none could be made. */
static bool take_frame(struct work *work, const char *bytes, size_t length) {
    static struct hj212_frame frame; /* large */
    char reason[HJ212_REASON_MAX];
    struct hj212_outcome made;
    const struct hj212_origin origin = {
        .dialect = work->origin->dialect,
        .device_code = work->device,
        .offset_minutes =
            work->mapping->offset_minutes == 0 && work->mapping->time == NULL ? 480 : work->mapping->offset_minutes};
    hj212_parse(bytes, length, NULL, &frame);
    if (hj212_refusal(&frame, HJ212_CRC_STANDARD, reason) != NULL ||
        hj212_records(&frame, &origin, work->telemetry, work->intervals, &made) != 0 ||
        made.readings + made.intervals == 0) {
        return false;
    }
    work->outcome->readings += made.readings;
    work->outcome->intervals += made.intervals;
    work->outcome->left_over += made.left_over;
    return true;
}

/* False: something of it could not be read. */
static bool take_frames(struct work *work, const cJSON *text) {
    size_t length = 0, begin = 0;
    unsigned frames = 0;
    struct reading_result result;
    unsigned char *bytes = !cJSON_IsString(text) || work->origin->dialect == NULL
                               ? NULL
                               : decode(work->mapping->encoding, text->valuestring, &length);
    bool whole = bytes != NULL;
    while (whole && begin < length) {
        enum reading reading = hj212_read((const char *)bytes + begin, length - begin, true, &result);
        if (reading == READING_MORE) {
            break;
        }
        if (reading == READING_FRAME) {
            whole = take_frame(work, (const char *)bytes + begin, result.length);
            frames++;
        } else {
            whole = result.why == NULL;
        }
        begin += result.length;
    }
    free(bytes);
    work->values += frames;
    return whole && frames > 0;
}

/* ---- one record ---- */

static bool fail(struct work *work, const char *why, const cJSON *value) {
    char *text = value == NULL ? NULL : show(value);
    if (work->outcome->failed++ == 0) {
        snprintf(work->outcome->problem, sizeof work->outcome->problem, "record %u: %s%s%.60s", work->records, why,
                 text == NULL ? "" : ": ", text == NULL ? "" : text);
    }
    free(text);
    return true; /* the others go on */
}

static const char *read_device(struct work *work, const struct mapping_place *place) {
    cJSON scratch;
    const cJSON *device = mapping_find(work->mapping->device, place, &scratch);
    size_t length = member_key(device, work->device, sizeof work->device);
    if (!cJSON_IsNumber(device) && !cJSON_IsString(device)) {
        length = (size_t)snprintf(work->device, sizeof work->device, "%s", work->origin->device);
    }
    return length == 0                     ? "it names no device, and the source has none"
           : length >= sizeof work->device ? "its device's code has more than 128 bytes"
                                           : NULL;
}

static void put_position(struct work *work, const struct mapping_place *place) {
    const struct mapping *mapping = work->mapping;
    double lon, lat;
    const cJSON *first = mapping_find(mapping->lon, place, &(cJSON){0});
    const cJSON *second = mapping_find(mapping->lat, place, &(cJSON){0});
    if (!mapping_number(first, &lon) || !mapping_number(second, &lat)) {
        return;
    }
    cJSON *position = cJSON_CreateObject();
    put(work, position, "lon", cJSON_CreateNumber(lon));
    put(work, position, "lat", cJSON_CreateNumber(lat));
    if (mapping->system != NULL) {
        put(work, position, "system", cJSON_CreateString(mapping->system));
    }
    put(work, work->reading, "position", position);
    work->values++;
}

static bool is_event(const struct mapping *mapping, const struct mapping_place *place) {
    const cJSON *what = mapping_find(mapping->event, place, &(cJSON){0});
    for (const cJSON *one = mapping->event_values == NULL ? NULL : mapping->event_values->child;
         what != NULL && one != NULL; one = one->next) {
        if (cJSON_Compare(one, what, true)) {
            return true;
        }
    }
    return false;
}

/* What the record says, into `reading` and `others`. False: a part of it could not be read. */
static bool take_content(struct work *work, const struct mapping_place *place) {
    const struct mapping *mapping = work->mapping;
    const cJSON *values = mapping_find(mapping->values, place, &(cJSON){0});
    bool event = is_event(mapping, place);
    values = event ? place->record : values;
    for (const cJSON *value = cJSON_IsObject(values) ? values->child : NULL; value != NULL; value = value->next) {
        if (event) {
            leave_over(work, value->string, value);
        } else {
            take_value(work, value->string, value);
        }
    }
    if (event) {
        return true;
    }
    if (mapping->list != NULL) {
        mapping_each(mapping->list, place, take_pair, work);
    }
    put_position(work, place);
    const cJSON *frames = mapping_find(mapping->frames, place, &(cJSON){0});
    return frames == NULL || take_frames(work, frames);
}

/* An object of the record's device and time. */
static cJSON *record_new(struct work *work, const char *time) {
    cJSON *record = cJSON_CreateObject();
    put(work, record, "device_code", cJSON_CreateString(work->device));
    put(work, record, time, cJSON_CreateNumber((double)work->ms));
    return record;
}

/* Joins the reading with the one before where that is of the same device and time, and has none of its fields. */
static bool join(struct work *work) {
    int count = cJSON_GetArraySize(work->telemetry);
    cJSON *last = count == 0 ? NULL : cJSON_GetArrayItem(work->telemetry, count - 1);
    if (last == NULL || strcmp(member_text(last, "device_code"), work->device) != 0 ||
        member_number(last, "observed_at_ms", 0) != (double)work->ms) {
        return false;
    }
    for (const cJSON *value = work->reading->child; value != NULL; value = value->next) {
        if (strcmp(value->string, "device_code") != 0 && strcmp(value->string, "observed_at_ms") != 0 &&
            member_get(last, value->string) != NULL) {
            return false;
        }
    }
    while (work->reading->child != NULL) {
        cJSON *value = cJSON_DetachItemViaPointer(work->reading, work->reading->child);
        if (member_get(last, value->string) != NULL || !cJSON_AddItemToObject(last, value->string, value)) {
            cJSON_Delete(value);
        }
    }
    return true;
}

static void give_others(struct work *work) {
    while (work->others->child != NULL && work->code == 0) {
        cJSON *record = record_new(work, "began_at_ms"), *list = cJSON_AddArrayToObject(record, "others");
        for (int i = 0; list != NULL && i < OTHERS_MAX && work->others->child != NULL; i++) {
            cJSON_AddItemToArray(list, cJSON_DetachItemFromArray(work->others, 0));
        }
        put(work, record, "seconds", cJSON_CreateNumber(0));
        if (list == NULL || !cJSON_AddItemToArray(work->intervals, record)) {
            cJSON_Delete(record);
            work->code = CH_EMEMORY;
            return;
        }
        work->outcome->intervals++;
    }
}

/* Gives what was made of the record away. */
static void give(struct work *work) {
    work->outcome->values += work->values;
    if (cJSON_GetArraySize(work->reading) > 2 && !join(work) && work->code == 0 &&
        cJSON_AddItemToArray(work->telemetry, work->reading)) {
        work->reading = NULL;
        work->outcome->readings++;
    }
    give_others(work);
}

static bool take_record(void *user, const struct mapping_place *place) {
    struct work *work = user;
    const struct mapping *mapping = work->mapping;
    const cJSON *time = mapping_find(mapping->time, place, &(cJSON){0});
    if (work->records++ >= MAPPING_RECORDS_MAX) {
        fail(work, "a message may have 2000 records, and no more are taken", NULL);
        return false;
    }
    const char *why = read_device(work, place);
    work->ms = work->origin->now_ms;
    if (why != NULL) {
        return fail(work, why, NULL);
    }
    if (time == NULL && !mapping->arrival) {
        return fail(work, "its time is missing", NULL);
    }
    if (time != NULL && mapping_time(time, mapping->form, mapping->offset_minutes, &work->ms) != 0) {
        return fail(work, "its time is none of the form that the mapping says", time);
    }
    work->reading = record_new(work, "observed_at_ms");
    work->others = cJSON_CreateArray();
    work->values = 0;
    if (work->others == NULL || work->code != 0) {
        work->code = CH_EMEMORY;
    } else {
        if (!take_content(work, place)) {
            fail(work, "its frames cannot be read", NULL);
        } else if (work->values == 0 && work->others->child == NULL) {
            fail(work, "there is no value in it", NULL);
        }
        give(work);
    }
    cJSON_Delete(work->reading);
    cJSON_Delete(work->others);
    return work->code == 0;
}

/* ---- all of it ---- */

/* Texts that are JSON become what they say. */
static void unpack(const struct mapping *mapping, const struct mapping_place *place) {
    const cJSON *paths = mapping->unpack;
    for (const cJSON *one = cJSON_IsArray(paths) ? paths->child : paths; one != NULL;
         one = cJSON_IsArray(paths) ? one->next : NULL) {
        cJSON *text = (cJSON *)(uintptr_t)mapping_find(one, place, &(cJSON){0});
        cJSON *inner = cJSON_IsString(text) ? json_document(text->valuestring, strlen(text->valuestring)) : NULL;
        if (inner != NULL) { /* takes the place of the text, and keeps its name and neighbours */
            cJSON_free(text->valuestring);
            text->valuestring = inner->valuestring;
            text->type = inner->type;
            text->child = inner->child;
            text->valueint = inner->valueint;
            text->valuedouble = inner->valuedouble;
            inner->child = NULL;
            inner->valuestring = NULL;
            cJSON_Delete(inner);
        }
    }
}

int mapping_apply(const struct mapping *mapping, cJSON *document, const struct mapping_origin *origin, cJSON *telemetry,
                  cJSON *intervals, struct mapping_outcome *outcome) {
    struct work work = {
        .mapping = mapping, .origin = origin, .telemetry = telemetry, .intervals = intervals, .outcome = outcome};
    struct mapping_place place = {.root = document, .record = document};
    *outcome = (struct mapping_outcome){0};
    cJSON *senml = mapping->senml ? mapping_senml(document, origin->now_ms) : NULL;
    if (mapping->senml && senml == NULL) {
        fail(&work, "it is no SenML pack, which is a list", NULL);
        return 0;
    }
    if (senml != NULL) {
        place.root = place.record = senml;
    }
    unpack(mapping, &place);
    const cJSON *records = cJSON_IsArray(mapping->records) ? mapping->records->child : mapping->records;
    do {
        mapping_each(records == NULL ? "" : records->valuestring, &place, take_record, &work);
        records = records != NULL && cJSON_IsArray(mapping->records) ? records->next : NULL;
    } while (records != NULL && work.records == 0);
    if (work.records == 0 && outcome->failed == 0) {
        fail(&work, "there is no record where the mapping says", NULL);
    }
    cJSON_Delete(senml);
    return work.code;
}
