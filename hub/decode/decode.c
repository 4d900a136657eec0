/* decode.c: the decoder's memory, its problems, and what makes a record whole, whichever form it came in. */
#include "hub/decode/decode.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/decode/coordinate.h"
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

/* ---- problems and warnings */

void decode_refuse(struct decoder *decoder, enum decode_problem problem, const char *format, ...) {
    if (decoder->refused != PROBLEM_NONE) {
        return;
    }
    decoder->refused = problem;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(decoder->reason, sizeof decoder->reason, format, arguments);
    va_end(arguments);
    text_trim(decoder->reason);
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

/* What tells one unknown field from another: place, and name or number. */
static uint32_t unknown_hash(const struct decoder *decoder, int index, const char *name, size_t length,
                             uint64_t number) {
    char place = (char)(decoder->within[0] ^ (index < 0 ? 1 : 0));
    uint32_t hash = decode_hash(DECODE_HASH_FIRST, &place, 1);
    return name == NULL ? decode_hash(hash, &number, sizeof number)
                        : decode_hash(hash, name, length < JSON_SCRATCH_MAX ? length : JSON_SCRATCH_MAX);
}

void decode_unknown(struct decoder *decoder, int index, const char *name, size_t length, uint64_t number) {
    uint32_t hash = unknown_hash(decoder, index, name, length, number);
    for (unsigned i = 0; i < decoder->unknown_count; i++) {
        if (decoder->unknown[i] == hash) {
            return;
        }
    }
    if (decoder->unknown_count == UNKNOWN_MAX) {
        return;
    }
    decoder->unknown[decoder->unknown_count++] = hash;
    char reason[DECODE_REASON_MAX], shown[DECODE_SHOWN_MAX];
    if (name != NULL) {
        text_show(shown, name, length);
    } else {
        snprintf(shown, sizeof shown, "number %llu", (unsigned long long)number);
    }
    snprintf(reason, sizeof reason, "%s%s%s: the hub knows no such field; it was ignored%s", decoder->within,
             name == NULL ? "field " : "", shown, index < 0 ? " (is the payload a batch of records?)" : "");
    decoder->warning(decoder->user, index, "unknown_field", reason);
}

/* ---- values */

/* A time as people read it, for reasons. */
static const char *time_show(char shown[static 40], int64_t ms) {
    struct tm utc;
    time_t seconds = (time_t)(ms / 1000);
    if (ms < -62135596800000 || ms > 253402300799999 || gmtime_r(&seconds, &utc) == NULL) { /* years 1 to 9999 */
        snprintf(shown, 40, "%lld ms", (long long)ms);
    } else {
        strftime(shown, 40, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    return shown;
}

bool decode_check_time(struct decoder *decoder, const char *field, int64_t ms) {
    const struct decode_limits *limits = decoder->limits;
    char shown[40], limit[40];
    if (ms > limits->newest_ms) {
        bool nanoseconds = ms / 1000 >= limits->oldest_ms;
        decode_refuse(decoder, PROBLEM_TIME_AHEAD, "%s: %s is ahead of the hub's clock (newest accepted: %s); %s",
                      field, time_show(shown, ms), time_show(limit, limits->newest_ms),
                      nanoseconds ? "the unit is milliseconds, not microseconds or less"
                                  : "set the device's clock, send UTC");
        return false;
    }
    if (ms < limits->oldest_ms) {
        bool seconds = ms > 0 && ms <= limits->newest_ms / 1000 && ms >= limits->oldest_ms / 1000;
        decode_refuse(decoder, PROBLEM_TIME_TOO_OLD, "%s: %s is older than what is kept (oldest accepted: %s); %s",
                      field, time_show(shown, ms), time_show(limit, limits->oldest_ms),
                      seconds ? "the unit is milliseconds, not seconds" : "set the device's clock, send UTC");
        return false;
    }
    return true;
}

bool decode_check_text(struct decoder *decoder, const char *field, const struct decode_scalar *scalar, size_t limit,
                       enum decode_problem problem) {
    const char *flaw = NULL;
    char shown[DECODE_SHOWN_MAX];
    if (scalar->length > limit) {
        decode_refuse(decoder, problem, "%s%s: %s is %zu bytes long; at most %zu are allowed", decoder->within, field,
                      text_show(shown, scalar->text, limit), scalar->length, limit);
        return false;
    }
    flaw = scalar->wrong_escape ? "has a wrong escape"
                                : text_flaw(scalar->text, scalar->length, problem == PROBLEM_BAD_TEXT);
    if (flaw != NULL) {
        decode_refuse(decoder, problem, "%s%s: %s %s; send UTF-8 without control characters", decoder->within, field,
                      text_show(shown, scalar->text, scalar->length), flaw);
        return false;
    }
    return true;
}

bool decode_check_enum(struct decoder *decoder, const ProtobufCFieldDescriptor *field, int64_t number) {
    const ProtobufCEnumDescriptor *values = field->descriptor;
    if (number >= INT32_MIN && number <= INT32_MAX &&
        protobuf_c_enum_descriptor_get_value(values, (int)number) != NULL) {
        return true;
    }
    char names[120];
    size_t used = 0;
    names[0] = '\0';
    for (unsigned i = 0; i < values->n_values && used < sizeof names; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%d = %s", i == 0 ? "" : ", ",
                                 values->values[i].value, values->values[i].name);
    }
    decode_refuse(decoder, PROBLEM_BAD_ENUM, "%s%s: has no value %lld; it has %s%s", decoder->within, field->name,
                  (long long)number, names, used >= sizeof names ? "..." : "");
    return false;
}

/* ---- positions */

void decode_place_put(struct decode_place *place, const ProtobufCFieldDescriptor *field,
                      const struct decode_scalar *scalar) {
    switch (field->id) { /* numbers of message Position in common.proto */
    case 1:
        place->has_lon = true;
        place->lon = scalar->number;
        break;
    case 2:
        place->has_lat = true;
        place->lat = scalar->number;
        break;
    case 3:
        place->has_system = true;
        place->system = scalar->whole;
        break;
    default:
        break;
    }
}

bool decode_place_finish(struct decoder *decoder, struct decode_place *place) {
    if (!place->has_lon || !place->has_lat) {
        decode_refuse(decoder, PROBLEM_BAD_POSITION, "position: has no %s; a position is lon, lat and system",
                      place->has_lat   ? "lon"
                      : place->has_lon ? "lat"
                                       : "lon and no lat");
        return false;
    }
    if (!place->has_system) {
        decode_refuse(decoder, PROBLEM_MISSING_COORDINATE_SYSTEM,
                      "position: does not say its system; give WGS84, CGCS2000, GCJ02 or BD09");
        return false;
    }
    if (place->system < COORDINATE_WGS84 || place->system > COORDINATE_BD09) {
        decode_refuse(decoder, PROBLEM_BAD_ENUM,
                      "position.system: has no value %lld; it has 0 = WGS84, 1 = CGCS2000, 2 = GCJ02, 3 = BD09",
                      (long long)place->system);
        return false;
    }
    if (place->lon == 0 && place->lat == 0) {
        decode_refuse(decoder, PROBLEM_BAD_POSITION,
                      "position: lon 0, lat 0 is what a receiver without a fix says; leave the position out then");
        return false;
    }
    double lon = place->lon, lat = place->lat;
    if (coordinate_to_wgs84((enum coordinate_system)place->system, &place->lon, &place->lat) != 0) {
        decode_refuse(decoder, PROBLEM_BAD_POSITION, "position: lon %.9g, lat %.9g is not on Earth%s", lon, lat,
                      fabs(lat) > 90 && fabs(lon) <= 90 ? "; are lon and lat exchanged?"
                                                        : "; lon is -180 to 180, lat -90 to 90");
        return false;
    }
    return true;
}

/* ---- records */

void decode_record_begin(struct decoder *decoder, int index) {
    struct record *record = &decoder->record;
    record->index = index;
    record->device_code = decoder->code;
    record->device_code_length = 0;
    record->has_position = false;
    record->present = record->quality = record->text_present = 0;
    decoder->place = (struct decode_place){0};
    decoder->has_time = false;
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
    struct record *record = &decoder->record;
    uint64_t bit = UINT64_C(1) << field->bit;
    record->text_present &= ~bit;
    if (!decode_text_absent(scalar) &&
        decode_check_text(decoder, field->name, scalar, DECODE_TEXT_MAX, PROBLEM_BAD_TEXT)) {
        char *text = decoder->texts[field->bit];
        memcpy(text, scalar->text, scalar->length);
        text[scalar->length] = '\0';
        record->texts[field->bit] = text;
        record->text_present |= bit;
    }
}

static void put_code(struct decoder *decoder, const struct plan_field *field, const struct decode_scalar *scalar) {
    decoder->record.device_code_length = 0;
    if (!decode_text_absent(scalar) &&
        decode_check_text(decoder, field->name, scalar, DECODE_CODE_MAX, PROBLEM_BAD_CODE)) {
        memcpy(decoder->code, scalar->text, scalar->length);
        decoder->code[scalar->length] = '\0';
        decoder->record.device_code_length = scalar->length;
    }
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
    case ROLE_POSITION:
        break;
    }
}

void decode_record_end(struct decoder *decoder) {
    struct record *record = &decoder->record;
    if (record->device_code_length == 0) {
        decode_refuse(decoder, PROBLEM_MISSING_DEVICE_CODE, "device_code: is missing; every record needs one");
    }
    if (!decoder->has_time) {
        decode_refuse(decoder, PROBLEM_MISSING_TIME, "observed_at_ms: is missing; every record needs one");
    }
    if (decoder->refused == PROBLEM_NONE && decode_check_time(decoder, "observed_at_ms", record->observed_at_ms) &&
        decoder->place.given && decode_place_finish(decoder, &decoder->place)) {
        record->has_position = true;
        record->lon = decoder->place.lon;
        record->lat = decoder->place.lat;
    }
    if (record->present == 0 && record->text_present == 0 && !record->has_position) {
        decode_refuse(decoder, PROBLEM_NO_READINGS,
                      "the record has no reading, no text and no position; is it of the "
                      "topic's subsystem (%s)?",
                      decoder->plan->adapter->key);
    }
    if (!decode_report_refused(decoder)) {
        decoder->sink->record(decoder->user, record);
    }
}
