/* decode_document.c: inventory, staff, work, case and interval: records of common.proto by their descriptors, from both
 * forms, to cJSON objects. They are rare beside telemetry, so what they need is allocated record by record; how much
 * one message can make it allocate is bounded by its length and DECODE_LIST_MAX. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common.pb-c.h"
#include "hub/base/error.h"
#include "hub/decode/decode_internal.h"
#include "hub/decode/decode_wire.h"

enum { REQUIRED_MAX = 3 };

#define TIME_FIRST_MS INT64_C(946684800000)   /* 2000-01-01 */
#define TIME_LAST_MS INT64_C(253402300799999) /* the end of 9999 */

struct document_kind {
    const ProtobufCMessageDescriptor *record; /* NULL = no document */
    const char *time;                         /* the field whose time must be within the limits; NULL = none */
    const char *required[REQUIRED_MAX + 1];
    bool place_is_vital; /* a record whose place is outside the county is none of the county's */
    const char *telling; /* the field whose absence says something: null if it was there and bad; NULL = none */
};

static const struct document_kind kinds[TOPIC_NONE] = {
    [TOPIC_INVENTORY] = {&cityhub__v1__inventory_record__descriptor, NULL, {"device_code", "kind"}, false, "retired"},
    [TOPIC_STAFF] =
        {&cityhub__v1__staff_record__descriptor, "observed_at_ms", {"kind", "code", "observed_at_ms"}, false, NULL},
    [TOPIC_WORK] = {&cityhub__v1__work_record__descriptor,
                    "observed_at_ms",
                    {"work_code", "status", "observed_at_ms"},
                    false,
                    NULL},
    [TOPIC_CASE] =
        {&cityhub__v1__case_record__descriptor, "occurred_at_ms", {"case_code", "occurred_at_ms"}, true, NULL},
    [TOPIC_INTERVAL] = {&cityhub__v1__interval_record__descriptor,
                        "began_at_ms",
                        {"device_code", "began_at_ms", "seconds"},
                        false,
                        NULL},
};

/* ---- one field into an object */

static bool ends_with(const char *name, const char *ending) {
    size_t length = strlen(name), tail = strlen(ending);
    return length >= tail && strcmp(name + length - tail, ending) == 0;
}

static void put(struct decoder *decoder, cJSON *object, const char *name, cJSON *item) {
    if (item == NULL ||
        (cJSON_DeleteItemFromObjectCaseSensitive(object, name), !cJSON_AddItemToObject(object, name, item))) {
        cJSON_Delete(item);
        decoder->out_of_memory = true;
    }
}

static void put_text(struct decoder *decoder, cJSON *object, const ProtobufCFieldDescriptor *field,
                     const struct decode_scalar *scalar) {
    struct decode_scalar bare = decode_text_bare(scalar);
    char text[DECODE_DOCUMENT_TEXT_MAX + 1];
    bool code = ends_with(field->name, "code") || strcmp(field->name, "kind") == 0;
    size_t limit = code ? DECODE_CODE_MAX : DECODE_DOCUMENT_TEXT_MAX;
    if (decode_text_absent(&bare)) {
        cJSON_DeleteItemFromObjectCaseSensitive(object, field->name);
    } else if (decode_check_text(decoder, field->name, &bare, limit, code ? PROBLEM_BAD_CODE : PROBLEM_BAD_TEXT)) {
        memcpy(text, bare.text, bare.length);
        text[bare.length] = '\0';
        if (decode_document_text(decoder, field->name, text)) {
            put(decoder, object, field->name, cJSON_CreateString(text));
        }
    }
}

static void put_number(struct decoder *decoder, cJSON *object, const ProtobufCFieldDescriptor *field, double number) {
    if (!isfinite(number)) {
        decode_refuse(decoder, PROBLEM_NOT_FINITE, "%s%s: is not finite; leave the field out when there is no value",
                      decoder->within, field->name);
    } else if (decode_document_number(decoder, field->name, number)) {
        put(decoder, object, field->name, cJSON_CreateNumber(number));
    }
}

static void put_time(struct decoder *decoder, cJSON *object, const ProtobufCFieldDescriptor *field, int64_t ms) {
    /* 2000 to 9999: what work can have been planned for, and a double has exactly. Narrower limits follow for the
     * record's own time. */
    bool own = decoder->kind->time != NULL && strcmp(decoder->kind->time, field->name) == 0;
    bool past = strcmp(field->name, "started_ms") == 0 || strcmp(field->name, "finished_ms") == 0;
    if (ms < 0 || ms > TIME_LAST_MS) {
        decode_refuse(decoder, ms < 0 ? PROBLEM_TIME_TOO_OLD : PROBLEM_TIME_AHEAD,
                      "%s: %lld is no time in milliseconds since 1970 (UTC)", field->name, (long long)ms);
    } else if (!own && ms < TIME_FIRST_MS) {
        decode_refuse(decoder, PROBLEM_TIME_TOO_OLD, "%s: %lld ms is before the year 2000%s", field->name,
                      (long long)ms, ms >= TIME_FIRST_MS / 1000 ? "; the unit is milliseconds, not seconds" : "");
    } else if (past && ms > decoder->limits->newest_ms) {
        decode_check_time(decoder, field->name, ms);
    } else {
        put(decoder, object, field->name, cJSON_CreateNumber((double)ms));
    }
}

static void put_scalar(struct decoder *decoder, cJSON *object, const ProtobufCFieldDescriptor *field,
                       const struct decode_scalar *scalar) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        put_text(decoder, object, field, scalar);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        put(decoder, object, field->name, cJSON_CreateBool(scalar->whole != 0));
        break;
    case PROTOBUF_C_TYPE_ENUM:
        if (decode_check_enum(decoder, field, scalar->whole)) {
            put(decoder, object, field->name,
                cJSON_CreateString(protobuf_c_enum_descriptor_get_value(field->descriptor, (int)scalar->whole)->name));
        }
        break;
    default:
        if (ends_with(field->name, "_ms")) {
            put_time(decoder, object, field, scalar->whole);
        } else {
            put_number(decoder, object, field, scalar->number);
        }
        break;
    }
}

/* ---- lists. An entry in which something is wrong is left out, the others stay; but a bad number, as of an interval's
 * smallest, mean and largest value, costs itself alone. */

/* One entry that is being read. */
struct entry {
    cJSON *list, *object;
    unsigned refusals; /* before it, and of its numbers */
    char within[48];   /* "attachments[2]." */
};

/* The place of a list's next entry among those that were sent, the refused ones too. */
static unsigned entry_place(struct decoder *decoder, const ProtobufCFieldDescriptor *field) {
    decoder->entry = ++decoder->entries[field - decoder->kind->record->fields];
    return decoder->entry - 1;
}

/* Makes the next entry of a list; false if the list is full or memory is out. */
static bool entry_begin(struct decoder *decoder, cJSON *object, const ProtobufCFieldDescriptor *field,
                        struct entry *entry) {
    const char *name = field->name;
    unsigned place = entry_place(decoder, field);
    *entry = (struct entry){.list = cJSON_GetObjectItemCaseSensitive(object, name)};
    if (entry->list == NULL) {
        entry->list = cJSON_AddArrayToObject(object, name);
    }
    if (cJSON_GetArraySize(entry->list) >= DECODE_LIST_MAX) {
        decode_refuse(decoder, PROBLEM_BAD_VALUE, "%s: has more than %d entries; the first are kept", name,
                      DECODE_LIST_MAX);
        return false;
    }
    entry->object = entry->list == NULL ? NULL : cJSON_CreateObject();
    if (entry->object == NULL || !cJSON_AddItemToArray(entry->list, entry->object)) {
        cJSON_Delete(entry->object);
        decoder->out_of_memory = true;
        return false;
    }
    snprintf(entry->within, sizeof entry->within, "%s[%u].", name, place);
    entry->refusals = decoder->refusals;
    decoder->within = entry->within;
    return true;
}

/* A field of an entry was read (inner; NULL = of the record), before which there had been that many refusals. */
static void entry_spare(const struct decoder *decoder, struct entry *inner, const ProtobufCFieldDescriptor *field,
                        unsigned refusals) {
    if (inner != NULL && field->type == PROTOBUF_C_TYPE_DOUBLE) {
        inner->refusals += decoder->refusals - refusals;
    }
}

static void entry_end(struct decoder *decoder, cJSON *object, const char *name, struct entry *entry) {
    decode_document_entry(decoder, name, entry->object);
    decoder->within = "";
    if (decoder->refusals != entry->refusals) {
        cJSON_Delete(cJSON_DetachItemViaPointer(entry->list, entry->object));
    }
    if (cJSON_GetArraySize(entry->list) == 0) {
        cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    }
}

/* ---- protobuf. Messages within records are lists of flat ones (attributes, attachments) and the position. */

static bool is_position(const ProtobufCFieldDescriptor *field) {
    return field->descriptor == &cityhub__v1__position__descriptor;
}

static bool is_required(const struct decoder *decoder, const ProtobufCFieldDescriptor *field) {
    for (const char *const *name = decoder->kind->required; *name != NULL; name++) {
        if (strcmp(*name, field->name) == 0) {
            return true;
        }
    }
    return false;
}

/* From here on what is wrong is this field's, or the record's if it is one that the record needs. */
static void field_begin(struct decoder *decoder, const ProtobufCFieldDescriptor *field) {
    bool required = is_required(decoder, field);
    decoder->at = required ? NULL : field;
    decoder->optional += !required;
}

static void read_protobuf(struct decoder *decoder, const ProtobufCMessageDescriptor *message, const uint8_t *at,
                          size_t length, cJSON *object, struct entry *inner);

static void read_protobuf_message(struct decoder *decoder, const ProtobufCFieldDescriptor *field,
                                  const struct wire_field *value, cJSON *object) {
    struct entry entry;
    if (is_position(field)) {
        decode_protobuf_place(decoder, value->data, value->length, &decoder->place);
    } else if (entry_begin(decoder, object, field, &entry)) {
        read_protobuf(decoder, field->descriptor, value->data, value->length, entry.object, &entry);
        entry_end(decoder, object, field->name, &entry);
    }
}

static void read_protobuf(struct decoder *decoder, const ProtobufCMessageDescriptor *message, const uint8_t *at,
                          size_t length, cJSON *object, struct entry *inner) {
    struct wire wire = {.at = at, .end = at + length};
    struct wire_field value = {0};
    while (decoder->refused == PROBLEM_NONE && wire_next(&wire, &value)) {
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(message, value.number);
        struct decode_scalar scalar = {0};
        if (field == NULL) {
            decode_unknown(decoder, decoder->record.index, NULL, 0, value.number);
            continue;
        }
        unsigned refusals = decoder->refusals;
        if (inner == NULL) {
            field_begin(decoder, field);
        }
        if (inner == NULL && field->label != PROTOBUF_C_LABEL_REPEATED) {
            decode_unflaw(decoder, field);
        }
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && value.type == WIRE_BYTES && inner == NULL) {
            read_protobuf_message(decoder, field, &value, object);
        } else if (wire_scalar(field->type, &value, &scalar)) {
            put_scalar(decoder, object, field, &scalar);
        } else {
            decode_refuse(decoder, PROBLEM_WRONG_TYPE,
                          "%s%s: has the wire form of %s, which is not the field's type; "
                          "compare your .proto with the hub's",
                          decoder->within, field->name, wire_type_name(value.type));
        }
        entry_spare(decoder, inner, field, refusals);
    }
    if (wire.problem != NULL) {
        decoder->at = inner != NULL ? decoder->at : NULL;
        /* Without its last point: "attributes[2]." */
        decode_refuse(decoder, PROBLEM_MALFORMED, "byte %td of %.*s: %s; it is cut or is not protobuf", wire.at - at,
                      inner != NULL ? (int)strlen(inner->within) - 1 : INT_MAX,
                      inner != NULL ? inner->within : "the record", wire.problem);
    }
}

/* ---- JSON */

static void read_json(struct decoder *decoder, const ProtobufCMessageDescriptor *message, struct json_reader *reader,
                      cJSON *object, struct entry *inner);

static void read_json_list(struct decoder *decoder, const ProtobufCFieldDescriptor *field, struct json_reader *reader,
                           const struct json_value *value, cJSON *object) {
    struct json_value element;
    bool first = true;
    if (value->kind != JSON_ARRAY) {
        decode_refuse(decoder, PROBLEM_WRONG_TYPE, "%s: must be an array of objects", field->name);
        json_skip(reader, value);
        return;
    }
    while (json_element(reader, &first) && json_value(reader, &element)) {
        struct entry entry;
        if (element.kind != JSON_OBJECT) {
            decode_refuse(decoder, PROBLEM_WRONG_TYPE, "%s[%u]: must be an object", field->name,
                          entry_place(decoder, field));
            json_skip(reader, &element);
        } else if (entry_begin(decoder, object, field, &entry)) {
            read_json(decoder, field->descriptor, reader, entry.object, &entry);
            entry_end(decoder, object, field->name, &entry);
        } else {
            json_skip(reader, &element);
        }
    }
}

static void read_json_value(struct decoder *decoder, const ProtobufCFieldDescriptor *field, struct json_reader *reader,
                            const struct json_value *value, cJSON *object) {
    struct decode_scalar scalar = {0};
    if (field->type == PROTOBUF_C_TYPE_MESSAGE && is_position(field)) {
        decode_json_place(decoder, reader, value, &decoder->place);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        read_json_list(decoder, field, reader, value, object);
    } else {
        if (decode_json_scalar(decoder, field, value, &scalar)) {
            put_scalar(decoder, object, field, &scalar);
        }
        json_skip(reader, value);
    }
}

/* Passes over a member that nobody knows, or that came before. `name` is told of before its value is read: both may use
 * the scratch. */
static void skip_member(struct decoder *decoder, const ProtobufCFieldDescriptor *field, struct json_reader *reader,
                        const struct json_value *name) {
    struct json_value value;
    if (field == NULL) {
        decode_unknown(decoder, decoder->record.index, name->text, name->is_cut ? JSON_SCRATCH_MAX : name->length, 0);
    } else {
        decode_refuse(decoder, PROBLEM_DUPLICATE_FIELD, "%s%s: comes twice in one object", decoder->within,
                      field->name);
    }
    if (json_value(reader, &value)) {
        json_skip(reader, &value);
    }
}

static void read_json(struct decoder *decoder, const ProtobufCMessageDescriptor *message, struct json_reader *reader,
                      cJSON *object, struct entry *inner) {
    struct json_value name, value;
    bool first = true;
    uint64_t seen = 0; /* no message of common.proto has more than 64 fields; tests/unit/test_decode_document.c looks */
    while (json_member(reader, &first, &name)) {
        const ProtobufCFieldDescriptor *field =
            name.is_cut ? NULL : decode_field_by_name(message, name.text, name.length);
        if (field == NULL || (inner != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE)) {
            skip_member(decoder, NULL, reader, &name);
            continue;
        }
        if (inner == NULL) {
            field_begin(decoder, field);
        }
        uint64_t bit = UINT64_C(1) << (field - message->fields);
        if ((seen & bit) != 0) {
            skip_member(decoder, field, reader, &name);
            continue;
        }
        seen |= bit;
        unsigned refusals = decoder->refusals;
        if (json_value(reader, &value) && value.kind != JSON_NULL) {
            read_json_value(decoder, field, reader, &value, object);
        }
        entry_spare(decoder, inner, field, refusals);
    }
}

/* ---- records */

static void check_required(struct decoder *decoder, const cJSON *object) {
    for (const char *const *name = decoder->kind->required; *name != NULL; name++) {
        if (cJSON_GetObjectItemCaseSensitive(object, *name) == NULL) {
            enum decode_problem problem = strcmp(*name, "device_code") == 0 ? PROBLEM_MISSING_DEVICE_CODE
                                          : ends_with(*name, "_at_ms")      ? PROBLEM_MISSING_TIME
                                                                            : PROBLEM_MISSING_FIELD;
            decode_refuse(decoder, problem, "%s: is missing; every record of kind %s needs one", *name,
                          topic_words[decoder->kind - kinds]);
        }
    }
    const cJSON *time =
        decoder->kind->time == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(object, decoder->kind->time);
    if (time != NULL) {
        decode_check_time(decoder, decoder->kind->time, (int64_t)time->valuedouble);
    }
    if (decoder->record.misfits > decoder->optional) {
        decode_refuse(decoder, PROBLEM_WRONG_TOPIC,
                      "the record has fields of another message than %s; is it on its own topic?",
                      decoder->kind->record->short_name);
    }
}

bool decode_needs_place(const struct decoder *decoder) {
    return decoder->kind != NULL && decoder->kind->place_is_vital;
}

static void put_place(struct decoder *decoder, cJSON *object) {
    const ProtobufCFieldDescriptor *field = decode_field_by_name(decoder->kind->record, "position", 8);
    struct decode_place *place = &decoder->place;
    if (!place->given || decode_is_flawed(decoder, field)) {
        return;
    }
    decoder->at = field;
    if (decode_place_finish(decoder, place)) {
        put(decoder, object, place->outside ? "outside_lon" : "lon", cJSON_CreateNumber(place->lon));
        put(decoder, object, place->outside ? "outside_lat" : "lat", cJSON_CreateNumber(place->lat));
    }
    decoder->at = NULL;
}

static void put_telling(struct decoder *decoder, cJSON *object) {
    const char *name = decoder->kind->telling;
    if (name != NULL && decode_is_flawed(decoder, decode_field_by_name(decoder->kind->record, name, strlen(name)))) {
        put(decoder, object, name, cJSON_CreateNull());
    }
}

static cJSON *document_begin(struct decoder *decoder, int index) {
    decode_record_begin(decoder, index);
    decoder->optional = 0;
    memset(decoder->entries, 0, sizeof decoder->entries);
    decoder->object = cJSON_CreateObject();
    decoder->out_of_memory = decoder->out_of_memory || decoder->object == NULL;
    return decoder->object;
}

static void document_end(struct decoder *decoder, cJSON *object) {
    decode_document_lists(decoder, decoder->kind->record, object);
    check_required(decoder, object);
    if (decoder->refused == PROBLEM_NONE) {
        put_place(decoder, object);
        put_telling(decoder, object);
    }
    if (!decode_report_refused(decoder) && !decoder->out_of_memory) {
        struct document document = {.index = decoder->record.index,
                                    .object = object,
                                    .flaws = decoder->flaws,
                                    .flaw_count = decoder->flaw_count};
        decoder->document_sink->document(decoder->user, &document);
    }
}

static void document_protobuf(struct decoder *decoder, const uint8_t *at, size_t length, int index) {
    cJSON *object = document_begin(decoder, index);
    if (object != NULL) {
        read_protobuf(decoder, decoder->kind->record, at, length, object, NULL);
        document_end(decoder, object);
        cJSON_Delete(object);
    }
}

static void document_json(struct decoder *decoder, struct json_reader *reader, int index) {
    cJSON *object = document_begin(decoder, index);
    if (object == NULL) {
        reader->problem = "there is no memory left";
        return;
    }
    read_json(decoder, decoder->kind->record, reader, object, NULL);
    if (reader->problem == NULL) {
        document_end(decoder, object);
    }
    cJSON_Delete(object);
}

int decode_document(struct decoder *decoder, enum topic_kind kind, const struct decode_limits *limits,
                    const void *payload, size_t length, const struct document_sink *sink) {
    if (kind >= TOPIC_NONE || kinds[kind].record == NULL) {
        return CH_ENOTFOUND;
    }
    decoder->kind = &kinds[kind];
    decoder->limits = limits;
    decoder->document_sink = sink;
    decoder->problem = sink->problem;
    decoder->warning = sink->warning;
    decoder->user = sink->user;
    decoder->unknown_count = 0;
    decoder->declared = false;
    decoder->out_of_memory = false;
    int count = 0;
    switch (decode_form(decoder, payload, length)) {
    case FORM_JSON:
        count = decode_json_records(decoder, payload, length, document_json);
        break;
    case FORM_PROTOBUF:
        count = decode_protobuf_records(decoder, payload, length, document_protobuf);
        break;
    case FORM_NONE:
        break;
    }
    return decoder->out_of_memory ? CH_EMEMORY : count;
}
