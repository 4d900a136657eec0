/* routes_tile.c: vector tiles. Points come from memory (hub/live), polygons from the database, and both from the cache
 * if they are there in their version: then neither encoder nor database is asked. Must never answer before a layer is
 * whole. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/metrics.h"
#include "hub/http/gzip.h"
#include "hub/http/identity.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"
#include "hub/http/tile_query.h"
#include "hub/live/tiles.h"

/* Nothing, or the bytes of the entry, which is the answer's. */
static void deliver(struct request *request, const struct tile_entry *entry) {
    struct answer *answer = &request->answer;
    if (entry->length == 0) {
        answer->status = MHD_HTTP_NO_CONTENT;
        tile_entry_release((void *)(uintptr_t)entry);
        return;
    }
    answer->body = entry->bytes;
    answer->length = entry->length;
    answer->encoded = entry->encoded;
    answer->plain = !entry->encoded;
    answer->release = tile_entry_release;
    answer->owner = (void *)(uintptr_t)entry;
}

/* NULL = out of memory. */
static const struct tile_entry *encode(struct tiles *tiles, const struct tile_key *key, uint64_t version,
                                       const struct tile_scope *scope) {
    struct buffer tile = {0};
    hub_metrics.tiles_encoded++;
    if (tile_encode(tiles->encoder, tiles->points, (enum point_layer)key->layer, key->z, key->x, key->y, scope,
                    &tile) != 0) {
        buffer_free(&tile);
        return NULL;
    }
    size_t size = 0;
    char *packed = key->gzip && tile.length >= GZIP_WORTH_BYTES ? gzip_whole(tile.data, tile.length, &size) : NULL;
    if (packed == NULL) {
        return tile_cache_put(tiles->cache, key, version, tile.data, tile.length, false);
    }
    buffer_free(&tile);
    return tile_cache_put(tiles->cache, key, version, packed, size, true);
}

/* Fills the key from the path; false after refusing the request. */
static bool tile_of(struct request *request, const struct tile_scope *scope, struct tile_key *key) {
    memset(key, 0, sizeof *key);
    key->layer = (uint8_t)request_value(request, "layer")->number;
    key->z = (uint8_t)request_value(request, "z")->number;
    key->x = (uint32_t)request_value(request, "x")->number;
    key->y = (uint32_t)request_value(request, "y")->number;
    key->gzip = request_takes_gzip(request);
    const struct parameter_value *at = request_value(request, "at");
    if (at->given) {
        memcpy(key->at, at->text, at->length < sizeof key->at ? at->length : sizeof key->at - 1);
    }
    memcpy(key->scope, scope->tag, strlen(scope->tag));
    if (key->x >> key->z != 0 || key->y >> key->z != 0) {
        request_refuse(request, PROBLEM_PARAMETER, "第 %u 级的 x、y 须小于 %u", "at zoom %u x and y are less than %u",
                       key->z, 1u << key->z);
        return false;
    }
    return true;
}

/* What was so is asked of the database each time: what came late may still be on its way into it. */
static void answer_past(struct request *request, const struct tile_key *key) {
    static uint64_t asked;
    tile_query(request, key, ++asked, deliver);
}

static void answer_tile(struct request *request, struct answer *answer) {
    struct tiles *tiles = request->service->source->tiles;
    const struct tile_scope *scope = identity_scope(request);
    struct tile_key key;
    if (scope == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    if (!tile_of(request, scope, &key)) {
        return;
    }
    bool polygons = key.layer >= POINT_LAYERS || key.at[0] != '\0';
    if (tiles == NULL || (!polygons && !points_loaded(tiles->points, (enum point_layer)key.layer))) {
        request_refuse(request, PROBLEM_BUSY, "地图正在载入", "the map is being loaded");
        return;
    }
    if (key.at[0] != '\0') {
        answer_past(request, &key);
        return;
    }
    uint64_t version = polygons ? tiles->polygons[key.layer]
                                : points_version(tiles->points, (enum point_layer)key.layer, key.z, key.x, key.y);
    char etag[ANSWER_ETAG_MAX];
    snprintf(etag, sizeof etag, "\"%016" PRIx64 "-%" PRIx64 "-%s\"", points_epoch(tiles->points), version, key.scope);
    answer->age_s = tiles_age_s(tiles);
    if (request_unchanged(request, answer, etag)) {
        hub_metrics.tiles_unchanged++;
        return;
    }
    const struct tile_entry *entry = tile_cache_take(tiles->cache, &key, version);
    hub_metrics.tiles_warm += entry != NULL;
    if (entry == NULL && polygons) {
        tile_query(request, &key, version, deliver);
        return;
    }
    entry = entry == NULL ? encode(tiles, &key, version, scope) : entry;
    if (entry == NULL) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    deliver(request, entry);
}

static const struct parameter tile_parameters[] = {
    {.name = "layer", .kind = PARAMETER_CHOICE, .choices = TILE_LAYER_CHOICES, .meaning = "what the tile shows"},
    {.name = "z", .kind = PARAMETER_INTEGER, .high = POINT_ZOOM_MAX, .meaning = "zoom; tiles of Web Mercator"},
    {.name = "x", .kind = PARAMETER_INTEGER, .high = (1 << POINT_ZOOM_MAX) - 1, .meaning = "column, from the west"},
    {.name = "y", .kind = PARAMETER_INTEGER, .high = (1 << POINT_ZOOM_MAX) - 1, .meaning = "row, from the north"},
    AT,
    {0},
};

static const struct parameter json_parameters[] = {
    {.name = "layer", .kind = PARAMETER_CHOICE, .choices = TILE_LAYER_CHOICES, .meaning = "what the tiles show"},
    AT,
    {0},
};

const struct route routes_tile[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/tiles/{layer}.json",
     .summary = "TileJSON 3.0 of a layer: where its tiles are, zooms, bounds, attributes",
     .right = RIGHT_READ,
     .parameters = json_parameters,
     .function = "onemap.http_tile_json",
     .links = true,
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/tiles/{layer}/{z}/{x}/{y}.mvt",
     .summary = "A vector tile of one layer; 204 if nothing is there",
     .right = RIGHT_READ,
     .remembers = true,
     .parameters = tile_parameters,
     .memory = answer_tile,
     .content_type = "application/vnd.mapbox-vector-tile",
     .cache = "private, no-cache",
     .etag = ETAG_GIVEN,
     .compress = true},
    {0},
};
