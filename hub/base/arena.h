/* arena.h: memory for many small things that are freed all together: one behind the other in blocks, without the bytes
 * that each allocation costs by itself. */
#ifndef CITYHUB_ARENA_H
#define CITYHUB_ARENA_H

#include <stddef.h>

struct arena_block;

/* All zero = empty. */
struct arena {
    struct arena_block *blocks; /* the one that is being filled first */
    size_t bytes;               /* of memory that it has */
};

/* All zero, for anything that needs no more alignment than a pointer. NULL = out of memory. */
void *arena_take(struct arena *arena, size_t bytes);
void arena_free(struct arena *arena);

#endif
