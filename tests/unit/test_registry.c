/* test_registry.c: vendors and devices as the database tells them, page by page and once more. */
#include "fake_memory.h"
#include "rows.h"

#include "hub/base/clock.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/know/registry.h"

static struct registry *registry_with_vendor(void) {
    struct registry *registry = registry_new();
    assert_non_null(registry);
    PGresult *rows =
        ROWS(5, "dust", "acme", "f", "t", "f", "gas", "acme", "t", "f", "f", "moon", "acme", "f", "f", "f");
    assert_int_equal(registry_take_vendors(registry, rows), 0);
    PQclear(rows);
    return registry;
}

static void test_vendors(void **state) {
    (void)state;
    struct registry *registry = registry_with_vendor();
    assert_int_equal(registry_vendor_count(registry), 2); /* this build has no subsystem moon */
    struct vendor *dust = registry_vendor(registry, "dust", "acme");
    struct vendor *gas = registry_vendor(registry, "gas", "acme");
    assert_non_null(dust);
    assert_non_null(gas);
    assert_ptr_not_equal(dust, gas);
    assert_string_equal(vendor_name(dust), "acme");
    assert_string_equal(dust->adapter->key, "dust");
    assert_false(dust->quarantine_unknown);
    assert_true(dust->receipts_all);
    assert_true(gas->quarantine_unknown);
    assert_false(gas->receipts_all);
    assert_null(registry_vendor(registry, "dust", "acm"));
    assert_null(registry_vendor(registry, "dust", ""));
    char name[400];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_null(registry_vendor(registry, "dust", name)); /* too long for any key: not cut short to one that is there */
    registry_free(registry);
}

/* A batch may point to a vendor: one that is revoked, or that no row names any more, stays where it is. */
static void test_revoked(void **state) {
    (void)state;
    struct registry *registry = registry_with_vendor();
    struct vendor *dust = registry_vendor(registry, "dust", "acme");
    struct vendor *gas = registry_vendor(registry, "gas", "acme");
    PGresult *rows = ROWS(5, "dust", "acme", "t", "f", "t");
    assert_int_equal(registry_take_vendors(registry, rows), 0);
    PQclear(rows);
    assert_ptr_equal(registry_vendor(registry, "dust", "acme"), dust);
    assert_true(dust->revoked);
    assert_true(dust->quarantine_unknown);
    assert_ptr_equal(registry_vendor(registry, "gas", "acme"), gas);
    assert_true(gas->revoked);
    assert_int_equal(registry_vendor_count(registry), 0);
    rows = ROWS(5, "gas", "acme", "f", "f", "f");
    assert_int_equal(registry_take_vendors(registry, rows), 0);
    PQclear(rows);
    assert_false(gas->revoked);
    assert_true(dust->revoked);
    registry_free(registry);
}

static void test_devices(void **state) {
    (void)state;
    struct registry *registry = registry_with_vendor();
    struct vendor *dust = registry_vendor(registry, "dust", "acme");
    int last_id = 5;
    PGresult *rows = ROWS(10, "7", "dust", "acme", "D-1", "road_monitor", "1700000000123", "5", "31", "114.5", "34.25",
                          "9", "dust", "acme", "D-2", NULL, NULL, "5", NULL, NULL, NULL, "8", "dust", "nobody", "D-3",
                          NULL, NULL, "5", NULL, NULL, NULL);
    assert_int_equal(registry_take_devices(registry, rows, &last_id), 0);
    PQclear(rows);
    assert_int_equal(last_id, 9); /* one of an unknown vendor counts, or its page would be read for ever */
    assert_int_equal(registry_device_count(registry), 2);
    struct device *device = vendor_device(dust, "D-1", 3);
    assert_non_null(device);
    assert_int_equal(device->id, 7);
    assert_true(device->registered);
    assert_string_equal(dust->adapter->kinds[device->kind].key, "road_monitor");
    assert_int_equal(device->evaluated_ms, 1700000000123);
    assert_int_equal(device->department, 31);
    assert_true(device->placed && device->lon == 114.5 && device->lat == 34.25);
    assert_int_equal(vendor_device(dust, "D-2", 3)->department, 0);
    assert_false(vendor_device(dust, "D-2", 3)->placed);
    assert_int_equal(vendor_device(dust, "D-2", 3)->kind, -1);
    assert_true(vendor_device(dust, "D-2", 3)->evaluated_ms == INT64_MIN);
    assert_null(vendor_device(dust, "D-1", 2));
    assert_null(vendor_device(registry_vendor(registry, "gas", "acme"), "D-1", 3));
    assert_int_equal(dust->devices.count, 2);
    assert_int_equal(dust->unknown_count, 1);
    registry_free(registry);
}

/* An answer that was on its way while a commit changed the device says what was before. */
static void test_older_answer(void **state) {
    (void)state;
    struct registry *registry = registry_with_vendor();
    struct vendor *dust = registry_vendor(registry, "dust", "acme");
    static const struct {
        const char *kind, *updated_us, *is;
        size_t unknown;
    } answers[] = {{NULL, "10", NULL, 1},
                   {"road_monitor", "20", "road_monitor", 0},
                   {NULL, "19", "road_monitor", 0},
                   {"site_monitor", "20", "site_monitor", 0},
                   {NULL, "21", NULL, 1}};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        int last_id = 0;
        PGresult *rows = ROWS(10, "7", "dust", "acme", "D-1", answers[i].kind, NULL, answers[i].updated_us,
                              answers[i].updated_us, NULL, NULL);
        assert_int_equal(registry_take_devices(registry, rows, &last_id), 0);
        PQclear(rows);
        const struct device *device = vendor_device(dust, "D-1", 3);
        assert_int_equal(device->kind < 0, answers[i].is == NULL);
        assert_true(answers[i].is == NULL || strcmp(dust->adapter->kinds[device->kind].key, answers[i].is) == 0);
        assert_int_equal(dust->unknown_count, answers[i].unknown);
        assert_true(device->department >= (i == 0 ? 10 : 20)); /* of the newest row, not of the last */
    }
    registry_free(registry);
}

/* A row that the database wrote while its clock was ahead holds up no later one; one of this minute does. */
static void test_answer_of_a_clock_ahead(void **state) {
    (void)state;
    static const struct {
        int64_t ahead_us;
        const char *is;
    } clocks[] = {{(int64_t)60 * 1000000, "road_monitor"}, {(int64_t)2 * 365 * 86400 * 1000000, "site_monitor"}};
    for (size_t i = 0; i < COUNT_OF(clocks); i++) {
        struct registry *registry = registry_with_vendor();
        struct vendor *dust = registry_vendor(registry, "dust", "acme");
        char moments[2][24];
        snprintf(moments[0], sizeof moments[0], "%lld", (long long)(clock_now_us() + clocks[i].ahead_us));
        snprintf(moments[1], sizeof moments[1], "%lld", (long long)clock_now_us());
        for (size_t n = 0; n < 2; n++) {
            int last_id = 0;
            PGresult *rows = ROWS(10, "7", "dust", "acme", "D-1", n == 0 ? "road_monitor" : "site_monitor", NULL,
                                  moments[n], NULL, NULL, NULL);
            assert_int_equal(registry_take_devices(registry, rows, &last_id), 0);
            PQclear(rows);
        }
        assert_string_equal(dust->adapter->kinds[vendor_device(dust, "D-1", 3)->kind].key, clocks[i].is);
        registry_free(registry);
    }
}

/* What the hub has judged since is newer than what device_state says. */
static void test_device_again(void **state) {
    (void)state;
    struct registry *registry = registry_with_vendor();
    struct vendor *dust = registry_vendor(registry, "dust", "acme");
    struct device *device = vendor_device_add(dust, "D-1", 3);
    assert_non_null(device);
    assert_int_equal(device->id, 0);
    assert_false(device->registered);
    assert_int_equal(device->kind, -1);
    device->evaluated_ms = 2000;
    int last_id = 0;
    PGresult *rows = ROWS(10, "12", "dust", "acme", "D-1", "site_monitor", "1000", "5", NULL, NULL, NULL);
    assert_int_equal(registry_take_devices(registry, rows, &last_id), 0);
    PQclear(rows);
    assert_ptr_equal(vendor_device(dust, "D-1", 3), device);
    assert_int_equal(device->id, 12);
    assert_true(device->registered);
    assert_int_equal(device->evaluated_ms, 2000);
    assert_int_equal(registry_device_count(registry), 1);
    registry_free(registry);
}

static void test_code_length(void **state) {
    (void)state;
    struct registry *registry = registry_with_vendor();
    struct vendor *dust = registry_vendor(registry, "dust", "acme");
    char code[257];
    memset(code, 'x', sizeof code);
    struct device *device = vendor_device_add(dust, code, 255);
    assert_non_null(device);
    assert_int_equal(device->code_length, 255);
    assert_int_equal(strlen(device->code), 255);
    assert_null(vendor_device_add(dust, code, 256)); /* its length would not fit */
    registry_free(registry);
}

/* Half an answer takes nobody's right, and gives none. */
static void test_vendors_without_memory(void **state) {
    (void)state;
    struct registry *registry = registry_with_vendor();
    struct vendor *gas = registry_vendor(registry, "gas", "acme");
    PGresult *rows =
        ROWS(5, "dust", "first", "f", "f", "f", "gas", "acme", "f", "f", "f", "dust", "second", "f", "f", "f");
    for (long first = 1; first <= 3; first++) {
        fake_memory_fail(first, 1);
        int code = registry_take_vendors(registry, rows);
        fake_memory_fail(0, 0);
        assert_int_equal(code, first <= 2 ? CH_EMEMORY : 0);
        if (code != 0) {
            assert_int_equal(registry_vendor_count(registry), 2);
            assert_false(registry_vendor(registry, "dust", "acme")->revoked);
            assert_true(gas->quarantine_unknown);
        }
    }
    assert_int_equal(registry_vendor_count(registry), 3);
    assert_true(registry_vendor(registry, "dust", "acme")->revoked);
    PQclear(rows);
    registry_free(registry);
}

/* A device for which there is no memory, or none for its place in the table, is not there; the next try adds it. */
static void test_device_without_memory(void **state) {
    (void)state;
    for (long first = 1; first <= 4; first++) {
        struct registry *registry = registry_with_vendor();
        struct vendor *vendor = registry_vendor(registry, "dust", "acme");
        fake_memory_fail(first, 1);
        struct device *device = vendor_device_add(vendor, "D-1", 3);
        assert_int_equal(device == NULL, first <= 3); /* the device, the table, its buckets */
        assert_ptr_equal(vendor_device(vendor, "D-1", 3), device);
        assert_int_equal(registry_device_count(registry), device != NULL);
        fake_memory_fail(0, 0);
        assert_true(device != NULL || vendor_device_add(vendor, "D-1", 3) != NULL);
        assert_non_null(vendor_device(vendor, "D-1", 3));
        registry_free(registry);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vendors),
                                       cmocka_unit_test(test_revoked),
                                       cmocka_unit_test(test_devices),
                                       cmocka_unit_test(test_device_again),
                                       cmocka_unit_test(test_older_answer),
                                       cmocka_unit_test(test_answer_of_a_clock_ahead),
                                       cmocka_unit_test(test_code_length),
                                       cmocka_unit_test(test_vendors_without_memory),
                                       cmocka_unit_test(test_device_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
