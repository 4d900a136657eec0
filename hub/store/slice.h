/* slice.h: the part of a batch that one transaction stores, and what the database's answers mean for it. Does no I/O.
 */
#ifndef CITYHUB_SLICE_H
#define CITYHUB_SLICE_H

#include <libpq-fe.h>

#include "hub/store/batch.h"

/* Messages [first, last) of a batch. */
struct slice {
    struct batch *batch;
    size_t first, last;
    int64_t stamp_us;        /* received_at of its rows */
    char id[BATCH_ID_BYTES]; /* of its batch_log row: a UUID as text */
};

/* A stamp and an id that no try before had. Stamps grow, unless the clock was set back. */
void slice_stamp(struct slice *slice);

/* Rows [begin, end) of one of the batch's two indexes that belong to the slice; refused messages have none. */
struct slice_range {
    const struct batch_row *rows;
    size_t begin, end;
};
enum slice_part { SLICE_ROWS, SLICE_TRACKS };
struct slice_range slice_range(const struct slice *slice, enum slice_part part);

/* A new mark: with it a device counts once in a statement (device->mark). */
uint32_t slice_mark(void);

size_t slice_rows(const struct slice *slice);
size_t slice_tracks(const struct slice *slice);

/* Devices of the slice that have no id yet. */
size_t slice_devices_without_id(const struct slice *slice);
/* Gives the ids of `result` (one an row) to those devices. */
void slice_give_ids(const struct slice *slice, const PGresult *result);
/* The slice is committed: its devices are in the database, its messages have its stamp, the batch its id. */
void slice_committed(const struct slice *slice);
/* Takes in rows of devices (REGISTRY_DEVICE_COLUMNS) that the slice has changed; NULL = none. */
void slice_take_devices(const struct slice *slice, const PGresult *devices);
/* Takes in which ids devices really have: the answer to transaction_ask_ids. */
void slice_take_ids(const struct slice *slice, const PGresult *result);

/* Hours, or days, (since the UTC epoch) of the slice's rows, each once, ascending; the caller frees. NULL = out of
 * memory. */
int64_t *slice_hours(const struct slice *slice, size_t *count);
int64_t *slice_days(const struct slice *slice, size_t *count);

/* What became of the slice's places, and then of its rows: a row of the answer for each that was not simply stored: an
 * enum batch_fate, and the number of the slice's place or row, from 1. A record whose row was there already is merged
 * by a place that was not, and revised by another one. */
void slice_take_place_fates(const struct slice *slice, const PGresult *settled);
void slice_take_fates(const struct slice *slice, const PGresult *settled);
/* All of them are simply stored, if the transaction at hand is committed; a try before may have said something else. */
void slice_reset_fates(const struct slice *slice);

/* What became of a document's records: the place of its message in the batch, accepted, duplicates, rejected, merged,
 * revised, bad fields. */
void slice_take_document(const struct slice *slice, const PGresult *stored);

/* The slice's one message is not to be stored, for this reason: only its quarantine row will be. Returns false if
 * memory is out: nothing is changed then. */
bool slice_refuse(const struct slice *slice, const char *code, const char *reason);

#endif
