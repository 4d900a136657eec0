/* decode_internal.h: what the files of the decoder share: the plan of an adapter's record, the record at hand,
 * problems. For hub/decode*.c alone. */
#ifndef CITYHUB_DECODE_INTERNAL_H
#define CITYHUB_DECODE_INTERNAL_H

#include "hub/decode/decode.h"
#include "hub/decode/json_reader.h"

enum {
    PLAN_FIELDS_MAX = 96,     /* fields of one record's descriptor */
    DOCUMENT_FIELDS_MAX = 64, /* fields of a message of common.proto; tests/unit/test_decode_document.c looks */
    PLAN_NUMBERS_MAX = 256,   /* field numbers that are looked up in a table; larger ones are searched */
    PLAN_NAME_MAX = 64,       /* bytes of a field's name with its end */
    PLAN_SLOTS = 512,   /* hash table of names, two a field: a power of two, more than four times PLAN_FIELDS_MAX */
    LIST_FLAWS_MAX = 8, /* entries of one list that are told of, each for the first thing that is wrong with it */
    FLAWS_MAX = PLAN_FIELDS_MAX + 8 * LIST_FLAWS_MAX, /* no record has more lists */
    UNKNOWN_MAX = 16,                                 /* unknown fields of one message that are warned of */
    /* Below it this build knows all numbers that were ever given: a field that it does not know is of another message.
     * New fields get numbers from here on, each subsystem's of a hundred of its own (adapter.new_fields_from). */
    FIELD_NEW_FROM = 1000,
    FIELD_NEW_COUNT = 100,
    BATCH_SUBSYSTEM = 1000, /* number of `subsystem` in every <Subsystem>Batch and <Kind>Batch */
};

/* The list of a record's readings that are beyond the upper limit of the instrument (超测上限). */
#define DECODE_OVER_RANGE "over_range"

/* Why a record or message is refused; decode.c has the word for each. */
enum decode_problem {
    PROBLEM_NONE,
    PROBLEM_MALFORMED,
    PROBLEM_EMPTY_BATCH,
    PROBLEM_TOO_MANY_RECORDS,
    PROBLEM_MISSING_DEVICE_CODE,
    PROBLEM_MISSING_TIME,
    PROBLEM_MISSING_FIELD,
    PROBLEM_WRONG_TYPE,
    PROBLEM_NOT_FINITE,
    PROBLEM_BAD_CODE,
    PROBLEM_BAD_TEXT,
    PROBLEM_BAD_ENUM,
    PROBLEM_TIME_AHEAD,
    PROBLEM_TIME_TOO_OLD,
    PROBLEM_BAD_POSITION,
    PROBLEM_MISSING_COORDINATE_SYSTEM,
    PROBLEM_DUPLICATE_FIELD,
    PROBLEM_NO_READINGS,
    PROBLEM_BAD_VALUE,
    PROBLEM_WRONG_TOPIC,
    PROBLEM_PLACE_OUTSIDE,
};

enum field_role { ROLE_DEVICE_CODE, ROLE_OBSERVED_AT, ROLE_POSITION, ROLE_READING, ROLE_TEXT, ROLE_OVER_RANGE };

/* One field of an adapter's record. */
struct plan_field {
    const ProtobufCFieldDescriptor *descriptor;
    const char *name;
    size_t name_length;
    enum field_role role;
    unsigned bit;    /* ROLE_READING, ROLE_TEXT: ordinal - 1 */
    double min, max; /* ROLE_READING: physical range */
    bool gauge;      /* ROLE_READING: may be over range */
    size_t camel_length;
    char camel[PLAN_NAME_MAX]; /* its name in protobuf's own JSON */
};

/* An adapter's record, worked out once. */
struct decode_plan {
    const struct adapter *adapter;
    struct plan_field fields[PLAN_FIELDS_MAX];
    unsigned count;
    const struct plan_field *position;   /* NULL = none */
    const struct plan_field *over_range; /* NULL = none */
    uint8_t by_number[PLAN_NUMBERS_MAX]; /* place in `fields` + 1, 0 = unknown */
    uint8_t by_name[PLAN_SLOTS];         /* the same, by hash of the name with linear probing; by both names */
};

/* NULL = out of memory. An adapter that decode_check_adapter refuses gives a plan without the fields in question. */
struct decode_plan *decode_plan_new(const struct adapter *adapter);
const struct plan_field *decode_plan_by_number_slow(const struct decode_plan *plan, uint64_t number);
static inline const struct plan_field *decode_plan_by_number(const struct decode_plan *plan, uint64_t number) {
    if (number >= PLAN_NUMBERS_MAX) {
        return decode_plan_by_number_slow(plan, number);
    }
    unsigned place = plan->by_number[number];
    return place == 0 ? NULL : &plan->fields[place - 1];
}
const struct plan_field *decode_plan_by_name(const struct decode_plan *plan, const char *name, size_t length);
/* The plan of an adapter, made the first time; NULL = out of memory. */
const struct decode_plan *decode_plan_get(struct decoder *decoder, const struct adapter *adapter);
/* Whether a record of another adapter has a metric of that name. */
bool decode_plan_elsewhere(struct decoder *decoder, const char *name, size_t length);
/* Whether a field goes by that name: the .proto's or its lowerCamelCase form, as protobuf prints JSON. */
bool decode_is_name(const ProtobufCFieldDescriptor *field, const char *name, size_t length);

/* A position as it is read, before it is checked and converted. */
struct decode_place {
    bool given, has_lon, has_lat, has_system;
    bool outside; /* the county, or in doubt; once it is checked */
    double lon, lat;
    int64_t system, doubt;
};

/* A value of a field, from protobuf or JSON; which member counts is the field's type's affair. */
struct decode_scalar {
    double number;    /* every type but string */
    int64_t whole;    /* integers, bool, enum */
    const char *text; /* string: not yet checked, not NUL-terminated */
    size_t length;
    bool wrong_escape; /* string: JSON only */
};

/* The text without what stands for nothing at its ends: blanks of any width, line ends, the NULs of C's buffers, marks
 * that nobody sees. Two codes that look the same are the same one. */
struct decode_scalar decode_text_bare(const struct decode_scalar *scalar);

/* An empty text is the same as an absent one; one that is empty because its escapes were wrong is not. */
static inline bool decode_text_absent(const struct decode_scalar *scalar) {
    return scalar->length == 0 && !scalar->wrong_escape;
}

struct document_kind; /* decode_document.c */

struct decoder {
    struct decode_plan **plans;
    size_t plan_count;
    /* the message at hand */
    const struct decode_plan *plan;
    const struct decode_limits *limits;
    const struct decode_sink *sink;   /* telemetry */
    const struct document_kind *kind; /* the other kinds */
    const struct document_sink *document_sink;
    void (*problem)(void *user, int index, const char *code, const char *reason);
    void (*warning)(void *user, int index, const char *code, const char *field, const char *reason);
    void *user;
    uint32_t unknown[UNKNOWN_MAX]; /* hashes of the unknown fields that were warned of */
    uint32_t unknown_misfit;       /* bit i: another message has the field of unknown[i] */
    unsigned unknown_count;
    bool out_of_memory;
    bool declared; /* it says that it is of the topic's subsystem */
    /* the record at hand */
    struct record record;
    struct decode_place place;
    bool has_time;
    uint64_t over;      /* bit (ordinal - 1): it says that the reading, if there is one, is beyond the instrument */
    const char *within; /* goes before a field's name in reasons: "" or "position." */
    /* The record's own field that is being read; what is found wrong is this field's flaw. NULL = the record's. */
    const ProtobufCFieldDescriptor *at;
    cJSON *object;                         /* the other kinds */
    unsigned optional;                     /* fields that are neither flawed nor required (the other kinds) */
    unsigned entries[DOCUMENT_FIELDS_MAX]; /* that came of the record's lists, by the place of their field */
    unsigned entry;                        /* the one at hand, counted from 1 */
    struct decode_flaw flaws[FLAWS_MAX];
    const ProtobufCFieldDescriptor *flawed[FLAWS_MAX];
    unsigned flawed_entry[FLAWS_MAX]; /* of a list; 0 = of the field itself */
    unsigned flaw_count;
    unsigned refusals;           /* calls of decode_refuse */
    enum decode_problem refused; /* the first thing that is wrong with it as a whole */
    char reason[DECODE_REASON_MAX];
    char code[DECODE_CODE_MAX + 1];
    char texts[ADAPTER_METRICS_MAX][DECODE_TEXT_MAX + 1];
    char scratch[JSON_SCRATCH_MAX];
};

/* ---- decode_message.c, decode.c, decode_record.c, decode_value.c, decode_place.c */

enum decode_form { FORM_NONE, FORM_PROTOBUF, FORM_JSON };
/* What a payload is by its first bytes; FORM_NONE: empty, and reported. */
enum decode_form decode_form(struct decoder *decoder, const void *payload, size_t length);

/* Notes what is wrong with the field at hand (decoder->at), which is then left out; of one that the record cannot do
 * without, or if there is none, with the record. The first note of each counts. */
void decode_refuse(struct decoder *decoder, enum decode_problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
/* Reports a problem at once: `index` -1 for the whole message. */
void decode_report(struct decoder *decoder, int index, enum decode_problem problem, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
/* Reports the record's noted problem, if there is one; returns whether there was. */
bool decode_report_refused(struct decoder *decoder);
/* Refuses a record of which nothing is left, for the first of its flaws; returns whether there was one. */
bool decode_report_flawed(struct decoder *decoder);
/* Warns of an unknown field, the first time that it is seen in this message. name NULL: by number. `index` -1: beside
 * the records. Counts it among the record's misfits if only another message has it. */
void decode_unknown(struct decoder *decoder, int index, const char *name, size_t length, uint64_t number)
    __attribute__((cold));
/* Refuses the message if it says that it is of another subsystem than the topic's; returns whether it did. */
bool decode_elsewhere(struct decoder *decoder, const char *text, size_t length);
/* A good value came after a bad one of the same field, as protobuf allows: the flaw is forgotten. */
void decode_unflaw(struct decoder *decoder, const ProtobufCFieldDescriptor *field) __attribute__((cold));
bool decode_is_flawed(const struct decoder *decoder, const ProtobufCFieldDescriptor *field);

void decode_record_begin(struct decoder *decoder, int index);
void decode_record_put(struct decoder *decoder, const struct plan_field *field, const struct decode_scalar *scalar);
/* Checks the record as a whole and hands it, or its problem, to the sink. */
void decode_record_end(struct decoder *decoder);

/* Checks and converts `place` to WGS 84, and marks it if it is outside the county; false, with the field at hand
 * refused, if it cannot be. */
bool decode_place_finish(struct decoder *decoder, struct decode_place *place);
void decode_place_put(struct decode_place *place, const ProtobufCFieldDescriptor *field,
                      const struct decode_scalar *scalar);
/* False, with the field refused, if the enum of `field` has no value `number`. */
bool decode_check_enum(struct decoder *decoder, const ProtobufCFieldDescriptor *field, int64_t number);
/* Refuses the field, naming the enum's values; `found` is what came. */
void decode_refuse_enum(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const char *found)
    __attribute__((cold));
/* The enum's value of that name, as people write it: "gcj-02" is GCJ02. NULL = it has none. */
const ProtobufCEnumValue *decode_enum_find(const ProtobufCEnumDescriptor *values, const char *text, size_t length);
/* False, with the field refused, if `ms` is not within the limits. */
bool decode_check_time(struct decoder *decoder, const char *field, int64_t ms);
/* False, with the field refused by `problem`, if the text is too long or not fit to be stored. */
bool decode_check_text(struct decoder *decoder, const char *field, const struct decode_scalar *scalar, size_t limit,
                       enum decode_problem problem);

/* ---- decode_document_check.c: false, or a refusal noted, if a document's value is not what it must be */

/* May change the text to the form that is stored, no longer than it was. */
bool decode_document_text(struct decoder *decoder, const char *field, char *text);
bool decode_document_number(struct decoder *decoder, const char *field, double number);
void decode_document_entry(struct decoder *decoder, const char *list, const cJSON *entry);

/* Takes entries of the record's lists out that say different things of one thing (a metric, a key), after refusing the
 * list for them: nobody knows which is right. */
void decode_document_lists(struct decoder *decoder, const ProtobufCMessageDescriptor *record, cJSON *object);

/* ---- decode_protobuf.c and decode_json.c */

/* One telemetry record. */
void decode_protobuf_record(struct decoder *decoder, const uint8_t *at, size_t length, int index);
void decode_json_record(struct decoder *decoder, struct json_reader *reader, int index);
/* decode_fits for each form. */
bool decode_protobuf_fits(const struct decode_plan *plan, const uint8_t *at, size_t length);
bool decode_json_fits(const struct decode_plan *plan, const char *at, size_t length);
/* Whether all of the payload can be divided into protobuf fields, and the first record too. */
bool decode_framing_fits(const void *payload, size_t length);

/* Divide a message into records and hand each to `record`, which sees to it that it is delivered or reported. Return
 * the number of records. A JSON `record` is called after its opening brace and reads up to the closing one. */
int decode_json_records(struct decoder *decoder, const void *payload, size_t length,
                        void (*record)(struct decoder *decoder, struct json_reader *reader, int index));
int decode_protobuf_records(struct decoder *decoder, const void *payload, size_t length,
                            void (*record)(struct decoder *decoder, const uint8_t *at, size_t length, int index));

/* Whether the record at hand is of a kind that is nothing without its place (a case). */
bool decode_needs_place(const struct decoder *decoder);

/* Reads a JSON position into `place`; `value` is what was read of it. */
void decode_json_place(struct decoder *decoder, struct json_reader *reader, const struct json_value *value,
                       struct decode_place *place);
/* Reads a protobuf position into `place`. */
void decode_protobuf_place(struct decoder *decoder, const uint8_t *at, size_t length, struct decode_place *place);

/* The field of that name, either form, or NULL; a search from the first to the last. */
const ProtobufCFieldDescriptor *decode_field_by_name(const ProtobufCMessageDescriptor *message, const char *name,
                                                     size_t length);
/* Turns a JSON value into a field's value. False: the field is refused, wrong type or not a name of the enum. */
bool decode_json_scalar(struct decoder *decoder, const ProtobufCFieldDescriptor *field, const struct json_value *value,
                        struct decode_scalar *scalar);

#endif
