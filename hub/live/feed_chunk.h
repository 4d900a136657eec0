/* feed_chunk.h: a piece of the stream as its clients get it: server-sent events, made once for all that have the same
 * filter and position, and shared by reference. */
#ifndef CITYHUB_FEED_CHUNK_H
#define CITYHUB_FEED_CHUNK_H

#include "hub/live/feed_filter.h"

enum {
    FEED_CHUNK_BYTES = 16 * 1024,          /* a chunk ends with the thing that reaches so many */
    FEED_MADE_BYTES_MAX = 4 * 1024 * 1024, /* of things made in a turn, that are kept for other filters */
};

struct feed_chunk {
    unsigned references;
    uint64_t from, to; /* what changed behind `from` and up to `to` */
    size_t things;
    size_t length; /* 0 = nothing of it is the filter's */
    char bytes[];
};

/* Of what changed behind `from`, up to the last turn at the most. The caller has the one reference. NULL = out of
 * memory. */
struct feed_chunk *feed_chunk_make(struct feed *feed, const struct feed_filter *filter, uint64_t from);
struct feed_chunk *feed_chunk_keep(struct feed_chunk *chunk);
void feed_chunk_release(struct feed_chunk *chunk); /* NULL is allowed */

#endif
