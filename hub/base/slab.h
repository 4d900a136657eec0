/* slab.h: memory for many things of one size that come and go: in blocks, without the bytes that each allocation costs
 * by itself, and away from what stays, so that a block whose things have all gone is given back. */
#ifndef CITYHUB_SLAB_H
#define CITYHUB_SLAB_H

#include <stddef.h>

struct slab_block;

/* All zero = empty. */
struct slab {
    struct slab_block *open; /* blocks with room */
};

enum { SLAB_SIZE_MAX = 1024 };

/* `size` bytes, all zero, for anything that needs no more alignment than a pointer: a multiple of a pointer's size, at
 * most SLAB_SIZE_MAX, the same for all of a slab. NULL = out of memory. */
void *slab_take(struct slab *slab, size_t size);
/* Back to its slab. When all have gone nothing but one block stays, which slab_free frees. */
void slab_give(struct slab *slab, void *thing);
/* All of its things must have been given back. */
void slab_free(struct slab *slab);

#endif
