/* tiles.h: what tiles are made from, together: the points in memory, the encoder, the cache, and the versions of the
 * layers of polygons, which the database makes. serve.c makes it, point_load.c fills it, routes_tile.c answers from it.
 */
#ifndef CITYHUB_TILES_H
#define CITYHUB_TILES_H

#include "hub/live/feed.h"
#include "hub/live/point.h"
#include "hub/live/tile.h"
#include "hub/live/tile_cache.h"

/* Layers of polygons, behind those of points: grid cells, zones, departments' areas. */
enum { TILE_GRID = POINT_LAYERS, TILE_ZONE, TILE_DEPARTMENT, TILE_LAYERS };

/* All layers' names in that order, with a blank between them. */
#define TILE_LAYER_CHOICES "device alarm case grid zone department"

/* The layer's name, in paths and in the tile. */
extern const char *const tile_layer_names[TILE_LAYERS];

struct tiles {
    struct points *points;
    struct tile_encoder *encoder;
    struct tile_cache *cache;
    uint64_t polygons[TILE_LAYERS]; /* versions; those of points are not used */
    struct feed *feed;              /* is told of changes; NULL = nobody is */
    int64_t stale_since_ms;         /* since when changes are not heard of (UTC epoch ms); 0 = they are */
};

/* `ahead_ms`: as for points_new. NULL = out of memory. */
struct tiles *tiles_new(int64_t ahead_ms);
void tiles_free(struct tiles *tiles);

/* From here on the feed is told which tiles change; it outlives the tiles. */
void tiles_tell(struct tiles *tiles, struct feed *feed);

/* A polygon of the layer changed, or may have: what is kept of it is not shown any more. */
void tiles_polygons_changed(struct tiles *tiles, unsigned layer);

/* For how many seconds changes may have been missed, rounded up; 0 = what is shown is current. */
unsigned tiles_age_s(const struct tiles *tiles);

#endif
