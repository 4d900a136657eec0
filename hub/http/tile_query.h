/* tile_query.h: tiles that the database makes: one question for all who want the same tile at the same time. */
#ifndef CITYHUB_TILE_QUERY_H
#define CITYHUB_TILE_QUERY_H

#include "hub/live/tiles.h"

struct request;

/* Asks, or joins those who wait. The request is woken when its answer is there: the tile, which is in the cache then,
 * or a refusal. `deliver` fills an answer with a tile that was taken from the cache. */
void tile_query(struct request *request, const struct tile_key *key, uint64_t version,
                void (*deliver)(struct request *request, const struct tile_entry *entry));

#endif
