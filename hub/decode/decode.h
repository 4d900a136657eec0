/* decode.h: from a message's bytes to records, by an adapter's descriptor: protobuf or JSON with the same field names.
 * Knows nothing of devices or storage, and of topics the kinds alone. Never trusts a byte: a bad record is reported
 * with its place and reason, every good one of the same message is delivered; a bad field costs its record that field
 * alone.
 *
 * A payload is protobuf (<Subsystem>Batch) or JSON: one record, an array of records, or {"records": [...]}. JSON is
 * read as protobuf's own printer writes it (protobuf.dev/programming-guides/json): names as in the .proto or in
 * lowerCamelCase, numbers also as texts, enums by name or number. null is the same as an absent field, and so is an
 * empty text in both forms. Of a protobuf field that comes twice the last one counts, as protobuf has it; a JSON name
 * that comes twice is a bad field.
 *
 * A record is refused whole if it has no usable device or time, if it cannot be divided into fields, or if its bad
 * fields leave nothing of it.
 *
 * Codes of problems: malformed, empty_batch, too_many_records, missing_device_code, missing_time, missing_field,
 * wrong_type, not_finite, bad_code, bad_text, bad_enum, time_ahead, time_too_old, bad_position,
 * missing_coordinate_system, duplicate_field, no_readings, bad_value, wrong_topic, place_outside. Codes of warnings:
 * unknown_field, place_outside, place_doubtful. */
#ifndef CITYHUB_DECODE_H
#define CITYHUB_DECODE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/adapter.h"
#include "hub/base/topic.h"

enum {
    DECODE_CODE_MAX = 128,           /* bytes of a device code, or any other code */
    DECODE_TEXT_MAX = 1024,          /* bytes of a text metric */
    DECODE_DOCUMENT_TEXT_MAX = 4096, /* bytes of a text of the other kinds of message */
    DECODE_LIST_MAX = 100,           /* entries of a list within a record, such as attributes */
    DECODE_RECORDS_MAX = 20000,      /* records of a message; one with more is refused whole */
    DECODE_REASON_MAX = 240,         /* bytes of a reason, with its end */
};

/* A field that could not be taken: it is left out of its record. */
struct decode_flaw {
    const char *field; /* its name in the .proto; for what is within a position or a list, the name of that */
    const char *code;
    char reason[DECODE_REASON_MAX]; /* a sentence of valid UTF-8 that names the field */
};

/* One telemetry record. Strings belong to the decoder: valid only inside the sink's call. */
struct record {
    int index; /* its place in the message, from 0 */
    const char *device_code;
    size_t device_code_length; /* 1 to DECODE_CODE_MAX, valid UTF-8, no control characters; NUL-terminated */
    int64_t observed_at_ms;    /* UTC epoch milliseconds, within the limits */
    bool has_position;
    bool outside;          /* the position is outside the county or in doubt: it says nothing */
    double lon, lat;       /* WGS 84, degrees */
    uint64_t present;      /* bit (ordinal - 1): there is a reading */
    uint64_t quality;      /* bit (ordinal - 1): the reading is outside the metric's physical range ... */
    uint64_t over_range;   /* ... or, one of these: within it, beyond the instrument's as the sender says */
    uint64_t text_present; /* bit (ordinal - 1): there is a text */
    double values[ADAPTER_METRICS_MAX];     /* values[ordinal - 1] where present: finite */
    const char *texts[ADAPTER_METRICS_MAX]; /* texts[ordinal - 1] where present: 1 to DECODE_TEXT_MAX bytes of UTF-8 */
    const struct decode_flaw *flaws;        /* bad fields, left out above */
    unsigned flaw_count;
    bool declared;    /* the message itself says that it is of this subsystem */
    unsigned misfits; /* fields that the subsystem's record has not, or in another form: is it another's? */
    const void *raw;  /* its bytes, or more, for decode_fits */
    size_t raw_length;
    bool raw_is_json;
};

/* A rectangle of WGS 84 degrees; one without an inside (all zero) is no limit. */
struct decode_extent {
    double min_lon, min_lat, max_lon, max_lat;
};

/* Times outside [oldest_ms, newest_ms] are refused. Places outside the extent are marked. */
struct decode_limits {
    int64_t oldest_ms, newest_ms;
    struct decode_extent extent;
    const char *subsystem; /* the topic's: a message that says another one is refused; NULL = it is not looked at */
};

/* Where results go. `user` is handed through. `index` is the record's place, -1 for the whole message. A record that is
 * refused has exactly one problem: the first that was found. `reason` is a sentence of valid UTF-8 that names the
 * field. */
struct decode_sink {
    void (*record)(void *user, struct record *record); /* which it may change */
    void (*problem)(void *user, int index, const char *code, const char *reason);
    /* The record is delivered all the same. `field` is the field's name in the .proto, or NULL. unknown_field: a field
     * that this build does not know was ignored; said once per field and message, with the record that had it first,
     * for at most 16 fields. place_outside, place_doubtful: the record's position. */
    void (*warning)(void *user, int index, const char *code, const char *field, const char *reason);
    void *user;
};

/* Reused memory of one lane, about 100 KiB and 6 KiB for each adapter that it has seen; it does not grow with messages.
 */
struct decoder;
struct decoder *decoder_new(void); /* NULL = out of memory */
void decoder_free(struct decoder *decoder);

/* Decodes one telemetry message. Delivers good records in order and reports every bad one. A message in which not even
 * one record can be made out gives one problem with index -1. Where only its end cannot be read, the records before are
 * delivered, and the rest counts as one more, bad record, whose reason has the byte. Returns the number of records,
 * good and bad (0 with a problem of index -1), or CH_EMEMORY. */
int decode_telemetry(struct decoder *decoder, const struct adapter *adapter, const struct decode_limits *limits,
                     const void *payload, size_t length, const struct decode_sink *sink);

/* Whether another subsystem's message would take all of the record: every field is one of its own, in its form and
 * within its range. For telling a message on the wrong topic; only inside the sink's call. */
bool decode_fits(struct decoder *decoder, const struct adapter *other, const struct record *record);

/* The other kinds: inventory, staff, work, case, interval. Their records become cJSON objects with the .proto's field
 * names (enums as their names in capitals, a position as top-level `lon`, `lat` in WGS 84 degrees instead of
 * `position`). All of it is the decoder's: valid only inside the sink's call. A place outside the extent goes into
 * `outside_lon`, `outside_lat` instead of `lon`, `lat`; a case that says a place outside, or one that is nowhere, is
 * refused: it is not the county's. */
struct document {
    int index;
    const cJSON *object;
    const struct decode_flaw *flaws; /* bad fields, left out of the object */
    unsigned flaw_count;
};
struct document_sink {
    void (*document)(void *user, const struct document *document);
    void (*problem)(void *user, int index, const char *code, const char *reason);
    void (*warning)(void *user, int index, const char *code, const char *field, const char *reason);
    void *user;
};
/* The limits hold for observed_at_ms and occurred_at_ms; other times may lie ahead. Returns as decode_telemetry;
 * CH_ENOTFOUND for a kind that is none of these. */
int decode_document(struct decoder *decoder, enum topic_kind kind, const struct decode_limits *limits,
                    const void *payload, size_t length, const struct document_sink *sink);

/* Whether an adapter's table fits its descriptor: ordinals 1 to n without gaps, a field of the same name and a fitting
 * type for every metric, a metric for every field, sensible ranges, kinds and checks that name known metrics. Returns
 * 0, or CH_EINVAL with what is wrong in `reason`. For a test, and for the hub's start. */
int decode_check_adapter(const struct adapter *adapter, char *reason, size_t size);

#endif
