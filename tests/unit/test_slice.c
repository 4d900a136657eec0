/* test_slice.c: which rows and devices of a batch one transaction stores, and what the database's answers mean for
 * them. */
#include "fake_world.h"
#include "rows.h"

#include "hub/base/count.h"

/* Three messages: two rows, none, three rows. */
static void three_messages(struct fake_world *world, struct batch *batch, struct device *devices[2]) {
    devices[0] = fake_world_device(world, "T-1", 0);
    devices[1] = fake_world_device(world, "T-2", 0);
    fake_world_message(world, batch, "first");
    fake_world_record(world, batch, devices[0], 1000, 1);
    fake_world_record(world, batch, devices[0], 2000, 1);
    fake_world_message(world, batch, "empty");
    fake_world_message(world, batch, "last");
    for (int i = 0; i < 3; i++) {
        fake_world_record(world, batch, devices[1], 3000 + i, 1);
    }
}

static void expect_range(const struct slice *slice, size_t begin, size_t end) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    assert_int_equal(range.begin, begin);
    assert_int_equal(range.end, end);
    assert_int_equal(slice_rows(slice), end - begin);
}

static void test_range(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *devices[2];
    three_messages(world, &batch, devices);
    static const struct {
        size_t first, last, begin, end;
    } cases[] = {{0, 3, 0, 5}, {0, 1, 0, 2}, {1, 2, 2, 2}, {2, 3, 2, 5}, {1, 3, 2, 5}, {0, 2, 0, 2}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice slice = fake_world_slice(&batch, cases[i].first, cases[i].last);
        expect_range(&slice, cases[i].begin, cases[i].end);
    }
    /* A refused message has no rows; it is always alone. */
    batch.messages[2].refused = true;
    struct slice refused = fake_world_slice(&batch, 2, 3);
    expect_range(&refused, 2, 2);
    assert_int_equal(slice_devices_without_id(&refused), 0);
    slice_committed(&refused);
    assert_false(devices[1]->registered);
    /* There are no tracks at all. */
    struct slice_range tracks = slice_range(&refused, SLICE_TRACKS);
    assert_int_equal(tracks.end - tracks.begin, 0);
    batch_free(&batch);
}

static void test_ids(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *devices[] = {fake_world_device(world, "T-1", 0), fake_world_device(world, "T-2", 77),
                                fake_world_device(world, "T-3", 0)};
    devices[1]->registered = false;
    fake_world_message(world, &batch, "m");
    for (int i = 0; i < 6; i++) {
        fake_world_record(world, &batch, devices[i % 3], i * 1000, 1);
    }
    struct slice slice = fake_world_slice(&batch, 0, 1);
    assert_int_equal(slice_devices_without_id(&slice), 2);
    devices[2]->id = 78; /* another lane was faster */
    PGresult *ids = ROWS(1, "90", "91");
    slice_give_ids(&slice, ids);
    PQclear(ids);
    assert_int_equal(devices[0]->id, 90);
    assert_int_equal(devices[1]->id, 77);
    assert_int_equal(devices[2]->id, 78);
    assert_int_equal(slice_devices_without_id(&slice), 0);
    assert_false(devices[0]->registered || devices[1]->registered || devices[2]->registered);
    slice_committed(&slice);
    assert_true(devices[0]->registered && devices[1]->registered && devices[2]->registered);
    batch_free(&batch);
}

/* What another hub has registered meanwhile, and what is nobody's here. */
static void test_real_ids(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *first = fake_world_device(world, "T-1", 0);
    struct device *second = fake_world_device(world, "T-2", 0);
    fake_world_message(world, &batch, "m")->vendor = NULL; /* of an unknown vendor */
    fake_world_message(world, &batch, "m");
    fake_world_record(world, &batch, first, 1000, 1);
    fake_world_record(world, &batch, second, 1000, 1);
    first->id = 90;
    second->id = 91;
    struct slice slice = fake_world_slice(&batch, 0, 2);
    PGresult *real = ROWS(4, "12", FAKE_SUBSYSTEM, "acme", "T-1", "13", FAKE_SUBSYSTEM, "quiet", "T-2", "14", "dust",
                          "acme", "T-2", "15", FAKE_SUBSYSTEM, "acme", "T-9");
    slice_take_ids(&slice, real);
    PQclear(real);
    assert_int_equal(first->id, 12);
    assert_true(first->registered);
    assert_int_equal(second->id, 91);
    assert_false(second->registered);
    batch_free(&batch);
}

/* Each once, ascending; before 1970 they are rounded down. */
static void test_days_and_hours(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    static const int64_t times[] = {86400000, 86399999, 0, -1, -86400000, -86400001, 86399999, 3600000};
    fake_world_message(world, &batch, "m");
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        fake_world_record(world, &batch, device, times[i], 1);
    }
    struct slice slice = fake_world_slice(&batch, 0, 1);
    size_t count;
    int64_t *days = slice_days(&slice, &count);
    static const int64_t expected_days[] = {-2, -1, 0, 1};
    assert_int_equal(count, COUNT_OF(expected_days));
    assert_memory_equal(days, expected_days, sizeof expected_days);
    free(days);
    int64_t *hours = slice_hours(&slice, &count);
    static const int64_t expected_hours[] = {-25, -24, -1, 0, 1, 23, 24};
    assert_int_equal(count, COUNT_OF(expected_hours));
    assert_memory_equal(hours, expected_hours, sizeof expected_hours);
    free(hours);
    batch_free(&batch);
}

/* Row numbers begin with 1 within the slice; what is out of range is nobody's. Asked again, it is counted anew. */
static void test_fates(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *devices[2];
    three_messages(world, &batch, devices);
    PGresult *settled = ROWS(2, "1", "1", "1", "4", "1", "5", "1", "0", "1", "6", "2", "2", "3", "3", "4", "3", "9",
                             "3", "-1", "3", "0", "-3");
    for (int turn = 0; turn < 2; turn++) {
        struct slice all = fake_world_slice(&batch, 0, 3);
        slice_take_fates(&all, settled);
        static const uint32_t expected[3][FATE_COUNT] = {{0, 1, 1, 0}, {0, 0, 0, 0}, {0, 2, 0, 1}};
        for (size_t m = 0; m < 3; m++) {
            assert_memory_equal(batch.messages[m].fates, expected[m], sizeof expected[m]);
        }
    }
    PQclear(settled);
    settled = ROWS(2, "2", "1");
    struct slice last = fake_world_slice(&batch, 2, 3);
    slice_take_fates(&last, settled);
    PQclear(settled);
    static const uint32_t first_kept[FATE_COUNT] = {0, 1, 1, 0}, last_anew[FATE_COUNT] = {2, 0, 1, 0};
    assert_memory_equal(batch.messages[0].fates, first_kept, sizeof first_kept);
    assert_memory_equal(batch.messages[2].fates, last_anew, sizeof last_anew);
    /* Nothing was there already. */
    settled = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    slice_take_fates(&last, settled);
    PQclear(settled);
    assert_int_equal(batch.messages[2].fates[FATE_STORED], 3);
    batch_free(&batch);
}

/* A record that was there already is merged by a place that was not, and revised by another one; a new one is new. */
static void test_place_fates(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 0);
    struct record record = {.has_position = true, .lon = 114, .lat = 34};
    fake_world_message(world, &batch, "before");
    fake_world_record(world, &batch, device, 500, 1);
    batch_track_add(&batch, device, &record);
    fake_world_message(world, &batch, "m");
    for (int i = 0; i < 7; i++) {
        fake_world_record(world, &batch, device, 1000 + i, 1);
        if (i != 1) { /* the second has none, so that places and records have other numbers */
            batch_track_add(&batch, device, &record);
        }
    }
    struct slice slice = fake_world_slice(&batch, 1, 2);
    assert_int_equal(slice_tracks(&slice), 6);
    /* Records 1 to 7: new, duplicate without a place, duplicate with a new place, with another one, with the same;
     * merged with another one; revised with a new one. */
    PGresult *records = ROWS(2, "1", "2", "1", "3", "1", "4", "1", "5", "2", "6", "3", "7");
    PGresult *places = ROWS(2, "2", "1", "2", "2", "3", "3", "3", "5", "2", "6", "2", "7", "3", "0");
    for (int turn = 0; turn < 2; turn++) {
        slice_take_place_fates(&slice, places);
        slice_take_fates(&slice, records);
        static const uint32_t expected[FATE_COUNT] = {1, 2, 1, 3};
        assert_memory_equal(batch.messages[1].fates, expected, sizeof expected);
    }
    PQclear(places);
    /* Settled anew, with no place changed. */
    places = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    slice_take_place_fates(&slice, places);
    slice_take_fates(&slice, records);
    static const uint32_t anew[FATE_COUNT] = {1, 4, 1, 1};
    assert_memory_equal(batch.messages[1].fates, anew, sizeof anew);
    assert_int_equal(batch.messages[0].fates[FATE_STORED], 1);
    PQclear(places);
    PQclear(records);
    batch_free(&batch);
}

static void test_document(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    fake_world_message(world, &batch, "first");
    fake_world_message(world, &batch, "second");
    struct slice slice = fake_world_slice(&batch, 1, 2);
    PGresult *stored = ROWS(7, "1", "5", "3", "2", "4", "6", "8");
    slice_take_document(&slice, stored);
    PQclear(stored);
    assert_int_equal(batch.messages[1].fates[FATE_STORED], 5);
    assert_int_equal(batch.messages[1].fates[FATE_DUPLICATE], 3);
    assert_int_equal(batch.messages[1].problem_count, 2);
    assert_int_equal(batch.messages[1].fates[FATE_MERGED], 4);
    assert_int_equal(batch.messages[1].fates[FATE_REVISED], 6);
    assert_int_equal(batch.messages[1].field_count, 8);
    /* Not of this slice, or no row at all. */
    stored = ROWS(7, "0", "5", "3", "2", "4", "6", "8");
    slice_take_document(&slice, stored);
    PQclear(stored);
    stored = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    slice_take_document(&slice, stored);
    PQclear(stored);
    assert_int_equal(batch.messages[0].fates[FATE_STORED], 0);
    assert_int_equal(batch.messages[1].fates[FATE_STORED], 5);
    batch_free(&batch);
}

/* A mark is never used twice. */
static void test_mark(void **state) {
    (void)state;
    uint32_t first = slice_mark();
    assert_true(first != 0);
    assert_true(slice_mark() != first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_range),          WORLD_TEST(test_ids),        WORLD_TEST(test_real_ids),
        WORLD_TEST(test_days_and_hours), WORLD_TEST(test_fates),      WORLD_TEST(test_place_fates),
        WORLD_TEST(test_document),       cmocka_unit_test(test_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
