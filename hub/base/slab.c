/* slab.c: blocks that begin at a multiple of their size, so that a thing's address tells its block. */
#include "hub/base/slab.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCK_BYTES = 65536 };

struct slab_block {
    struct slab_block *before, *after; /* among those with room */
    void **given_back;                 /* each points to the next */
    size_t used, live;                 /* things that were ever taken, and that are now */
    void *room[];                      /* aligned as a pointer is */
};

static size_t capacity(size_t size) {
    return (BLOCK_BYTES - sizeof(struct slab_block)) / size;
}

static void enlist(struct slab *slab, struct slab_block *block) {
    block->before = NULL;
    block->after = slab->open;
    if (slab->open != NULL) {
        slab->open->before = block;
    }
    slab->open = block;
}

static void delist(struct slab *slab, struct slab_block *block) {
    if (block->before == NULL) {
        slab->open = block->after;
    } else {
        block->before->after = block->after;
    }
    if (block->after != NULL) {
        block->after->before = block->before;
    }
}

static uintptr_t beyond(const void *memory) {
    return (uintptr_t)memory & (BLOCK_BYTES - 1);
}

static void *map(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* From the kernel: the library's allocator does not use again what one such block leaves. Nearly always one comes next
 * to the one before it, and begins where it must. */
static struct slab_block *block_map(void) {
    char *memory = map(BLOCK_BYTES);
    if (memory == NULL || beyond(memory) == 0) {
        return (struct slab_block *)(void *)memory;
    }
    munmap(memory, BLOCK_BYTES);
    memory = map((size_t)2 * BLOCK_BYTES);
    if (memory == NULL) {
        return NULL;
    }
    size_t head = BLOCK_BYTES - beyond(memory), tail = beyond(memory);
    munmap(memory, head);
    if (tail > 0) {
        munmap(memory + head + BLOCK_BYTES, tail);
    }
    return (struct slab_block *)(void *)(memory + head);
}

void *slab_take(struct slab *slab, size_t size) {
    struct slab_block *block = slab->open;
    if (block == NULL) {
        block = block_map(); /* all zero */
        if (block == NULL) {
            return NULL;
        }
        enlist(slab, block);
    }
    void **thing = block->given_back;
    if (thing != NULL) {
        block->given_back = *thing;
    } else {
        thing = (void **)(void *)((char *)block->room + block->used++ * size);
    }
    block->live++;
    if (block->given_back == NULL && block->used == capacity(size)) {
        delist(slab, block);
        block->before = block; /* full: in no list */
    }
    return memset(thing, 0, size);
}

void slab_give(struct slab *slab, void *thing) {
    struct slab_block *block = (struct slab_block *)((uintptr_t)thing & ~(uintptr_t)(BLOCK_BYTES - 1));
    void **slot = thing;
    *slot = block->given_back;
    block->given_back = slot;
    block->live--;
    if (block->before == block) {
        enlist(slab, block);
    }
    if (block->live == 0 && (block->before != NULL || block->after != NULL)) {
        delist(slab, block);
        munmap(block, BLOCK_BYTES);
    }
}

void slab_free(struct slab *slab) {
    if (slab->open != NULL) {
        munmap(slab->open, BLOCK_BYTES);
    }
    slab->open = NULL;
}
