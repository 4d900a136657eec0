/* table.c: linear probing; what is taken out leaves no mark, as those behind it move up. Must never be full: a search
 * ends at a free slot. */
#include "hub/base/table.h"

#include <stdlib.h>

#include "hub/base/error.h"

enum { SLOTS_FIRST = 16 };

/* Bits of a hash that are alike in many keys are at its end, or at its beginning. */
static size_t slot_of(const struct table *table, uint32_t hash) {
    return (uint32_t)(hash * UINT32_C(2654435769) >> 7) & (table->slots - 1);
}

static void put(struct table *table, uint32_t hash, void *entry) {
    size_t slot = slot_of(table, hash);
    while (table->entries[slot] != NULL) {
        slot = (slot + 1) & (table->slots - 1);
    }
    table->entries[slot] = entry;
    table->hashes[slot] = hash;
}

void *table_find(const struct table *table, uint32_t hash, bool (*same)(const void *entry, const void *key),
                 const void *key) {
    if (table->count == 0) {
        return NULL;
    }
    for (size_t slot = slot_of(table, hash); table->entries[slot] != NULL; slot = (slot + 1) & (table->slots - 1)) {
        if (table->hashes[slot] == hash && same(table->entries[slot], key)) {
            return table->entries[slot];
        }
    }
    return NULL;
}

static int grow(struct table *table) {
    struct table grown = {.slots = table->slots == 0 ? SLOTS_FIRST : table->slots * 2};
    grown.entries = calloc(grown.slots, sizeof *grown.entries);
    grown.hashes = calloc(grown.slots, sizeof *grown.hashes);
    if (grown.entries == NULL || grown.hashes == NULL) {
        table_free(&grown);
        return CH_EMEMORY;
    }
    for (size_t slot = 0; slot < table->slots; slot++) {
        if (table->entries[slot] != NULL) {
            put(&grown, table->hashes[slot], table->entries[slot]);
        }
    }
    grown.count = table->count;
    struct table old = *table;
    *table = grown;
    table_free(&old);
    return 0;
}

int table_add(struct table *table, uint32_t hash, void *entry) {
    if ((table->count + 1) * 8 > table->slots * 7 && grow(table) != 0) {
        return CH_EMEMORY;
    }
    put(table, hash, entry);
    table->count++;
    return 0;
}

void table_remove(struct table *table, uint32_t hash, const void *entry) {
    size_t last = table->slots - 1, hole = slot_of(table, hash);
    while (table->entries[hole] != entry) {
        hole = (hole + 1) & last;
    }
    for (size_t slot = (hole + 1) & last; table->entries[slot] != NULL; slot = (slot + 1) & last) {
        size_t wanted = slot_of(table, table->hashes[slot]);
        if (((slot - wanted) & last) >= ((slot - hole) & last)) { /* a search for it passes the hole */
            table->entries[hole] = table->entries[slot];
            table->hashes[hole] = table->hashes[slot];
            hole = slot;
        }
    }
    table->entries[hole] = NULL;
    table->count--;
}

void *table_next(const struct table *table, size_t *at) {
    while (*at < table->slots) {
        void *entry = table->entries[(*at)++];
        if (entry != NULL) {
            return entry;
        }
    }
    return NULL;
}

void table_free(struct table *table) {
    free(table->entries);
    free(table->hashes);
    *table = (struct table){.entries = NULL};
}
