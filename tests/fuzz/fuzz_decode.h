/* fuzz_decode.h: what must hold for every payload, whichever form it has: each record is delivered or reported, once
 * and in its place; what is delivered is within its bounds; the same bytes give the same results whatever came before.
 */
#ifndef CITYHUB_FUZZ_DECODE_H
#define CITYHUB_FUZZ_DECODE_H

#include <math.h>

#include "fuzz.h"
#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/decode/decode.h"

enum { FUZZ_KINDS = TOPIC_KINDS_IN - TOPIC_INVENTORY, FUZZ_WARNINGS_MAX = 16 };

static const struct decode_limits fuzz_limits = {INT64_C(1700000000000), INT64_C(1800000000000)};
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
};

struct fuzz_result {
    const struct adapter *adapter; /* NULL: one of the other kinds */
    int next;                      /* the place that must come next */
    int whole_problems, warnings;
    uint64_t digest; /* of all that was delivered */
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

static inline void fuzz_problem(void *user, int index, const char *code, const char *reason) {
    struct fuzz_result *result = user;
    bool known = false;
    for (size_t i = 0; i < sizeof fuzz_problem_codes / sizeof fuzz_problem_codes[0]; i++) {
        known = known || strcmp(code, fuzz_problem_codes[i]) == 0;
    }
    REQUIRE(known);
    fuzz_note(result, index, code, reason);
    if (index == -1) {
        result->whole_problems++;
    } else {
        REQUIRE(index == result->next);
        result->next++;
    }
}

static inline void fuzz_warning(void *user, int index, const char *code, const char *reason) {
    struct fuzz_result *result = user;
    REQUIRE(strcmp(code, "unknown_field") == 0);
    REQUIRE(index == -1 || index == result->next);
    REQUIRE(++result->warnings <= FUZZ_WARNINGS_MAX);
    fuzz_note(result, index, code, reason);
}

static inline void fuzz_record(void *user, const struct record *record) {
    struct fuzz_result *result = user;
    const struct adapter *adapter = result->adapter;
    REQUIRE(record->index == result->next);
    result->next++;
    REQUIRE(strlen(record->device_code) == record->device_code_length);
    fuzz_clean_text(record->device_code, DECODE_CODE_MAX, false);
    REQUIRE(record->observed_at_ms >= fuzz_limits.oldest_ms && record->observed_at_ms <= fuzz_limits.newest_ms);
    REQUIRE(record->present != 0 || record->text_present != 0 || record->has_position);
    REQUIRE((record->quality & ~record->present) == 0 && (record->present & record->text_present) == 0);
    REQUIRE(((record->present | record->text_present) >> adapter->metric_count) == 0);
    if (record->has_position) {
        REQUIRE(fabs(record->lon) <= 180 && fabs(record->lat) <= 90);
        fuzz_digest(result, &record->lon, sizeof record->lon);
        fuzz_digest(result, &record->lat, sizeof record->lat);
    }
    for (size_t i = 0; i < adapter->metric_count; i++) {
        const struct metric *metric = &adapter->metrics[i];
        if ((record->present >> i & 1) != 0) {
            double value = record->values[i];
            REQUIRE(metric->kind != METRIC_TEXT && isfinite(value));
            REQUIRE((value < metric->min || value > metric->max) == ((record->quality >> i & 1) != 0));
            fuzz_digest(result, &value, sizeof value);
        }
        if ((record->text_present >> i & 1) != 0) {
            REQUIRE(metric->kind == METRIC_TEXT);
            fuzz_clean_text(record->texts[i], DECODE_TEXT_MAX, true);
            fuzz_digest(result, record->texts[i], strlen(record->texts[i]));
        }
    }
    fuzz_digest(result, record->device_code, record->device_code_length);
    fuzz_digest(result, &record->observed_at_ms, sizeof record->observed_at_ms);
    fuzz_digest(result, &record->present, sizeof record->present);
    if (result->look != NULL) {
        result->look(record, result->user);
    }
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
        REQUIRE(cJSON_IsObject(item) || cJSON_IsBool(item));
    }
    for (const cJSON *inner = item->child; inner != NULL; inner = inner->next) {
        for (const cJSON *other = inner->next; cJSON_IsObject(item) && other != NULL; other = other->next) {
            REQUIRE(strcmp(inner->string, other->string) != 0);
        }
        fuzz_item(inner, depth + 1);
    }
}

static inline void fuzz_document(void *user, int index, const cJSON *object) {
    struct fuzz_result *result = user;
    REQUIRE(index == result->next);
    result->next++;
    REQUIRE(cJSON_IsObject(object) && cJSON_GetObjectItemCaseSensitive(object, "position") == NULL);
    fuzz_item(object, 0);
    const cJSON *lon = cJSON_GetObjectItemCaseSensitive(object, "lon");
    const cJSON *lat = cJSON_GetObjectItemCaseSensitive(object, "lat");
    REQUIRE((lon == NULL) == (lat == NULL));
    REQUIRE(lon == NULL || (fabs(lon->valuedouble) <= 180 && fabs(lat->valuedouble) <= 90));
    char *text = cJSON_PrintUnformatted(object);
    REQUIRE(text != NULL);
    fuzz_digest(result, text, strlen(text));
    cJSON_free(text);
}

static inline int fuzz_decode_once(struct decoder *decoder, unsigned selector, const uint8_t *payload, size_t length,
                                   struct fuzz_result *result) {
    int total;
    if (selector < adapter_count) {
        const struct decode_sink sink = {fuzz_record, fuzz_problem, fuzz_warning, result};
        result->adapter = adapters[selector];
        total = decode_telemetry(decoder, result->adapter, &fuzz_limits, payload, length, &sink);
    } else {
        const struct document_sink sink = {fuzz_document, fuzz_problem, fuzz_warning, result};
        enum topic_kind kind = (enum topic_kind)(TOPIC_INVENTORY + selector - adapter_count);
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
