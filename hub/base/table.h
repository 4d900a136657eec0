/* table.h: things found by their hash, without a link in each: open addressing, 12 bytes a slot, at most seven of eight
 * taken. For what there are hundreds of thousands of; where there are few, uthash is as good. Does not own what is in
 * it. */
#ifndef CITYHUB_TABLE_H
#define CITYHUB_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero = empty. */
struct table {
    void **entries;   /* NULL = a free slot */
    uint32_t *hashes; /* of the entries */
    size_t count, slots;
};

/* NULL = none of the entries with this hash is `same` as the key. */
void *table_find(const struct table *table, uint32_t hash, bool (*same)(const void *entry, const void *key),
                 const void *key);
/* What is added is not there yet. Returns 0 or CH_EMEMORY: then the table is as it was. */
int table_add(struct table *table, uint32_t hash, void *entry);
/* It is there. */
void table_remove(struct table *table, uint32_t hash, const void *entry);

/* One entry after the other, in no order, then NULL; `*at` begins with 0. Whoever has taken out the entry that came
 * last goes on with *at - 1; some may come twice then. */
void *table_next(const struct table *table, size_t *at);

void table_free(struct table *table);

#endif
