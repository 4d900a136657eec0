/* test_plausible.c: which readings are none: codes by subsystem, vendor and metric, within a range or not; and the
 * county's extent. */
#include "rows.h"

#include "hub/know/plausible.h"

struct world {
    struct registry *registry;
    struct plausible *plausible;
};

static int begin(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->registry = registry_new();
    world->plausible = plausible_new();
    PGresult *rows =
        ROWS(5, "dust", "acme", "f", "t", "f", "dust", "other", "f", "t", "f", "gas", "acme", "f", "t", "f");
    assert_int_equal(registry_take_vendors(world->registry, rows), 0);
    PQclear(rows);
    *state = world;
    return 0;
}

static int end(void **state) {
    struct world *world = *state;
    plausible_free(world->plausible);
    registry_free(world->registry);
    free(world);
    return 0;
}

static void take(struct world *world, PGresult *rows) {
    assert_int_equal(plausible_take_codes(world->plausible, rows), 0);
    PQclear(rows);
}

/* Whether a reading of an ordinal is none; `flagged`: outside the metric's range. */
static bool is_none(struct world *world, const char *subsystem, const char *vendor, int ordinal, double value,
                    bool flagged) {
    struct record record = {.present = UINT64_C(1) << (ordinal - 1) | UINT64_C(1) << 20};
    record.quality = flagged ? UINT64_C(1) << (ordinal - 1) : 0;
    record.values[ordinal - 1] = value;
    record.values[20] = 1.5;
    uint64_t none = plausible_no_values(world->plausible, registry_vendor(world->registry, subsystem, vendor), &record);
    assert_true(none == 0 || none == UINT64_C(1) << (ordinal - 1));
    return none != 0;
}

/* Columns as in plausible_codes_sql: subsystem, vendor, ordinal, value, in_range, enabled. */
static void test_general_codes(void **state) {
    struct world *world = *state;
    assert_false(is_none(world, "dust", "acme", 1, -999, true)); /* nothing is known yet */
    take(world, ROWS(6, NULL, NULL, NULL, "-999", "f", "t", NULL, NULL, NULL, "9999", "f", "t", NULL, NULL, NULL,
                     "655.35", "f", "t"));
    assert_true(is_none(world, "dust", "acme", 1, -999, true));
    assert_true(is_none(world, "gas", "acme", 9, 9999, true));
    assert_true(is_none(world, "dust", "acme", 1, (double)655.35F, true)); /* a float was on the way */
    assert_false(is_none(world, "dust", "acme", 1, -998.9, true));
    assert_false(is_none(world, "dust", "acme", 1, 9998, true));
    assert_false(is_none(world, "dust", "acme", 1, 1e308, true));
    /* Within a range it is a reading like any other. */
    assert_false(is_none(world, "gas", "acme", 6, 9999, false));
    struct record over = {.present = 1, .quality = 1, .over_range = 1, .values = {9999}};
    assert_int_equal(plausible_no_values(world->plausible, registry_vendor(world->registry, "gas", "acme"), &over), 0);
    take(world, ROWS(6, NULL, NULL, NULL, "7", "f", "t"));
    assert_false(is_none(world, "dust", "acme", 1, -999, true)); /* what was known before is forgotten */
}

static void test_own_codes(void **state) {
    struct world *world = *state;
    take(world, ROWS(6, "dust", NULL, NULL, "-1", "f", "t", "moon", NULL, NULL, "3", "t", "t", NULL, "other", NULL,
                     "-7", "f", "t", "dust", "acme", "1", "500", "t", "t"));
    assert_true(is_none(world, "dust", "acme", 1, 500, false));
    assert_true(is_none(world, "dust", "acme", 1, 500, true));
    assert_false(is_none(world, "dust", "acme", 2, 500, false));
    assert_false(is_none(world, "dust", "other", 1, 500, false));
    assert_false(is_none(world, "gas", "acme", 1, 500, false));
    assert_true(is_none(world, "dust", "other", 2, -1, true));
    assert_false(is_none(world, "gas", "acme", 2, -1, true));
    assert_false(is_none(world, "dust", "acme", 1, 3, false)); /* of a subsystem that this build has not */
    assert_true(is_none(world, "dust", "other", 3, -7, true));
    assert_false(is_none(world, "dust", "acme", 3, -7, true));
}

/* The more special entry, which comes later, decides. */
static void test_no_code_there(void **state) {
    struct world *world = *state;
    take(world, ROWS(6, NULL, NULL, NULL, "9999", "f", "t", "dust", NULL, NULL, "9999", "f", "f", "dust", "acme", "1",
                     "9999", "f", "t"));
    assert_true(is_none(world, "gas", "acme", 1, 9999, true));
    assert_false(is_none(world, "dust", "other", 1, 9999, true));
    assert_false(is_none(world, "dust", "acme", 2, 9999, true));
    assert_true(is_none(world, "dust", "acme", 1, 9999, true));
    assert_false(is_none(world, "dust", "acme", 1, 9999, false));
}

static void test_extent(void **state) {
    struct world *world = *state;
    struct decode_extent extent = plausible_extent(world->plausible);
    assert_true(extent.min_lon == 0 && extent.max_lon == 0);
    PGresult *rows = ROWS(4, "113.5", "33.75", "115.25", "34.9");
    assert_int_equal(plausible_take_extent(world->plausible, rows), 0);
    PQclear(rows);
    extent = plausible_extent(world->plausible);
    assert_true(extent.min_lon == 113.5 && extent.min_lat == 33.75 && extent.max_lon == 115.25 &&
                extent.max_lat == 34.9);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {TEST(test_general_codes), TEST(test_own_codes), TEST(test_no_code_there),
                                       TEST(test_extent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
