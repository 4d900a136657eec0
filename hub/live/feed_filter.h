/* feed_filter.h: which things a client is told of: what it asked for, and what it may see. Clients with the same filter
 * are told the same bytes. Pure functions. */
#ifndef CITYHUB_FEED_FILTER_H
#define CITYHUB_FEED_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/live/feed.h"
#include "hub/live/point.h"

struct feed_slot;
struct feed_was;

struct feed_filter {
    unsigned layers;     /* a bit each of enum feed_layer */
    uint64_t subsystems; /* a bit each of adapters[]; 0 = all, and what is of none */
    bool boxed;
    double west, south, east, north; /* degrees; west > east = over the date line */
    struct point_place north_west, south_east;
    bool limited;         /* to these departments; else all, and what is of none */
    int32_t *departments; /* ascending, each once */
    size_t department_count;
    uint32_t scope; /* a hash of the departments; 0 = all */
};

/* Takes a list with commas between: layers' names, or subsystems' keys. CH_EINVAL if one is unknown; "" = all. */
int feed_filter_layers(struct feed_filter *filter, const char *text);
int feed_filter_subsystems(struct feed_filter *filter, const char *text);
/* "west,south,east,north" in degrees, up to 180 and 90. CH_EINVAL if it is not that. */
int feed_filter_box(struct feed_filter *filter, const char *text);
/* Ids with commas between, "" = none at all; NULL = all departments. CH_EINVAL, CH_EMEMORY. */
int feed_filter_departments(struct feed_filter *filter, const char *text);
void feed_filter_free(struct feed_filter *filter);

bool feed_filter_equal(const struct feed_filter *one, const struct feed_filter *other);

/* A place in two numbers of 16 bits, so that a filter passes over what is elsewhere without looking at it. */
enum { FEED_CELL_ANYWHERE = UINT32_MAX };
uint32_t feed_cell_of(double lon, double lat);
struct feed_area {
    uint32_t west, width, north, height;
};
/* The cells that the filter's box touches; of a filter without one, or over the date line, all. */
struct feed_area feed_filter_area(const struct feed_filter *filter);
static inline bool feed_area_has(const struct feed_area *area, uint32_t cell) {
    return ((cell >> 16) - area->west <= area->width && (cell & UINT16_MAX) - area->north <= area->height) ||
           cell == FEED_CELL_ANYWHERE;
}

/* What a client with this filter is told of a thing. */
enum feed_match {
    FEED_NOTHING,
    FEED_CHANGED,
    FEED_LEFT, /* that it is none of its things, or none any more */
};
/* `was`: where it was when the turn before began. `behind`: the client was not told of the turn before the last, so
 * that it is not known where it last saw a thing that moves: then it is told wherever that is. */
enum feed_match feed_filter_match(const struct feed_filter *filter, enum feed_layer layer, const struct feed_slot *slot,
                                  const struct feed_was *was, bool behind);

#endif
