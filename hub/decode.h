/* decode.h: from a message's bytes to records, by an adapter's descriptor: protobuf or JSON with the same field names.
 * Knows nothing of topics, devices or storage. Never trusts a byte: every bad record is reported with its place and
 * reason, every good one of the same message is delivered. */
#ifndef CITYHUB_DECODE_H
#define CITYHUB_DECODE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/adapter.h"

enum {
    DECODE_CODE_MAX = 128,   /* bytes of a device code */
    DECODE_TEXT_MAX = 1024,  /* bytes of a text metric */
    DECODE_REASON_MAX = 240, /* bytes of a reason, with its end */
};

/* One telemetry record. Strings point into the payload or the decoder: valid only inside the sink's call. */
struct record {
    int index; /* its place in the message, from 0 */
    const char *device_code;
    size_t device_code_length; /* 1 to DECODE_CODE_MAX, valid UTF-8, no control characters */
    int64_t observed_at_ms;    /* UTC epoch milliseconds, within the limits */
    bool has_position;
    double lon, lat;      /* WGS 84, degrees */
    uint64_t present;     /* bit (ordinal - 1): there is a reading */
    uint64_t quality;     /* bit (ordinal - 1): the reading is outside the metric's physical range */
    uint64_t text_present; /* bit (ordinal - 1): there is a text */
    double values[ADAPTER_METRICS_MAX]; /* values[ordinal - 1], finite */
    const char *texts[ADAPTER_METRICS_MAX]; /* texts[ordinal - 1], NUL-terminated valid UTF-8 */
};

/* Times outside [oldest_ms, newest_ms] are refused. */
struct decode_limits {
    int64_t oldest_ms, newest_ms;
};

/* Where results go. `user` is handed through. `index` is the record's place, -1 for the whole message. `code` is one of
 * the short words of decode.c's table (documented in docs/vendors.md), `reason` a sentence with the field's name. */
struct decode_sink {
    void (*record)(void *user, const struct record *record);
    void (*problem)(void *user, int index, const char *code, const char *reason);
    /* Something was ignored, e.g. a field that this build does not know; the record is delivered all the same. */
    void (*warning)(void *user, int index, const char *code, const char *reason);
    void *user;
};

/* Reused memory of one lane: grows to the largest message seen and stays within the message size limit's order. */
struct decoder;
struct decoder *decoder_new(void); /* NULL = out of memory */
void decoder_free(struct decoder *decoder);

/* Decodes one telemetry message. Delivers good records in order and reports every bad one; a message that cannot be
 * divided into records at all gives one problem with index -1. Returns the number of records the message had, good and
 * bad (0 with a problem of index -1), or CH_EMEMORY. */
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
/* `kind` is one of "inventory", "staff", "work", "case". Returns as decode_telemetry; CH_ENOTFOUND for another kind. */
int decode_document(struct decoder *decoder, const char *kind, const struct decode_limits *limits, const void *payload,
                    size_t length, const struct document_sink *sink);

#endif
