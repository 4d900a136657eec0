/* test_point.c: points in memory: what rows and records make of them, and which tiles change with them. */
#include "mvt.h"

#include <math.h>

#include "hub/live/tiles.h"

enum { AHEAD_MS = 300000, CELL = 1 << 18 /* of the world: a tile of zoom 14 */ };

static const int64_t t0 = INT64_C(1700000000000);

struct map {
    struct points *points;
    struct tile_encoder *encoder;
    struct registry *registry;
    struct vendor vendor;
    struct tile_scope *everybody;
    bool back; /* what was seen last ended a silence */
};

static int begin(void **state) {
    struct map *map = calloc(1, sizeof *map);
    assert_non_null(map);
    map->points = points_new(AHEAD_MS);
    map->encoder = tile_encoder_new();
    map->everybody = tile_scope_new("{\"departments\": null}");
    map->vendor.adapter = adapter_find("dust");
    assert_true(map->points != NULL && map->encoder != NULL && map->everybody != NULL && map->vendor.adapter != NULL);
    *state = map;
    return 0;
}

static int end(void **state) {
    struct map *map = *state;
    points_free(map->points);
    tile_encoder_free(map->encoder);
    free(map->everybody);
    free(map);
    return 0;
}

/* Degrees of a place of the world in Web Mercator. */
static double lon_of(double x) {
    return x / 4294967296.0 * 360 - 180;
}
static double lat_of(double y) {
    return atan(sinh(M_PI * (1 - 2 * y / 4294967296.0))) * 180 / M_PI;
}

static struct point_row row_at(int64_t id, double x, double y) {
    return (struct point_row){.id = id,
                              .kind = "dust/monitor",
                              .state = "online",
                              .department = 1,
                              .shown = true,
                              .placed = true,
                              .lon = lon_of(x),
                              .lat = lat_of(y)};
}

static void put(struct map *map, enum point_layer layer, const struct point_row *row) {
    assert_int_equal(points_put(map->points, layer, row), 0);
}

static struct mvt *tile(struct map *map, enum point_layer layer, unsigned z, uint32_t x, uint32_t y) {
    struct buffer bytes = {0};
    assert_int_equal(tile_encode(map->encoder, map->points, layer, z, x, y, map->everybody, &bytes), 0);
    struct mvt *mvt = mvt_read(&bytes);
    buffer_free(&bytes);
    return mvt;
}

/* The only feature of the tile, or one with id 0 if there is none. */
static struct mvt_feature only(struct map *map, enum point_layer layer, uint32_t x, uint32_t y) {
    struct mvt *mvt = tile(map, layer, 14, x, y);
    assert_true(mvt->count <= 1);
    struct mvt_feature feature = mvt->features[0];
    free(mvt);
    return feature;
}

static void see(struct map *map, int id, int64_t at_ms, int64_t received_ms, double x, double y) {
    struct device device = {.vendor = &map->vendor, .id = id};
    struct record record = {
        .observed_at_ms = at_ms, .has_position = x >= 0, .lon = lon_of(x), .lat = x >= 0 ? lat_of(y) : 0};
    assert_int_equal(points_seen(map->points, &device, &record, received_ms, &map->back), 0);
}

/* ---- places ---- */

static void test_place(void **state) {
    (void)state;
    struct point_place middle = point_place(0, 0), west = point_place(-180, 85.06), east = point_place(180, -90);
    assert_int_equal(middle.x, 1u << 31);
    assert_int_equal(middle.y, 1u << 31);
    assert_true(west.x == 0 && west.y == 0 && east.x == UINT32_MAX && east.y == UINT32_MAX);
    /* In metres of EPSG:3857, by the other form of the formula; the last bit is 0.009 m. */
    struct point_place county = point_place(114.5, 34.5);
    double half = 20037508.342789244;
    assert_true(fabs(county.x / 4294967296.0 * 2 * half - half - 12746081.6958) < 0.02);
    assert_true(fabs(half - county.y / 4294967296.0 * 2 * half - 4096139.0404) < 0.02);
}

/* ---- versions ---- */

/* Which tiles of a zoom have another version than `before`: exactly those that show the place, buffer included. */
static void check_stamped(struct map *map, uint64_t before, unsigned z, uint32_t px, uint32_t py) {
    unsigned bits = 32 - z;
    int64_t around = (int64_t)65 << (bits - 12);
    for (int64_t dx = -2; dx <= 2; dx++) {
        for (int64_t dy = -2; dy <= 2; dy++) {
            int64_t x = ((int64_t)px >> bits) + dx, y = ((int64_t)py >> bits) + dy;
            if (x < 0 || y < 0 || x >= INT64_C(1) << z || y >= INT64_C(1) << z) {
                continue;
            }
            bool near = px >= (x << bits) - around && px < ((x + 1) << bits) + around && py >= (y << bits) - around &&
                        py < ((y + 1) << bits) + around;
            uint64_t version = points_version(map->points, POINT_DEVICE, z, (uint32_t)x, (uint32_t)y);
            if ((version > before) != near) {
                fail_msg("zoom %u tile %+lld %+lld: version %llu, before %llu", z, (long long)dx, (long long)dy,
                         (unsigned long long)version, (unsigned long long)before);
            }
        }
    }
}

static void test_stamped(void **state) {
    struct map *map = *state;
    static const uint32_t offsets[] = {0,
                                       1,
                                       64 * 64 - 1,
                                       65 * 64 - 1,
                                       65 * 64,
                                       66 * 64,
                                       CELL / 2,
                                       CELL - 66 * 64,
                                       CELL - 65 * 64 - 1,
                                       CELL - 65 * 64,
                                       CELL - 64 * 64,
                                       CELL - 1};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        for (size_t j = 0; j < sizeof offsets / sizeof offsets[0]; j++) {
            uint64_t before = points_version(map->points, POINT_DEVICE, 0, 0, 0);
            double x = 13000.0 * CELL + offsets[i] + 0.5, y = 6500.0 * CELL + offsets[j] + 0.5;
            struct point_row row = row_at((int64_t)(i * 100 + j + 1), x, y);
            put(map, POINT_DEVICE, &row);
            struct point_place at = point_place(row.lon, row.lat);
            for (unsigned z = 0; z <= POINT_CELL_ZOOM; z++) {
                check_stamped(map, before, z, at.x, at.y);
            }
        }
    }
}

static void test_version_once_read(void **state) {
    struct map *map = *state;
    struct point_row row = row_at(1, 13000.5 * CELL, 6500.5 * CELL);
    put(map, POINT_DEVICE, &row);
    uint64_t first = points_version(map->points, POINT_DEVICE, 14, 13000, 6500);
    put(map, POINT_DEVICE, &row);
    assert_int_equal(points_version(map->points, POINT_DEVICE, 14, 13000, 6500), first);
    row.state = "offline";
    put(map, POINT_DEVICE, &row);
    uint64_t second = points_version(map->points, POINT_DEVICE, 14, 13000, 6500);
    assert_true(second > first);
    assert_int_equal(points_version(map->points, POINT_DEVICE, 18, 13000 << 4, 6500 << 4), second); /* its parent's */
    row.department = 2;
    put(map, POINT_DEVICE, &row);
    uint64_t third = points_version(map->points, POINT_DEVICE, 14, 13000, 6500);
    assert_true(third > second);
    assert_true(points_version(map->points, POINT_CASE, 14, 13000, 6500) < third); /* another layer */
    row.placed = false;
    put(map, POINT_DEVICE, &row);
    assert_true(points_version(map->points, POINT_DEVICE, 14, 13000, 6500) > third);
    assert_int_equal(only(map, POINT_DEVICE, 13000, 6500).id, 0);
}

/* Nothing has room for each tile of the world: then all tiles have another version, once. */
static void test_many_places(void **state) {
    struct map *map = *state;
    uint32_t seed = 7;
    for (int64_t id = 1; id <= 12000; id++) {
        double x = (double)(seed = seed * 1664525u + 1013904223u), y = (double)(seed = seed * 1664525u + 1013904223u);
        struct point_row row = row_at(id, x, y);
        uint64_t before = points_version(map->points, POINT_DEVICE, 14, (uint32_t)x >> 18, (uint32_t)y >> 18);
        put(map, POINT_DEVICE, &row);
        struct point_place at = point_place(row.lon, row.lat);
        assert_true(points_version(map->points, POINT_DEVICE, 14, at.x >> 18, at.y >> 18) > before);
    }
    struct mvt *mvt = tile(map, POINT_DEVICE, 0, 0, 0);
    uint64_t total = 0;
    for (size_t i = 0; i < mvt->count; i++) {
        total += mvt->features[i].count;
    }
    assert_int_equal(total, 12000);
    free(mvt);
}

/* ---- what was seen ---- */

static void test_seen(void **state) {
    struct map *map = *state;
    double x = 13000.5 * CELL, y = 6500.5 * CELL;
    see(map, 5, t0, t0, x, y);
    assert_false(map->back); /* nobody was told that it is silent */
    struct mvt_feature feature = only(map, POINT_DEVICE, 13000, 6500);
    assert_int_equal(feature.id, 5);
    assert_string_equal(feature.kind, "dust");
    assert_string_equal(feature.state, "online");
    see(map, 5, t0 - 1, t0 + 1, x + CELL, y); /* older */
    assert_int_equal(only(map, POINT_DEVICE, 13000, 6500).id, 5);
    see(map, 5, t0 + 2 * AHEAD_MS, t0 + 2, x + CELL, y); /* a clock that is ahead */
    assert_int_equal(only(map, POINT_DEVICE, 13001, 6500).id, 5);
    see(map, 5, t0 + 3, t0 + 3, x, y); /* gives way */
    assert_int_equal(only(map, POINT_DEVICE, 13000, 6500).id, 5);
    see(map, 6, t0, t0, -1, 0); /* no place yet */
    assert_int_equal(points_count(map->points, POINT_DEVICE), 2);

    /* The row, which does not have the last record yet, changes neither place nor state; it says the rest. */
    struct point_row row = row_at(5, x + CELL, y);
    row.state = "offline";
    row.seen_ms = t0 - 60000;
    row.placed_ms = t0 - 60000;
    put(map, POINT_DEVICE, &row);
    feature = only(map, POINT_DEVICE, 13000, 6500);
    assert_string_equal(feature.state, "online");
    assert_string_equal(feature.kind, "dust/monitor");
    row.seen_ms = t0 + 3;
    row.placed_ms = t0 + 4;
    put(map, POINT_DEVICE, &row);
    assert_int_equal(only(map, POINT_DEVICE, 13000, 6500).id, 0);
    assert_string_equal(only(map, POINT_DEVICE, 13001, 6500).state, "offline");
    see(map, 5, t0 + 4, t0 + 3, -1, 0); /* not later than what it was offline by */
    assert_false(map->back);
    assert_string_equal(only(map, POINT_DEVICE, 13001, 6500).state, "offline");
    see(map, 5, t0 + 5, t0 + 5, -1, 0);
    assert_true(map->back);
    assert_string_equal(only(map, POINT_DEVICE, 13001, 6500).state, "online");
    see(map, 5, t0 + 5, t0 + 6, -1, 0);
    assert_false(map->back);
    row.shown = false;
    row.seen_ms = t0 + 5;
    put(map, POINT_DEVICE, &row);
    assert_int_equal(only(map, POINT_DEVICE, 13001, 6500).id, 0);
}

static void test_alarms_follow(void **state) {
    struct map *map = *state;
    double x = 13000.5 * CELL, y = 6500.5 * CELL;
    struct point_row alarm = {.id = 70, .kind = "dust/pm25", .state = "major", .shown = true, .device = 5};
    put(map, POINT_ALARM, &alarm); /* before its device is known */
    assert_int_equal(only(map, POINT_ALARM, 13000, 6500).id, 0);
    see(map, 5, t0, t0, x, y);
    struct mvt_feature feature = only(map, POINT_ALARM, 13000, 6500);
    assert_int_equal(feature.id, 70);
    assert_string_equal(feature.kind, "dust/pm25");
    assert_string_equal(feature.state, "major");
    alarm.id = 71;
    put(map, POINT_ALARM, &alarm);
    uint64_t before = points_version(map->points, POINT_ALARM, 14, 13001, 6500);
    see(map, 5, t0 + 1, t0 + 1, x + CELL, y);
    assert_true(points_version(map->points, POINT_ALARM, 14, 13001, 6500) > before);
    struct mvt *mvt = tile(map, POINT_ALARM, 14, 13001, 6500);
    assert_int_equal(mvt->count, 2);
    free(mvt);
    points_remove(map->points, POINT_ALARM, 70);
    points_remove(map->points, POINT_ALARM, 70);
    assert_int_equal(only(map, POINT_ALARM, 13001, 6500).id, 71);
    points_remove(map->points, POINT_DEVICE, 5);
    assert_int_equal(only(map, POINT_ALARM, 13001, 6500).id, 0);
    assert_int_equal(points_count(map->points, POINT_ALARM), 1);
}

static void test_load(void **state) {
    struct map *map = *state;
    struct point_row first = row_at(1, 13000.5 * CELL, 6500.5 * CELL),
                     second = row_at(2, 13001.5 * CELL, 6500.5 * CELL);
    assert_false(points_loaded(map->points, POINT_CASE));
    points_load_begin(map->points, POINT_CASE);
    put(map, POINT_CASE, &first);
    put(map, POINT_CASE, &second);
    assert_false(points_loaded(map->points, POINT_CASE));
    points_load_end(map->points, POINT_CASE);
    assert_true(points_loaded(map->points, POINT_CASE) && !points_loaded(map->points, POINT_DEVICE));
    uint64_t stays = points_version(map->points, POINT_CASE, 14, 13000, 6500),
             goes = points_version(map->points, POINT_CASE, 14, 13001, 6500);
    points_load_begin(map->points, POINT_CASE);
    put(map, POINT_CASE, &first);
    points_load_end(map->points, POINT_CASE);
    assert_int_equal(points_count(map->points, POINT_CASE), 1);
    assert_int_equal(points_version(map->points, POINT_CASE, 14, 13000, 6500), stays);
    assert_true(points_version(map->points, POINT_CASE, 14, 13001, 6500) > goes);
    assert_int_equal(only(map, POINT_CASE, 13001, 6500).id, 0);
    /* What was seen while a layer of devices is being loaded is not gone because no page had it. */
    points_load_begin(map->points, POINT_DEVICE);
    see(map, 9, t0, t0, 13000.5 * CELL, 6500.5 * CELL);
    points_load_end(map->points, POINT_DEVICE);
    assert_int_equal(only(map, POINT_DEVICE, 13000, 6500).id, 9);
    assert_false(points_lacking(map->points));
}

/* ---- never another tile under the same version ---- */

enum { WATCHED = 24, STEPS = 4000, IDS = 60 };

struct watched {
    enum point_layer layer;
    unsigned z;
    uint32_t x, y;
    uint64_t version;
    struct buffer bytes;
};

static uint32_t seed = 20261127;
static uint32_t any(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)seed * limit >> 32);
}

static void change(struct map *map, int64_t now_ms) {
    static const char *const states[] = {"online", "offline", "major"};
    double x = 13000.0 * CELL + any(2 * CELL) + 0.5, y = 6500.0 * CELL + any(2 * CELL) + 0.5;
    struct point_row row = row_at(1 + any(IDS), x, y);
    enum point_layer layer = (enum point_layer)any(POINT_LAYERS);
    row.state = states[any(3)];
    row.department = (int32_t)any(3);
    row.shown = any(8) > 0;
    row.placed = any(8) > 0;
    row.placed_ms = any(2) > 0 ? now_ms : 0;
    row.seen_ms = now_ms;
    row.device = 1 + any(IDS);
    switch (any(5)) {
    case 0:
        see(map, (int)row.id, now_ms, now_ms, x, y);
        break;
    case 1:
        points_remove(map->points, layer, row.id);
        break;
    default:
        put(map, layer, &row);
        break;
    }
}

static void test_one_tile_a_version(void **state) {
    struct map *map = *state;
    struct watched watched[WATCHED] = {0};
    size_t same = 0, changed = 0;
    for (size_t i = 0; i < WATCHED; i++) {
        unsigned z = 8 + (unsigned)i % 11, up = z > 14 ? z - 14 : 0, down = z < 14 ? 14 - z : 0;
        watched[i] = (struct watched){.layer = (enum point_layer)(i % POINT_LAYERS),
                                      .z = z,
                                      .x = (13000u << up >> down) + any(2u << up),
                                      .y = (6500u << up >> down) + any(2u << up)};
    }
    for (int64_t step = 0; step < STEPS; step++) {
        change(map, t0 + step);
        for (size_t i = 0; i < WATCHED; i++) {
            struct watched *at = &watched[i];
            struct buffer bytes = {0};
            uint64_t version = points_version(map->points, at->layer, at->z, at->x, at->y);
            assert_int_equal(
                tile_encode(map->encoder, map->points, at->layer, at->z, at->x, at->y, map->everybody, &bytes), 0);
            bool equal = bytes.length == at->bytes.length &&
                         (bytes.length == 0 || memcmp(bytes.data, at->bytes.data, bytes.length) == 0);
            if (step > 0 && version == at->version && !equal) {
                fail_msg("step %d: %s/%u/%u/%u has changed and has its version still", (int)step,
                         tile_layer_names[at->layer], at->z, at->x, at->y);
            }
            same += version == at->version;
            changed += !equal;
            buffer_free(&at->bytes);
            at->bytes = bytes;
            at->version = version;
        }
    }
    for (size_t i = 0; i < WATCHED; i++) {
        buffer_free(&watched[i].bytes);
    }
    assert_true(same > STEPS && changed > STEPS / 4); /* both happened */
}

/* ---- cells that are told ---- */

/* A tile as somebody sees it, and whether a cell that it shows was told since it was read. */
struct seen {
    struct map *map;
    struct watched tile;
    struct tile_scope *scope;
    bool told;
};

/* docs/stream.md: the cell, and around it a 60th of the tile's width. */
static void on_cell(void *user, enum point_layer layer, uint32_t x, uint32_t y, int32_t department) {
    for (struct seen *seen = user; seen->map != NULL; seen++) {
        const struct watched *tile = &seen->tile;
        int64_t width = INT64_C(1) << (32 - tile->z), around = width / 60;
        int64_t west = (int64_t)tile->x * width - around, north = (int64_t)tile->y * width - around;
        bool shows_it = (int64_t)x * CELL < west + width + 2 * around && (int64_t)(x + 1) * CELL > west &&
                        (int64_t)y * CELL < north + width + 2 * around && (int64_t)(y + 1) * CELL > north;
        seen->told = seen->told || (layer == tile->layer && tile_scope_has(seen->scope, department) && shows_it);
    }
}

static void test_cells_told(void **state) {
    struct map *map = *state;
    struct tile_scope *scopes[] = {tile_scope_new("{\"departments\": null}"), tile_scope_new("{\"departments\": [1]}"),
                                   tile_scope_new("{\"departments\": [2]}")};
    struct seen seen[WATCHED + 1] = {0};
    size_t told = 0, changed = 0;
    for (size_t i = 0; i < WATCHED; i++) {
        unsigned z = 8 + (unsigned)i % 9, up = z > 14 ? z - 14 : 0, down = z < 14 ? 14 - z : 0;
        seen[i] = (struct seen){.map = map,
                                .scope = scopes[i / POINT_LAYERS % COUNT_OF(scopes)],
                                .tile = {.layer = (enum point_layer)(i % POINT_LAYERS),
                                         .z = z,
                                         .x = (13000u << up >> down) + any(2u << up),
                                         .y = (6500u << up >> down) + any(2u << up)}};
    }
    points_watch(map->points, on_cell, seen);
    for (int64_t step = 0; step < STEPS; step++) {
        change(map, t0 + step);
        for (size_t i = 0; i < WATCHED; i++) {
            struct watched *at = &seen[i].tile;
            struct buffer bytes = {0};
            assert_int_equal(
                tile_encode(map->encoder, map->points, at->layer, at->z, at->x, at->y, seen[i].scope, &bytes), 0);
            bool equal = bytes.length == at->bytes.length &&
                         (bytes.length == 0 || memcmp(bytes.data, at->bytes.data, bytes.length) == 0);
            if (!equal && !seen[i].told) {
                fail_msg("step %d: nobody was told of %s/%u/%u/%u", (int)step, tile_layer_names[at->layer], at->z,
                         at->x, at->y);
            }
            told += seen[i].told;
            changed += !equal;
            seen[i].told = false;
            buffer_free(&at->bytes);
            at->bytes = bytes;
        }
    }
    for (size_t i = 0; i < WATCHED; i++) {
        buffer_free(&seen[i].tile.bytes);
    }
    for (size_t i = 0; i < COUNT_OF(scopes); i++) {
        free(scopes[i]);
    }
    /* Much was told, and not of everything each time. */
    assert_true(changed > STEPS / 4 && told >= changed && told < (size_t)STEPS * WATCHED / 4);
}

int main(void) {
#define MAP_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place),
        MAP_TEST(test_stamped),
        MAP_TEST(test_version_once_read),
        MAP_TEST(test_many_places),
        MAP_TEST(test_seen),
        MAP_TEST(test_alarms_follow),
        MAP_TEST(test_load),
        MAP_TEST(test_one_tile_a_version),
        MAP_TEST(test_cells_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
