/* pool.h: memory for many things of one size that come and go: in blocks, without the bytes that each allocation costs
 * by itself, and away from what stays, so that a block whose things have all gone is given back. */
#ifndef CITYHUB_POOL_H
#define CITYHUB_POOL_H

#include <stddef.h>

struct pool_block;

/* All zero = empty. */
struct pool {
    struct pool_block *open; /* blocks with room */
};

enum { POOL_SIZE_MAX = 1024 };

/* `size` bytes, all zero, for anything that needs no more alignment than a pointer: a multiple of a pointer's size, at
 * most POOL_SIZE_MAX, the same for all of a pool. NULL = out of memory. */
void *pool_take(struct pool *pool, size_t size);
/* Back to its pool. When all have gone nothing but one block stays, which pool_free frees. */
void pool_give(struct pool *pool, void *thing);
/* All of its things must have been given back. */
void pool_free(struct pool *pool);

#endif
