/* pace.h: when a lane's batch goes. A lane that brings little goes as soon as the writers have nothing better to do;
 * one that brings much goes when its batch is full, and while others bring little it has smaller batches, one at a
 * time, and rests between them. Does no I/O, and knows nothing of lanes but what it is told. */
#ifndef CITYHUB_PACE_H
#define CITYHUB_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Times are milliseconds of one clock that only goes forward (uv_now). Zeroed, it is a lane that has stored nothing. */
struct pace {
    uint64_t filled_at; /* when the first message of the filling batch came */
    uint64_t handed_at; /* when the last batch was handed over */
    uint64_t brought;   /* records that it had */
    uint64_t took_ms;   /* from handing over to commit, of the last committed one */
    /* The same while nobody was in the way: falls at once, rises by 1 a commit. A lane that brings little rests by
     * this, or it would wait the longer the more others bring. */
    uint64_t cost_ms;
    bool costed; /* one was committed: cost_ms is known */
};

/* What a lane has to hand over, and what else is to be known for that. */
struct pace_batch {
    uint64_t now;
    size_t records;       /* good and bad */
    bool large;           /* it has as many bytes as a batch may have */
    int in_flight;        /* batches of this lane that the writers have */
    bool spare;           /* writers have nothing to do */
    int64_t records_most; /* of a batch: [lane] batch_records */
    uint64_t age_most_ms; /* [lane] batch_age_ms */
};

/* Whether another lane has brought little within the last second: it is the one that others must not hold up. */
bool pace_shared(const struct pace *pace, uint64_t now);

/* It takes no more messages. */
bool pace_full(const struct pace *pace, const struct pace_batch *batch);

/* The batch, which has a message, goes in so many ms; 0 = now, PACE_WAIT = not before one that is in flight is
 * committed. */
#define PACE_WAIT UINT64_MAX
uint64_t pace_due(const struct pace *pace, const struct pace_batch *batch);

/* It is handed over. Returns whether it gives way to others' at the writers. */
bool pace_handed(struct pace *pace, const struct pace_batch *batch);

/* One is committed, so many ms after it was handed over. */
void pace_committed(struct pace *pace, uint64_t took_ms);

/* A lane ends: nobody waits for it any more. */
void pace_forget(const struct pace *pace);

#endif
