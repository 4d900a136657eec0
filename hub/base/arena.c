/* arena.c: blocks that double, so that a few things cost little and many are few allocations. */
#include "hub/base/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { BLOCK_FIRST = 2048, BLOCK_LAST = 65536 /* bytes */ };

struct arena_block {
    struct arena_block *older;
    size_t used, size;
    void *room[]; /* aligned as a pointer is */
};

static struct arena_block *block_add(struct arena *arena, size_t bytes) {
    size_t size = arena->blocks == NULL ? (size_t)BLOCK_FIRST : arena->blocks->size * 2;
    size = size > BLOCK_LAST ? (size_t)BLOCK_LAST : size;
    size = size < bytes ? bytes : size;
    struct arena_block *block = calloc(1, sizeof *block + size);
    if (block != NULL) {
        block->size = size;
        block->older = arena->blocks;
        arena->blocks = block;
        arena->bytes += sizeof *block + size;
    }
    return block;
}

void *arena_take(struct arena *arena, size_t bytes) {
    struct arena_block *block = arena->blocks;
    bytes = (bytes + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    if ((block == NULL || block->size - block->used < bytes) && (block = block_add(arena, bytes)) == NULL) {
        return NULL;
    }
    void *taken = (char *)block->room + block->used;
    block->used += bytes;
    return taken;
}

void arena_free(struct arena *arena) {
    for (struct arena_block *block = arena->blocks, *older; block != NULL; block = older) {
        older = block->older;
        free(block);
    }
    *arena = (struct arena){.blocks = NULL};
}
