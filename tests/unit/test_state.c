/* test_state.c: what the hub has seen of devices: the newest reading of each metric, and what becomes of it when the
 * database takes it, or does not. */
#include "rows.h"

#include <endian.h>

#include "hub/know/state.h"

static const int64_t t0 = INT64_C(1700000000000);

struct world {
    struct registry *registry;
    struct states *states;
    struct vendor *vendor;
    struct buffer copy, ids;
};

static int begin(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->registry = registry_new();
    world->states = states_new();
    PGresult *rows = ROWS(5, "dust", "acme", "f", "t", "f");
    assert_int_equal(registry_take_vendors(world->registry, rows), 0);
    PQclear(rows);
    world->vendor = registry_vendor(world->registry, "dust", "acme");
    *state = world;
    return 0;
}

static int end(void **state) {
    struct world *world = *state;
    buffer_free(&world->copy);
    buffer_free(&world->ids);
    states_free(world->states);
    registry_free(world->registry);
    free(world);
    return 0;
}

static struct device *device_of(struct world *world, const char *code, int id) {
    struct device *device = vendor_device_add(world->vendor, code, strlen(code));
    assert_non_null(device);
    device->id = id;
    device->registered = id != 0;
    return device;
}

static void see(struct world *world, struct device *device, int64_t at_ms, int ordinal, double value, bool flagged) {
    struct record record = {.observed_at_ms = t0 + at_ms, .present = UINT64_C(1) << (ordinal - 1)};
    record.quality = flagged ? record.present : 0;
    record.values[ordinal - 1] = value;
    assert_int_equal(states_note(world->states, device, &record, t0 + 100000 + at_ms), 0);
}

/* ---- the copied rows, read back ---- */

struct row {
    int id;
    int64_t observed_at_ms, last_seen_ms; /* since t0 */
    int count;
    double values[ADAPTER_METRICS_MAX];
    int64_t times[ADAPTER_METRICS_MAX]; /* since t0, -1 = none */
    uint64_t quality;
    bool placed;
};

static uint32_t take4(const char **at) {
    uint32_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return be32toh(value);
}

static uint64_t take8(const char **at) {
    uint64_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return be64toh(value);
}

static int64_t take_time(const char **at) {
    return ((int64_t)take8(at) + INT64_C(946684800000000)) / 1000 - t0;
}

static int take_array_head(const char **at, uint32_t oid) {
    assert_int_not_equal(take4(at), UINT32_MAX); /* its length */
    uint32_t dimensions = take4(at);
    take4(at);
    assert_int_equal(take4(at), oid);
    if (dimensions == 0) {
        return 0;
    }
    int count = (int)take4(at);
    assert_int_equal(take4(at), 1);
    return count;
}

static struct row take_row(const char **at) {
    struct row row = {0};
    *at += 2;
    assert_int_equal(take4(at), 4);
    row.id = (int)take4(at);
    assert_int_equal(take4(at), 8);
    row.observed_at_ms = take_time(at);
    assert_int_equal(take4(at), 8);
    row.last_seen_ms = take_time(at);
    row.count = take_array_head(at, 701);
    for (int i = 0; i < row.count; i++) {
        if (take4(at) == 8) {
            uint64_t bits = take8(at);
            memcpy(&row.values[i], &bits, sizeof bits);
        }
    }
    assert_int_equal(take_array_head(at, 1184), row.count);
    for (int i = 0; i < row.count; i++) {
        row.times[i] = take4(at) == 8 ? take_time(at) : -1;
    }
    row.quality = take4(at) == 8 ? take8(at) : 0;
    uint32_t place = take4(at);
    row.placed = place != UINT32_MAX;
    *at += row.placed ? place + 4 + 8 : 4;
    return row;
}

/* Copies up to `limit` and reads back the rows. */
static size_t copied(struct world *world, size_t limit, struct row *rows) {
    world->copy.length = 0;
    size_t count = states_set_aside(world->states, limit);
    while (states_copy(world->states, &world->copy)) {
    }
    const char *at = world->copy.data + 19;
    for (size_t i = 0; i < count; i++) {
        rows[i] = take_row(&at);
    }
    assert_int_equal(world->copy.data + world->copy.length - at, 2);
    assert_memory_equal(at, "\xff\xff", 2);
    return count;
}

static void test_newest_of_each(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world, "D-1", 7);
    struct row row;
    see(world, device, 5000, 1, 50, false);
    see(world, device, 9000, 4, 60, true);
    see(world, device, 4000, 1, 40, false); /* late: older than what is known of this metric */
    see(world, device, 8000, 4, 55, false);
    see(world, device, 7000, 3, 70, false); /* late, but the first of its metric */
    assert_int_equal(states_dirty(world->states), 1);
    assert_int_equal(copied(world, 10, &row), 1);
    assert_int_equal(row.id, 7);
    assert_int_equal(row.observed_at_ms, 9000);
    assert_int_equal(row.last_seen_ms, 109000);
    assert_int_equal(row.count, 4);
    assert_true(row.values[0] == 50 && row.values[2] == 70 && row.values[3] == 60);
    assert_int_equal(row.times[0], 5000);
    assert_int_equal(row.times[1], -1);
    assert_int_equal(row.times[2], 7000);
    assert_int_equal(row.times[3], 9000);
    assert_int_equal(row.quality, 1 << 3);
    assert_false(row.placed);
    assert_int_equal(states_dirty(world->states), 0);
}

static void test_quality_goes_with_its_reading(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world, "D-1", 7);
    struct row row;
    see(world, device, 1000, 1, 5000, true);
    see(world, device, 2000, 1, 50, false);
    assert_int_equal(copied(world, 10, &row), 1);
    assert_int_equal(row.quality, 0);
    states_written(world->states);
    see(world, device, 3000, 1, 5000, true);
    see(world, device, 2500, 1, 60, false);
    assert_int_equal(copied(world, 10, &row), 1);
    assert_int_equal(row.quality, 1);
}

static const char first_id[STATES_ID_BYTES] = "00000000-0000-4000-8000-000000000001";
static const char second_id[STATES_ID_BYTES] = "00000000-0000-4000-8000-000000000002";

/* The batches that device_state has once what is set aside is written. */
static const char *batches(struct world *world) {
    world->ids.length = 0;
    states_copy_batches(world->states, &world->ids);
    return buffer_string(&world->ids);
}

/* A batch is stated when all devices of its round are written; what changes meanwhile is of the next round. */
static void test_rounds(void **state) {
    struct world *world = *state;
    struct device *devices[3];
    struct row rows[3];
    assert_false(states_due(world->states));
    for (int i = 0; i < 3; i++) {
        char code[] = {'D', (char)('0' + i), '\0'};
        devices[i] = device_of(world, code, 1 + i);
        see(world, devices[i], 1000, 1, i, false);
    }
    assert_int_equal(states_batches(world->states, first_id, sizeof first_id), 0);
    assert_int_equal(copied(world, 2, rows), 2);
    assert_string_equal(batches(world), "'{}'"); /* one device is left */
    see(world, devices[0], 2000, 1, 5, false);
    see(world, devices[1], 2000, 1, 5, false);
    assert_int_equal(states_batches(world->states, second_id, sizeof second_id), 0);
    states_written(world->states);
    assert_int_equal(copied(world, 2, rows), 1);
    assert_string_equal(batches(world), "'{00000000-0000-4000-8000-000000000001}'");
    states_written(world->states);
    assert_int_equal(copied(world, 2, rows), 1); /* the other one went with its round, as it was still to be written */
    assert_string_equal(batches(world), "'{00000000-0000-4000-8000-000000000002}'");
    states_written(world->states);
    assert_false(states_due(world->states));
}

/* A write that fails ends its round: nothing is called stated before all of it is written, in whichever order. */
static void test_round_fails(void **state) {
    struct world *world = *state;
    struct device *one = device_of(world, "D-1", 1), *two = device_of(world, "D-2", 2);
    struct row rows[3];
    see(world, one, 1000, 1, 1, false);
    see(world, two, 1000, 1, 2, false);
    assert_int_equal(states_batches(world->states, first_id, sizeof first_id), 0);
    assert_int_equal(copied(world, 2, rows), 2);
    see(world, one, 2000, 1, 3, false);
    see(world, two, 2000, 1, 3, false);
    states_unwritten(world->states); /* both have a newer state already, which is of no round */
    assert_int_equal(copied(world, 1, rows), 1);
    assert_string_equal(batches(world), "'{}'");
    states_written(world->states);
    assert_int_equal(copied(world, 1, rows), 1);
    assert_string_equal(batches(world), "'{00000000-0000-4000-8000-000000000001}'");
    states_unwritten(world->states);
    assert_int_equal(copied(world, 5, rows), 1);
    assert_string_equal(batches(world), "'{00000000-0000-4000-8000-000000000001}'");
}

/* A batch without a row that counts, as one of documents: it is stated all the same. */
static void test_batch_alone(void **state) {
    struct world *world = *state;
    struct row row;
    assert_int_equal(states_batches(world->states, first_id, sizeof first_id), 0);
    assert_true(states_due(world->states));
    assert_int_equal(states_dirty(world->states), 0);
    assert_int_equal(copied(world, 5, &row), 0);
    assert_string_equal(batches(world), "'{00000000-0000-4000-8000-000000000001}'");
    states_written(world->states);
    assert_false(states_due(world->states));
}

static void test_limit(void **state) {
    struct world *world = *state;
    struct row rows[5];
    int seen = 0;
    for (int i = 0; i < 5; i++) {
        char code[] = {'D', (char)('0' + i), '\0'};
        see(world, device_of(world, code, 1 << i), 1000, 1, i, false);
    }
    for (size_t left = 5, count; left > 0; left -= count) {
        count = copied(world, 2, rows);
        assert_int_equal(count, left < 2 ? left : 2);
        for (size_t i = 0; i < count; i++) {
            seen += rows[i].id;
        }
        states_written(world->states);
    }
    assert_int_equal(seen, 31); /* each once */
    assert_int_equal(copied(world, 2, rows), 0);
}

/* The write failed; meanwhile newer and older readings came. Nothing newer is lost to what comes back. */
static void test_unwritten(void **state) {
    struct world *world = *state;
    struct device *both = device_of(world, "D-1", 1);
    struct device *once = device_of(world, "D-2", 2);
    struct row rows[2];
    see(world, both, 5000, 1, 50, true);
    see(world, both, 5000, 3, 30, false);
    see(world, once, 5000, 1, 11, false);
    assert_int_equal(copied(world, 10, rows), 2);
    see(world, both, 6000, 1, 60, false);
    see(world, both, 4000, 3, 20, false);
    states_unwritten(world->states);
    assert_int_equal(states_dirty(world->states), 2);
    assert_int_equal(copied(world, 10, rows), 2);
    const struct row *row = rows[0].id == 1 ? &rows[0] : &rows[1];
    assert_int_equal(row->observed_at_ms, 6000);
    assert_int_equal(row->last_seen_ms, 106000);
    assert_true(row->values[0] == 60 && row->values[2] == 30);
    assert_int_equal(row->times[0], 6000);
    assert_int_equal(row->times[2], 5000);
    assert_int_equal(row->quality, 0);
    row = rows[0].id == 2 ? &rows[0] : &rows[1];
    assert_true(row->values[0] == 11);
    states_unwritten(world->states); /* twice: freed once, by the end */
    assert_int_equal(states_dirty(world->states), 2);
}

static void test_place(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world, "D-1", 7);
    struct record record = {.observed_at_ms = t0 + 5000, .has_position = true, .lon = 114.8, .lat = 34.5};
    struct row row;
    assert_int_equal(states_note(world->states, device, &record, t0), 0);
    record.observed_at_ms = t0 + 4000;
    record.lon = 115;
    assert_int_equal(states_note(world->states, device, &record, t0), 0);
    record.observed_at_ms = t0 + 6000;
    record.outside = true; /* the county: not where the device is */
    assert_int_equal(states_note(world->states, device, &record, t0), 0);
    assert_int_equal(copied(world, 10, &row), 1);
    assert_true(row.placed);
    assert_int_equal(row.count, 0);
    double lon;
    memcpy(&lon, world->copy.data + world->copy.length - 2 - 12 - 16, sizeof lon);
    assert_true(lon == 114.8);
}

/* ---- any records, against a plain table of what is the newest ---- */

struct newest {
    double values[8];
    int64_t times[8]; /* -1 = none */
    bool flags[8];
    int64_t observed_at_ms, placed_at_ms;
};

static uint32_t random_below(uint32_t *seed, uint32_t bound) {
    *seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
    return (*seed >> 8) % bound;
}

/* Often the same metrics, often at the same time, sometimes late, some without a reading or with a place. */
static struct record random_record(uint32_t *seed) {
    static const uint64_t presents[] = {0xb5, 0xb5, 0xb5, 0x21, 0x4a, 0};
    struct record record = {.observed_at_ms = t0 + random_below(seed, 5),
                            .present = presents[random_below(seed, 6)],
                            .has_position = random_below(seed, 4) == 0};
    record.quality = record.present & random_below(seed, 256);
    record.lon = record.lat = (double)random_below(seed, 90);
    for (int i = 0; i < 8; i++) {
        record.values[i] = (double)random_below(seed, 1000);
    }
    return record;
}

static void newest_note(struct newest *newest, const struct record *record) {
    int64_t at = record->observed_at_ms - t0;
    newest->observed_at_ms = at > newest->observed_at_ms ? at : newest->observed_at_ms;
    newest->placed_at_ms = record->has_position && at > newest->placed_at_ms ? at : newest->placed_at_ms;
    for (int i = 0; i < 8; i++) {
        if ((record->present >> i & 1) != 0 && at >= newest->times[i]) {
            newest->values[i] = record->values[i];
            newest->times[i] = at;
            newest->flags[i] = (record->quality >> i & 1) != 0;
        }
    }
}

static void assert_newest(const struct row *row, const struct newest *newest) {
    assert_int_equal(row->observed_at_ms, newest->observed_at_ms);
    assert_int_equal(row->placed, newest->placed_at_ms >= 0);
    for (int i = 0; i < 8; i++) {
        int64_t at = i < row->count ? row->times[i] : -1;
        assert_int_equal(at, newest->times[i]);
        assert_true(at < 0 || row->values[i] == newest->values[i]);
        assert_int_equal(row->quality >> i & 1, at >= 0 && newest->flags[i]);
    }
}

static void test_any_records(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world, "D-1", 7);
    uint32_t seed = 1;
    for (int round = 0; round < 4000; round++) {
        struct newest newest = {.observed_at_ms = -1, .placed_at_ms = -1};
        struct row row;
        memset(newest.times, -1, sizeof newest.times);
        /* What a write that failed brings back is merged with what came meanwhile. */
        for (int part = 0; part < 2; part++) {
            for (uint32_t rest = 1 + random_below(&seed, 3); rest > 0; rest--) {
                struct record record = random_record(&seed);
                assert_int_equal(states_note(world->states, device, &record, t0), 0);
                newest_note(&newest, &record);
            }
            assert_int_equal(states_dirty(world->states), 1);
            if (part == 0 && random_below(&seed, 2) == 0) {
                assert_int_equal(copied(world, 10, &row), 1);
            } else if (part == 1) {
                states_unwritten(world->states);
            }
        }
        assert_int_equal(copied(world, 10, &row), 1);
        assert_newest(&row, &newest);
        states_written(world->states);
    }
    assert_false(states_due(world->states));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {TEST(test_newest_of_each), TEST(test_quality_goes_with_its_reading),
                                       TEST(test_rounds),         TEST(test_round_fails),
                                       TEST(test_batch_alone),    TEST(test_limit),
                                       TEST(test_unwritten),      TEST(test_place),
                                       TEST(test_any_records)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
