/* tile.c: the encoder. Fields of a feature come in the order tags, type, geometry, id: what differs most is last, where
 * it compresses best. Must never show a point that the scope has not. */
#include "hub/live/tiles.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"

enum {
    EXTENT = 1 << POINT_EXTENT_BITS,
    CELLS = EXTENT / TILE_SCREEN_CELL, /* a side */
    STATES_MAX = 32,                   /* of which counts are told apart; the rest together with the last */
    COUNTS_KNOWN = 1024,               /* counts below have one value each */
    FEATURE_MAX = 96,                  /* bytes */
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
};

/* Field numbers of vector_tile.proto. */
enum {
    TILE_LAYER = 3,
    LAYER_NAME = 1,
    LAYER_FEATURE = 2,
    LAYER_KEY = 3,
    LAYER_VALUE = 4,
    LAYER_EXTENT = 5,
    LAYER_VERSION = 15,
    FEATURE_ID = 1,
    FEATURE_TAGS = 2,
    FEATURE_TYPE = 3,
    FEATURE_GEOMETRY = 4,
    VALUE_STRING = 1,
    VALUE_UINT = 5,
};

struct tile_encoder {
    struct buffer layer, values;
    uint32_t value_count;
    uint32_t word_values[POINT_WORDS_MAX]; /* place of a word among the tile's values + 1; 0 = not there yet */
    uint32_t count_values[COUNTS_KNOWN];   /* likewise, of a count */
    /* The tile being made. */
    const struct points *points;
    const struct tile_scope *scope;
    struct point_place origin;
    unsigned shift; /* a unit is 2^shift of the world */
    uint32_t found; /* points that are in it */
    /* Counts. */
    uint16_t states[STATES_MAX];
    uint32_t state_count;
    uint32_t counts[CELLS * CELLS][STATES_MAX];
};

struct tile_encoder *tile_encoder_new(void) {
    return calloc(1, sizeof(struct tile_encoder));
}

void tile_encoder_free(struct tile_encoder *encoder) {
    if (encoder != NULL) {
        buffer_free(&encoder->layer);
        buffer_free(&encoder->values);
        free(encoder);
    }
}

/* ---- protobuf ---- */

static size_t put_varint(char *at, uint64_t value) {
    size_t length = 0;
    for (; value >= 0x80; value >>= 7) {
        at[length++] = (char)(value | 0x80);
    }
    at[length++] = (char)value;
    return length;
}

static size_t put_field(char *at, unsigned field, unsigned wire) {
    return put_varint(at, field << 3 | wire);
}

static void add_varint(struct buffer *out, unsigned field, uint64_t value) {
    char bytes[20];
    size_t length = put_field(bytes, field, WIRE_VARINT);
    length += put_varint(bytes + length, value);
    buffer_bytes(out, bytes, length);
}

static void add_bytes(struct buffer *out, unsigned field, const char *bytes, size_t length) {
    char head[20];
    size_t used = put_field(head, field, WIRE_BYTES);
    used += put_varint(head + used, length);
    buffer_bytes(out, head, used);
    buffer_bytes(out, bytes, length);
}

static uint32_t zigzag(int32_t value) {
    return (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
}

/* ---- features ---- */

/* Tags are pairs of places, the key's and the value's. `id` 0 = none. */
static void add_feature(struct tile_encoder *encoder, const uint32_t tags[static 4], int32_t x, int32_t y, int64_t id) {
    enum { MOVE_TO_ONE = 1 << 3 | 1, TYPE_POINT = 1 };
    char feature[FEATURE_MAX], packed[FEATURE_MAX / 2];
    size_t used = put_field(feature, FEATURE_TAGS, WIRE_BYTES), length = 0;
    for (size_t i = 0; i < 4; i++) {
        length += put_varint(packed + length, tags[i]);
    }
    used += put_varint(feature + used, length);
    memcpy(feature + used, packed, length);
    used += length;
    used += put_field(feature + used, FEATURE_TYPE, WIRE_VARINT);
    used += put_varint(feature + used, TYPE_POINT);
    length = put_varint(packed, MOVE_TO_ONE);
    length += put_varint(packed + length, zigzag(x));
    length += put_varint(packed + length, zigzag(y));
    used += put_field(feature + used, FEATURE_GEOMETRY, WIRE_BYTES);
    used += put_varint(feature + used, length);
    memcpy(feature + used, packed, length);
    used += length;
    if (id != 0) {
        used += put_field(feature + used, FEATURE_ID, WIRE_VARINT);
        used += put_varint(feature + used, (uint64_t)id);
    }
    add_bytes(&encoder->layer, LAYER_FEATURE, feature, used);
}

static uint32_t add_value(struct tile_encoder *encoder, const struct buffer *value) {
    add_bytes(&encoder->values, LAYER_VALUE, value->data, value->length);
    encoder->values.failed = encoder->values.failed || value->failed;
    return encoder->value_count++;
}

static uint32_t word_value(struct tile_encoder *encoder, uint16_t word) {
    if (encoder->word_values[word] == 0) {
        struct buffer value = {0};
        const char *text = points_word(encoder->points, word);
        add_bytes(&value, VALUE_STRING, text, strlen(text));
        encoder->word_values[word] = add_value(encoder, &value) + 1;
        buffer_free(&value);
    }
    return encoder->word_values[word] - 1;
}

static uint32_t count_value(struct tile_encoder *encoder, uint32_t count) {
    if (count < COUNTS_KNOWN && encoder->count_values[count] != 0) {
        return encoder->count_values[count] - 1;
    }
    struct buffer value = {0};
    add_varint(&value, VALUE_UINT, count);
    uint32_t place = add_value(encoder, &value);
    buffer_free(&value);
    if (count < COUNTS_KNOWN) {
        encoder->count_values[count] = place + 1;
    }
    return place;
}

/* ---- the points of a tile ---- */

/* In units from the tile's north-west corner, rounded as ST_AsMVTGeom does. False: beyond the buffer. */
static bool unit_of(const struct tile_encoder *encoder, const struct point *point, int32_t *x, int32_t *y) {
    int64_t half = INT64_C(1) << (encoder->shift - 1); /* at the deepest zoom a unit is 4 wide */
    *x = (int32_t)(((int64_t)point->place.x - encoder->origin.x + half) >> encoder->shift);
    *y = (int32_t)(((int64_t)point->place.y - encoder->origin.y + half) >> encoder->shift);
    return *x >= -POINT_BUFFER && *x <= EXTENT + POINT_BUFFER && *y >= -POINT_BUFFER && *y <= EXTENT + POINT_BUFFER;
}

static void visit_number(void *user, const struct point *point) {
    struct tile_encoder *encoder = user;
    int32_t x, y;
    encoder->found += tile_scope_has(encoder->scope, point->department) && unit_of(encoder, point, &x, &y);
}

static void visit_point(void *user, const struct point *point) {
    struct tile_encoder *encoder = user;
    int32_t x, y;
    if (tile_scope_has(encoder->scope, point->department) && unit_of(encoder, point, &x, &y)) {
        uint32_t tags[4] = {0, word_value(encoder, point->kind), 1, word_value(encoder, point->state)};
        add_feature(encoder, tags, x, y, point->id);
    }
}

static uint32_t state_place(struct tile_encoder *encoder, uint16_t state) {
    uint32_t place = 0;
    while (place < encoder->state_count && encoder->states[place] != state) {
        place++;
    }
    if (place == encoder->state_count && place < STATES_MAX) {
        encoder->states[encoder->state_count++] = state;
    }
    return place < STATES_MAX ? place : STATES_MAX - 1;
}

/* A point counts in one tile: the buffer's are the neighbours'. */
static void visit_count(void *user, const struct point *point) {
    struct tile_encoder *encoder = user;
    uint32_t x = (point->place.x - encoder->origin.x) >> encoder->shift,
             y = (point->place.y - encoder->origin.y) >> encoder->shift;
    if (x < EXTENT && y < EXTENT && tile_scope_has(encoder->scope, point->department)) {
        encoder->counts[y / TILE_SCREEN_CELL * CELLS + x / TILE_SCREEN_CELL][state_place(encoder, point->state)]++;
        encoder->found++;
    }
}

static void add_counts(struct tile_encoder *encoder) {
    for (int32_t cell = 0; cell < CELLS * CELLS; cell++) {
        for (uint32_t state = 0; state < encoder->state_count; state++) {
            uint32_t count = encoder->counts[cell][state];
            if (count > 0) {
                uint32_t tags[4] = {0, word_value(encoder, encoder->states[state]), 1, count_value(encoder, count)};
                add_feature(encoder, tags, cell % CELLS * TILE_SCREEN_CELL + TILE_SCREEN_CELL / 2,
                            cell / CELLS * TILE_SCREEN_CELL + TILE_SCREEN_CELL / 2, 0);
            }
        }
    }
}

static void begin(struct tile_encoder *encoder) {
    enum { KEEP = 1024 * 1024 };
    buffer_reset(&encoder->layer, KEEP);
    buffer_reset(&encoder->values, KEEP);
    memset(encoder->word_values, 0, points_word_count(encoder->points) * sizeof encoder->word_values[0]);
    memset(encoder->count_values, 0, sizeof encoder->count_values);
    encoder->value_count = encoder->found = encoder->state_count = 0;
}

/* Whether its points are few enough to be shown one by one. */
static bool is_of_points(struct tile_encoder *encoder, enum point_layer layer, unsigned z,
                         const struct point_box *box) {
    if (z < TILE_POINTS_ZOOM) {
        return false;
    }
    points_under(encoder->points, layer, box, visit_number, encoder);
    bool few = encoder->found <= TILE_POINTS_MAX;
    encoder->found = few ? encoder->found : 0;
    return few;
}

static int finish(struct tile_encoder *encoder, enum point_layer layer, bool points, struct buffer *tile) {
    const char *name = tile_layer_names[layer];
    static const char *const keys[2][2] = {{"state", "count"}, {"kind", "state"}};
    struct buffer *out = &encoder->layer;
    for (size_t i = 0; i < 2; i++) {
        add_bytes(out, LAYER_KEY, keys[points][i], strlen(keys[points][i]));
    }
    buffer_bytes(out, encoder->values.data, encoder->values.length);
    add_varint(out, LAYER_EXTENT, EXTENT);
    add_varint(out, LAYER_VERSION, 2);
    add_bytes(out, LAYER_NAME, name, strlen(name));
    add_bytes(tile, TILE_LAYER, out->data, out->length);
    return out->failed || encoder->values.failed || tile->failed ? CH_EMEMORY : 0;
}

int tile_encode(struct tile_encoder *encoder, const struct points *points, enum point_layer layer, unsigned z,
                uint32_t x, uint32_t y, const struct tile_scope *scope, struct buffer *tile) {
    unsigned bits = 32 - z;
    encoder->points = points;
    encoder->scope = scope;
    encoder->shift = bits - POINT_EXTENT_BITS;
    encoder->origin = (struct point_place){.x = (uint32_t)((uint64_t)x << bits), .y = (uint32_t)((uint64_t)y << bits)};
    int64_t around = (int64_t)(POINT_BUFFER + 1) << encoder->shift, side = INT64_C(1) << bits;
    struct point_box box = {.west = encoder->origin.x - around,
                            .north = encoder->origin.y - around,
                            .east = encoder->origin.x + side + around,
                            .south = encoder->origin.y + side + around};
    begin(encoder);
    bool of_points = is_of_points(encoder, layer, z, &box);
    if (of_points) {
        points_under(points, layer, &box, visit_point, encoder);
    } else {
        memset(encoder->counts, 0, sizeof encoder->counts);
        points_under(points, layer, &box, visit_count, encoder);
        add_counts(encoder);
    }
    return encoder->found == 0 ? 0 : finish(encoder, layer, of_points, tile);
}
