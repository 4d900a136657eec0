/* point_internal.h: what point.c and point_cell.c share. */
#ifndef CITYHUB_POINT_INTERNAL_H
#define CITYHUB_POINT_INTERNAL_H

#include "hub/base/slab.h"
#include "hub/base/table.h"
#include "hub/live/point.h"

struct layer {
    struct table points;      /* by id */
    struct point_cell *cells; /* by tile of zoom 14; none is empty */
    struct node *nodes;       /* by tile */
    uint64_t floor;           /* version of tiles without a node */
    uint32_t generation;
    bool loaded;
};

struct points {
    struct slab slab; /* all of them */
    struct layer layers[POINT_LAYERS];
    uint64_t epoch;
    uint64_t version; /* of what changes now */
    bool sealed;      /* it was read: the next change has another one */
    bool lacking;
    int64_t ahead_ms;
    struct word *words; /* by text */
    struct word *numbered[POINT_WORDS_MAX];
    uint16_t word_count;
    uint16_t online, offline, other;
    void (*changed)(void *user, enum point_layer layer, uint32_t x, uint32_t y, int32_t department); /* may be NULL */
    void *user;
};

/* The tiles that show a point there have changed, and it is this department's. */
void point_stamp(struct points *points, struct layer *layer, struct point_place place, int32_t department);

/* Puts the point into the cell where it is: it is shown. False: memory is out. */
bool point_cell_add(struct layer *layer, struct point *point);
/* Takes it out again. The others stay in their order: a tile that does not show it is byte for byte the same. */
void point_cell_remove(struct layer *layer, struct point *point);

/* All cells and versions of a layer. */
void point_cells_free(struct layer *layer);

#endif
