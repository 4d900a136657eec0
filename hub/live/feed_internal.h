/* feed_internal.h: the feed's insides, for the files of hub/live alone. */
#ifndef CITYHUB_FEED_INTERNAL_H
#define CITYHUB_FEED_INTERNAL_H

#include "hub/base/buffer.h"
#include "hub/live/feed.h"
#include "hub/live/tiles.h"

#define FEED_NOWHERE SIZE_MAX

struct feed_key {
    int64_t id;
    int32_t layer;
    int32_t left; /* of a thing that left a department: that department; 0 = the thing itself */
};

struct feed_reading {
    double value;
    int64_t at_ms; /* 0 = none */
};

/* Where a thing was before. */
struct feed_was {
    bool placed;
    bool anywhere; /* it had not changed before: who listens has read where it was */
    double lon, lat;
};

/* `before`: its change that the running turn tells of, when it has changed again since the turn began: who comes to it
 * is told of it all the same, as it is then. Else what changes faster than clients are told would never be. */
struct feed_entry {
    UT_hash_handle hh;
    struct feed_key key;
    size_t slot, before;             /* its places in its layer's list; before: FEED_NOWHERE = none */
    struct feed_was was, before_was; /* where it was when the turn of each of them began */
    bool moves;                      /* it has been in several cells */
    /* a state or a place */
    const struct device *device;
    int64_t observed_at_ms, last_seen_ms, placed_at_ms;
    int64_t back_ms; /* when it was heard of again, after a silence that ended while somebody listens; 0 = none did */
    bool online;
    uint64_t quality;
    uint64_t made_turn;          /* the turn in which its JSON was made; 0 = none yet */
    size_t made_at, made_length; /* where that is in the feed's `made` */
    /* a text */
    char *text;
    size_t text_length;
    size_t reading_count;
    struct feed_reading readings[];
};

/* A change. What a filter looks at lies together: each turn all that changed is gone through for each filter. */
struct feed_slot {
    uint64_t position;
    struct feed_entry *entry; /* NULL = it has changed again since and is no `before`, or is forgotten */
    struct feed_where where;
    int32_t left; /* the key's */
};

struct feed_list {
    struct feed_slot *slots; /* ascending by position; those of `first` to before `end` are in use */
    uint32_t *cells;         /* where each of them is, roughly, once its turn has begun: see feed_filter_area */
    size_t first, end, room;
    size_t count, bytes; /* things; of texts */
    uint64_t floor;      /* changes up to here may be missing */
};

struct feed {
    uint64_t epoch, head, settled;
    uint64_t turn, turn_before; /* the head when the last turn, and the one before it, began */
    bool kept;
    struct feed_entry *index; /* by key */
    struct feed_list lists[FEED_LAYERS];
    struct buffer made; /* JSON of things that was made in this turn, for other filters */
    /* feed_source.c's */
    struct buffer snapshot; /* of PostgreSQL: what it sees is told; empty = none yet */
    struct buffer coming;   /* the same of the running answer */
    uint64_t asked_ms, read_ms;
    size_t rows;    /* of the running answer */
    bool backwards; /* the database is not the one of before */
    bool counted;
    int64_t counters[2];
};

/* Which tiles an entry of FEED_TILE is of: its key's id, with the department, which is in its `where`. */
struct feed_tile {
    unsigned layer; /* of tiles.h; of polygons all tiles, wherever */
    uint32_t x, y;  /* the cell */
};

static inline int64_t feed_tile_id(const struct feed_tile *tile, int department) {
    return (int64_t)department << 32 | (int64_t)tile->layer << (2 * POINT_CELL_ZOOM) |
           (int64_t)tile->x << POINT_CELL_ZOOM | tile->y;
}

static inline struct feed_tile feed_tile_of(const struct feed_key *key) {
    const uint32_t cell = (UINT32_C(1) << POINT_CELL_ZOOM) - 1, id = (uint32_t)key->id;
    return (struct feed_tile){.layer = id >> (2 * POINT_CELL_ZOOM), .x = id >> POINT_CELL_ZOOM & cell, .y = id & cell};
}

/* Clients are told of what changed up to here; more changes wait for the next turn. */
void feed_turn(struct feed *feed);

/* The place of a layer's first change behind `position`; the list's end if there is none. */
size_t feed_behind(const struct feed_list *list, uint64_t position);

static inline struct feed_slot *feed_slot_of(const struct feed *feed, const struct feed_entry *entry) {
    return &feed->lists[entry->key.layer].slots[entry->slot];
}

#endif
