/* decode.h: from a message's bytes to records, by an adapter's descriptor: protobuf or JSON with the same field names.
 * Knows nothing of devices or storage, and of topics the kinds alone. Never trusts a byte: every bad record is reported
 * with its place and reason, every good one of the same message is delivered.
 *
 * A payload is protobuf (<Subsystem>Batch) or JSON: one record, an array of records, or {"records": [...]}. In JSON,
 * null is the same as an absent field, and so is an empty text in both forms. Of a protobuf field that comes twice the
 * last one counts, as protobuf has it; a JSON name that comes twice refuses its record.
 *
 * Codes of problems: malformed, empty_batch, too_many_records, missing_device_code, missing_time, missing_field,
 * wrong_type, not_finite, bad_code, bad_text, bad_enum, time_ahead, time_too_old, bad_position,
 * missing_coordinate_system, duplicate_field, no_readings. Code of warnings: unknown_field. */
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

/* One telemetry record. Strings belong to the decoder: valid only inside the sink's call. */
struct record {
    int index; /* its place in the message, from 0 */
    const char *device_code;
    size_t device_code_length; /* 1 to DECODE_CODE_MAX, valid UTF-8, no control characters; NUL-terminated */
    int64_t observed_at_ms;    /* UTC epoch milliseconds, within the limits */
    bool has_position;
    double lon, lat;                        /* WGS 84, degrees */
    uint64_t present;                       /* bit (ordinal - 1): there is a reading */
    uint64_t quality;                       /* bit (ordinal - 1): the reading is outside the metric's physical range */
    uint64_t text_present;                  /* bit (ordinal - 1): there is a text */
    double values[ADAPTER_METRICS_MAX];     /* values[ordinal - 1] where present: finite */
    const char *texts[ADAPTER_METRICS_MAX]; /* texts[ordinal - 1] where present: 1 to DECODE_TEXT_MAX bytes of UTF-8 */
};

/* Times outside [oldest_ms, newest_ms] are refused. */
struct decode_limits {
    int64_t oldest_ms, newest_ms;
};

/* Where results go. `user` is handed through. `index` is the record's place, -1 for the whole message. A bad record has
 * exactly one problem: the first that was found. `reason` is a sentence of valid UTF-8 that names the field. */
struct decode_sink {
    void (*record)(void *user, const struct record *record);
    void (*problem)(void *user, int index, const char *code, const char *reason);
    /* A field that this build does not know was ignored; the record is delivered all the same. Said once per field and
     * message, with the record that had it first, for at most 16 fields. */
    void (*warning)(void *user, int index, const char *code, const char *reason);
    void *user;
};

/* Reused memory of one lane, about 72 KiB and 3 KiB for each adapter that it has seen; it does not grow with messages.
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

/* The other kinds: inventory, staff, work, case. Their records become cJSON objects with the .proto's field names
 * (enums as their names in capitals, a position as top-level `lon`, `lat` in WGS 84 degrees instead of `position`).
 * `document` owns nothing: the object is freed after the call. */
struct document_sink {
    void (*document)(void *user, int index, const cJSON *object);
    void (*problem)(void *user, int index, const char *code, const char *reason);
    void (*warning)(void *user, int index, const char *code, const char *reason);
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
