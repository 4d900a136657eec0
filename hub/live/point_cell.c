/* point_cell.c: where points stand: points by cell, versions by tile. A change stamps the tiles of zooms 0 to 14 that
 * show the point, buffer included, with the current version, and a version that was read is never stamped again. Deeper
 * tiles have the version of the one of zoom 14 above them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hub/live/point_internal.h"

enum {
    NODES_MAX = 65536, /* tiles with a version of their own, of a layer */
    WORLD_BITS = 32,
    STAMP_UNITS = POINT_BUFFER + 1, /* rounding may bring a point from beyond the buffer into it */
    CELLS_LOOKED_UP = 64,           /* of a tile, one by one; for more all cells are gone through */
};

struct node {
    uint64_t key;
    uint64_t version;
    UT_hash_handle hh;
};

struct point_cell {
    uint32_t key;
    uint32_t count, room;
    struct point **points;
    UT_hash_handle hh;
};

/* ---- places ---- */

struct point_place point_place(double lon, double lat) {
    static const double edge = 4294967295.0;
    double sine = sin(lat * M_PI / 180);
    double x = (lon + 180) / 360 * (edge + 1), y = (0.5 - atanh(sine) / (2 * M_PI)) * (edge + 1);
    /* At the poles y is infinite. */
    return (struct point_place){.x = x <= 0      ? 0
                                     : x >= edge ? UINT32_MAX
                                                 : (uint32_t)x,
                                .y = y <= 0      ? 0
                                     : y >= edge ? UINT32_MAX
                                                 : (uint32_t)y};
}

/* ---- versions ---- */

static uint64_t node_key(unsigned z, uint32_t x, uint32_t y) {
    return (uint64_t)z << 32 | (uint64_t)x << 16 | y;
}

static void nodes_clear(struct layer *layer) {
    struct node *node = layer->nodes;
    HASH_CLEAR(hh, layer->nodes); /* frees the table; the entries are still chained */
    while (node != NULL) {
        struct node *next = node->hh.next;
        free(node);
        node = next;
    }
}

static void stamp_node(struct points *points, struct layer *layer, uint64_t key) {
    struct node *node;
    HASH_FIND(hh, layer->nodes, &key, sizeof key, node);
    if (node == NULL && HASH_COUNT(layer->nodes) < NODES_MAX) {
        node = calloc(1, sizeof *node);
        if (node != NULL) {
            node->key = key;
            HASH_ADD(hh, layer->nodes, key, sizeof key, node);
            if (node->hh.tbl == NULL) {
                free(node);
                node = NULL;
            }
        }
    }
    if (node == NULL) {
        nodes_clear(layer); /* no room: all tiles are new */
        layer->floor = points->version;
    } else {
        node->version = points->version;
    }
}

void points_watch(struct points *points,
                  void (*changed)(void *user, enum point_layer layer, uint32_t x, uint32_t y, int32_t department),
                  void *user) {
    points->changed = changed;
    points->user = user;
}

void point_stamp(struct points *points, struct layer *layer, struct point_place place, int32_t department) {
    if (points->sealed) {
        points->version++;
        points->sealed = false;
    }
    for (unsigned z = 0; z <= POINT_CELL_ZOOM; z++) {
        unsigned bits = WORLD_BITS - z;
        uint64_t around = (uint64_t)STAMP_UNITS << (bits - POINT_EXTENT_BITS);
        uint64_t last = (UINT64_C(1) << z) - 1;
        uint64_t west = place.x < around ? 0 : (place.x - around) >> bits;
        uint64_t north = place.y < around ? 0 : (place.y - around) >> bits;
        uint64_t east = (place.x + around) >> bits, south = (place.y + around) >> bits;
        for (uint64_t x = west; x <= east && x <= last; x++) {
            for (uint64_t y = north; y <= south && y <= last; y++) {
                stamp_node(points, layer, node_key(z, (uint32_t)x, (uint32_t)y));
            }
        }
    }
    if (points->changed != NULL) {
        points->changed(points->user, (enum point_layer)(layer - points->layers), place.x >> POINT_CELL_SHIFT,
                        place.y >> POINT_CELL_SHIFT, department);
    }
}

uint64_t points_epoch(const struct points *points) {
    return points->epoch;
}

uint64_t points_version(struct points *points, enum point_layer layer, unsigned z, uint32_t x, uint32_t y) {
    const struct layer *self = &points->layers[layer];
    const struct node *node;
    unsigned deeper = z > POINT_CELL_ZOOM ? z - POINT_CELL_ZOOM : 0;
    uint64_t key = node_key(z - deeper, x >> deeper, y >> deeper);
    points->sealed = true;
    HASH_FIND(hh, self->nodes, &key, sizeof key, node);
    return node == NULL ? self->floor : node->version;
}

/* ---- cells ---- */

static uint32_t cell_key(uint32_t x, uint32_t y) {
    return x << POINT_CELL_ZOOM | y;
}

static struct point_cell *cell_at(const struct layer *layer, uint32_t x, uint32_t y) {
    struct point_cell *cell;
    uint32_t key = cell_key(x, y);
    HASH_FIND(hh, layer->cells, &key, sizeof key, cell);
    return cell;
}

static struct point_cell *cell_made(struct layer *layer, uint32_t x, uint32_t y) {
    struct point_cell *cell = cell_at(layer, x, y);
    if (cell == NULL && (cell = calloc(1, sizeof *cell)) != NULL) {
        cell->key = cell_key(x, y);
        HASH_ADD(hh, layer->cells, key, sizeof cell->key, cell);
        if (cell->hh.tbl == NULL) {
            free(cell);
            return NULL;
        }
    }
    return cell;
}

static void cell_drop(struct layer *layer, struct point_cell *cell) {
    if (cell->count == 0) {
        HASH_DEL(layer->cells, cell);
        free(cell->points);
        free(cell);
    }
}

bool point_cell_add(struct layer *layer, struct point *point) {
    enum { ROOM = 8 };
    struct point_cell *cell = cell_made(layer, point->place.x >> POINT_CELL_SHIFT, point->place.y >> POINT_CELL_SHIFT);
    if (cell == NULL) {
        return false;
    }
    if (cell->count == cell->room) {
        uint32_t room = cell->room == 0 ? ROOM : cell->room * 2;
        struct point **grown = realloc(cell->points, room * sizeof(struct point *));
        if (grown == NULL) {
            cell_drop(layer, cell);
            return false;
        }
        cell->points = grown;
        cell->room = room;
    }
    point->shown = true;
    cell->points[cell->count++] = point;
    return true;
}

void point_cell_remove(struct layer *layer, struct point *point) {
    struct point_cell *cell = cell_at(layer, point->place.x >> POINT_CELL_SHIFT, point->place.y >> POINT_CELL_SHIFT);
    uint32_t at = 0;
    while (cell->points[at] != point) {
        at++;
    }
    cell->count--;
    memmove(cell->points + at, cell->points + at + 1, (cell->count - at) * sizeof(struct point *));
    point->shown = false;
    cell_drop(layer, cell);
}

void point_cells_free(struct layer *layer) {
    struct point_cell *cell = layer->cells;
    HASH_CLEAR(hh, layer->cells);
    while (cell != NULL) {
        struct point_cell *next = cell->hh.next;
        free(cell->points);
        free(cell);
        cell = next;
    }
    nodes_clear(layer);
}

static void cell_visit(const struct point_cell *cell, void (*visit)(void *user, const struct point *point),
                       void *user) {
    for (uint32_t i = 0; i < cell->count; i++) {
        visit(user, cell->points[i]);
    }
}

void points_under(const struct points *points, enum point_layer layer, const struct point_box *box,
                  void (*visit)(void *user, const struct point *point), void *user) {
    static const int64_t edge = UINT32_MAX;
    const struct layer *self = &points->layers[layer];
    uint32_t west = (uint32_t)(box->west < 0 ? 0 : box->west) >> POINT_CELL_SHIFT,
             north = (uint32_t)(box->north < 0 ? 0 : box->north) >> POINT_CELL_SHIFT,
             east = (uint32_t)(box->east > edge ? edge : box->east) >> POINT_CELL_SHIFT,
             south = (uint32_t)(box->south > edge ? edge : box->south) >> POINT_CELL_SHIFT;
    if ((uint64_t)(east - west + 1) * (south - north + 1) <= CELLS_LOOKED_UP) {
        for (uint32_t x = west; x <= east; x++) {
            for (uint32_t y = north; y <= south; y++) {
                const struct point_cell *cell = cell_at(self, x, y);
                if (cell != NULL) {
                    cell_visit(cell, visit, user);
                }
            }
        }
        return;
    }
    for (const struct point_cell *cell = self->cells; cell != NULL; cell = cell->hh.next) {
        uint32_t x = cell->key >> POINT_CELL_ZOOM, y = cell->key & ((1u << POINT_CELL_ZOOM) - 1);
        if (x >= west && x <= east && y >= north && y <= south) {
            cell_visit(cell, visit, user);
        }
    }
}
