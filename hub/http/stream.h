/* stream.h: the live stream's requests: what is asked for, by whom, what of it may be seen, and whether that is still
 * so. The events are the feed's (hub/live). */
#ifndef CITYHUB_STREAM_H
#define CITYHUB_STREAM_H

#include <uv.h>

#include "hub/http/answer.h"

struct pool;
struct streams;

/* Asks, through the pool, every few seconds whether who listens still may. NULL after logging why. */
struct streams *streams_open(uv_loop_t *loop, struct pool *pool);
/* After its requests were cut, before the pool is closed. `closed` (may be NULL) is called from the loop when nothing
 * is left of it. */
void streams_close(struct streams *streams, void (*closed)(void *user), void *user);

/* GET /api/v1/stream. */
void stream_answer(struct request *request, struct answer *answer);

#endif
