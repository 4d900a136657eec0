/* transaction.h: a slice of a batch as SQL: statements, COPY data, receipts. Used by writer.c alone; does no I/O. */
#ifndef CITYHUB_TRANSACTION_H
#define CITYHUB_TRANSACTION_H

#include "hub/base/copy.h"
#include "hub/link/postgres.h"
#include "hub/store/slice.h"

enum { TRANSACTION_COPIES_MAX = 4 };

/* The COPY of a slice's rows or places, made as the server takes them. */
struct transaction_rows {
    const struct batch *batch;
    const struct batch_row *index;
    uint64_t *places; /* in it, in the low half, in the order in which they go; above it the device's id */
    size_t count, next;
    int64_t stamp_us;
    bool tracks;
    struct copy_pieces pieces;
};

/* One query string with its COPY data; memory is kept from one use to the next. */
struct transaction {
    struct buffer sql;
    struct buffer data[TRANSACTION_COPIES_MAX];
    struct transaction_rows rows[2]; /* by enum slice_part */
    bool failed;                     /* memory was out for one of them */
    struct postgres_copy copies[TRANSACTION_COPIES_MAX];
    size_t copy_count;
    bool outbox; /* it writes receipts */
    /* Numbers of statements, from 0: how many there are, and whose answers are wanted. */
    int statements;
    int place_fates_at, fates_at;     /* -1 = none */
    int documents_at, documents_past; /* those between, one a document */
    int devices_at;                   /* -1 = none */
    PGresult *devices;                /* that its inventories changed, for when it is committed; NULL = none */
};

void transaction_reset(struct transaction *transaction);
void transaction_free(struct transaction *transaction);
/* True if memory was out while it was built. */
bool transaction_failed(const struct transaction *transaction);

/* Asks which ids the slice's unregistered devices really have; slice_take_ids takes the answer in. */
void transaction_ask_ids(struct transaction *transaction, const struct slice *slice);

/* The fast path: all in one. */
void transaction_store(struct transaction *transaction, const struct slice *slice);
/* The slow path in two: first the rows through the stage tables, which says what became of each ... */
void transaction_settle(struct transaction *transaction, const struct slice *slice);
/* ... then all the rest, and COMMIT. */
void transaction_finish(struct transaction *transaction, const struct slice *slice);

/* Asks whether the slice is committed: a row if it is; then what devices it changed. */
void transaction_verify(struct transaction *transaction, const struct slice *slice);

/* The answer to one statement of what was built last: the slice takes in what concerns it. */
void transaction_take(struct transaction *transaction, const struct slice *slice, int statement,
                      const PGresult *result);

#endif
