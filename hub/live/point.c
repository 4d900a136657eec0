/* point.c: points by id and by cell, versions by tile. A change stamps the tiles of zooms 0 to 14 that show the point,
 * buffer included, with the current version, and a version that was read is never stamped again. Deeper tiles have the
 * version of the one of zoom 14 above them. Must never change what a tile shows without stamping it. */
#include "hub/live/point.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hub/base/error.h"
#include "hub/base/hash.h"
#include "hub/base/table.h"

enum {
    NODES_MAX = 65536, /* tiles with a version of their own, of a layer */
    WORLD_BITS = 32,
    STAMP_UNITS = POINT_BUFFER + 1, /* rounding may bring a point from beyond the buffer into it */
    SKEW_MS = 10000,                /* by which the database's clock may be behind the hub's */
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

struct word {
    uint16_t number;
    UT_hash_handle hh;
    char text[];
};

struct layer {
    struct table points;      /* by id */
    struct point_cell *cells; /* by tile of zoom 14; none is empty */
    struct node *nodes;       /* by tile */
    uint64_t floor;           /* version of tiles without a node */
    uint32_t generation;
    bool loaded;
};

struct points {
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

/* ---- words ---- */

/* Without memory, or with too many: "other". */
static uint16_t word_of(struct points *points, const char *text) {
    struct word *word;
    size_t length = strlen(text);
    HASH_FIND(hh, points->words, text, length, word);
    if (word == NULL && points->word_count < POINT_WORDS_MAX) {
        word = calloc(1, sizeof *word + length + 1);
        if (word == NULL) {
            return points->other;
        }
        memcpy(word->text, text, length + 1);
        HASH_ADD_KEYPTR(hh, points->words, word->text, length, word);
        if (word->hh.tbl == NULL) {
            free(word);
            return points->other;
        }
        word->number = points->word_count;
        points->numbered[points->word_count++] = word;
    }
    return word == NULL ? points->other : word->number;
}

const char *points_word(const struct points *points, uint16_t word) {
    return points->numbered[word]->text;
}

size_t points_word_count(const struct points *points) {
    return points->word_count;
}

/* ---- open and close ---- */

struct points *points_new(int64_t ahead_ms) {
    struct points *points = calloc(1, sizeof *points);
    if (points == NULL || getrandom(&points->epoch, sizeof points->epoch, 0) != (ssize_t)sizeof points->epoch) {
        free(points);
        return NULL;
    }
    points->ahead_ms = ahead_ms;
    points->version = 1;
    for (size_t i = 0; i < POINT_LAYERS; i++) {
        points->layers[i].floor = 1;
    }
    points->other = word_of(points, "other");
    points->online = word_of(points, "online");
    points->offline = word_of(points, "offline");
    if (points->word_count != 3) {
        points_free(points);
        return NULL;
    }
    return points;
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

static void layer_free(struct layer *layer) {
    size_t at = 0;
    for (struct point *point; (point = table_next(&layer->points, &at)) != NULL;) {
        free(point);
    }
    table_free(&layer->points);
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

void points_free(struct points *points) {
    if (points == NULL) {
        return;
    }
    for (size_t i = 0; i < POINT_LAYERS; i++) {
        layer_free(&points->layers[i]);
    }
    HASH_CLEAR(hh, points->words);
    for (size_t i = 0; i < points->word_count; i++) {
        free(points->numbered[i]);
    }
    free(points);
}

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

/* The tiles that show a point there have changed, and it is this department's. */
static void stamp(struct points *points, struct layer *layer, struct point_place place, int32_t department) {
    enum { SHIFT = WORLD_BITS - POINT_CELL_ZOOM };
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
        points->changed(points->user, (enum point_layer)(layer - points->layers), place.x >> SHIFT, place.y >> SHIFT,
                        department);
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

static bool cell_add(struct layer *layer, struct point *point) {
    enum { SHIFT = WORLD_BITS - POINT_CELL_ZOOM, ROOM = 8 };
    struct point_cell *cell = cell_made(layer, point->place.x >> SHIFT, point->place.y >> SHIFT);
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

/* The others stay in their order: a tile that does not show the point is byte for byte the same. */
static void cell_remove(struct layer *layer, struct point *point) {
    enum { SHIFT = WORLD_BITS - POINT_CELL_ZOOM };
    struct point_cell *cell = cell_at(layer, point->place.x >> SHIFT, point->place.y >> SHIFT);
    uint32_t at = 0;
    while (cell->points[at] != point) {
        at++;
    }
    cell->count--;
    memmove(cell->points + at, cell->points + at + 1, (cell->count - at) * sizeof(struct point *));
    point->shown = false;
    cell_drop(layer, cell);
}

static void cell_visit(const struct point_cell *cell, void (*visit)(void *user, const struct point *point),
                       void *user) {
    for (uint32_t i = 0; i < cell->count; i++) {
        visit(user, cell->points[i]);
    }
}

void points_under(const struct points *points, enum point_layer layer, const struct point_box *box,
                  void (*visit)(void *user, const struct point *point), void *user) {
    enum { SHIFT = WORLD_BITS - POINT_CELL_ZOOM };
    static const int64_t edge = UINT32_MAX;
    const struct layer *self = &points->layers[layer];
    uint32_t west = (uint32_t)(box->west < 0 ? 0 : box->west) >> SHIFT,
             north = (uint32_t)(box->north < 0 ? 0 : box->north) >> SHIFT,
             east = (uint32_t)(box->east > edge ? edge : box->east) >> SHIFT,
             south = (uint32_t)(box->south > edge ? edge : box->south) >> SHIFT;
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

/* ---- one point ---- */

/* What a point is to look like; all that changes of it goes through here. */
struct look {
    struct point_place place;
    bool placed, hidden;
    int32_t department;
    uint16_t kind, state;
};

static struct look look_of(const struct point *point) {
    return (struct look){.place = point->place,
                         .placed = point->placed,
                         .hidden = point->hidden,
                         .department = point->department,
                         .kind = point->kind,
                         .state = point->state};
}

static bool same_cell(struct point_place one, struct point_place other) {
    enum { SHIFT = WORLD_BITS - POINT_CELL_ZOOM };
    return one.x >> SHIFT == other.x >> SHIFT && one.y >> SHIFT == other.y >> SHIFT;
}

/* Puts the point where it is to be, as it is to look. */
static int point_set(struct points *points, struct layer *layer, struct point *point, const struct look *look) {
    bool was = point->shown, is = look->placed && !look->hidden;
    bool moves = was != is || point->place.x != look->place.x || point->place.y != look->place.y;
    bool hands_over = point->department != look->department;
    bool changes = moves || hands_over || point->kind != look->kind || point->state != look->state;
    if (was && changes) {
        stamp(points, layer, point->place, point->department);
    }
    bool leaves = was && (!is || !same_cell(point->place, look->place));
    if (leaves) {
        cell_remove(layer, point);
    }
    point->place = look->place;
    point->placed = look->placed;
    point->hidden = look->hidden;
    point->department = look->department;
    point->kind = look->kind;
    point->state = look->state;
    if (is && (moves || hands_over)) {
        stamp(points, layer, point->place, point->department);
    }
    if (is && !point->shown && !cell_add(layer, point)) {
        points->lacking = true;
        return CH_EMEMORY;
    }
    return 0;
}

/* An alarm stands where its device does, and belongs to whom that belongs. */
static int alarm_follow(struct points *points, struct point *alarm) {
    const struct point *device = alarm->device;
    struct look look = look_of(alarm);
    look.placed = device != NULL && device->shown;
    look.place = look.placed ? device->place : look.place;
    look.department = device != NULL ? device->department : 0;
    return point_set(points, &points->layers[POINT_ALARM], alarm, &look);
}

static int device_set(struct points *points, struct point *device, const struct look *look) {
    int code = point_set(points, &points->layers[POINT_DEVICE], device, look);
    for (struct point *alarm = device->alarms; alarm != NULL && code == 0; alarm = alarm->next) {
        code = alarm_follow(points, alarm);
    }
    return code;
}

static void alarm_leave(struct point *alarm) {
    if (alarm->device != NULL) {
        struct point **at = &alarm->device->alarms;
        while (*at != alarm) {
            at = &(*at)->next;
        }
        *at = alarm->next;
        alarm->device = alarm->next = NULL;
    }
}

static uint32_t hash_of(int64_t id) {
    return hash_bytes(HASH_FIRST, &id, sizeof id);
}

static bool has_id(const void *entry, const void *key) {
    return ((const struct point *)entry)->id == *(const int64_t *)key;
}

static struct point *point_find(const struct layer *layer, int64_t id) {
    return table_find(&layer->points, hash_of(id), has_id, &id);
}

/* A new one has no place yet. NULL with `code`. */
static struct point *point_made(struct points *points, struct layer *layer, int64_t id, int *code) {
    struct point *point = point_find(layer, id);
    *code = 0;
    if (point == NULL && layer->points.count >= POINT_LAYER_MAX) {
        *code = CH_EFULL;
    } else if (point == NULL) {
        *code = CH_EMEMORY;
        point = calloc(1, sizeof *point);
        if (point != NULL) {
            point->id = id;
            point->kind = point->state = points->other;
            *code = table_add(&layer->points, hash_of(id), point);
        }
        if (point != NULL && *code != 0) {
            free(point);
            point = NULL;
        }
    }
    if (point == NULL) {
        points->lacking = true;
        return NULL;
    }
    point->generation = layer->generation;
    return point;
}

static void point_remove(struct points *points, enum point_layer layer, struct point *point) {
    struct layer *self = &points->layers[layer];
    if (point->shown) {
        stamp(points, self, point->place, point->department);
        cell_remove(self, point);
    }
    if (layer == POINT_ALARM) {
        alarm_leave(point);
    }
    for (struct point *alarm = layer == POINT_DEVICE ? point->alarms : NULL, *next; alarm != NULL; alarm = next) {
        next = alarm->next;
        alarm->device = alarm->next = NULL;
        alarm_follow(points, alarm);
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): who is freed is taken out of the table before */
    table_remove(&self->points, hash_of(point->id), point);
    free(point);
}

void points_remove(struct points *points, enum point_layer layer, int64_t id) {
    struct point *point = point_find(&points->layers[layer], id);
    if (point != NULL) {
        point_remove(points, layer, point);
    }
}

/* ---- rows ---- */

/* The row may be older than what was seen: the database learns of that a few seconds later. */
static int device_put(struct points *points, struct point *device, const struct point_row *row, struct look *look) {
    if (row->seen_ms + SKEW_MS >= device->seen_ms) {
        look->state = word_of(points, row->state);
        device->seen_ms = row->seen_ms > device->seen_ms ? row->seen_ms : device->seen_ms;
    } else {
        look->state = device->state;
    }
    if (row->placed_ms < device->placed_ms) {
        look->placed = device->placed;
        look->place = device->place;
    } else {
        device->placed_ms = row->placed_ms;
    }
    return device_set(points, device, look);
}

static int alarm_put(struct points *points, struct point *alarm, const struct point_row *row, const struct look *look) {
    if (alarm->device == NULL && row->device != 0) {
        int code;
        struct point *device = point_made(points, &points->layers[POINT_DEVICE], row->device, &code);
        if (device == NULL) {
            return code;
        }
        alarm->device = device;
        alarm->next = device->alarms;
        device->alarms = alarm;
    }
    struct look same = look_of(alarm);
    same.kind = look->kind;
    same.state = look->state;
    int code = point_set(points, &points->layers[POINT_ALARM], alarm, &same);
    return code != 0 ? code : alarm_follow(points, alarm);
}

int points_put(struct points *points, enum point_layer layer, const struct point_row *row) {
    int code;
    struct point *point = point_made(points, &points->layers[layer], row->id, &code);
    if (point == NULL) {
        return code;
    }
    struct look look = {.place = row->placed ? point_place(row->lon, row->lat) : point->place,
                        .placed = row->placed,
                        .hidden = !row->shown,
                        .department = row->department,
                        .kind = word_of(points, row->kind)};
    if (layer == POINT_DEVICE) {
        return device_put(points, point, row, &look);
    }
    look.state = word_of(points, row->state);
    return layer == POINT_ALARM ? alarm_put(points, point, row, &look)
                                : point_set(points, &points->layers[layer], point, &look);
}

bool points_silent(const struct points *points, int64_t device) {
    const struct point *point = point_find(&points->layers[POINT_DEVICE], device);
    return point != NULL && point->state == points->offline;
}

int points_seen(struct points *points, const struct device *device, const struct record *record,
                int64_t received_at_ms) {
    struct layer *layer = &points->layers[POINT_DEVICE];
    struct point *point = point_find(layer, device->id);
    if (point == NULL) {
        int code;
        point = point_made(points, layer, device->id, &code);
        if (point == NULL) {
            return code;
        }
        /* Seen before its row was read, which says the rest. */
        point->kind = word_of(points, device->vendor->adapter->key);
        point->state = points->offline;
    }
    struct look look = look_of(point);
    point->generation = layer->generation;
    if (received_at_ms > point->seen_ms) {
        point->seen_ms = received_at_ms;
        look.state = points->online;
    }
    /* As onemap.device_state_merge has it: a place of the future gives way. */
    if (record->has_position && !record->outside &&
        (record->observed_at_ms >= point->placed_ms || point->placed_ms > received_at_ms + points->ahead_ms)) {
        point->placed_ms = record->observed_at_ms;
        look.placed = true;
        look.place = point_place(record->lon, record->lat);
    }
    return device_set(points, point, &look);
}

/* ---- whole layers ---- */

void points_load_begin(struct points *points, enum point_layer layer) {
    points->layers[layer].generation++;
}

void points_load_end(struct points *points, enum point_layer layer) {
    struct layer *self = &points->layers[layer];
    size_t at = 0;
    for (struct point *point; (point = table_next(&self->points, &at)) != NULL;) {
        if (point->generation != self->generation) {
            point_remove(points, layer, point);
            at--;
        }
    }
    self->loaded = true;
}

bool points_loaded(const struct points *points, enum point_layer layer) {
    return points->layers[layer].loaded;
}

bool points_lacking(struct points *points) {
    bool lacking = points->lacking;
    points->lacking = false;
    return lacking;
}

size_t points_count(const struct points *points, enum point_layer layer) {
    return points->layers[layer].points.count;
}
