/* point.c: points by id: what rows and records make of them. Where they stand is point_cell.c's. Must never change what
 * a tile shows without stamping it. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hub/base/error.h"
#include "hub/base/hash.h"
#include "hub/base/table.h"
#include "hub/live/point_internal.h"

enum { SKEW_MS = 10000 /* by which the database's clock may be behind the hub's */ };

struct word {
    uint16_t number;
    UT_hash_handle hh;
    char text[];
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

static void layer_free(struct points *points, struct layer *layer) {
    size_t at = 0;
    for (struct point *point; (point = table_next(&layer->points, &at)) != NULL;) {
        slab_give(&points->slab, point);
    }
    table_free(&layer->points);
    point_cells_free(layer);
}

void points_free(struct points *points) {
    if (points == NULL) {
        return;
    }
    for (size_t i = 0; i < POINT_LAYERS; i++) {
        layer_free(points, &points->layers[i]);
    }
    slab_free(&points->slab);
    HASH_CLEAR(hh, points->words);
    for (size_t i = 0; i < points->word_count; i++) {
        free(points->numbered[i]);
    }
    free(points);
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
    return one.x >> POINT_CELL_SHIFT == other.x >> POINT_CELL_SHIFT &&
           one.y >> POINT_CELL_SHIFT == other.y >> POINT_CELL_SHIFT;
}

/* Puts the point where it is to be, as it is to look. */
static int point_set(struct points *points, struct layer *layer, struct point *point, const struct look *look) {
    bool was = point->shown, is = look->placed && !look->hidden;
    bool moves = was != is || point->place.x != look->place.x || point->place.y != look->place.y;
    bool hands_over = point->department != look->department;
    bool changes = moves || hands_over || point->kind != look->kind || point->state != look->state;
    if (was && changes) {
        point_stamp(points, layer, point->place, point->department);
    }
    bool leaves = was && (!is || !same_cell(point->place, look->place));
    if (leaves) {
        point_cell_remove(layer, point);
    }
    point->place = look->place;
    point->placed = look->placed;
    point->hidden = look->hidden;
    point->department = look->department;
    point->kind = look->kind;
    point->state = look->state;
    if (is && (moves || hands_over)) {
        point_stamp(points, layer, point->place, point->department);
    }
    if (is && !point->shown && !point_cell_add(layer, point)) {
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
    return hash_number(HASH_FIRST, (uint64_t)id);
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
        point = slab_take(&points->slab, sizeof *point);
        if (point != NULL) {
            point->id = id;
            point->kind = point->state = points->other;
            *code = table_add(&layer->points, hash_of(id), point);
        }
        if (point != NULL && *code != 0) {
            slab_give(&points->slab, point);
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
        point_stamp(points, self, point->place, point->department);
        point_cell_remove(self, point);
    }
    if (layer == POINT_ALARM) {
        alarm_leave(point);
    }
    for (struct point *alarm = layer == POINT_DEVICE ? point->alarms : NULL, *next; alarm != NULL; alarm = next) {
        next = alarm->next;
        alarm->device = alarm->next = NULL;
        alarm_follow(points, alarm);
    }
    table_remove(&self->points, hash_of(point->id), point);
    slab_give(&points->slab, point);
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

int points_seen(struct points *points, const struct device *device, const struct record *record, int64_t received_at_ms,
                bool *back) {
    struct layer *layer = &points->layers[POINT_DEVICE];
    struct point *point = point_find(layer, device->id);
    bool known = point != NULL;
    *back = false;
    if (!known) {
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
        *back = known && point->state == points->offline;
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
