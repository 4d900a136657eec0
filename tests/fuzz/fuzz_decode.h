/* fuzz_decode.h: what must hold for every payload, whichever form it has: each record is delivered or reported, once
 * and in its place; what is delivered is within its bounds, and no field of it is bad; the same bytes give the same
 * results whatever came before. */
#ifndef CITYHUB_FUZZ_DECODE_H
#define CITYHUB_FUZZ_DECODE_H

#include <math.h>

#include "common.pb-c.h"
#include "fuzz.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/decode/decode.h"

enum { FUZZ_KINDS = TOPIC_KINDS_IN - TOPIC_INVENTORY, FUZZ_UNKNOWN_MAX = 16 };

/* Of documents "dust" is the topic's subsystem; telemetry goes by its adapter. */
static const struct decode_limits fuzz_limits = {
    INT64_C(1700000000000), INT64_C(1800000000000), {113, 33, 115, 35}, "dust"};
static const char *const fuzz_problem_codes[] = {
    "malformed",
    "empty_batch",
    "too_many_records",
    "missing_device_code",
    "missing_time",
    "missing_field",
    "wrong_type",
    "not_finite",
    "bad_code",
    "bad_text",
    "bad_enum",
    "time_ahead",
    "time_too_old",
    "bad_position",
    "missing_coordinate_system",
    "duplicate_field",
    "no_readings",
    "bad_value",
    "wrong_topic",
    "place_outside",
};

struct fuzz_result {
    struct decoder *decoder;
    const struct adapter *adapter; /* NULL: one of the other kinds */
    int next;                      /* the place that must come next */
    int whole_problems, unknown_fields;
    const ProtobufCMessageDescriptor *document; /* of the other kinds */
    bool is_placed;                             /* the record that comes next was said to be outside the county */
    uint64_t digest;                            /* of all that was delivered */
    /* If given: called with each record. */
    void (*look)(const struct record *record, void *user);
    void *user;
};

static inline void fuzz_digest(struct fuzz_result *result, const void *data, size_t length) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        result->digest = (result->digest ^ bytes[i]) * UINT64_C(1099511628211);
    }
}

static inline void fuzz_clean_text(const char *text, size_t longest, bool lines) {
    size_t length = strlen(text);
    REQUIRE(length >= 1 && length <= longest);
    REQUIRE(text_flaw(text, length, lines) == NULL);
}

static inline void fuzz_note(struct fuzz_result *result, int index, const char *code, const char *reason) {
    fuzz_clean_text(reason, DECODE_REASON_MAX - 1, false);
    fuzz_digest(result, &index, sizeof index);
    fuzz_digest(result, code, strlen(code));
    fuzz_digest(result, reason, strlen(reason));
}

static inline void fuzz_known_code(const char *code) {
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(fuzz_problem_codes); i++) {
        known = known || strcmp(code, fuzz_problem_codes[i]) == 0;
    }
    REQUIRE(known);
}

static inline void fuzz_problem(void *user, int index, const char *code, const char *reason) {
    struct fuzz_result *result = user;
    fuzz_known_code(code);
    fuzz_note(result, index, code, reason);
    result->is_placed = false;
    if (index == -1) {
        result->whole_problems++;
    } else {
        REQUIRE(index == result->next);
        result->next++;
    }
}

static inline void fuzz_warning(void *user, int index, const char *code, const char *field, const char *reason) {
    struct fuzz_result *result = user;
    REQUIRE(index == -1 || index == result->next);
    if (strcmp(code, "place_outside") == 0 || strcmp(code, "place_doubtful") == 0) {
        REQUIRE(strcmp(field, "position") == 0 && index >= 0 && !result->is_placed);
        result->is_placed = true;
    } else {
        REQUIRE(strcmp(code, "unknown_field") == 0 && field == NULL);
        REQUIRE(++result->unknown_fields <= FUZZ_UNKNOWN_MAX);
    }
    fuzz_note(result, index, code, reason);
}

static inline const struct decode_flaw *fuzz_flaw(const struct decode_flaw *flaws, unsigned count, const char *field) {
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(flaws[i].field, field) == 0) {
            return &flaws[i];
        }
    }
    return NULL;
}

/* Bad fields are fields, and none that a record cannot do without. */
static inline void fuzz_flaws(struct fuzz_result *result, const ProtobufCMessageDescriptor *record,
                              const struct decode_flaw *flaws, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(record, flaws[i].field);
        REQUIRE(field != NULL);
        /* A field is told of once, of a list up to eight entries. */
        unsigned before = 0;
        for (unsigned other = 0; other < i; other++) {
            before += strcmp(flaws[other].field, flaws[i].field) == 0;
        }
        REQUIRE(before < (field->label == PROTOBUF_C_LABEL_REPEATED ? 8 : 1));
        fuzz_known_code(flaws[i].code);
        fuzz_note(result, result->next, flaws[i].code, flaws[i].reason);
    }
}

static inline void fuzz_position(struct fuzz_result *result, const struct record *record) {
    const struct decode_extent *extent = &fuzz_limits.extent;
    bool within = record->lon >= extent->min_lon && record->lon <= extent->max_lon && record->lat >= extent->min_lat &&
                  record->lat <= extent->max_lat;
    REQUIRE(fabs(record->lon) <= 180 && fabs(record->lat) <= 90);
    REQUIRE(record->outside == !within && record->outside == result->is_placed);
    fuzz_digest(result, &record->lon, sizeof record->lon);
    fuzz_digest(result, &record->lat, sizeof record->lat);
}

static inline void fuzz_metric(struct fuzz_result *result, const struct record *record, size_t i) {
    const struct metric *metric = &result->adapter->metrics[i];
    bool is_number = (record->present >> i & 1) != 0, is_text = (record->text_present >> i & 1) != 0;
    REQUIRE(!(is_number || is_text) || fuzz_flaw(record->flaws, record->flaw_count, metric->key) == NULL);
    if (is_number) {
        double value = record->values[i];
        REQUIRE(metric->kind != METRIC_TEXT && isfinite(value));
        REQUIRE((value < metric->min || value > metric->max) ==
                (((record->quality & ~record->over_range) >> i & 1) != 0));
        REQUIRE((record->over_range >> i & 1) == 0 || metric->kind == METRIC_GAUGE);
        fuzz_digest(result, &value, sizeof value);
    }
    if (is_text) {
        REQUIRE(metric->kind == METRIC_TEXT);
        fuzz_clean_text(record->texts[i], DECODE_TEXT_MAX, true);
        fuzz_digest(result, record->texts[i], strlen(record->texts[i]));
    }
}

/* What a subsystem's message takes whole has nothing that is another's, and nothing out of its range. */
static inline void fuzz_fits(struct fuzz_result *result, const struct record *record) {
    bool fits = decode_fits(result->decoder, result->adapter, record);
    REQUIRE(!fits || (record->misfits == 0 && record->quality == record->over_range));
    bool elsewhere = decode_fits(result->decoder, adapters[result->next % (int)adapter_count], record);
    fuzz_digest(result, &elsewhere, sizeof elsewhere);
}

static inline void fuzz_record(void *user, struct record *record) {
    struct fuzz_result *result = user;
    const struct adapter *adapter = result->adapter;
    REQUIRE(record->index == result->next);
    REQUIRE(strlen(record->device_code) == record->device_code_length);
    fuzz_clean_text(record->device_code, DECODE_CODE_MAX, false);
    REQUIRE(record->observed_at_ms >= fuzz_limits.oldest_ms && record->observed_at_ms <= fuzz_limits.newest_ms);
    REQUIRE(record->present != 0 || record->text_present != 0 || record->has_position);
    REQUIRE((record->over_range & ~record->quality) == 0);
    REQUIRE((record->quality & ~record->present) == 0 && (record->present & record->text_present) == 0);
    REQUIRE(((record->present | record->text_present) >> adapter->metric_count) == 0);
    fuzz_flaws(result, adapter->record, record->flaws, record->flaw_count);
    REQUIRE(record->has_position || !result->is_placed);
    if (record->has_position) {
        REQUIRE(fuzz_flaw(record->flaws, record->flaw_count, "position") == NULL);
        fuzz_position(result, record);
    }
    for (size_t i = 0; i < adapter->metric_count; i++) {
        fuzz_metric(result, record, i);
    }
    fuzz_fits(result, record);
    fuzz_digest(result, record->device_code, record->device_code_length);
    fuzz_digest(result, &record->observed_at_ms, sizeof record->observed_at_ms);
    fuzz_digest(result, &record->present, sizeof record->present);
    fuzz_digest(result, &record->misfits, sizeof record->misfits);
    if (result->look != NULL) {
        result->look(record, result->user);
    }
    result->next++;
    result->is_placed = false;
}

static inline void fuzz_item(const cJSON *item, int depth) {
    REQUIRE(depth <= 3); /* record, list, entry, value */
    if (cJSON_IsNumber(item)) {
        REQUIRE(isfinite(item->valuedouble));
    } else if (cJSON_IsString(item)) {
        fuzz_clean_text(item->valuestring, DECODE_DOCUMENT_TEXT_MAX, true);
    } else if (cJSON_IsArray(item)) {
        REQUIRE(cJSON_GetArraySize(item) >= 1 && cJSON_GetArraySize(item) <= DECODE_LIST_MAX);
    } else {
        /* A null stands for a flawed field that is told of: fuzz_document looks for its flaw. */
        REQUIRE(cJSON_IsObject(item) || cJSON_IsBool(item) || (cJSON_IsNull(item) && depth == 1));
    }
    for (const cJSON *inner = item->child; inner != NULL; inner = inner->next) {
        for (const cJSON *other = inner->next; cJSON_IsObject(item) && other != NULL; other = other->next) {
            REQUIRE(strcmp(inner->string, other->string) != 0);
        }
        fuzz_item(inner, depth + 1);
    }
}

/* A place, in the county or out of it, is whole or not there. */
static inline bool fuzz_document_place(const cJSON *object, const char *lon_name, const char *lat_name) {
    const cJSON *lon = cJSON_GetObjectItemCaseSensitive(object, lon_name);
    const cJSON *lat = cJSON_GetObjectItemCaseSensitive(object, lat_name);
    REQUIRE((lon == NULL) == (lat == NULL));
    REQUIRE(lon == NULL || (fabs(lon->valuedouble) <= 180 && fabs(lat->valuedouble) <= 90));
    return lon != NULL;
}

static inline void fuzz_document(void *user, const struct document *document) {
    struct fuzz_result *result = user;
    const cJSON *object = document->object;
    REQUIRE(document->index == result->next);
    REQUIRE(cJSON_IsObject(object) && cJSON_GetObjectItemCaseSensitive(object, "position") == NULL);
    fuzz_item(object, 0);
    bool inside = fuzz_document_place(object, "lon", "lat");
    bool outside = fuzz_document_place(object, "outside_lon", "outside_lat");
    REQUIRE(!(inside && outside) && outside == result->is_placed);
    fuzz_flaws(result, result->document, document->flaws, document->flaw_count);
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        REQUIRE(!cJSON_IsNull(item) || fuzz_flaw(document->flaws, document->flaw_count, item->string) != NULL);
    }
    for (unsigned i = 0; i < document->flaw_count; i++) {
        const char *field = document->flaws[i].field;
        const ProtobufCFieldDescriptor *descriptor =
            protobuf_c_message_descriptor_get_field_by_name(result->document, field);
        const cJSON *left = cJSON_GetObjectItemCaseSensitive(object, field);
        /* Of a list the good entries stay. */
        REQUIRE(descriptor->label == PROTOBUF_C_LABEL_REPEATED || left == NULL || cJSON_IsNull(left));
        REQUIRE(strcmp(field, "position") != 0 || !(inside || outside));
    }
    char *text = cJSON_PrintUnformatted(object);
    REQUIRE(text != NULL);
    fuzz_digest(result, text, strlen(text));
    cJSON_free(text);
    result->next++;
    result->is_placed = false;
}

static inline const ProtobufCMessageDescriptor *fuzz_document_record(enum topic_kind kind) {
    switch (kind) {
    case TOPIC_INVENTORY:
        return &cityhub__v1__inventory_record__descriptor;
    case TOPIC_STAFF:
        return &cityhub__v1__staff_record__descriptor;
    case TOPIC_WORK:
        return &cityhub__v1__work_record__descriptor;
    case TOPIC_INTERVAL:
        return &cityhub__v1__interval_record__descriptor;
    default:
        return &cityhub__v1__case_record__descriptor;
    }
}

static inline int fuzz_decode_once(struct decoder *decoder, unsigned selector, const uint8_t *payload, size_t length,
                                   struct fuzz_result *result) {
    int total;
    result->decoder = decoder;
    if (selector < adapter_count) {
        const struct decode_sink sink = {fuzz_record, fuzz_problem, fuzz_warning, result};
        result->adapter = adapters[selector];
        total = decode_telemetry(decoder, result->adapter, &fuzz_limits, payload, length, &sink);
    } else {
        const struct document_sink sink = {fuzz_document, fuzz_problem, fuzz_warning, result};
        enum topic_kind kind = (enum topic_kind)(TOPIC_INVENTORY + selector - adapter_count);
        result->document = fuzz_document_record(kind);
        total = decode_document(decoder, kind, &fuzz_limits, payload, length, &sink);
    }
    if (total == CH_EMEMORY) {
        return total;
    }
    REQUIRE(total >= 0 && total <= DECODE_RECORDS_MAX + 1);
    REQUIRE(result->next == total);
    REQUIRE(result->whole_problems == (total == 0 ? 1 : 0));
    return total;
}

/* Decodes with a decoder that has seen all inputs before and, now and then, with a new one: the results are the same.
 * `selector` is an adapter's place in the table, or adapter_count and a kind's place. */
static inline int fuzz_decode(unsigned selector, const uint8_t *data, size_t length,
                              void (*look)(const struct record *record, void *user), void *user) {
    static struct decoder *decoder;
    if (decoder == NULL) {
        decoder = decoder_new();
        REQUIRE(decoder != NULL);
    }
    struct fuzz_result result = {.digest = UINT64_C(14695981039346656037), .look = look, .user = user};
    uint8_t *payload = fuzz_copy(data, length);
    int total = fuzz_decode_once(decoder, selector, payload, length, &result);
    if (result.digest % 8 == 0) {
        struct decoder *fresh = decoder_new();
        struct fuzz_result again = {.digest = UINT64_C(14695981039346656037)};
        REQUIRE(fresh != NULL);
        REQUIRE(fuzz_decode_once(fresh, selector, payload, length, &again) == total);
        REQUIRE(again.digest == result.digest);
        decoder_free(fresh);
    }
    free(payload);
    return total;
}

#endif
