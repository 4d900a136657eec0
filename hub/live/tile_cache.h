/* tile_cache.h: tiles as they went out last, compressed once. Bounded; what was asked for longest ago goes first.
 * Belongs to the loop's thread. */
#ifndef CITYHUB_TILE_CACHE_H
#define CITYHUB_TILE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/live/tile_scope.h"

/* Of a moment in words, with its end. */
enum { TILE_AT_TEXT = 64 };

/* All bytes of it count: begin with {0}, or memset. */
struct tile_key {
    char scope[TILE_SCOPE_TAG]; /* its tag */
    uint8_t layer, z;
    bool gzip; /* for a client that takes it */
    uint32_t x, y;
    char at[TILE_AT_TEXT]; /* as it was at this moment, as the client wrote it; "" = as it is */
};

struct tile_entry {
    uint64_t version;
    size_t length; /* 0 = the tile is empty */
    bool encoded;  /* the bytes are gzip */
    const char *bytes;
};

struct tile_cache;
/* `limit`: bytes of tiles and of what is kept beside each. NULL = out of memory. */
struct tile_cache *tile_cache_new(size_t limit);
void tile_cache_free(struct tile_cache *cache);

/* NULL = not there in this version. It stays until tile_entry_release, whatever becomes of the cache. */
const struct tile_entry *tile_cache_take(struct tile_cache *cache, const struct tile_key *key, uint64_t version);

/* Keeps the bytes, from malloc (NULL if there are none), which are the cache's from now on, and takes the entry as
 * above. NULL = out of memory, and they are freed. */
const struct tile_entry *tile_cache_put(struct tile_cache *cache, const struct tile_key *key, uint64_t version,
                                        char *bytes, size_t length, bool encoded);
/* Takes it once more. */
const struct tile_entry *tile_cache_again(const struct tile_entry *entry);
void tile_entry_release(void *entry);

size_t tile_cache_bytes(const struct tile_cache *cache);

#endif
