/* point.h: the points of the map in memory: devices, open alarms, open cases, each with place, kind, state and
 * department; and the version of every tile, which changes when one of the points under it does. Filled by point_load.c
 * and, as batches are committed, by commit.c. Does no I/O. Belongs to the loop's thread. */
#ifndef CITYHUB_POINT_H
#define CITYHUB_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/decode/decode.h"
#include "hub/know/registry.h"

enum point_layer { POINT_DEVICE, POINT_ALARM, POINT_CASE, POINT_LAYERS };

enum {
    POINT_EXTENT_BITS = 12,                  /* a tile is 4096 units wide */
    POINT_BUFFER = 64,                       /* units around it that belong to it, too */
    POINT_ZOOM_MAX = 18,                     /* a unit is 0.04 m there */
    POINT_CELL_ZOOM = 14,                    /* points are kept by the tile of this zoom */
    POINT_CELL_SHIFT = 32 - POINT_CELL_ZOOM, /* from a place to its cell */
    POINT_WORDS_MAX = 4096,                  /* different kinds and states; those beyond are "other" */
    POINT_LAYER_MAX = 400000                 /* points of a layer */
};

/* A place of the world in Web Mercator (EPSG:3857), 2^32 wide, from the north-west: tile x of zoom z is x >> (32 - z).
 */
struct point_place {
    uint32_t x, y;
};

/* There are hundreds of thousands: 56 bytes each, and what only one layer needs of a point is where another has other
 * things. */
struct point {
    int64_t id;
    struct point_place place;
    int32_t department;   /* onemap.department.id; 0 = none */
    uint16_t kind, state; /* words: points_word */
    uint32_t generation;
    bool placed; /* it has a place */
    bool hidden; /* and is not to be shown all the same */
    bool shown;  /* it is in its place's cell */
    union {
        struct {
            int64_t seen_ms, placed_ms;
            struct point *alarms; /* its first one */
        };                        /* a device */
        struct {
            struct point *device; /* whose place it has */
            struct point *next;   /* of the device's alarms */
        };                        /* an alarm */
    };
};

/* A row of the database. Texts are copied. */
struct point_row {
    int64_t id;
    const char *kind, *state;
    int32_t department;
    bool shown;
    bool placed;
    double lon, lat;   /* degrees, WGS 84; of an alarm not read: it stands where its device does */
    int64_t placed_ms; /* when it was there (UTC epoch ms); 0 = a place that does not move */
    int64_t seen_ms;   /* a device: when it was last heard of; 0 = never */
    int64_t device;    /* an alarm: id of its device */
};

struct points;

/* `ahead_ms`: how far a record may be ahead of the clock ([time] max_ahead_s). NULL = out of memory. */
struct points *points_new(int64_t ahead_ms);
void points_free(struct points *points);

/* Takes a row in. What the hub itself has seen of a device since then stays. Returns 0, CH_EMEMORY, or CH_EFULL:
 * POINT_LAYER_MAX. After either the layer is to be loaded anew. */
int points_put(struct points *points, enum point_layer layer, const struct point_row *row);
void points_remove(struct points *points, enum point_layer layer, int64_t id);

/* A record of the device was stored. `back`: it ended a silence, the map showed the device as offline. Returns as
 * points_put. */
int points_seen(struct points *points, const struct device *device, const struct record *record, int64_t received_at_ms,
                bool *back);

/* Around the rows of a whole layer: what none of them named is gone with the end. A layer is loaded from its first end
 * on. */
void points_load_begin(struct points *points, enum point_layer layer);
void points_load_end(struct points *points, enum point_layer layer);
bool points_loaded(const struct points *points, enum point_layer layer);
/* Something could not be taken in since the last call: all layers are to be loaded anew. */
bool points_lacking(struct points *points);

/* Different at every start. */
uint64_t points_epoch(const struct points *points);
/* The version of a tile: what points_under and the points say of it is the same while this is. z up to POINT_ZOOM_MAX.
 */
uint64_t points_version(struct points *points, enum point_layer layer, unsigned z, uint32_t x, uint32_t y);

/* From here on `changed` is called whenever a point of this department has come to, changed in or gone from a cell: a
 * tile of POINT_CELL_ZOOM. It must not call points_*. */
void points_watch(struct points *points,
                  void (*changed)(void *user, enum point_layer layer, uint32_t x, uint32_t y, int32_t department),
                  void *user);

/* Calls `visit` for all points shown that may lie in [west, east] x [north, south], and for others near by. May begin
 * below 0 and end above 2^32. */
struct point_box {
    int64_t west, north, east, south;
};
void points_under(const struct points *points, enum point_layer layer, const struct point_box *box,
                  void (*visit)(void *user, const struct point *point), void *user);

const char *points_word(const struct points *points, uint16_t word);
size_t points_word_count(const struct points *points);
size_t points_count(const struct points *points, enum point_layer layer);

/* Latitudes beyond 85.0511 degrees, where the map ends, lie on its edge. */
struct point_place point_place(double lon, double lat);

#endif
