/* decode_record.c: one telemetry record, whichever form it came in: its fields one by one, then the record as a whole.
 */
#include <math.h>
#include <string.h>

#include "hub/base/text.h"
#include "hub/decode/decode_internal.h"

void decode_record_begin(struct decoder *decoder, int index) {
    struct record *record = &decoder->record;
    record->index = index;
    record->device_code = decoder->code;
    record->device_code_length = 0;
    record->has_position = record->outside = false;
    record->present = record->quality = record->over_range = record->text_present = 0;
    record->flaw_count = record->misfits = 0;
    decoder->place = (struct decode_place){0};
    decoder->has_time = false;
    decoder->over = 0;
    decoder->at = NULL;
    decoder->flaw_count = 0;
    decoder->refused = PROBLEM_NONE;
}

static void put_reading(struct decoder *decoder, const struct plan_field *field, double number) {
    struct record *record = &decoder->record;
    uint64_t bit = UINT64_C(1) << field->bit;
    if (!isfinite(number)) {
        decode_refuse(decoder, PROBLEM_NOT_FINITE, "%s: %s is no reading; leave the field out when there is none",
                      field->name, isnan(number) ? "NaN" : "infinity (or a number too large)");
        return;
    }
    record->values[field->bit] = number;
    record->present |= bit;
    bool outside = number < field->min || number > field->max;
    record->quality = outside ? record->quality | bit : record->quality & ~bit;
}

static void put_text(struct decoder *decoder, const struct plan_field *field, const struct decode_scalar *scalar) {
    struct decode_scalar bare = decode_text_bare(scalar);
    struct record *record = &decoder->record;
    uint64_t bit = UINT64_C(1) << field->bit;
    record->text_present &= ~bit;
    if (!decode_text_absent(&bare) &&
        decode_check_text(decoder, field->name, &bare, DECODE_TEXT_MAX, PROBLEM_BAD_TEXT)) {
        char *text = decoder->texts[field->bit];
        memcpy(text, bare.text, bare.length);
        text[bare.length] = '\0';
        record->texts[field->bit] = text;
        record->text_present |= bit;
    }
}

static void put_code(struct decoder *decoder, const struct plan_field *field, const struct decode_scalar *scalar) {
    struct decode_scalar bare = decode_text_bare(scalar);
    decoder->record.device_code_length = 0;
    if (!decode_text_absent(&bare) &&
        decode_check_text(decoder, field->name, &bare, DECODE_CODE_MAX, PROBLEM_BAD_CODE)) {
        memcpy(decoder->code, bare.text, bare.length);
        decoder->code[bare.length] = '\0';
        decoder->record.device_code_length = bare.length;
    }
}

/* One name of the list; whether there is a reading of that name is known at the record's end. */
static void put_over_range(struct decoder *decoder, const struct decode_scalar *scalar) {
    struct decode_scalar bare = decode_text_bare(scalar);
    const struct plan_field *named = decode_plan_by_name(decoder->plan, bare.text, bare.length);
    if (named == NULL || named->role != ROLE_READING || !named->gauge) {
        char shown[DECODE_SHOWN_MAX];
        decode_refuse(decoder, PROBLEM_BAD_VALUE,
                      DECODE_OVER_RANGE ": %s is no measured field of %s; give the names of fields of this record",
                      bare.length == 0 ? "an empty text" : text_show(shown, bare.text, bare.length),
                      decoder->plan->adapter->key);
        return;
    }
    decoder->over |= UINT64_C(1) << named->bit;
}

void decode_record_put(struct decoder *decoder, const struct plan_field *field, const struct decode_scalar *scalar) {
    switch (field->role) {
    case ROLE_READING:
        if (field->descriptor->type != PROTOBUF_C_TYPE_ENUM ||
            decode_check_enum(decoder, field->descriptor, scalar->whole)) {
            put_reading(decoder, field, scalar->number);
        }
        break;
    case ROLE_TEXT:
        put_text(decoder, field, scalar);
        break;
    case ROLE_DEVICE_CODE:
        put_code(decoder, field, scalar);
        break;
    case ROLE_OBSERVED_AT:
        decoder->has_time = true;
        decoder->record.observed_at_ms = scalar->whole;
        break;
    case ROLE_OVER_RANGE:
        put_over_range(decoder, scalar);
        break;
    case ROLE_POSITION:
        break;
    }
}

/* Checks the place, if one was given and could be read. */
static void finish_place(struct decoder *decoder) {
    struct record *record = &decoder->record;
    const struct plan_field *field = decoder->plan->position;
    if (field == NULL || decode_is_flawed(decoder, field->descriptor)) {
        return;
    }
    decoder->at = field->descriptor;
    if (decode_place_finish(decoder, &decoder->place)) {
        record->has_position = true;
        record->outside = decoder->place.outside;
        record->lon = decoder->place.lon;
        record->lat = decoder->place.lat;
    }
    decoder->at = NULL;
}

/* A reading outside the metric's range is marked already, whichever side it is on. */
static void finish_over_range(struct decoder *decoder) {
    struct record *record = &decoder->record;
    const struct decode_plan *plan = decoder->plan;
    decoder->at = plan->over_range->descriptor;
    for (unsigned i = 0; i < plan->count; i++) {
        const struct plan_field *field = &plan->fields[i];
        uint64_t bit = field->role == ROLE_READING ? UINT64_C(1) << field->bit : 0;
        if ((decoder->over & bit & ~record->present) != 0 && !decode_is_flawed(decoder, field->descriptor)) {
            decode_refuse(decoder, PROBLEM_BAD_VALUE,
                          DECODE_OVER_RANGE
                          ": %s has no value in this record; send what the instrument shows, which is "
                          "its upper limit at least",
                          field->name);
        }
    }
    decoder->at = NULL;
    record->over_range = decoder->over & record->present & ~record->quality;
    record->quality |= record->over_range;
}

void decode_record_end(struct decoder *decoder) {
    struct record *record = &decoder->record;
    decoder->at = NULL;
    if (record->device_code_length == 0) {
        decode_refuse(decoder, PROBLEM_MISSING_DEVICE_CODE, "device_code: is missing; every record needs one");
    }
    if (!decoder->has_time) {
        decode_refuse(decoder, PROBLEM_MISSING_TIME, "observed_at_ms: is missing; every record needs one");
    }
    if (decoder->refused == PROBLEM_NONE && decode_check_time(decoder, "observed_at_ms", record->observed_at_ms) &&
        decoder->place.given) {
        finish_place(decoder);
    }
    if (decoder->over != 0) {
        finish_over_range(decoder);
    }
    if (record->present == 0 && record->text_present == 0 && !record->has_position) {
        if (decode_report_flawed(decoder)) {
            return;
        }
        decode_refuse(decoder, PROBLEM_NO_READINGS,
                      "the record has no reading, no text and no position; is it of the "
                      "topic's subsystem (%s)?",
                      decoder->plan->adapter->key);
    }
    if (!decode_report_refused(decoder)) {
        record->declared = decoder->declared;
        record->flaws = decoder->flaws;
        record->flaw_count = decoder->flaw_count;
        decoder->sink->record(decoder->user, record);
    }
}
