/* test_rollup.c: what the hub counts of committed batches: in any order the same, exact, and of a batch all or nothing.
 */
#include "captured.h"
#include "copied.h"
#include "fake_world.h"

#include <math.h>

#include "hub/base/count.h"

enum { HOUR_MS = 3600000, COLUMNS = 16, SPEED = FAKE_SPEED - 1 };
enum {
    DEVICE,
    HOUR,
    RECORDS,
    LAST_AT,
    COUNTS,
    MINIMA,
    MAXIMA,
    SUMS,
    RESTS,
    FIRSTS,
    LASTS,
    FIRST_MS,
    LAST_MS,
    ABOVE,
    BELOW,
    LEAST
};

static const int64_t hour_ms = FAKE_NOW_MS - FAKE_NOW_MS % HOUR_MS;
static const char name[] = "00000000-0000-4000-8000-000000000001";

static struct rollups *rollups_of(void **state) {
    return ((struct fake_world *)*state)->world.rollups;
}

static void note(struct rollups *rollups, struct device *device, int64_t at_ms, int ordinal, double value,
                 bool flagged) {
    struct record record = {.observed_at_ms = hour_ms + at_ms, .present = UINT64_C(1) << (ordinal - 1)};
    record.quality = flagged ? record.present : 0;
    record.values[ordinal - 1] = value;
    rollups_note(rollups, device, &record);
}

static double element(const struct copied *row, int column, int place) {
    const char *at = row->fields[column].bytes;
    bool integers = copied_number(at + 8, 4) == 23;
    assert_in_range(place, 1, copied_number(at, 4) == 0 ? 0 : copied_number(at + 12, 4));
    at += 20;
    for (int i = 1; i < place; i++) {
        int64_t length = copied_number(at, 4);
        at += 4 + (length < 0 ? 0 : length);
    }
    if (copied_number(at, 4) < 0) {
        return NAN;
    }
    int64_t bits = copied_number(at + 4, integers ? 4 : 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return integers ? (double)bits : value;
}

static int size_of(const struct copied *row, int column) {
    return copied_number(row->fields[column].bytes, 4) == 0 ? 0 : (int)copied_number(row->fields[column].bytes + 12, 4);
}

/* All that is counted, in one buffer. */
static size_t copy_all(struct rollups *rollups, struct buffer *copy) {
    size_t count = rollups_send(rollups), before;
    do {
        before = copy->length;
    } while (rollups_copy(rollups, copy));
    assert_int_equal(copy->length, before);
    return count;
}

/* The only row that is copied; its bytes stay in `copy`. */
static struct copied row_of(struct rollups *rollups, struct buffer *copy) {
    buffer_free(copy);
    assert_int_equal(copy_all(rollups, copy), 1);
    struct copied rows = copied_begin(copy->data, copy->length), end;
    assert_true(copied_next(&rows));
    end = rows;
    assert_false(copied_next(&end));
    assert_int_equal(rows.columns, COLUMNS);
    return rows;
}

static void expect_batches(struct rollups *rollups, const char *wanted) {
    struct buffer out = {0};
    rollups_copy_batches(rollups, &out);
    assert_string_equal(buffer_string(&out), wanted);
    buffer_free(&out);
}

static void test_one_hour(void **state) {
    struct rollups *rollups = rollups_of(state);
    struct device *device = fake_world_device(*state, "T-1", 5);
    struct buffer copy = {0};
    note(rollups, device, 5000, 1, 30, false);
    note(rollups, device, 9000, 3, 2, false);
    note(rollups, device, 1000, 1, 40, false); /* late: the first by its time */
    note(rollups, device, 7000, 1, 20, false);
    note(rollups, device, 8000, 1, 1e6, true);
    note(rollups, device, 8001, 1, -5, true);
    struct copied row = row_of(rollups, &copy);
    assert_int_equal(copied_integer(&row, DEVICE), 5);
    assert_int_equal(copied_time(&row, HOUR), hour_ms * 1000);
    assert_int_equal(copied_integer(&row, RECORDS), 6);
    assert_int_equal(copied_time(&row, LAST_AT), (hour_ms + 9000) * 1000);
    static const double wanted[][3] = {{3, 0, 1},    {20, NAN, 2}, {40, NAN, 2},      {90, NAN, 2},     {0, NAN, 0},
                                       {40, NAN, 2}, {20, NAN, 2}, {1000, NAN, 9000}, {7000, NAN, 9000}};
    for (int column = COUNTS; column <= LAST_MS; column++) {
        assert_int_equal(size_of(&row, column), 3);
        for (int place = 1; place <= 3; place++) {
            double found = element(&row, column, place), want = wanted[column - COUNTS][place - 1];
            assert_true(found == want || (isnan(found) && isnan(want)));
        }
    }
    assert_int_equal(size_of(&row, ABOVE), 1);
    assert_true(element(&row, ABOVE, 1) == 1 && element(&row, BELOW, 1) == 1);
    assert_int_equal(size_of(&row, LEAST), 0);
    assert_int_equal(rollups_bytes(rollups), 0);
    buffer_free(&copy);
}

/* Flagged within the range: beyond the instrument's upper limit; the least of them is kept, in any order. */
static void test_over_range(void **state) {
    struct rollups *rollups = rollups_of(state);
    struct device *device = fake_world_device(*state, "T-1", 5);
    struct buffer copy = {0};
    for (int i = 0; i < 2; i++) {
        note(rollups, device, 5000, 3, 80, true);
        if (i == 1) {
            note(rollups, device, 6000, 3, 70, true);
            note(rollups, device, 7000, 3, 90, true);
            note(rollups, device, 8000, 4, 1e9, true);
            note(rollups, device, 9000, 3, 10, false);
        }
        struct copied row = row_of(rollups, &copy);
        assert_int_equal(size_of(&row, LEAST), 3);
        assert_true(isnan(element(&row, LEAST, 1)) && element(&row, LEAST, 3) == (i == 0 ? 80 : 70));
        assert_true(element(&row, ABOVE, 3) == (i == 0 ? 1 : 3) && element(&row, BELOW, 3) == 0);
        assert_true(element(&row, COUNTS, 3) == i && (i == 0 || element(&row, SUMS, 3) == 10));
    }
    buffer_free(&copy);
}

/* A record that stays alone is kept as it came: it makes the row that others would have made with it. */
static void test_one_record(void **state) {
    struct rollups *rollups = rollups_of(state);
    struct device *device = fake_world_device(*state, "T-1", 5);
    struct buffer copy = {0};
    struct record record = {.observed_at_ms = hour_ms + 1234, .present = 0x2b, .quality = 0x0a};
    record.values[0] = -0.0;
    record.values[1] = 1e6;
    record.values[3] = -5e6;
    record.values[5] = 0.7;
    rollups_note(rollups, device, &record);
    struct copied row = row_of(rollups, &copy);
    assert_int_equal(copied_integer(&row, RECORDS), 1);
    assert_int_equal(copied_time(&row, LAST_AT), (hour_ms + 1234) * 1000);
    static const double values[] = {0, NAN, NAN, NAN, NAN, 0.7};
    for (int column = COUNTS; column <= LAST_MS; column++) {
        assert_int_equal(size_of(&row, column), 6);
        for (int place = 1; place <= 6; place++) {
            double value = values[place - 1], found = element(&row, column, place);
            double want = column == COUNTS                          ? !isnan(value)
                          : isnan(value)                            ? NAN
                          : column == RESTS                         ? found
                          : column == FIRST_MS || column == LAST_MS ? 1234
                                                                    : value;
            assert_true(found == want || (isnan(found) && isnan(want)));
        }
    }
    assert_false(signbit(element(&row, MINIMA, 1)));
    assert_true(size_of(&row, ABOVE) == 4 && element(&row, ABOVE, 2) == 1 && element(&row, BELOW, 4) == 1);
    assert_true(element(&row, ABOVE, 1) == 0 && element(&row, ABOVE, 4) == 0);
    rollups_written(rollups);
    /* With a second one, of more metrics, and a third one of fewer. */
    rollups_note(rollups, device, &record);
    note(rollups, device, 2000, 8, 3, false);
    note(rollups, device, 1000, 6, 0.5, false);
    row = row_of(rollups, &copy);
    assert_int_equal(size_of(&row, COUNTS), 8);
    assert_true(element(&row, COUNTS, 6) == 2 && element(&row, FIRSTS, 6) == 0.5 && element(&row, LASTS, 6) == 0.7);
    assert_true(element(&row, COUNTS, 8) == 1 && element(&row, FIRST_MS, 8) == 2000);
    assert_true(element(&row, ABOVE, 2) == 1 && element(&row, BELOW, 4) == 1 && element(&row, COUNTS, 1) == 1);
    buffer_free(&copy);
}

/* More than a piece: each device-hour is in one of them; and what was counted meanwhile is in none. */
static void test_pieces(void **state) {
    enum { HOURS = 500 };
    struct rollups *rollups = rollups_of(state);
    struct device *device = fake_world_device(*state, "T-1", 5);
    struct buffer copy = {0};
    bool seen[HOURS] = {false};
    for (int hour = 0; hour < HOURS; hour++) {
        note(rollups, device, (int64_t)hour * HOUR_MS, 3, 1, false);
    }
    assert_int_equal(rollups_send(rollups), HOURS);
    int pieces = 0;
    for (size_t before = 0; rollups_copy(rollups, &copy); before = copy.length, pieces++) {
        assert_in_range(copy.length - before, 1, 34 * 1024);
        note(rollups, device, -(int64_t)HOUR_MS, 3, 1, false);
    }
    assert_true(pieces > 2);
    struct copied row = copied_begin(copy.data, copy.length);
    while (copied_next(&row)) {
        int64_t hour = (copied_time(&row, HOUR) / 1000 - hour_ms) / HOUR_MS;
        assert_in_range(hour, 0, HOURS - 1);
        assert_false(seen[hour]);
        seen[hour] = true;
    }
    for (int hour = 0; hour < HOURS; hour++) {
        assert_true(seen[hour]);
    }
    rollups_written(rollups);
    row = row_of(rollups, &copy);
    assert_int_equal(copied_integer(&row, RECORDS), pieces);
    buffer_free(&copy);
}

/* Hours begin with their first millisecond, also before 1970; a record without a good reading is a record. */
static void test_hours(void **state) {
    struct rollups *rollups = rollups_of(state);
    struct device *device = fake_world_device(*state, "T-1", 5);
    struct buffer copy = {0};
    struct record empty = {.observed_at_ms = -1};
    rollups_note(rollups, device, &empty);
    struct copied row = row_of(rollups, &copy);
    assert_int_equal(copied_time(&row, HOUR), -HOUR_MS * INT64_C(1000));
    assert_int_equal(copied_time(&row, LAST_AT), -1000);
    assert_int_equal(copied_integer(&row, RECORDS), 1);
    for (int column = COUNTS; column < COLUMNS; column++) {
        assert_int_equal(size_of(&row, column), 0);
    }
    note(rollups, device, HOUR_MS - 1, 1, 1, false);
    note(rollups, device, HOUR_MS, 1, 1, false);
    buffer_free(&copy);
    assert_int_equal(copy_all(rollups, &copy), 2);
    buffer_free(&copy);
}

/* The same readings in another order: the same bits; and the sum is exact: what rounding took is in the rest. */
static void test_sums(void **state) {
    struct rollups *rollups = rollups_of(state);
    struct device *device = fake_world_device(*state, "T-1", 5);
    static const double values[] = {0.1, 0.2, 1e9, -0.0, 0.3, -1e9, 35.2, 1.0 / 3, 4e9, 0.7};
    static const int orders[][COUNT_OF(values)] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, {2, 8, 0, 5, 9, 3, 7, 1, 6, 4}};
    struct buffer copies[COUNT_OF(orders)] = {0};
    for (size_t o = 0; o < COUNT_OF(orders); o++) {
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            note(rollups, device, 1000 * orders[o][i], 1, values[orders[o][i]], false);
        }
        struct copied row = row_of(rollups, &copies[o]);
        assert_int_equal(copies[o].length, copies[0].length);
        assert_memory_equal(copies[o].data, copies[0].data, copies[0].length);
        long double exact = 0.1L + 0; /* long double holds these sums */
        exact = (long double)0.1 + 0.2 + 0.3 + 35.2 + 1.0 / 3 + 0.7 + 4e9;
        assert_true(element(&row, SUMS, 1) == (double)exact);
        assert_true(fabsl((long double)element(&row, SUMS, 1) + element(&row, RESTS, 1) - exact) < 0x1p-28L);
        assert_true(element(&row, RESTS, 1) != 0);
    }
    for (size_t o = 0; o < COUNT_OF(orders); o++) {
        buffer_free(&copies[o]);
    }
    struct buffer copy = {0};
    note(rollups, device, 2, 1, 0.0, false);
    note(rollups, device, 1, 1, -0.0, false);
    struct copied row = row_of(rollups, &copy);
    assert_false(signbit(element(&row, MINIMA, 1)) || signbit(element(&row, FIRSTS, 1)) ||
                 signbit(element(&row, SUMS, 1)));
    note(rollups, device, 3, 1, 1e300, false); /* beyond every metric's range: bounded, and no fault */
    row = row_of(rollups, &copy);
    assert_true(element(&row, SUMS, 1) == 0x1p51 && element(&row, RESTS, 1) == 0 && element(&row, MAXIMA, 1) == 1e300);
    buffer_free(&copy);
}

/* A start reads what is left of before; then each batch is named once, as counted or to be read. */
static void test_batches(void **state) {
    struct rollups *rollups = rollups_of(state);
    struct device *device = fake_world_device(*state, "T-1", 5);
    struct buffer copy = {0};
    note(rollups, device, 1, 1, 1, false);
    rollups_batch(rollups, name, sizeof name);
    row_of(rollups, &copy);
    expect_batches(rollups, "'{00000000-0000-4000-8000-000000000001}'::uuid[], NULL");
    rollups_unwritten(rollups);
    buffer_free(&copy);
    assert_int_equal(copy_all(rollups, &copy), 0);
    expect_batches(rollups, "'{}'::uuid[], NULL");
    rollups_written(rollups);
    note(rollups, device, 1, 1, 1, false);
    rollups_batch(rollups, name, sizeof name);
    row_of(rollups, &copy);
    expect_batches(rollups, "'{00000000-0000-4000-8000-000000000001}'::uuid[], '{}'::uuid[]");
    rollups_unwritten(rollups);
    copy_all(rollups, &copy);
    expect_batches(rollups, "'{}'::uuid[], '{00000000-0000-4000-8000-000000000001}'::uuid[]");
    rollups_written(rollups);
    buffer_free(&copy);
}

/* Without room a batch is counted not at all, and those before it are read, too: their sums were in the same rows. */
static void test_no_room(void **state) {
    struct rollups *rollups = rollups_of(state);
    static struct captured captured;
    struct buffer copy = {0};
    copy_all(rollups, &copy);
    rollups_written(rollups);
    rollups_room(rollups, 100000);
    note(rollups, fake_world_device(*state, "first", 1), 1, 1, 1, false);
    rollups_batch(rollups, name, sizeof name);
    captured_begin(&captured, stderr);
    struct device *device = fake_world_device(*state, "T", 7);
    for (int hour = 0; hour < 200000; hour++) {
        note(rollups, device, (int64_t)hour * HOUR_MS, 1, 1, false);
        assert_in_range(rollups_bytes(rollups), 0, 13 * 1024 * 1024);
    }
    captured_expect(captured_end(&captured), "event=rollup_given_up");
    assert_int_equal(rollups_bytes(rollups), 0);
    static const char second[] = "00000000-0000-4000-8000-000000000002",
                      third[] = "00000000-0000-4000-8000-000000000003";
    rollups_batch(rollups, second, sizeof second);
    note(rollups, device, 1, 1, 1, false);
    rollups_batch(rollups, third, sizeof third);
    row_of(rollups, &copy);
    expect_batches(rollups, "'{00000000-0000-4000-8000-000000000003}'::uuid[],"
                            " '{00000000-0000-4000-8000-000000000001,00000000-0000-4000-8000-000000000002}'::uuid[]");
    rollups_written(rollups);
    /* Of a batch whose name is lost nothing is counted, and the database reads all that waits. */
    note(rollups, device, 1, 1, 1, false);
    captured_begin(&captured, stderr);
    rollups_batch(rollups, NULL, 0);
    captured_expect(captured_end(&captured), "event=rollup_given_up");
    buffer_free(&copy);
    assert_int_equal(copy_all(rollups, &copy), 0);
    expect_batches(rollups, "'{}'::uuid[], NULL");
    buffer_free(&copy);
}

static int until_full(struct rollups *rollups, struct device *device) {
    int hours = 0;
    for (; !rollups_full(rollups); hours++) {
        note(rollups, device, (int64_t)hours * HOUR_MS, 1, 1, false);
    }
    return hours;
}

/* The place of devices that a county lacks is for the hours of those that it has. */
static void test_room_of_a_county(void **state) {
    struct rollups *rollups = rollups_of(state);
    struct device *device = fake_world_device(*state, "T", 7);
    int hours[3];
    static const size_t devices[] = {100000, 200000, 2000};
    for (size_t i = 0; i < 3; i++) {
        rollups_send(rollups);
        rollups_written(rollups);
        rollups_room(rollups, devices[i]);
        hours[i] = until_full(rollups, device);
    }
    assert_int_equal(hours[1], hours[0]);
    assert_in_range(hours[2], 11 * hours[0], 13 * hours[0]);
    assert_in_range(rollups_kept(8), 50000, 60000);
}

/* More names than a statement should have. */
static void test_many_batches(void **state) {
    struct rollups *rollups = rollups_of(state);
    struct buffer copy = {0};
    copy_all(rollups, &copy);
    rollups_written(rollups);
    for (int i = 0; !rollups_full(rollups); i++) {
        rollups_batch(rollups, name, sizeof name);
        assert_in_range(i, 0, 30000);
    }
    copy_all(rollups, &copy);
    rollups_unwritten(rollups);
    copy_all(rollups, &copy);
    expect_batches(rollups, "'{}'::uuid[], NULL");
    buffer_free(&copy);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_world_begin, fake_world_end)
    const struct CMUnitTest tests[] = {
        TEST(test_one_hour),     TEST(test_over_range), TEST(test_one_record),
        TEST(test_pieces),       TEST(test_hours),      TEST(test_sums),
        TEST(test_batches),      TEST(test_no_room),    TEST(test_room_of_a_county),
        TEST(test_many_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
