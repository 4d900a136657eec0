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
    int64_t stamp_us; /* received_at of its rows and key of its batch_log row */
};

/* Rows [begin, end) of one of the batch's two indexes that belong to the slice; refused messages have none. */
struct slice_range {
    const struct batch_row *rows;
    size_t begin, end;
    const struct buffer *bytes;
    size_t byte_begin, byte_end;
};
enum slice_part { SLICE_ROWS, SLICE_TRACKS };
struct slice_range slice_range(const struct slice *slice, enum slice_part part);

/* A new mark: with it a device counts once in a statement (device->mark). */
uint32_t slice_mark(void);

size_t slice_rows(const struct slice *slice);

/* Devices of the slice that have no id yet. */
size_t slice_devices_without_id(const struct slice *slice);
/* Gives the ids of `result` (one an row) to those devices. */
void slice_give_ids(const struct slice *slice, const PGresult *result);
/* All devices of the slice are in the database now. */
void slice_devices_registered(const struct slice *slice);
/* Takes in which ids devices really have: the answer to transaction_ask_ids. */
void slice_take_ids(const struct slice *slice, const PGresult *result);

/* Hours, or days, (since the UTC epoch) of the slice's rows, each once, ascending; the caller frees. NULL = out of
 * memory. */
int64_t *slice_hours(const struct slice *slice, size_t *count);
int64_t *slice_days(const struct slice *slice, size_t *count);

/* The fates of the slice's rows, from onemap.observation_settle's answer. */
void slice_take_fates(const struct slice *slice, const PGresult *settled);

/* In both paths each document is answered by what became of its records: SLICE_DOCUMENT_FIELDS columns. */
enum { SLICE_DOCUMENT_FIELDS = 4 };
void slice_take_document(const struct slice *slice, const PGresult *stored);

#endif
