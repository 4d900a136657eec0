/* feed_filter.c: filters read and applied. The rights' part is here alone: a thing of no department is for those who
 * see all. */
#include "hub/live/feed_filter.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/hash.h"
#include "hub/live/feed_internal.h"

/* ---- reading ---- */

/* The place of a word in a list, -1 = it is not there. */
static int layer_named(const char *word, size_t length) {
    for (int i = 0; i < FEED_LAYERS; i++) {
        if (strlen(feed_layer_names[i]) == length && memcmp(feed_layer_names[i], word, length) == 0) {
            return i;
        }
    }
    return -1;
}

static int subsystem_named(const char *word, size_t length) {
    for (size_t i = 0; i < adapter_count; i++) {
        if (strlen(adapters[i]->key) == length && memcmp(adapters[i]->key, word, length) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Words with commas between, each by `named` to a bit. */
static int words_read(const char *text, int (*named)(const char *word, size_t length), uint64_t *bits) {
    *bits = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        int place = named(text, length);
        if (place < 0 || (text[length] == ',' && text[length + 1] == '\0')) {
            return CH_EINVAL;
        }
        *bits |= UINT64_C(1) << place;
        text += length + (text[length] == ',');
    }
    return 0;
}

int feed_filter_layers(struct feed_filter *filter, const char *text) {
    uint64_t bits;
    int code = words_read(text, layer_named, &bits);
    filter->layers = bits == 0 ? (unsigned)FEED_ALL : (unsigned)bits;
    return code;
}

int feed_filter_subsystems(struct feed_filter *filter, const char *text) {
    return words_read(text, subsystem_named, &filter->subsystems);
}

int feed_filter_box(struct feed_filter *filter, const char *text) {
    double *const numbers[] = {&filter->west, &filter->south, &filter->east, &filter->north};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char *end = NULL;
        *numbers[i] = strtod(text, &end);
        bool last = i + 1 == COUNT_OF(numbers);
        double most = i % 2 == 0 ? 180 : 90;
        /* What is no number is not within either. */
        if (end == text || *end != (last ? '\0' : ',') || !(fabs(*numbers[i]) <= most)) {
            return CH_EINVAL;
        }
        text = end + 1;
    }
    filter->boxed = true;
    filter->north_west = point_place(filter->west, filter->north);
    filter->south_east = point_place(filter->east, filter->south);
    return 0;
}

static int compare_ids(const void *left, const void *right) {
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

int feed_filter_departments(struct feed_filter *filter, const char *text) {
    size_t room = 1;
    filter->limited = text != NULL;
    if (text == NULL) {
        return 0;
    }
    for (const char *at = text; (at = strchr(at, ',')) != NULL; at++) {
        room++;
    }
    filter->departments = calloc(room, sizeof filter->departments[0]);
    if (filter->departments == NULL) {
        return CH_EMEMORY;
    }
    for (const char *at = text; *at != '\0';) {
        char *end = NULL;
        errno = 0;
        long id = strtol(at, &end, 10);
        if (end == at || errno != 0 || id <= 0 || id > INT32_MAX || (*end != ',' && *end != '\0') ||
            (*end == ',' && end[1] == '\0')) {
            return CH_EINVAL;
        }
        filter->departments[filter->department_count++] = (int32_t)id;
        at = end + (*end == ',');
    }
    qsort(filter->departments, filter->department_count, sizeof filter->departments[0], compare_ids);
    filter->scope = HASH_FIRST;
    for (size_t i = 0; i < filter->department_count; i++) {
        filter->scope = hash_number(filter->scope, (uint64_t)filter->departments[i]);
    }
    filter->scope += filter->scope == 0;
    return 0;
}

void feed_filter_free(struct feed_filter *filter) {
    free(filter->departments);
    *filter = (struct feed_filter){0};
}

bool feed_filter_equal(const struct feed_filter *one, const struct feed_filter *other) {
    return one->layers == other->layers && one->subsystems == other->subsystems && one->boxed == other->boxed &&
           one->west == other->west && one->south == other->south && one->east == other->east &&
           one->north == other->north && one->limited == other->limited &&
           one->department_count == other->department_count &&
           (one->department_count == 0 ||
            memcmp(one->departments, other->departments, one->department_count * sizeof one->departments[0]) == 0);
}

/* ---- applying ---- */

static bool sees(const struct feed_filter *filter, int32_t department) {
    return !filter->limited || (department != 0 && filter->department_count > 0 &&
                                bsearch(&department, filter->departments, filter->department_count, sizeof department,
                                        compare_ids) != NULL);
}

/* What is the whole county's: no subsystem's, and nowhere. */
static bool is_everywhere(enum feed_layer layer) {
    return layer == FEED_COUNTER || layer == FEED_SCORE;
}

static bool is_between(uint32_t west, uint32_t east, uint32_t x) {
    return west <= east ? x >= west && x <= east : x >= west || x <= east;
}

/* A tile shows devices of every subsystem. Polygons are everybody's: whether one changed is told by their ETag, too. */
static bool tile_matches(const struct feed_filter *filter, const struct feed_slot *slot) {
    const struct feed_tile tile = feed_tile_of(&slot->entry->key);
    return tile.layer >= POINT_LAYERS ||
           (sees(filter, slot->where.department) &&
            (!filter->boxed ||
             (is_between(filter->north_west.x >> POINT_CELL_SHIFT, filter->south_east.x >> POINT_CELL_SHIFT, tile.x) &&
              tile.y >= filter->north_west.y >> POINT_CELL_SHIFT &&
              tile.y <= filter->south_east.y >> POINT_CELL_SHIFT)));
}

static bool is_inside(const struct feed_filter *filter, bool placed, double lon, double lat) {
    bool between = filter->west <= filter->east ? lon >= filter->west && lon <= filter->east
                                                : lon >= filter->west || lon <= filter->east;
    return placed && between && lat >= filter->south && lat <= filter->north;
}

uint32_t feed_cell_of(double lon, double lat) {
    static const double steps = 65534;
    return (uint32_t)((lon + 180) / 360 * steps) << 16 | (uint32_t)((90 - lat) / 180 * steps);
}

struct feed_area feed_filter_area(const struct feed_filter *filter) {
    if (!filter->boxed || filter->west > filter->east || filter->south > filter->north) {
        return (struct feed_area){.width = UINT16_MAX, .height = UINT16_MAX};
    }
    uint32_t first = feed_cell_of(filter->west, filter->north), last = feed_cell_of(filter->east, filter->south);
    return (struct feed_area){.west = first >> 16,
                              .width = (last >> 16) - (first >> 16),
                              .north = first & UINT16_MAX,
                              .height = (last & UINT16_MAX) - (first & UINT16_MAX)};
}

/* What moves is told to whoever may have seen it within: its last place, and that its state is none of those any more.
 * An alarm moves with its device and says nothing of it, so that nobody knows who has read it within. */
static enum feed_match match_outside(const struct feed_filter *filter, enum feed_layer layer,
                                     const struct feed_entry *entry, const struct feed_was *was, bool behind) {
    if (layer == FEED_ALARM || layer == FEED_CASE) {
        return FEED_LEFT;
    }
    bool seen =
        entry->placed_at_ms != 0 && (behind || was->anywhere || is_inside(filter, was->placed, was->lon, was->lat));
    return !seen ? FEED_NOTHING : layer == FEED_STATE ? FEED_LEFT : FEED_CHANGED;
}

enum feed_match feed_filter_match(const struct feed_filter *filter, enum feed_layer layer, const struct feed_slot *slot,
                                  const struct feed_was *was, bool behind) {
    const struct feed_where *where = &slot->where;
    if (slot->left != 0) {
        return sees(filter, slot->left) && !sees(filter, where->department) ? FEED_LEFT : FEED_NOTHING;
    }
    if (layer == FEED_TILE) {
        return tile_matches(filter, slot) ? FEED_CHANGED : FEED_NOTHING;
    }
    if (!sees(filter, where->department) ||
        (filter->subsystems != 0 && !is_everywhere(layer) &&
         (where->subsystem < 0 || (filter->subsystems >> where->subsystem & 1) == 0))) {
        return FEED_NOTHING;
    }
    if (!filter->boxed || is_everywhere(layer) || is_inside(filter, where->placed, where->lon, where->lat)) {
        return FEED_CHANGED;
    }
    return match_outside(filter, layer, slot->entry, was, behind);
}
