/* decode.c: the decoder's memory, and what it says: problems of records, flaws of fields, warnings. Knows neither form
 * nor what a value means. */
#include "hub/decode/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/hash.h"
#include "hub/base/text.h"
#include "hub/decode/decode_internal.h"

static const char *const problem_codes[] = {
    [PROBLEM_NONE] = "",
    [PROBLEM_MALFORMED] = "malformed",
    [PROBLEM_EMPTY_BATCH] = "empty_batch",
    [PROBLEM_TOO_MANY_RECORDS] = "too_many_records",
    [PROBLEM_MISSING_DEVICE_CODE] = "missing_device_code",
    [PROBLEM_MISSING_TIME] = "missing_time",
    [PROBLEM_MISSING_FIELD] = "missing_field",
    [PROBLEM_WRONG_TYPE] = "wrong_type",
    [PROBLEM_NOT_FINITE] = "not_finite",
    [PROBLEM_BAD_CODE] = "bad_code",
    [PROBLEM_BAD_TEXT] = "bad_text",
    [PROBLEM_BAD_ENUM] = "bad_enum",
    [PROBLEM_TIME_AHEAD] = "time_ahead",
    [PROBLEM_TIME_TOO_OLD] = "time_too_old",
    [PROBLEM_BAD_POSITION] = "bad_position",
    [PROBLEM_MISSING_COORDINATE_SYSTEM] = "missing_coordinate_system",
    [PROBLEM_DUPLICATE_FIELD] = "duplicate_field",
    [PROBLEM_NO_READINGS] = "no_readings",
    [PROBLEM_BAD_VALUE] = "bad_value",
    [PROBLEM_WRONG_TOPIC] = "wrong_topic",
    [PROBLEM_PLACE_OUTSIDE] = "place_outside",
};

struct decoder *decoder_new(void) {
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder != NULL) {
        decoder->within = "";
    }
    return decoder;
}

void decoder_free(struct decoder *decoder) {
    if (decoder == NULL) {
        return;
    }
    for (size_t i = 0; i < decoder->plan_count; i++) {
        free(decoder->plans[i]);
    }
    free(decoder->plans);
    free(decoder);
}

/* ---- problems of records, flaws of fields */

bool decode_is_flawed(const struct decoder *decoder, const ProtobufCFieldDescriptor *field) {
    for (unsigned i = 0; i < decoder->flaw_count; i++) {
        if (decoder->flawed[i] == field) {
            return true;
        }
    }
    return false;
}

void decode_unflaw(struct decoder *decoder, const ProtobufCFieldDescriptor *field) {
    for (unsigned i = 0; i < decoder->flaw_count; i++) {
        if (decoder->flawed[i] == field) {
            unsigned last = --decoder->flaw_count;
            decoder->flawed[i] = decoder->flawed[last];
            decoder->flawed_entry[i] = decoder->flawed_entry[last];
            decoder->flaws[i] = decoder->flaws[last];
            return;
        }
    }
}

/* What was read of the field before, if it came more than once, counts no more. Entries of a list stand for themselves.
 */
static void forget_value(struct decoder *decoder, const ProtobufCFieldDescriptor *field) {
    if (decoder->kind != NULL) {
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            cJSON_DeleteItemFromObjectCaseSensitive(decoder->object, field->name);
        }
        return;
    }
    const struct plan_field *planned = decode_plan_by_number(decoder->plan, field->id);
    if (planned != NULL && (planned->role == ROLE_READING || planned->role == ROLE_TEXT)) {
        uint64_t others = ~(UINT64_C(1) << planned->bit);
        decoder->record.present &= others;
        decoder->record.quality &= others;
        decoder->record.text_present &= others;
    }
}

/* The entry at hand of the list that is being read; 0 = it is no list. Those beyond the longest list are one; what is
 * said of no entry that could be begun stands for itself. */
static unsigned entry_at(const struct decoder *decoder) {
    if (decoder->at->label != PROTOBUF_C_LABEL_REPEATED) {
        return 0;
    }
    return decoder->entry > DECODE_LIST_MAX ? DECODE_LIST_MAX + 1
           : decoder->within[0] == '\0'     ? DECODE_LIST_MAX + 1 + decoder->refusals
                                            : decoder->entry;
}

/* Whether the field, or of a list this entry, has been told of, or enough of its others. */
static bool is_told(const struct decoder *decoder, unsigned entry) {
    unsigned told = 0;
    for (unsigned i = 0; i < decoder->flaw_count; i++) {
        if (decoder->flawed[i] == decoder->at) {
            told++;
            if (decoder->flawed_entry[i] == entry) {
                return true;
            }
        }
    }
    return told >= LIST_FLAWS_MAX;
}

static struct decode_flaw *flaw_add(struct decoder *decoder, enum decode_problem problem) {
    unsigned entry = entry_at(decoder);
    if (is_told(decoder, entry) || decoder->flaw_count == FLAWS_MAX) {
        return NULL;
    }
    struct decode_flaw *flaw = &decoder->flaws[decoder->flaw_count];
    decoder->flawed_entry[decoder->flaw_count] = entry;
    decoder->flawed[decoder->flaw_count++] = decoder->at;
    flaw->field = decoder->at->name;
    flaw->code = problem_codes[problem];
    forget_value(decoder, decoder->at);
    return flaw;
}

/* Without its code and its time (fields 1 and 2) a record is none. Of the other kinds decode_document.c sees to it that
 * `at` is NULL while a required field is read. */
static bool is_optional(const struct decoder *decoder, const ProtobufCFieldDescriptor *field) {
    return field != NULL && (decoder->kind != NULL || field->id > 2);
}

void decode_refuse(struct decoder *decoder, enum decode_problem problem, const char *format, ...) {
    char *reason = decoder->reason;
    decoder->refusals++;
    if (is_optional(decoder, decoder->at)) {
        struct decode_flaw *flaw = flaw_add(decoder, problem);
        if (flaw == NULL) {
            return;
        }
        reason = flaw->reason;
    } else if (decoder->refused != PROBLEM_NONE) {
        return;
    } else {
        decoder->refused = problem;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, DECODE_REASON_MAX, format, arguments);
    va_end(arguments);
    text_trim(reason);
}

void decode_report(struct decoder *decoder, int index, enum decode_problem problem, const char *format, ...) {
    char reason[DECODE_REASON_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    text_trim(reason);
    decoder->problem(decoder->user, index, problem_codes[problem], reason);
}

bool decode_report_refused(struct decoder *decoder) {
    if (decoder->refused == PROBLEM_NONE) {
        return false;
    }
    decoder->problem(decoder->user, decoder->record.index, problem_codes[decoder->refused], decoder->reason);
    return true;
}

bool decode_report_flawed(struct decoder *decoder) {
    if (decoder->refused != PROBLEM_NONE || decoder->flaw_count == 0) {
        return false;
    }
    decoder->problem(decoder->user, decoder->record.index, decoder->flaws[0].code, decoder->flaws[0].reason);
    return true;
}

bool decode_elsewhere(struct decoder *decoder, const char *text, size_t length) {
    const char *subsystem = decoder->kind == NULL ? decoder->plan->adapter->key : decoder->limits->subsystem;
    if (subsystem == NULL || length == 0) {
        return false;
    }
    if (strlen(subsystem) == length && strncasecmp(subsystem, text, length) == 0) {
        decoder->declared = true;
        return false;
    }
    char shown[DECODE_SHOWN_MAX];
    decode_report(decoder, -1, PROBLEM_WRONG_TOPIC,
                  "subsystem: the message says that it is of %s, the topic is of %s; send it to its own topic",
                  text_show(shown, text, length), subsystem);
    return true;
}

/* ---- unknown fields */

/* What tells one unknown field from another: place, and name or number. */
static uint32_t unknown_hash(const struct decoder *decoder, int index, const char *name, size_t length,
                             uint64_t number) {
    char place = (char)(decoder->within[0] ^ (index < 0 ? 1 : 0));
    uint32_t hash = hash_bytes(HASH_FIRST, &place, 1);
    return name == NULL ? hash_bytes(hash, &number, sizeof number)
                        : hash_bytes(hash, name, length < JSON_SCRATCH_MAX ? length : JSON_SCRATCH_MAX);
}

/* Only another message has a field of this name or number: not a field that a later version of this one got. */
static bool is_misfit(struct decoder *decoder, const char *name, size_t length, uint64_t number) {
    if (name != NULL) {
        return decoder->kind == NULL && decode_plan_elsewhere(decoder, name, length);
    }
    uint32_t from = decoder->kind == NULL ? decoder->plan->adapter->new_fields_from : FIELD_NEW_FROM;
    uint64_t to = decoder->kind == NULL ? (uint64_t)from + FIELD_NEW_COUNT : UINT64_MAX;
    return from == 0 || number < from || number >= to;
}

void decode_unknown(struct decoder *decoder, int index, const char *name, size_t length, uint64_t number) {
    uint32_t hash = unknown_hash(decoder, index, name, length, number);
    bool counts = index >= 0 && decoder->within[0] == '\0';
    for (unsigned i = 0; i < decoder->unknown_count; i++) {
        if (decoder->unknown[i] == hash) {
            decoder->record.misfits += counts && (decoder->unknown_misfit >> i & 1) != 0;
            return;
        }
    }
    bool misfit = counts && is_misfit(decoder, name, length, number);
    decoder->record.misfits += misfit;
    if (decoder->unknown_count == UNKNOWN_MAX) {
        return;
    }
    decoder->unknown_misfit &= ~(1u << decoder->unknown_count);
    decoder->unknown_misfit |= (misfit ? 1u : 0u) << decoder->unknown_count;
    decoder->unknown[decoder->unknown_count++] = hash;
    char reason[DECODE_REASON_MAX], shown[DECODE_SHOWN_MAX];
    if (name != NULL) {
        text_show(shown, name, length);
    } else {
        snprintf(shown, sizeof shown, "number %llu", (unsigned long long)number);
    }
    snprintf(reason, sizeof reason, "%s%s%s: the hub knows no such field; it was ignored%s", decoder->within,
             name == NULL ? "field " : "", shown, index < 0 ? " (is the payload a batch of records?)" : "");
    decoder->warning(decoder->user, index, "unknown_field", NULL, reason);
}
