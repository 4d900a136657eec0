/* decoded.h: a sink that keeps what the decoder delivers, for tests. */
#ifndef CITYHUB_TEST_DECODED_H
#define CITYHUB_TEST_DECODED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/text.h"
#include "hub/decode/decode.h"

enum { DECODED_MAX = 40 };

struct note {
    int index;
    char code[32];
    char field[64]; /* "" = none */
    char reason[DECODE_REASON_MAX];
};

struct decoded {
    struct decoder *decoder;
    struct record records[DECODED_MAX];
    char codes[DECODED_MAX][DECODE_CODE_MAX + 1];
    char texts[DECODED_MAX][ADAPTER_METRICS_MAX][DECODE_TEXT_MAX + 1];
    cJSON *documents[DECODED_MAX];
    int document_indexes[DECODED_MAX];
    struct note problems[DECODED_MAX], flaws[DECODED_MAX], warnings[DECODED_MAX];
    int record_count, document_count, problem_count, flaw_count, warning_count; /* all that came, kept or not */
    int total;
    struct decode_extent extent; /* for the messages to come; none at first */
    const char *subsystem;       /* of the topic, for documents */
    /* If set: called with each record while it is there, with the decoder. */
    void (*look)(struct decoded *decoded, const struct record *record);
};

static const int64_t decoded_now_ms = INT64_C(1760000000000); /* 2025-10-09T08:53:20Z */
static const struct decode_limits decoded_limits = {.oldest_ms = INT64_C(1760000000000) - INT64_C(730) * 86400000,
                                                    .newest_ms = INT64_C(1760000000000) + 300000};

static inline void decoded_note(struct note *notes, int *count, int index, const char *code, const char *field,
                                const char *reason) {
    assert_in_range(strlen(reason), 1, DECODE_REASON_MAX - 1);
    assert_null(text_flaw(reason, strlen(reason), false));
    if (*count < DECODED_MAX) {
        notes[*count].index = index;
        snprintf(notes[*count].code, sizeof notes[*count].code, "%s", code);
        snprintf(notes[*count].field, sizeof notes[*count].field, "%s", field == NULL ? "" : field);
        snprintf(notes[*count].reason, sizeof notes[*count].reason, "%s", reason);
    }
    ++*count;
}

static inline void decoded_flaws(struct decoded *decoded, int index, const struct decode_flaw *flaws, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        assert_non_null(flaws[i].field);
        decoded_note(decoded->flaws, &decoded->flaw_count, index, flaws[i].code, flaws[i].field, flaws[i].reason);
    }
}

static inline void decoded_record(void *user, struct record *record) {
    struct decoded *decoded = user;
    decoded_flaws(decoded, record->index, record->flaws, record->flaw_count);
    if (decoded->look != NULL) {
        decoded->look(decoded, record);
    }
    assert_in_range(record->device_code_length, 1, DECODE_CODE_MAX);
    assert_int_equal(record->device_code[record->device_code_length], '\0');
    if (decoded->record_count < DECODED_MAX) {
        struct record *kept = &decoded->records[decoded->record_count];
        *kept = *record;
        kept->device_code =
            memcpy(decoded->codes[decoded->record_count], record->device_code, record->device_code_length + 1);
        for (int i = 0; i < ADAPTER_METRICS_MAX; i++) {
            if ((record->text_present >> i & 1) != 0) {
                kept->texts[i] = strcpy(decoded->texts[decoded->record_count][i], record->texts[i]);
            }
        }
    }
    decoded->record_count++;
}

static inline void decoded_document(void *user, const struct document *document) {
    struct decoded *decoded = user;
    decoded_flaws(decoded, document->index, document->flaws, document->flaw_count);
    if (decoded->document_count < DECODED_MAX) {
        decoded->documents[decoded->document_count] = cJSON_Duplicate(document->object, true);
        decoded->document_indexes[decoded->document_count] = document->index;
    }
    decoded->document_count++;
}

static inline void decoded_problem(void *user, int index, const char *code, const char *reason) {
    struct decoded *decoded = user;
    decoded_note(decoded->problems, &decoded->problem_count, index, code, NULL, reason);
}

static inline void decoded_warning(void *user, int index, const char *code, const char *field, const char *reason) {
    struct decoded *decoded = user;
    decoded_note(decoded->warnings, &decoded->warning_count, index, code, field, reason);
}

static inline void decoded_clear(struct decoded *decoded) {
    for (int i = 0; i < decoded->document_count && i < DECODED_MAX; i++) {
        cJSON_Delete(decoded->documents[i]);
        decoded->documents[i] = NULL;
    }
    decoded->record_count = decoded->document_count = decoded->problem_count = 0;
    decoded->flaw_count = decoded->warning_count = 0;
}

/* Decodes from an exact-sized copy, so that a sanitizer sees every byte read too far. */
static inline void decoded_run(struct decoded *decoded, const struct adapter *adapter, const char *kind,
                               const void *payload, size_t length) {
    struct decode_limits limits = decoded_limits;
    limits.extent = decoded->extent;
    limits.subsystem = decoded->subsystem;
    decoded_clear(decoded);
    void *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, payload, length);
    if (kind == NULL) {
        const struct decode_sink sink = {decoded_record, decoded_problem, decoded_warning, decoded};
        decoded->total = decode_telemetry(decoded->decoder, adapter, &limits, copy, length, &sink);
    } else {
        const struct document_sink sink = {decoded_document, decoded_problem, decoded_warning, decoded};
        decoded->total = decode_document(decoded->decoder, topic_kind(kind), &limits, copy, length, &sink);
    }
    free(copy);
}

static inline int decoded_setup(void **state) {
    struct decoded *decoded = calloc(1, sizeof *decoded);
    *state = decoded;
    if (decoded != NULL) {
        decoded->decoder = decoder_new();
    }
    return decoded == NULL || decoded->decoder == NULL;
}

static inline int decoded_teardown(void **state) {
    struct decoded *decoded = *state;
    decoded_clear(decoded);
    decoder_free(decoded->decoder);
    free(decoded);
    return 0;
}

/* What a failing assertion cannot say by itself. */
static inline void decoded_print(const struct decoded *decoded) {
    for (int i = 0; i < decoded->problem_count && i < DECODED_MAX; i++) {
        print_message("problem %d %s: %s\n", decoded->problems[i].index, decoded->problems[i].code,
                      decoded->problems[i].reason);
    }
    for (int i = 0; i < decoded->flaw_count && i < DECODED_MAX; i++) {
        print_message("field %s of %d %s: %s\n", decoded->flaws[i].field, decoded->flaws[i].index,
                      decoded->flaws[i].code, decoded->flaws[i].reason);
    }
    for (int i = 0; i < decoded->warning_count && i < DECODED_MAX; i++) {
        print_message("warning %d %s: %s\n", decoded->warnings[i].index, decoded->warnings[i].code,
                      decoded->warnings[i].reason);
    }
}

static inline const struct adapter *decoded_adapter(const char *key) {
    const struct adapter *adapter = adapter_find(key);
    if (adapter == NULL) {
        fail_msg("there is no adapter %s", key);
    }
    return adapter;
}

/* The bit of a metric: ordinal - 1. */
static inline unsigned decoded_bit(const struct adapter *adapter, const char *key) {
    const struct metric *metric = adapter_metric(adapter, key);
    if (metric == NULL) {
        fail_msg("adapter %s has no metric %s", adapter->key, key);
        return 0;
    }
    return (unsigned)metric->ordinal - 1;
}

static inline double decoded_value(const struct record *record, const struct adapter *adapter, const char *key) {
    unsigned bit = decoded_bit(adapter, key);
    assert_true((record->present >> bit & 1) != 0);
    return record->values[bit];
}

/* The message had `total` records, of which `good` were delivered and `bad` reported. */
static inline void decoded_expect(const struct decoded *decoded, int total, int good, int bad) {
    if (decoded->total != total || decoded->record_count + decoded->document_count != good ||
        decoded->problem_count != bad) {
        decoded_print(decoded);
        fail_msg("%d records, %d good, %d problems; expected %d, %d, %d", decoded->total,
                 decoded->record_count + decoded->document_count, decoded->problem_count, total, good, bad);
    }
}

/* The message had `flaws` bad fields in records that were delivered without them. */
static inline void decoded_expect_flaws(const struct decoded *decoded, int flaws) {
    if (decoded->flaw_count != flaws) {
        decoded_print(decoded);
        fail_msg("%d bad fields, expected %d", decoded->flaw_count, flaws);
    }
}

static inline void decoded_expect_note(const struct decoded *decoded, const struct note *notes, int count, int place,
                                       int index, const char *field, const char *code, const char *word) {
    const struct note *note = &notes[place];
    if (place >= count || note->index != index || strcmp(note->field, field) != 0 || strcmp(note->code, code) != 0 ||
        strstr(note->reason, word) == NULL) {
        decoded_print(decoded);
        fail_msg("note %d is not %s of field %s of record %d with \"%s\"", place, code, field, index, word);
    }
}

/* Bad field number `place` is `field` of the record `index`, left out for this. */
static inline void decoded_expect_flaw(const struct decoded *decoded, int place, int index, const char *field,
                                       const char *code, const char *word) {
    decoded_expect_note(decoded, decoded->flaws, decoded->flaw_count, place, index, field, code, word);
}

static inline void decoded_expect_warning(const struct decoded *decoded, int place, int index, const char *field,
                                          const char *code, const char *word) {
    decoded_expect_note(decoded, decoded->warnings, decoded->warning_count, place, index, field, code, word);
}

/* Problem number `place` is of the record `index`, has this code, and a reason with `word` in it. */
static inline void decoded_expect_problem(const struct decoded *decoded, int place, int index, const char *code,
                                          const char *word) {
    const struct note *note = &decoded->problems[place];
    if (place >= decoded->problem_count || note->index != index || strcmp(note->code, code) != 0 ||
        strstr(note->reason, word) == NULL) {
        decoded_print(decoded);
        fail_msg("problem %d is not %s of record %d with \"%s\"", place, code, index, word);
    }
}

/* The message is refused as a whole. */
static inline void decoded_expect_refused(const struct decoded *decoded, const char *code, const char *word) {
    decoded_expect(decoded, 0, 0, 1);
    decoded_expect_problem(decoded, 0, -1, code, word);
}

/* What must hold for any payload: every record delivered or reported, or the whole message refused. */
static inline void decoded_expect_sound(const struct decoded *decoded) {
    int good = decoded->record_count + decoded->document_count;
    if (decoded->total == 0) {
        decoded_expect(decoded, 0, 0, 1);
        assert_int_equal(decoded->problems[0].index, -1);
    } else {
        decoded_expect(decoded, decoded->total, good, decoded->total - good);
    }
}

/* A cheap generator with a fixed start: the same bytes in every run (xorshift64*, S. Vigna, 2016). */
static inline uint64_t decoded_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

#endif
