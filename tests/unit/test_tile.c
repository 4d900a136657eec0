/* test_tile.c: the encoder: bytes, which points are in a tile, counts, whose points they are; scopes, and the cache. */
#include "mvt.h"

#include <math.h>

#include "hub/live/tile.h"
#include "hub/live/tile_cache.h"

struct map {
    struct points *points;
    struct tile_encoder *encoder;
    struct tile_scope *everybody;
};

static int begin(void **state) {
    struct map *map = calloc(1, sizeof *map);
    assert_non_null(map);
    map->points = points_new(0);
    map->encoder = tile_encoder_new();
    map->everybody = tile_scope_new("{\"departments\": null}");
    assert_true(map->points != NULL && map->encoder != NULL && map->everybody != NULL);
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

/* At units of a tile of zoom 12. */
static void put(struct map *map, int64_t id, double x, double y, const char *state, int32_t department) {
    enum { UNITS = 1 << 24 };
    struct point_row row = {.id = id,
                            .kind = "dust",
                            .state = state,
                            .department = department,
                            .shown = true,
                            .placed = true,
                            .lon = x / UNITS * 360 - 180,
                            .lat = atan(sinh(M_PI * (1 - 2 * y / UNITS))) * 180 / M_PI};
    assert_int_equal(points_put(map->points, POINT_DEVICE, &row), 0);
}

static struct buffer encode(struct map *map, unsigned z, uint32_t x, uint32_t y, const struct tile_scope *scope) {
    struct buffer tile = {0};
    assert_int_equal(tile_encode(map->encoder, map->points, POINT_DEVICE, z, x, y, scope, &tile), 0);
    return tile;
}

static struct mvt *read_tile(struct map *map, unsigned z, uint32_t x, uint32_t y) {
    struct buffer tile = encode(map, z, x, y, map->everybody);
    struct mvt *mvt = mvt_read(&tile);
    buffer_free(&tile);
    return mvt;
}

/* Written down by hand from the specification. */
static void test_bytes(void **state) {
    struct map *map = *state;
    static const unsigned char expected[] = {0x1a, 63, /* layer */
                                             0x12, 17,   0x12, 4,    0,    0,   1,    1,   0x18, 1,
                                             0x22, 4,    9,    0x80, 0x20, 0, /* tags, point, moved to (2048, 0) */
                                             0x08, 0xac, 2,                   /* id 300 */
                                             0x1a, 4,    'k',  'i',  'n',  'd', 0x1a, 5,   's',  't',
                                             'a',  't',  'e',                                         /* keys */
                                             0x22, 6,    0x0a, 4,    'd',  'u', 's',  't',            /* values */
                                             0x22, 8,    0x0a, 6,    'o',  'n', 'l',  'i', 'n',  'e', /* ... */
                                             0x28, 0x80, 0x20, 0x78, 2, /* extent, version */
                                             0x0a, 6,    'd',  'e',  'v',  'i', 'c',  'e'};
    put(map, 300, (2048 << 12) + 2048, 2048 << 12, "online", 0);
    struct buffer tile = encode(map, 12, 2048, 2048, map->everybody);
    assert_int_equal(tile.length, sizeof expected);
    assert_memory_equal(tile.data, expected, sizeof expected);
    buffer_free(&tile);
    tile = encode(map, 12, 2050, 2048, map->everybody);
    assert_int_equal(tile.length, 0);
    buffer_free(&tile);
}

static void test_buffer(void **state) {
    struct map *map = *state;
    const double edge = 2048 << 12, middle = edge + 2048;
    static const struct {
        double beyond; /* units east of the edge between tile 2047 and 2048 */
        bool west, east;
    } cases[] = {{0, true, true},     {1, true, true},      {64, true, true},    {64.4, true, true},
                 {64.6, false, true}, {66, false, true},    {-1, true, true},    {-64, true, true},
                 {-64.4, true, true}, {-64.6, true, false}, {2048, false, true}, {-2048, true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put(map, 1, edge + cases[i].beyond, middle, "online", 0);
        struct mvt *west = read_tile(map, 12, 2047, 2048), *east = read_tile(map, 12, 2048, 2048);
        if ((west->count == 1) != cases[i].west || (east->count == 1) != cases[i].east) {
            fail_msg("%f units: west %zu, east %zu", cases[i].beyond, west->count, east->count);
        }
        if (west->count == 1 && east->count == 1) {
            assert_int_equal(west->features[0].x, east->features[0].x + 4096);
            assert_int_equal(east->features[0].x, (int)round(cases[i].beyond));
            assert_int_equal(east->features[0].y, 2048);
        }
        free(west);
        free(east);
    }
    put(map, 1, middle + 0.02, middle + 0.02, "online", 0);
    struct mvt *deep = read_tile(map, 18, (2048u << 6) + 32, (2048u << 6) + 32);
    assert_int_equal(deep->count, 1);
    assert_int_equal(deep->features[0].x, 1); /* 0.02 units of zoom 12 are 1.28 of zoom 18 */
    free(deep);
    put(map, 1, 0.5, 0.5, "online", 0); /* the world's corners have no neighbours */
    put(map, 2, (1 << 24) - 0.5, (1 << 24) - 0.5, "online", 0);
    struct mvt *first = read_tile(map, 12, 0, 0), *last = read_tile(map, 12, 4095, 4095);
    assert_true(first->count == 1 && first->features[0].id == 1 && last->count == 1 && last->features[0].id == 2);
    free(first);
    free(last);
}

static uint64_t sum(const struct mvt *mvt, const char *state) {
    uint64_t total = 0;
    for (size_t i = 0; i < mvt->count; i++) {
        const struct mvt_feature *feature = &mvt->features[i];
        assert_true(feature->count > 0 && feature->id == 0 && feature->kind[0] == '\0');
        assert_true(feature->x % 64 == 32 && feature->y % 64 == 32 && feature->x < 4096 && feature->y < 4096);
        total += strcmp(feature->state, state) == 0 ? feature->count : 0;
    }
    return total;
}

static void test_counts(void **state) {
    struct map *map = *state;
    const double edge = 2048 << 12;
    for (int64_t i = 0; i < 3000; i++) { /* 3000 in one cell, 500 one by one, and one in the tile beside it */
        put(map, i + 1, edge + 10, edge + 10, i % 3 == 0 ? "offline" : "online", 0);
    }
    for (int64_t i = 0; i < 500; i++) {
        put(map, i + 10000, edge + 4096 + 8.0 * (double)i, edge + 2000, "online", 0);
    }
    put(map, 20000, edge - 1, edge + 10, "online", 0);
    struct mvt *mvt = read_tile(map, 11, 1024, 1024), *west = read_tile(map, 11, 1023, 1024),
               *world = read_tile(map, 0, 0, 0), *points = read_tile(map, 12, 2048, 2048);
    assert_int_equal(sum(mvt, "online"), 2500);
    assert_int_equal(sum(mvt, "offline"), 1000);
    assert_int_equal(sum(west, "online"), 1);
    assert_int_equal(sum(world, "online") + sum(world, "offline"), 3501);
    assert_string_equal(mvt->name, "device");
    assert_true(mvt->extent == 4096 && mvt->version == 2);
    assert_int_equal(points->count, 3000 + 9 + 1);
    free(mvt);
    free(west);
    free(world);
    free(points);
    for (int64_t i = 0; i <= TILE_POINTS_MAX; i++) {
        put(map, i + 100000, (1000 << 12) + 100, (1000 << 12) + 100, "online", 0);
    }
    mvt = read_tile(map, 12, 1000, 1000); /* one too many */
    assert_int_equal(sum(mvt, "online"), TILE_POINTS_MAX + 1);
    free(mvt);
    points_remove(map->points, POINT_DEVICE, 100000);
    mvt = read_tile(map, 12, 1000, 1000);
    assert_int_equal(mvt->count, TILE_POINTS_MAX);
    free(mvt);
}

/* More states than are told apart: none is lost. */
static void test_many_states(void **state) {
    struct map *map = *state;
    for (int64_t i = 0; i < 40; i++) {
        char text[16];
        snprintf(text, sizeof text, "state%d", (int)i);
        put(map, i + 1, (2048 << 12) + 10, (2048 << 12) + 10, text, 0);
    }
    struct mvt *mvt = read_tile(map, 5, 16, 16);
    uint64_t total = 0;
    for (size_t i = 0; i < mvt->count; i++) {
        total += mvt->features[i].count;
    }
    assert_int_equal(mvt->count, 32);
    assert_int_equal(total, 40);
    free(mvt);
}

/* ---- whose ---- */

static void test_scope(void **state) {
    struct map *map = *state;
    const double at = (2048 << 12) + 100;
    for (int32_t department = 0; department < 6; department++) {
        put(map, department + 1, at + 100 * department, at, "online", department);
    }
    struct tile_scope *some = tile_scope_new("{\"departments\": [4, 2, 4]}"),
                      *same = tile_scope_new("{\"departments\": [2, 4], \"login\": \"x\"}"),
                      *others = tile_scope_new("{\"departments\": [2, 5]}"),
                      *none = tile_scope_new("{\"departments\": []}");
    assert_true(some != NULL && same != NULL && others != NULL && none != NULL);
    assert_string_equal(some->tag, same->tag);
    assert_string_not_equal(some->tag, others->tag);
    assert_string_not_equal(some->tag, none->tag);
    assert_string_equal(map->everybody->tag, "all");
    for (unsigned z = 11; z <= 13; z++) {
        uint32_t tile = 2048u << 1 >> (13 - z);
        struct buffer bytes = encode(map, z, tile, tile, some);
        struct mvt *mvt = mvt_read(&bytes);
        buffer_free(&bytes);
        if (z < 12) {
            assert_int_equal(sum(mvt, "online"), 2);
        } else {
            assert_int_equal(mvt->count, 2);
            assert_true(mvt->features[0].id + mvt->features[1].id == 8);
        }
        free(mvt);
        bytes = encode(map, z, tile, tile, none);
        assert_int_equal(bytes.length, 0);
        buffer_free(&bytes);
    }
    assert_false(tile_scope_has(some, 0) || tile_scope_has(some, 3) || tile_scope_has(none, 0));
    assert_true(tile_scope_has(map->everybody, 0) && tile_scope_has(some, 4));
    free(some);
    free(same);
    free(others);
    free(none);
}

/* What cannot be read is not taken for all. */
static void test_scope_unread(void **state) {
    (void)state;
    static const char *const identities[] = {"",
                                             "{}",
                                             "[]",
                                             "{\"departments\": true}",
                                             "{\"departments\": \"all\"}",
                                             "{\"departments\": [1, null]}",
                                             "{\"departments\": [0]}",
                                             "{\"departments\": [-1]}",
                                             "{\"Departments\": null}",
                                             "{\"departments\": {}}"};
    for (size_t i = 0; i < sizeof identities / sizeof identities[0]; i++) {
        assert_null(tile_scope_new(identities[i]));
    }
}

/* ---- the cache ---- */

static struct tile_key key_of(uint32_t x, const char *scope) {
    struct tile_key key;
    memset(&key, 0, sizeof key);
    key.z = 14;
    key.x = x;
    memcpy(key.scope, scope, strlen(scope));
    return key;
}

static void keep(struct tile_cache *cache, const struct tile_key *key, uint64_t version, const char *text) {
    size_t length = strlen(text);
    const struct tile_entry *entry =
        tile_cache_put(cache, key, version, length == 0 ? NULL : strdup(text), length, false);
    assert_non_null(entry);
    tile_entry_release((void *)(uintptr_t)entry);
}

static bool kept(struct tile_cache *cache, const struct tile_key *key, uint64_t version, const char *text) {
    const struct tile_entry *entry = tile_cache_take(cache, key, version);
    if (entry == NULL) {
        return false;
    }
    assert_int_equal(entry->length, strlen(text));
    assert_true(entry->length == 0 || memcmp(entry->bytes, text, entry->length) == 0);
    tile_entry_release((void *)(uintptr_t)entry);
    return true;
}

static void test_cache(void **state) {
    (void)state;
    struct tile_cache *cache = tile_cache_new(4096);
    struct tile_key mine = key_of(1, "all"), other = key_of(1, "0123"), third = key_of(2, "all"),
                    packed = key_of(1, "all");
    packed.gzip = true;
    assert_non_null(cache);
    assert_false(kept(cache, &mine, 1, ""));
    keep(cache, &mine, 1, "one");
    keep(cache, &other, 1, "");
    keep(cache, &third, 1, "three");
    assert_true(kept(cache, &mine, 1, "one") && kept(cache, &other, 1, "") && kept(cache, &third, 1, "three"));
    assert_false(kept(cache, &mine, 2, "") || kept(cache, &packed, 1, ""));
    keep(cache, &mine, 2, "two");
    assert_false(kept(cache, &mine, 1, ""));
    /* An answer that is still being sent keeps its bytes. */
    const struct tile_entry *sent = tile_cache_take(cache, &mine, 2), *again = tile_cache_again(sent);
    keep(cache, &mine, 3, "other");
    assert_memory_equal(sent->bytes, "two", 3);
    tile_entry_release((void *)(uintptr_t)sent);
    assert_memory_equal(again->bytes, "two", 3);
    tile_entry_release((void *)(uintptr_t)again);
    /* Full: what was used last stays. */
    for (uint32_t x = 10; x < 200; x++) {
        struct tile_key key = key_of(x, "all");
        keep(cache, &key, 1, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        assert_true(kept(cache, &mine, 3, "other"));
        assert_true(tile_cache_bytes(cache) <= 4096);
    }
    assert_false(kept(cache, &third, 1, ""));
    char large[5000];
    memset(large, 'l', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    keep(cache, &third, 1, large); /* too large to be kept, and it was sent all the same */
    assert_true(tile_cache_bytes(cache) <= 4096 && !kept(cache, &third, 1, large));
    sent = tile_cache_put(cache, &third, 2, strdup("sent"), 4, false);
    tile_cache_free(cache);
    assert_memory_equal(sent->bytes, "sent", 4);
    tile_entry_release((void *)(uintptr_t)sent);
}

int main(void) {
#define MAP_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {MAP_TEST(test_bytes),        MAP_TEST(test_buffer),
                                       MAP_TEST(test_counts),       MAP_TEST(test_many_states),
                                       MAP_TEST(test_scope),        cmocka_unit_test(test_scope_unread),
                                       cmocka_unit_test(test_cache)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
