/* tile_cache.c: entries by key, in the order of their last use. Must never free what an answer still sends. */
#include "hub/live/tile_cache.h"

#include <stdlib.h>
#include <string.h>

/* An entry for which memory is out is not added, and its hh.tbl is NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct kept {
    struct tile_entry entry; /* first: what callers see */
    struct tile_key key;
    char *bytes;
    unsigned uses; /* answers, and the cache */
    UT_hash_handle hh;
};

struct tile_cache {
    struct kept *entries;
    size_t limit, bytes;
};

struct tile_cache *tile_cache_new(size_t limit) {
    struct tile_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL) {
        cache->limit = limit;
    }
    return cache;
}

static size_t size_of(const struct kept *kept) {
    return sizeof *kept + kept->entry.length;
}

void tile_entry_release(void *entry) {
    struct kept *kept = entry;
    if (--kept->uses == 0) {
        free(kept->bytes);
        free(kept);
    }
}

const struct tile_entry *tile_cache_again(const struct tile_entry *entry) {
    ((struct kept *)(uintptr_t)entry)->uses++;
    return entry;
}

static void drop(struct tile_cache *cache, struct kept *kept) {
    HASH_DEL(cache->entries, kept);
    cache->bytes -= size_of(kept);
    tile_entry_release(kept);
}

void tile_cache_free(struct tile_cache *cache) {
    if (cache != NULL) {
        while (cache->entries != NULL) {
            drop(cache, cache->entries);
        }
        free(cache);
    }
}

/* As the last one. False without memory: it is released then. */
static bool append(struct tile_cache *cache, struct kept *kept) {
    HASH_ADD(hh, cache->entries, key, sizeof kept->key, kept);
    if (kept->hh.tbl == NULL) {
        tile_entry_release(kept);
        return false;
    }
    cache->bytes += size_of(kept);
    return true;
}

const struct tile_entry *tile_cache_take(struct tile_cache *cache, const struct tile_key *key, uint64_t version) {
    struct kept *kept;
    HASH_FIND(hh, cache->entries, key, sizeof *key, kept);
    if (kept == NULL || kept->entry.version != version) {
        return NULL;
    }
    kept->uses++;
    HASH_DEL(cache->entries, kept);
    cache->bytes -= size_of(kept);
    append(cache, kept); /* without memory it is the caller's alone */
    return &kept->entry;
}

const struct tile_entry *tile_cache_put(struct tile_cache *cache, const struct tile_key *key, uint64_t version,
                                        char *bytes, size_t length, bool encoded) {
    struct kept *old, *kept = calloc(1, sizeof *kept);
    HASH_FIND(hh, cache->entries, key, sizeof *key, old);
    if (old != NULL) {
        drop(cache, old);
    }
    if (kept == NULL) {
        free(bytes);
        return NULL;
    }
    kept->entry = (struct tile_entry){.version = version, .length = length, .encoded = encoded, .bytes = bytes};
    kept->bytes = bytes;
    memcpy(&kept->key, key, sizeof *key); /* with what lies between its members */
    kept->uses = 2;
    append(cache, kept);
    while (cache->bytes > cache->limit && cache->entries != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): HASH_DEL has moved the head on before its entry is freed */
        drop(cache, cache->entries);
    }
    return &kept->entry;
}

size_t tile_cache_bytes(const struct tile_cache *cache) {
    return cache->bytes;
}
