/* transaction.h: a slice of a batch as SQL: statements, COPY data, receipts. Used by writer.c alone; does no I/O. */
#ifndef CITYHUB_TRANSACTION_H
#define CITYHUB_TRANSACTION_H

#include "hub/batch.h"
#include "hub/session.h"

enum { TRANSACTION_COPIES_MAX = 4 };

/* Messages [first, last) of a batch. */
struct slice {
    struct batch *batch;
    size_t first, last;
    int64_t stamp_us; /* received_at of its rows and key of its batch_log row */
};

/* One query string with its COPY data; memory is kept from one use to the next. */
struct transaction {
    struct buffer sql;
    struct buffer data[TRANSACTION_COPIES_MAX];
    struct session_copy copies[TRANSACTION_COPIES_MAX];
    size_t copy_count;
    bool outbox; /* it writes receipts */
};

void transaction_reset(struct transaction *transaction);
void transaction_free(struct transaction *transaction);
/* True if memory was out while it was built. */
bool transaction_failed(const struct transaction *transaction);

size_t slice_rows(const struct slice *slice);

/* Devices of the slice that have no id yet. */
size_t slice_devices_without_id(const struct slice *slice);
/* Gives the ids of `result` (one an row) to those devices. */
void slice_give_ids(const struct slice *slice, const PGresult *result);
/* All devices of the slice are in the database now. */
void slice_devices_registered(const struct slice *slice);
/* Asks which ids the slice's unregistered devices really have, and takes the answer in. */
void slice_ask_ids(const struct slice *slice, struct transaction *transaction);
void slice_take_ids(const struct slice *slice, const PGresult *result);

/* Days (since the UTC epoch) of the slice's rows, each once, ascending; the caller frees. NULL = out of memory. */
int64_t *slice_days(const struct slice *slice, size_t *count);

/* The fast path: all in one. */
void transaction_store(struct transaction *transaction, const struct slice *slice);
/* The slow path in two: first the rows through the stage tables; its results are the rows' fates ... */
void transaction_settle(struct transaction *transaction, const struct slice *slice);
void slice_take_fates(const struct slice *slice, const PGresult *settled);
/* ... then all the rest, and COMMIT. */
void transaction_finish(struct transaction *transaction, const struct slice *slice);
/* In both paths each document is answered by what became of its records: SLICE_DOCUMENT_FIELDS columns. */
enum { SLICE_DOCUMENT_FIELDS = 4 };
void slice_take_document(const struct slice *slice, const PGresult *stored);

#endif
