/* decode_json.c: messages in JSON: one record, an array of records, or {"records": [...]}. Read in one pass straight
 * into the record, so that a syntax error costs only what follows it. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "common.pb-c.h"
#include "hub/base/text.h"
#include "hub/decode/decode_internal.h"

/* ---- values */

static const char *found_name(const struct json_value *value) {
    switch (value->kind) {
    case JSON_NULL:
        return "null";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NUMBER:
        return value->is_whole ? "a whole number" : "a number with a fraction, or too large";
    case JSON_STRING:
        return "a text";
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        break;
    }
    return "an array";
}

static bool refuse_kind(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const struct json_value *value,
                        const char *wanted) {
    decode_refuse(decoder, PROBLEM_WRONG_TYPE, "%s%s: is %s; it must be %s", decoder->within, field->name,
                  found_name(value), wanted);
    return false;
}

static bool whole_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const struct json_value *value,
                         int64_t lowest, int64_t highest, struct decode_scalar *scalar) {
    if (value->kind != JSON_NUMBER || !value->is_whole) {
        return refuse_kind(decoder, field, value, "a whole number (no quotes, no fraction)");
    }
    if (value->whole < lowest || value->whole > highest) {
        decode_refuse(decoder, PROBLEM_WRONG_TYPE, "%s%s: %lld is outside the field's type, %lld to %lld",
                      decoder->within, field->name, (long long)value->whole, (long long)lowest, (long long)highest);
        return false;
    }
    scalar->whole = value->whole;
    scalar->number = (double)value->whole;
    return true;
}

static bool number_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field,
                          const struct json_value *value, struct decode_scalar *scalar) {
    if (value->kind != JSON_NUMBER) {
        return refuse_kind(decoder, field, value, "a number (no quotes)");
    }
    scalar->number = value->number;
    if (field->type == PROTOBUF_C_TYPE_FLOAT && isfinite(value->number)) {
        /* As protobuf would have brought it. */
        scalar->number = fabs(value->number) > (double)FLT_MAX ? INFINITY : (double)(float)value->number;
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
    if (value->kind == JSON_NUMBER && value->is_whole) {
        scalar->whole = value->whole;
        scalar->number = (double)value->whole;
        return true; /* whether there is such a value is checked for both forms alike */
    }
    if (value->kind != JSON_STRING) {
        return refuse_kind(decoder, field, value, "a name of its enum, or its number");
    }
    const ProtobufCEnumDescriptor *values = field->descriptor;
    for (unsigned i = 0; i < values->n_values; i++) {
        const char *name = values->values[i].name;
        if (strlen(name) == value->length && memcmp(name, value->text, value->length) == 0) {
            scalar->whole = values->values[i].value;
            scalar->number = (double)scalar->whole;
            return true;
        }
    }
    char shown[DECODE_SHOWN_MAX];
    size_t length = value->length < 64 ? value->length : 64;
    decode_refuse(decoder, PROBLEM_BAD_ENUM,
                  "%s%s: has no value %s; it has %s = %d and others, see enum %s in the .proto", decoder->within,
                  field->name, text_show(shown, value->text, length), values->values[0].name, values->values[0].value,
                  values->short_name);
    return false;
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
        return whole_scalar(decoder, field, value, 0, INT64_MAX, scalar);
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
        decode_refuse(decoder, PROBLEM_WRONG_TYPE, "position: is %s; it must be an object with lon, lat and system",
                      found_name(value));
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
            refuse_duplicate(decoder, field->name);
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

void decode_json_record(struct decoder *decoder, struct json_reader *reader, int index) {
    const struct decode_plan *plan = decoder->plan;
    struct json_value name, value;
    bool first = true;
    uint64_t seen[PLAN_FIELDS_MAX / 64 + 1] = {0};
    decode_record_begin(decoder, index);
    while (json_member(reader, &first, &name)) {
        const struct plan_field *field = name.is_cut ? NULL : decode_plan_by_name(plan, name.text, name.length);
        if (field == NULL) {
            skip_unknown(decoder, reader, index, &name);
            continue;
        }
        size_t place = (size_t)(field - plan->fields);
        if ((seen[place / 64] >> place % 64 & 1) != 0) {
            refuse_duplicate(decoder, field->name);
        }
        seen[place / 64] |= UINT64_C(1) << place % 64;
        struct decode_scalar scalar = {0};
        if (!json_value(reader, &value)) {
            return;
        }
        if (value.kind == JSON_NULL) {
            continue;
        }
        if (field->role == ROLE_POSITION) {
            decode_json_place(decoder, reader, &value, &decoder->place);
            continue;
        }
        if (decode_json_scalar(decoder, field->descriptor, &value, &scalar)) {
            decode_record_put(decoder, field, &scalar);
        }
        json_skip(reader, &value);
    }
    if (reader->problem == NULL) {
        decode_record_end(decoder);
    }
}

/* ---- messages */

struct json_walk {
    struct decoder *decoder;
    struct json_reader reader;
    void (*record)(struct decoder *decoder, struct json_reader *reader, int index);
    int count;    /* records that were read to their end */
    bool refused; /* the message as a whole is refused, and that was reported */
};

static void walk_refuse(struct json_walk *walk, enum decode_problem problem, const char *reason) {
    decode_report(walk->decoder, walk->count == 0 ? -1 : walk->count, problem, "%s", reason);
    walk->refused = true;
}

/* The elements of an array whose bracket was read. */
static void walk_array(struct json_walk *walk) {
    struct json_reader *reader = &walk->reader;
    struct json_value value;
    bool first = true;
    if (reader->end - reader->at > (ptrdiff_t)2 * DECODE_RECORDS_MAX &&
        json_count_elements(reader) > DECODE_RECORDS_MAX) {
        walk_refuse(walk, PROBLEM_TOO_MANY_RECORDS, "records: more than 20000 in one message; send smaller batches");
        return;
    }
    while (json_element(reader, &first) && json_value(reader, &value)) {
        if (value.kind == JSON_OBJECT) {
            walk->record(walk->decoder, reader, walk->count);
        } else if (json_skip(reader, &value)) {
            decode_report(walk->decoder, walk->count, PROBLEM_WRONG_TYPE, "the record is %s; it must be an object",
                          found_name(&value));
        }
        walk->count += reader->problem == NULL;
    }
}

/* Whether the object whose brace was read has a member "records". `reader` is a copy: nothing is used up. */
static bool has_records(struct json_reader reader) {
    struct json_value name, value;
    bool first = true;
    while (json_member(&reader, &first, &name)) {
        if (name.length == 7 && memcmp(name.text, "records", 7) == 0) {
            return true;
        }
        if (!json_value(&reader, &value) || !json_skip(&reader, &value)) {
            break;
        }
    }
    return false;
}

/* The members of {"records": [...]}. */
static void walk_wrapper(struct json_walk *walk) {
    struct json_reader *reader = &walk->reader;
    struct json_value name, value;
    bool first = true, found = false;
    while (!walk->refused && json_member(reader, &first, &name)) {
        if (name.length != 7 || memcmp(name.text, "records", 7) != 0) {
            skip_unknown(walk->decoder, reader, -1, &name);
        } else if (found) {
            walk_refuse(walk, PROBLEM_DUPLICATE_FIELD, "records: comes twice in one message; only the first was read");
        } else if (json_value(reader, &value)) {
            found = true;
            if (value.kind == JSON_ARRAY) {
                walk_array(walk);
            } else {
                walk_refuse(walk, PROBLEM_WRONG_TYPE, "records: must be an array of objects");
            }
        }
    }
}

int decode_json_records(struct decoder *decoder, const void *payload, size_t length,
                        void (*record)(struct decoder *decoder, struct json_reader *reader, int index)) {
    struct json_walk walk = {.decoder = decoder, .record = record};
    struct json_value value;
    json_reader_begin(&walk.reader, payload, length, decoder->scratch);
    if (json_value(&walk.reader, &value)) {
        if (value.kind == JSON_ARRAY) {
            walk_array(&walk);
        } else if (value.kind != JSON_OBJECT) {
            walk_refuse(&walk, PROBLEM_MALFORMED,
                        "payload: must be an object, an array of objects, or {\"records\": [...]}");
        } else if (has_records(walk.reader)) {
            walk_wrapper(&walk);
        } else {
            record(decoder, &walk.reader, 0);
            walk.count += walk.reader.problem == NULL;
        }
    }
    if (!walk.refused && walk.reader.problem == NULL && !json_at_end(&walk.reader)) {
        walk.reader.problem = "something follows the end of the JSON value";
    }
    if (!walk.refused && walk.reader.problem != NULL) {
        decode_report(decoder, walk.count == 0 ? -1 : walk.count, PROBLEM_MALFORMED,
                      "byte %td of %zu: %s; what follows could not be read", walk.reader.at - walk.reader.start, length,
                      walk.reader.problem);
        walk.refused = true;
    }
    if (!walk.refused && walk.count == 0) {
        decode_report(decoder, -1, PROBLEM_EMPTY_BATCH, "records: the message has none");
    }
    return walk.count + (walk.refused && walk.count > 0);
}
