/* tile.h: vector tiles of points (Mapbox Vector Tile 2.1) from memory. */
#ifndef CITYHUB_TILE_H
#define CITYHUB_TILE_H

#include "hub/base/buffer.h"
#include "hub/live/point.h"
#include "hub/live/tile_scope.h"

enum {
    TILE_POINTS_ZOOM = 12,   /* from here on points; below, counts */
    TILE_POINTS_MAX = 10000, /* a tile that has more of them has counts, whatever its zoom */
    TILE_SCREEN_CELL = 64,   /* units: counts are of cells of this size */
};

struct tile_encoder;
struct tile_encoder *tile_encoder_new(void); /* NULL = out of memory; about 1 MB */
void tile_encoder_free(struct tile_encoder *encoder);

/* Appends the tile of what the scope may see. Nothing = it is empty. One layer; its features have the attributes `kind`
 * and `state`, both texts, and an id, or, as counts, `state` and `count` and lie in the middle of their cell. Returns 0
 * or CH_EMEMORY. */
int tile_encode(struct tile_encoder *encoder, const struct points *points, enum point_layer layer, unsigned z,
                uint32_t x, uint32_t y, const struct tile_scope *scope, struct buffer *tile);

#endif
