/* batch.h: what a lane has read and not committed yet: messages with their payloads, the rows that came of them, their
 * problems. Built by intake.c, stored by writer.c; a message is never divided between batches. Where memory is out,
 * `failed` says so; the message at hand is then taken out again. Does no I/O. */
#ifndef CITYHUB_BATCH_H
#define CITYHUB_BATCH_H

#include "hub/base/buffer.h"
#include "hub/base/metrics.h"
#include "hub/know/alarm.h"
#include "hub/know/registry.h"

/* One row of observation or track_point. */
struct batch_row {
    struct device *device;
    int64_t observed_at_ms;
    int64_t evaluated_ms; /* the device's, before this record */
    uint32_t offset;      /* of the rest of it in batch.rows or batch.tracks, which are far smaller than 4 GiB */
    uint32_t message;     /* its place in the batch */
    uint32_t record;      /* of a place: its record's row in batch.row_index */
    uint8_t place_fate;   /* of a record: what became of its place, an enum batch_fate, once settled */
    uint8_t fate;         /* of a record: what became of it, an enum batch_fate, once settled */
};

enum {
    BATCH_SHA256_BYTES = 32,
    BATCH_ID_BYTES = 37,       /* a UUID as text, with its NUL */
    BATCH_DELIVERY_BYTES = 10, /* of a message in onemap.delivery: identifier and key, big-endian */
};

enum batch_fate { FATE_STORED, FATE_DUPLICATE, FATE_MERGED, FATE_REVISED, FATE_COUNT };

struct batch_message {
    const struct adapter *adapter;
    struct vendor *vendor; /* NULL = unknown */
    size_t topic, payload, name, vendor_name,
        kind;                                 /* where they stand in batch.texts; all but the payload end with NUL */
    size_t payload_length;                    /* of what is kept */
    size_t length;                            /* of the message as it came */
    unsigned char sha256[BATCH_SHA256_BYTES]; /* of the message as it came */
    uint64_t key;                             /* of topic, name and content: what a redelivery has in common */
    uint16_t identifier;                      /* the packet's; 0 = it cannot be delivered again */
    int64_t received_at_ms;
    int64_t first_received_ms;     /* of a replayed message: when it came first; 0 = it has come now */
    int64_t stamp_us;              /* of the slice that committed it */
    int total;                     /* records, good and bad; 0 = it could not be read at all */
    uint32_t first_row, row_count; /* in batch.row_index */
    uint32_t first_track, track_count;
    uint32_t fates[FATE_COUNT];       /* rows by enum batch_fate, once settled; all FATE_STORED before */
    int problem_count;                /* records that are refused, or 1 for the whole message */
    int field_count;                  /* bad fields of records that are stored without them */
    int warning_count;                /* listed below or not */
    size_t problems, problems_length; /* of both, JSON objects separated by commas, in batch.texts */
    size_t warnings, warnings_length;
    size_t code, reason; /* of the first problem, in batch.texts */
    int flawed_count;    /* records that are stored, and of which something is found that their vendor has to mend */
    size_t first_tally, tally_count;
    size_t document;    /* message_store's argument in batch.texts; 0 = telemetry */
    bool inventory;     /* it is a document that changes the registry */
    bool wants_receipt; /* whatever its vendor's setting is */
    bool refused;       /* the database refused it: only its quarantine row is stored */
};

enum batch_tally_kind { TALLY_REFUSED, TALLY_FIELD, TALLY_WARNING };

/* How often a message has a kind of finding, and the first of them; its texts are in batch.texts, 0 = none. */
struct batch_tally {
    const char *code, *field; /* they last; NULL = it is of no single field */
    size_t device, reason;
    double value; /* NAN = none */
    int64_t observed_at_ms;
    int index; /* of the record, -1 = the message */
    uint32_t count;
    enum batch_tally_kind kind;
};

/* A record of a state for which the adapter has a check. */
struct batch_check {
    const struct adapter_check *check;
    struct device *device;
    int64_t observed_at_ms;
    bool has_position;
    double lon, lat;
    uint32_t message;
};

struct batch {
    struct lane_metrics *metrics;
    const char *lane;          /* by which its deliveries are remembered; NULL = they are not */
    int64_t forget_before_us;  /* and those up to which stamp are not needed any more */
    int64_t quarantine_budget; /* bytes that a vendor may bring into quarantine in a day */
    struct batch_message *messages;
    size_t message_count, message_capacity;
    struct buffer rows, tracks; /* as batch.c has them */
    struct batch_row *row_index, *track_index;
    size_t row_count, row_capacity, track_count, track_capacity;
    struct batch_check *checks;
    size_t check_count, check_capacity;
    struct alarm_operation *operations;
    size_t operation_count, operation_capacity;
    struct batch_tally *tallies;
    size_t tally_count, tally_capacity;
    struct buffer texts;   /* begins with a NUL, so that 0 is no text and an empty one */
    struct buffer ids;     /* of its committed slices, BATCH_ID_BYTES each */
    size_t document_count; /* messages that are documents */
    size_t inventory_count;
    bool replays;  /* a message is a replayed one */
    bool revisits; /* a record is not newer than all before it of its device: its key may be there already */
    int records;   /* good and bad, of all messages */
    bool failed;   /* memory was out: the last message is not whole */
};

const char *batch_text(const struct batch *batch, size_t at);
size_t batch_keep_text(struct batch *batch, const char *text, size_t length); /* returns its place */

struct batch_message *batch_message_add(struct batch *batch); /* zeroed; NULL = out of memory */
void batch_row_add(struct batch *batch, struct device *device, const struct record *record, const char *attributes,
                   size_t attributes_length);
/* The place of the record whose row was added last. */
void batch_track_add(struct batch *batch, struct device *device, const struct record *record);
void batch_check_add(struct batch *batch, const struct adapter_check *check, struct device *device,
                     const struct record *record);
struct batch_tally *batch_tally_add(struct batch *batch); /* zeroed; NULL = out of memory */
/* Names that last are the same if their places are. */
static inline bool batch_tally_is(const struct batch_tally *tally, enum batch_tally_kind kind, const char *code,
                                  const char *field) {
    return tally->kind == kind && tally->code == code && tally->field == field;
}
/* Returns 0 or CH_EMEMORY. */
int batch_operation_add(struct batch *batch, const struct alarm_operation *operation);

/* What a row says, but for its texts: `record` gets time, readings, quality, or the place of a track point. */
void batch_row_read(const struct batch *batch, const struct batch_row *row, struct record *record);
void batch_track_read(const struct batch *batch, const struct batch_row *row, struct record *record);

/* Appends the row in COPY's binary form: device_id, observed_at, received_at and the rest of the table's columns. */
struct batch_stamp {
    int32_t device_id;
    int64_t received_us;
};
void batch_row_copy(const struct batch *batch, const struct batch_row *row, struct batch_stamp stamp,
                    struct buffer *copy);
void batch_track_copy(const struct batch *batch, const struct batch_row *row, struct batch_stamp stamp,
                      struct buffer *copy);

/* Where the batch ends now. batch_cut takes back all that was added since, and that memory was out: what was there
 * before is whole. */
struct batch_mark {
    size_t messages, rows, tracks, checks, operations, tallies, documents, inventories;
    size_t row_bytes, track_bytes, text_bytes;
    bool revisits, replays;
};
struct batch_mark batch_mark(const struct batch *batch);
void batch_cut(struct batch *batch, const struct batch_mark *mark);

size_t batch_bytes(const struct batch *batch); /* memory that its content takes */
void batch_reset(struct batch *batch);         /* empties it, keeping a modest amount of memory */
void batch_free(struct batch *batch);

#endif
