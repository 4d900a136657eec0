/* decode_json.c: messages in JSON: one record, an array of records, or {"records": [...]}. Read in one pass straight
 * into the record. A syntax error costs its record, or what follows it where that record has no end. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common.pb-c.h"
#include "hub/base/text.h"
#include "hub/decode/decode_internal.h"

enum { FOUND_MAX = 140 };

/* ---- values */

/* What came instead, for reasons: a short value as it stands. */
static const char *found_show(char found[static FOUND_MAX], const struct json_value *value) {
    char shown[DECODE_SHOWN_MAX];
    const char *kind = "an array";
    switch (value->kind) {
    case JSON_NULL:
        kind = "null";
        break;
    case JSON_TRUE:
        kind = "true";
        break;
    case JSON_FALSE:
        kind = "false";
        break;
    case JSON_NUMBER:
        kind = isnan(value->number) ? "NaN"
               : value->is_whole    ? "a whole number"
                                    : "a number with a fraction, or too large";
        break;
    case JSON_STRING:
        snprintf(found, FOUND_MAX, "the text %s", text_show(shown, value->text, value->is_cut ? 0 : value->length));
        return found;
    case JSON_WORD:
        snprintf(found, FOUND_MAX, "%s, which is no JSON value",
                 value->length == 0 ? "empty" : text_show(shown, value->text, value->length));
        return found;
    case JSON_OBJECT:
        kind = "an object";
        break;
    case JSON_ARRAY:
        break;
    }
    snprintf(found, FOUND_MAX, "%s", kind);
    return found;
}

static bool refuse_kind(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const struct json_value *value,
                        const char *wanted) {
    char found[FOUND_MAX];
    decode_refuse(decoder, PROBLEM_WRONG_TYPE, "%s%s: is %s; it must be %s", decoder->within, field->name,
                  found_show(found, value), wanted);
    return false;
}

/* A number, also as a text: protobuf prints those of 64 bits, NaN and infinity so. */
static bool is_number(const struct json_value *value, struct json_value *number) {
    *number = *value;
    if (value->kind != JSON_STRING || value->wrong_escape || value->is_cut) {
        return value->kind == JSON_NUMBER;
    }
    struct decode_scalar bare = decode_text_bare(&(struct decode_scalar){.text = value->text, .length = value->length});
    return json_text_number(bare.text, bare.length, number);
}

static bool whole_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const struct json_value *value,
                         int64_t lowest, int64_t highest, struct decode_scalar *scalar) {
    struct json_value number;
    if (!is_number(value, &number) || !number.is_whole) {
        return refuse_kind(decoder, field, value, "a whole number");
    }
    if (number.whole < lowest || number.whole > highest) {
        decode_refuse(decoder, PROBLEM_WRONG_TYPE, "%s%s: %lld is outside the field's type, %lld to %lld",
                      decoder->within, field->name, (long long)number.whole, (long long)lowest, (long long)highest);
        return false;
    }
    scalar->whole = number.whole;
    scalar->number = (double)number.whole;
    return true;
}

/* Unsigned numbers of 64 bits: those beyond int64_t have no `whole`, but are whole as doubles. */
static bool unsigned_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field,
                            const struct json_value *value, struct decode_scalar *scalar) {
    struct json_value number;
    if (is_number(value, &number) && !number.is_whole && number.number >= 9223372036854775808.0 &&
        number.number <= 18446744073709551615.0) {
        scalar->whole = INT64_MAX;
        scalar->number = number.number;
        return true;
    }
    return whole_scalar(decoder, field, value, 0, INT64_MAX, scalar);
}

static bool number_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field,
                          const struct json_value *value, struct decode_scalar *scalar) {
    struct json_value number;
    if (!is_number(value, &number)) {
        return refuse_kind(decoder, field, value, "a number; leave the field out when there is none");
    }
    scalar->number = number.number;
    if (field->type == PROTOBUF_C_TYPE_FLOAT && isfinite(number.number)) {
        /* As protobuf would have brought it. */
        scalar->number = fabs(number.number) > (double)FLT_MAX ? INFINITY : (double)(float)number.number;
    }
    return true;
}

static bool bool_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const struct json_value *value,
                        struct decode_scalar *scalar) {
    bool digit = value->kind == JSON_NUMBER && value->is_whole && (value->whole == 0 || value->whole == 1);
    if (value->kind != JSON_TRUE && value->kind != JSON_FALSE && !digit) {
        return refuse_kind(decoder, field, value, "true, false, 0 or 1");
    }
    scalar->whole = digit ? value->whole : value->kind == JSON_TRUE;
    scalar->number = (double)scalar->whole;
    return true;
}

static bool enum_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const struct json_value *value,
                        struct decode_scalar *scalar) {
    char shown[DECODE_SHOWN_MAX];
    if (value->kind == JSON_NUMBER && value->is_whole) {
        scalar->whole = value->whole;
        scalar->number = (double)value->whole;
        return true; /* whether there is such a value is checked for both forms alike */
    }
    if (value->kind != JSON_STRING || value->is_cut) {
        return refuse_kind(decoder, field, value, "a name of its enum, or its number");
    }
    const ProtobufCEnumValue *found = decode_enum_find(field->descriptor, value->text, value->length);
    if (found == NULL) {
        decode_refuse_enum(decoder, field, text_show(shown, value->text, value->length < 40 ? value->length : 40));
        return false;
    }
    scalar->whole = found->value;
    scalar->number = (double)found->value;
    return true;
}

bool decode_json_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const struct json_value *value,
                        struct decode_scalar *scalar) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FLOAT:
        return number_scalar(decoder, field, value, scalar);
    case PROTOBUF_C_TYPE_BOOL:
        return bool_scalar(decoder, field, value, scalar);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_scalar(decoder, field, value, scalar);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return whole_scalar(decoder, field, value, INT32_MIN, INT32_MAX, scalar);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return whole_scalar(decoder, field, value, 0, UINT32_MAX, scalar);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return whole_scalar(decoder, field, value, INT64_MIN, INT64_MAX, scalar);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return unsigned_scalar(decoder, field, value, scalar);
    case PROTOBUF_C_TYPE_STRING:
        if (value->kind != JSON_STRING) {
            return refuse_kind(decoder, field, value, "a text in quotes");
        }
        scalar->text = value->text;
        scalar->length = value->length;
        scalar->wrong_escape = value->wrong_escape;
        return true;
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return refuse_kind(decoder, field, value, "an object");
}

/* ---- records */

static void refuse_duplicate(struct decoder *decoder, const char *name) {
    decode_refuse(decoder, PROBLEM_DUPLICATE_FIELD, "%s%s: comes twice in one object", decoder->within, name);
}

/* Passes over a member that nobody knows. `name` is told of before its value is read: both may use the scratch. */
static void skip_unknown(struct decoder *decoder, struct json_reader *reader, int index,
                         const struct json_value *name) {
    struct json_value value;
    decode_unknown(decoder, index, name->text, name->is_cut ? JSON_SCRATCH_MAX : name->length, 0);
    if (json_value(reader, &value)) {
        json_skip(reader, &value);
    }
}

void decode_json_place(struct decoder *decoder, struct json_reader *reader, const struct json_value *value,
                       struct decode_place *place) {
    if (value->kind != JSON_OBJECT) {
        char found[FOUND_MAX];
        decode_refuse(decoder, PROBLEM_WRONG_TYPE, "position: is %s; it must be an object with lon, lat and system",
                      found_show(found, value));
        json_skip(reader, value);
        return;
    }
    struct json_value name, member;
    bool first = true;
    unsigned seen = 0;
    place->given = true;
    decoder->within = "position.";
    while (json_member(reader, &first, &name)) {
        const ProtobufCFieldDescriptor *field =
            name.is_cut ? NULL : decode_field_by_name(&cityhub__v1__position__descriptor, name.text, name.length);
        if (field == NULL) {
            skip_unknown(decoder, reader, decoder->record.index, &name);
            continue;
        }
        if ((seen & 1u << field->id) != 0) {
            refuse_duplicate(decoder, field->name); /* of the position */
        }
        seen |= 1u << field->id;
        struct decode_scalar scalar = {0};
        if (!json_value(reader, &member)) {
            break;
        }
        if (member.kind == JSON_NULL) {
            continue;
        }
        if (decode_json_scalar(decoder, field, &member, &scalar)) {
            decode_place_put(place, field, &scalar);
        }
        json_skip(reader, &member);
    }
    decoder->within = "";
}

/* The list of names; each stands for itself. */
static void read_over_range(struct decoder *decoder, struct json_reader *reader, const struct plan_field *field,
                            const struct json_value *value) {
    if (value->kind != JSON_ARRAY) {
        refuse_kind(decoder, field->descriptor, value, "an array of names of fields");
        json_skip(reader, value);
        return;
    }
    struct json_value name;
    bool first = true;
    while (json_element(reader, &first) && json_value(reader, &name)) {
        struct decode_scalar scalar = {0};
        if (decode_json_scalar(decoder, field->descriptor, &name, &scalar)) {
            decode_record_put(decoder, field, &scalar);
        }
        json_skip(reader, &name);
    }
}

/* A value of one of the plan's fields. */
static void read_field(struct decoder *decoder, struct json_reader *reader, const struct plan_field *field,
                       const struct json_value *value) {
    struct decode_scalar scalar = {0};
    if (field->role == ROLE_POSITION) {
        decode_json_place(decoder, reader, value, &decoder->place);
        return;
    }
    if (field->role == ROLE_OVER_RANGE) {
        read_over_range(decoder, reader, field, value);
        return;
    }
    if (decode_json_scalar(decoder, field->descriptor, value, &scalar)) {
        decode_record_put(decoder, field, &scalar);
    }
    json_skip(reader, value);
}

void decode_json_record(struct decoder *decoder, struct json_reader *reader, int index) {
    const struct decode_plan *plan = decoder->plan;
    struct json_value name, value;
    bool first = true;
    uint64_t seen[PLAN_FIELDS_MAX / 64 + 1] = {0};
    decode_record_begin(decoder, index);
    decoder->record.raw = reader->at - 1; /* its brace */
    decoder->record.raw_length = (size_t)(reader->end - reader->at) + 1;
    decoder->record.raw_is_json = true;
    while (json_member(reader, &first, &name)) {
        const struct plan_field *field = name.is_cut ? NULL : decode_plan_by_name(plan, name.text, name.length);
        if (field == NULL) {
            skip_unknown(decoder, reader, index, &name);
            continue;
        }
        size_t place = (size_t)(field - plan->fields);
        bool again = (seen[place / 64] >> place % 64 & 1) != 0;
        seen[place / 64] |= UINT64_C(1) << place % 64;
        decoder->at = field->descriptor;
        if (!json_value(reader, &value)) {
            return;
        }
        if (again) {
            refuse_duplicate(decoder, field->name);
            json_skip(reader, &value);
        } else if (value.kind != JSON_NULL) {
            read_field(decoder, reader, field, &value);
        }
    }
    if (reader->problem == NULL) {
        decode_record_end(decoder);
    }
}

/* Whether a value has the form of its field and is within its range. */
static bool value_fits(const struct plan_field *field, const struct json_value *value) {
    struct json_value number;
    if (value->kind == JSON_NULL) {
        return true;
    }
    switch (field->role) {
    case ROLE_POSITION:
        return value->kind == JSON_OBJECT;
    case ROLE_DEVICE_CODE:
    case ROLE_TEXT:
        return value->kind == JSON_STRING;
    case ROLE_OBSERVED_AT:
        return is_number(value, &number);
    case ROLE_OVER_RANGE:
        return value->kind == JSON_ARRAY;
    case ROLE_READING:
        break;
    }
    if (is_number(value, &number)) {
        return number.number >= field->min && number.number <= field->max;
    }
    return field->descriptor->type == PROTOBUF_C_TYPE_ENUM
               ? value->kind == JSON_STRING && !value->is_cut &&
                     decode_enum_find(field->descriptor->descriptor, value->text, value->length) != NULL
               : field->descriptor->type == PROTOBUF_C_TYPE_BOOL &&
                     (value->kind == JSON_TRUE || value->kind == JSON_FALSE);
}

bool decode_json_fits(const struct decode_plan *plan, const char *at, size_t length) {
    char scratch[JSON_SCRATCH_MAX];
    struct json_reader reader;
    struct json_value name, value;
    bool first = true;
    json_reader_begin(&reader, at, length, scratch);
    if (!json_value(&reader, &value)) {
        return false;
    }
    while (json_member(&reader, &first, &name)) {
        const struct plan_field *field = name.is_cut ? NULL : decode_plan_by_name(plan, name.text, name.length);
        if (field == NULL || !json_value(&reader, &value) || !value_fits(field, &value) ||
            !json_skip(&reader, &value)) {
            return false;
        }
    }
    return reader.problem == NULL;
}

/* ---- messages */

struct json_walk {
    struct decoder *decoder;
    struct json_reader reader;
    void (*record)(struct decoder *decoder, struct json_reader *reader, int index);
    int count;    /* records that were read to their end */
    bool refused; /* the message, or what follows in it, is refused, and that was reported */
};

static void walk_refuse(struct json_walk *walk, enum decode_problem problem, const char *reason) {
    decode_report(walk->decoder, walk->count == 0 ? -1 : walk->count, problem, "%s", reason);
    walk->refused = true;
}

/* Says what is wrong with the syntax, in the record at hand, and what it costs. */
static void report_syntax(struct json_walk *walk, int index, const char *lost) {
    const struct json_reader *reader = &walk->reader;
    decode_report(walk->decoder, index, PROBLEM_MALFORMED, "byte %td of %td: %s; %s could not be read",
                  reader->at - reader->start, reader->end - reader->start, reader->problem, lost);
}

/* The element of an array whose brace was read. */
static void walk_record(struct json_walk *walk) {
    struct json_reader *reader = &walk->reader;
    const char *start = reader->at - 1;
    unsigned depth = reader->depth - 1;
    walk->record(walk->decoder, reader, walk->count);
    struct json_reader behind = *reader;
    if (reader->problem != NULL && !walk->decoder->out_of_memory && json_recover(&behind, start, depth)) {
        report_syntax(walk, walk->count, "this record");
        *reader = behind;
    }
}

/* Commas that are left, wherever they stand: of 64 bytes at once, which takes the processor a few steps. */
static size_t commas_left(const struct json_reader *reader) {
    enum { BLOCK = 64 };
    size_t commas = 0;
    const char *at = reader->at;
    for (; reader->end - at >= BLOCK; at += BLOCK) {
        uint8_t found = 0;
        for (size_t i = 0; i < BLOCK; i++) {
            found = (uint8_t)(found + (at[i] == ','));
        }
        commas += found;
    }
    for (; at < reader->end; at++) {
        commas += *at == ',';
    }
    return commas;
}

/* The elements of an array whose bracket was read. */
static void walk_array(struct json_walk *walk) {
    struct json_reader *reader = &walk->reader;
    struct json_value value;
    bool first = true;
    if (reader->end - reader->at > (ptrdiff_t)2 * DECODE_RECORDS_MAX && commas_left(reader) >= DECODE_RECORDS_MAX &&
        json_count_elements(reader) > DECODE_RECORDS_MAX) {
        walk_refuse(walk, PROBLEM_TOO_MANY_RECORDS, "records: more than 20000 in one message; send smaller batches");
        return;
    }
    while (json_element(reader, &first) && json_value(reader, &value)) {
        if (walk->count == DECODE_RECORDS_MAX) { /* wrong quotes hid commas from the count */
            walk_refuse(walk, PROBLEM_TOO_MANY_RECORDS,
                        "records: more than 20000 in one message; the rest was not read");
            return;
        }
        if (value.kind == JSON_OBJECT) {
            walk_record(walk);
        } else if (json_skip(reader, &value)) {
            char found[FOUND_MAX];
            decode_report(walk->decoder, walk->count, PROBLEM_WRONG_TYPE, "the record is %s; it must be an object",
                          found_show(found, &value));
        }
        walk->count += reader->problem == NULL;
    }
}

static bool is_word(const struct json_value *name, const char *word) {
    return name->length == strlen(word) && !name->is_cut && memcmp(name->text, word, name->length) == 0;
}

/* What an object is, before it is read. */
struct outline {
    bool is_batch;                    /* it has a member "records" */
    char subsystem[DECODE_SHOWN_MAX]; /* as it says itself, cut if it is long */
    size_t subsystem_length;          /* 0 = it does not say */
};

/* Whether anything stands between the last bracket of the payload and the brace that ends it: members after the
 * records, which is where protobuf's printer puts `subsystem`. */
static bool has_tail(const struct json_reader *reader) {
    const char *at = reader->end;
    while (at > reader->at && strchr(" \t\r\n}", at[-1]) != NULL) { /* NULs too */
        at--;
    }
    return at > reader->at && at[-1] != ']';
}

/* Looks through the members of the object whose brace was read. `reader` is a copy: nothing is used up. */
static struct outline outline_of(struct json_reader reader) {
    struct json_value name, value;
    struct outline outline = {0};
    bool first = true;
    while (json_member(&reader, &first, &name)) {
        bool subsystem = is_word(&name, "subsystem");
        bool records = is_word(&name, "records");
        outline.is_batch = outline.is_batch || records;
        if (records && !has_tail(&reader)) {
            break;
        }
        if (!json_value(&reader, &value)) {
            break;
        }
        if (subsystem && value.kind == JSON_STRING) {
            size_t room = sizeof outline.subsystem;
            outline.subsystem_length = value.length < room ? value.length : room;
            memcpy(outline.subsystem, value.text, outline.subsystem_length);
        }
        if (!json_skip(&reader, &value)) {
            break;
        }
    }
    return outline;
}

/* The members of {"records": [...]}. */
static void walk_wrapper(struct json_walk *walk) {
    struct json_reader *reader = &walk->reader;
    struct json_value name, value;
    bool first = true, found = false;
    while (!walk->refused && json_member(reader, &first, &name)) {
        if (is_word(&name, "subsystem")) {
            json_value(reader, &value);
            json_skip(reader, &value);
        } else if (!is_word(&name, "records")) {
            skip_unknown(walk->decoder, reader, -1, &name);
        } else if (found) {
            walk_refuse(walk, PROBLEM_DUPLICATE_FIELD, "records: comes twice in one message; only the first was read");
        } else if (json_value(reader, &value)) {
            found = true;
            if (value.kind == JSON_ARRAY) {
                walk_array(walk);
            } else if (value.kind != JSON_NULL) {
                walk_refuse(walk, PROBLEM_WRONG_TYPE, "records: must be an array of objects");
            }
        }
    }
}

/* The one value that a payload is. */
static void walk_payload(struct json_walk *walk, const struct json_value *value) {
    if (value->kind == JSON_ARRAY) {
        walk_array(walk);
        return;
    }
    if (value->kind != JSON_OBJECT) {
        walk_refuse(walk, PROBLEM_MALFORMED,
                    "payload: must be an object, an array of objects, or {\"records\": [...]}");
        return;
    }
    struct outline outline = outline_of(walk->reader);
    if (!outline.is_batch) {
        walk->record(walk->decoder, &walk->reader, 0);
        walk->count += walk->reader.problem == NULL;
    } else if (decode_elsewhere(walk->decoder, outline.subsystem, outline.subsystem_length)) {
        walk->refused = true;
    } else {
        walk_wrapper(walk);
    }
}

int decode_json_records(struct decoder *decoder, const void *payload, size_t length,
                        void (*record)(struct decoder *decoder, struct json_reader *reader, int index)) {
    struct json_walk walk = {.decoder = decoder, .record = record};
    struct json_value value;
    json_reader_begin(&walk.reader, payload, length, decoder->scratch);
    if (json_value(&walk.reader, &value)) {
        walk_payload(&walk, &value);
    }
    if (!walk.refused && walk.reader.problem == NULL && !json_at_end(&walk.reader)) {
        walk.reader.problem = "something follows the end of the JSON value";
    }
    if (!walk.refused && walk.reader.problem != NULL) {
        report_syntax(&walk, walk.count == 0 ? -1 : walk.count, "what follows");
        walk.refused = true;
    }
    if (!walk.refused && walk.count == 0) {
        decode_report(decoder, -1, PROBLEM_EMPTY_BATCH, "records: the message has none");
    }
    return walk.count + (walk.refused && walk.count > 0);
}
