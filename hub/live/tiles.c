/* tiles.c: the parts of tiles, made and taken down. Does no I/O. */
#include "hub/live/tiles.h"

#include <stdlib.h>

#include "hub/base/clock.h"

enum { CACHE_BYTES = 16 * 1024 * 1024 };

const char *const tile_layer_names[TILE_LAYERS] = {"device", "alarm", "case", "grid", "zone", "department"};

struct tiles *tiles_new(int64_t ahead_ms) {
    struct tiles *tiles = calloc(1, sizeof *tiles);
    if (tiles == NULL) {
        return NULL;
    }
    tiles->points = points_new(ahead_ms);
    tiles->encoder = tile_encoder_new();
    tiles->cache = tile_cache_new(CACHE_BYTES);
    if (tiles->points == NULL || tiles->encoder == NULL || tiles->cache == NULL) {
        tiles_free(tiles);
        return NULL;
    }
    return tiles;
}

void tiles_free(struct tiles *tiles) {
    if (tiles != NULL) {
        points_free(tiles->points);
        tile_encoder_free(tiles->encoder);
        tile_cache_free(tiles->cache);
        free(tiles);
    }
}

static void on_cell(void *user, enum point_layer layer, uint32_t x, uint32_t y, int32_t department) {
    feed_cell(user, layer, x, y, department);
}

void tiles_tell(struct tiles *tiles, struct feed *feed) {
    tiles->feed = feed;
    points_watch(tiles->points, on_cell, feed);
}

void tiles_polygons_changed(struct tiles *tiles, unsigned layer) {
    tiles->polygons[layer]++;
    if (tiles->feed != NULL) {
        feed_polygons(tiles->feed, layer);
    }
}

unsigned tiles_age_s(const struct tiles *tiles) {
    int64_t since_ms = tiles->stale_since_ms;
    int64_t age_ms = since_ms == 0 ? 0 : clock_now_ms() - since_ms;
    return since_ms == 0 ? 0 : age_ms < 0 ? 1 : (unsigned)(age_ms / 1000) + 1; /* the clock may be set back */
}
