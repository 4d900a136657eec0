/* writer.h: stores batches: a pool of database connections, one batch a connection, everything of a batch in one
 * transaction. It never gives a batch up: it tries again until the batch is committed; what the database refuses for
 * its own fault goes to quarantine. */
#ifndef CITYHUB_WRITER_H
#define CITYHUB_WRITER_H

#include <uv.h>

#include "hub/base/config.h"
#include "hub/store/batch.h"

struct writer;

/* `outbox_written` (may be NULL) is called after a commit that left something in the outbox. Returns NULL after logging
 * why: a writer has all of its connections or is none. */
struct writer *writer_open(uv_loop_t *loop, const struct config *config, void (*outbox_written)(void *user),
                           void *user);

/* Hands a batch over. It belongs to the writer until `committed` is called, from the loop and not from within this
 * call. One batch of a lane at a time. */
struct writer_job {
    struct batch *batch;
    void (*committed)(void *user);
    void *user;
    bool yields;             /* it lets others pass, and leaves them a connection: but for a second at the most */
    struct writer_job *next; /* the writer's */
    uint64_t submitted_at;   /* the writer's */
};
void writer_submit(struct writer *writer, struct writer_job *job);

/* At least half of the connections have nothing to do: a small batch costs nobody anything. */
bool writer_spare(const struct writer *writer);

/* The retention has dropped partitions: which days have one is asked anew. */
void writer_forget_partitions(struct writer *writer);

bool writer_connected(const struct writer *writer); /* at least one connection */

/* Why nothing can be stored: for seconds every try has failed and none has succeeded. NULL = it can. */
const char *writer_trouble(const struct writer *writer);

/* Batches that are not committed are let go without `committed`; `closed` is called when nothing is left. */
void writer_close(struct writer *writer, void (*closed)(void *user), void *user);

#endif
