/* feed.h: what changed since the hub's process began, for those who listen: each thing (a device's state, a place, an
 * alarm, a case, counters, a month's scores, the tiles of a cell) once, as it is now, in the order of its last change.
 * A position in it is a number that grows with each change; whoever has seen all up to a position needs the things that
 * are behind it, and nothing else. Kept only while somebody listens. Does no I/O; belongs to the loop's thread. */
#ifndef CITYHUB_FEED_H
#define CITYHUB_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/decode/decode.h"
#include "hub/know/registry.h"

enum feed_layer { FEED_STATE, FEED_POSITION, FEED_ALARM, FEED_CASE, FEED_COUNTER, FEED_SCORE, FEED_TILE, FEED_LAYERS };
enum { FEED_ALL = (1 << FEED_LAYERS) - 1 };
extern const char *const feed_layer_names[FEED_LAYERS]; /* "state", ... */

enum {
    FEED_THINGS_MAX = 20000,                /* alarms, cases, or cells, that are kept; the oldest go */
    FEED_TEXT_BYTES_MAX = 16 * 1024 * 1024, /* of them */
};

struct feed;
/* `epoch`: no other process of the hub had it, in microseconds since 1970. NULL = out of memory. */
struct feed *feed_new(uint64_t epoch);
void feed_free(struct feed *feed); /* NULL is allowed */

uint64_t feed_epoch(const struct feed *feed);
/* The position of the last change. */
uint64_t feed_head(const struct feed *feed);

/* From here on changes are kept; from here on they are not: what was is lost. Whoever starts it notes what device_state
 * does not have yet (states_each) and calls it settled up to the head before that. */
void feed_start(struct feed *feed);
void feed_stop(struct feed *feed);
bool feed_kept(const struct feed *feed);

/* One committed record of a device. Without memory the layer is lost, and told to be. */
void feed_record(struct feed *feed, struct device *device, const struct record *record, int64_t received_at_ms);
/* The record that was just taken ended the device's silence: who hears of the device for the first time is told so. */
void feed_back(struct feed *feed, const struct device *device, int64_t received_at_ms);
/* The database says so of the device: of its silence, or as it was handed over to another department. Passed over if
 * something has come of it since. */
void feed_presence(struct feed *feed, struct device *device, bool online, int64_t last_seen_ms);
/* The same of where it was at that time. */
void feed_place(struct feed *feed, struct device *device, double lon, double lat, int64_t at_ms);

/* Where a thing belongs, for filters and rights. */
struct feed_where {
    int subsystem;  /* place in adapters[]; -1 = none */
    int department; /* 0 = none: seen by those alone who see all */
    bool placed;
    double lon, lat;
};
/* An alarm, a case, counters or a month as they are now: one JSON object. */
void feed_text(struct feed *feed, enum feed_layer layer, int64_t id, const struct feed_where *where, const char *text,
               size_t length);
/* It was of this department and is of `now` one: those who saw it there and do not any more are told. */
void feed_left(struct feed *feed, enum feed_layer layer, int64_t id, int department, int now);

/* What tiles (enum of tiles.h) show of this department (0 = none) in a cell, a tile of POINT_CELL_ZOOM, has changed. */
void feed_cell(struct feed *feed, unsigned tiles, uint32_t x, uint32_t y, int department);
/* All tiles of a layer of polygons may have changed, for everybody. */
void feed_polygons(struct feed *feed, unsigned tiles);

/* Changes of these layers (a bit each) may be missing: who listens is told to read anew. */
void feed_lost(struct feed *feed, unsigned layers);

/* All changes up to here are in the database, for whoever reads it from now on. Below feed_head while states wait to be
 * written; never goes back. */
void feed_settled(struct feed *feed, uint64_t position);
uint64_t feed_settled_at(const struct feed *feed);

#endif
