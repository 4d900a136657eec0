/* test_copy.c: COPY's binary form byte by byte, against PostgreSQL's documentation (COPY, "Binary Format") and the
 * binary forms of its types, and a batch's rows, whose gaps the writer fills. */
#include "rows.h"

#include "hub/base/copy.h"
#include "hub/store/transaction.h"

static void holds(struct buffer *buffer, const void *bytes, size_t length) {
    assert_false(buffer->failed);
    assert_int_equal(buffer->length, length);
    assert_memory_equal(buffer->data, bytes, length);
    buffer_free(buffer);
}

static void test_frame(void **state) {
    (void)state;
    struct buffer buffer = {0};
    copy_header(&buffer);
    copy_trailer(&buffer);
    holds(&buffer, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\377\377", 21);
}

static void test_fields(void **state) {
    (void)state;
    struct buffer buffer = {0};
    copy_null(&buffer);
    copy_int4(&buffer, -2);
    copy_int8(&buffer, 258);
    copy_bytes(&buffer, "ab", 2);
    copy_bytes(&buffer, "", 0);
    holds(&buffer,
          "\377\377\377\377"
          "\0\0\0\4\377\377\377\376"
          "\0\0\0\10\0\0\0\0\0\0\1\2"
          "\0\0\0\2ab"
          "\0\0\0\0",
          34);
}

/* Microseconds since 2000-01-01. */
static void test_time(void **state) {
    (void)state;
    struct buffer buffer = {0};
    copy_time(&buffer, INT64_C(946684800) * 1000000 + 1);
    copy_time(&buffer, INT64_C(946684800) * 1000000 - 1);
    holds(&buffer, "\0\0\0\10\0\0\0\0\0\0\0\1\0\0\0\10\377\377\377\377\377\377\377\377", 24);
    assert_true(copy_time_value(0) == INT64_C(-946684800000000));
}

/* EWKB, little-endian, with SRID 4326 = 0x10e6. */
static void test_point(void **state) {
    (void)state;
    struct buffer buffer = {0};
    copy_point(&buffer, 1, -2);
    holds(&buffer,
          "\0\0\0\31\1\1\0\0\40\346\20\0\0"
          "\0\0\0\0\0\0\360\77"
          "\0\0\0\0\0\0\0\300",
          29);
}

/* Dimensions, has nulls, element type 701; per dimension its length and lower bound; elements. */
static void test_readings(void **state) {
    (void)state;
    struct buffer buffer = {0};
    double values[ADAPTER_METRICS_MAX] = {1, 99, -2};
    copy_readings(&buffer, 0, values);
    holds(&buffer, "\0\0\0\14\0\0\0\0\0\0\0\0\0\0\2\275", 16);
    copy_readings(&buffer, 5, values);
    holds(&buffer,
          "\0\0\0\60\0\0\0\1\0\0\0\1\0\0\2\275\0\0\0\3\0\0\0\1"
          "\0\0\0\10\77\360\0\0\0\0\0\0"
          "\377\377\377\377"
          "\0\0\0\10\300\0\0\0\0\0\0\0",
          52);
    copy_readings(&buffer, 1, values);
    holds(&buffer, "\0\0\0\40\0\0\0\1\0\0\0\0\0\0\2\275\0\0\0\1\0\0\0\1\0\0\0\10\77\360\0\0\0\0\0\0", 36);
    values[62] = 1;
    copy_readings(&buffer, UINT64_C(1) << 62, values);
    assert_int_equal(buffer.length, 4 + 20 + 63 * 4 + 8);
    buffer_free(&buffer);
}

/* ---- a batch and its transaction ---- */

struct world {
    struct registry *registry;
    struct vendor *vendor;
    struct batch batch;
    struct transaction transaction;
};

static int begin(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->registry = registry_new();
    PGresult *rows = ROWS(5, "dust", "acme", "f", "f", "f");
    assert_int_equal(registry_take_vendors(world->registry, rows), 0);
    PQclear(rows);
    world->vendor = registry_vendor(world->registry, "dust", "acme");
    *state = world;
    return 0;
}

static int end(void **state) {
    struct world *world = *state;
    batch_free(&world->batch);
    transaction_free(&world->transaction);
    registry_free(world->registry);
    free(world);
    return 0;
}

static void add_message(struct world *world) {
    size_t acme = batch_keep_text(&world->batch, "acme", 4);
    struct batch_message *message = batch_message_add(&world->batch);
    assert_non_null(message);
    message->adapter = world->vendor->adapter;
    message->vendor = world->vendor;
    message->vendor_name = acme;
}

static struct device *add_device(struct world *world, const char *code) {
    struct device *device = vendor_device_add(world->registry, world->vendor, code, strlen(code));
    assert_non_null(device);
    return device;
}

static void add_record(struct world *world, struct device *device, int64_t at_ms, double value,
                       const char *attributes) {
    struct record record = {.observed_at_ms = at_ms, .present = 1, .has_position = true, .lon = 1, .lat = -2};
    record.values[0] = value;
    batch_row_add(&world->batch, device, &record, attributes, strlen(attributes));
    batch_track_add(&world->batch, device, &record);
    struct alarm_operation operation = {
        .device = device, .rule_id = 3, .action = ALARM_OPEN, .at_ms = at_ms, .value = value};
    batch_operation_add(&world->batch, &operation);
}

static const char *sql_of(struct world *world, size_t first, size_t last, int64_t stamp_us) {
    struct slice slice = {.batch = &world->batch, .first = first, .last = last, .stamp_us = stamp_us};
    transaction_store(&world->transaction, &slice);
    assert_false(transaction_failed(&world->transaction));
    return buffer_string(&world->transaction.sql);
}

static void test_rows(void **state) {
    struct world *world = *state;
    add_message(world);
    struct device *device = add_device(world, "D-1");
    device->id = 258;
    device->registered = true;
    add_record(world, device, INT64_C(946684800001), 1, "{\"a\":\"b\"}");
    sql_of(world, 0, 1, INT64_C(946684800000002));
    assert_int_equal(world->transaction.copy_count, 2);
    static const char row[] = "\0\6"
                              "\0\0\0\4\0\0\1\2"
                              "\0\0\0\10\0\0\0\0\0\0\3\350"
                              "\0\0\0\10\0\0\0\0\0\0\0\2"
                              "\0\0\0\40\0\0\0\1\0\0\0\0\0\0\2\275\0\0\0\1\0\0\0\1\0\0\0\10\77\360\0\0\0\0\0\0"
                              "\377\377\377\377"
                              "\0\0\0\12\1{\"a\":\"b\"}"
                              "\377\377";
    const struct postgres_copy *copy = &world->transaction.copies[0];
    assert_int_equal(copy->length, 19 + sizeof row - 1);
    assert_memory_equal((const char *)copy->data + 19, row, sizeof row - 1);
    static const char track[] = "\0\4"
                                "\0\0\0\4\0\0\1\2"
                                "\0\0\0\10\0\0\0\0\0\0\3\350"
                                "\0\0\0\10\0\0\0\0\0\0\0\2"
                                "\0\0\0\31\1\1\0\0\40\346\20\0\0\0\0\0\0\0\0\360\77\0\0\0\0\0\0\0\300"
                                "\377\377";
    copy = &world->transaction.copies[1];
    assert_int_equal(copy->length, 19 + sizeof track - 1);
    assert_memory_equal((const char *)copy->data + 19, track, sizeof track - 1);
}

/* Days and hours of before 1970 are rounded down. */
static void test_days(void **state) {
    struct world *world = *state;
    size_t count;
    add_message(world);
    struct device *device = add_device(world, "D-1");
    static const int64_t times[] = {86400000, 86399999, 0, -1, -86400000, -86400001, 86399999};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        add_record(world, device, times[i], 1, "");
    }
    struct slice slice = {.batch = &world->batch, .first = 0, .last = 1};
    int64_t *days = slice_days(&slice, &count);
    static const int64_t expected[] = {-2, -1, 0, 1};
    assert_int_equal(count, 4);
    assert_memory_equal(days, expected, sizeof expected);
    free(days);
}

/* Quotes of a code end neither its JSON nor the literal. */
static void test_quotes(void **state) {
    struct world *world = *state;
    add_message(world);
    struct device *device = add_device(world, "D'\"\\1");
    device->id = 5;
    add_record(world, device, 1000, 1, "");
    assert_non_null(strstr(sql_of(world, 0, 1, 0), "SELECT onemap.device_register('[{\"id\":5,\"subsystem\":\"dust\","
                                                   "\"vendor\":\"acme\",\"code\":\"D''\\\"\\\\1\"}]'::jsonb);\n"));
}

/* The batch is taken message by message. The first one is refused, and with it the registration of its device, which
 * has an id already: the last message's transaction must not name it. */
static void test_alarms_of_a_refused_device(void **state) {
    struct world *world = *state;
    add_message(world);
    struct device *refused = add_device(world, "D-1");
    add_record(world, refused, 1000, 1, "");
    add_message(world);
    struct device *good = add_device(world, "D-2");
    add_record(world, good, 1000, 2, "");
    refused->id = 41;
    good->id = 42;
    const char *sql = sql_of(world, 0, 2, 0);
    assert_non_null(strstr(sql, "\"op\":\"open\",\"device_id\":41"));
    assert_non_null(strstr(sql, "\"op\":\"open\",\"device_id\":42"));
    world->batch.messages[0].refused = true;
    sql = sql_of(world, 0, 1, 0);
    assert_null(strstr(sql, "device_register"));
    assert_null(strstr(sql, "alarm_apply")); /* they come with the last message */
    assert_non_null(strstr(sql, "COPY onemap.quarantine"));
    sql = sql_of(world, 1, 2, 0);
    assert_null(strstr(sql, "\"device_id\":41"));
    assert_non_null(strstr(sql, "\"op\":\"open\",\"device_id\":42"));
}

/* A device of a message before is registered by now, and has its alarms with the last one. */
static void test_alarms_of_earlier_messages(void **state) {
    struct world *world = *state;
    struct device *devices[2];
    for (int i = 0; i < 2; i++) {
        add_message(world);
        devices[i] = add_device(world, i == 0 ? "D-1" : "D-2");
        devices[i]->id = 51 + i;
        add_record(world, devices[i], 1000, 1, "");
    }
    slice_devices_registered(&(struct slice){.batch = &world->batch, .first = 0, .last = 1});
    const char *sql = sql_of(world, 1, 2, 0);
    assert_non_null(strstr(sql, "\"device_id\":51"));
    assert_non_null(strstr(sql, "\"device_id\":52"));
}

/* Row numbers of the stage begin with 1; what is out of range is nobody's. */
static void test_fates(void **state) {
    struct world *world = *state;
    struct device *device = add_device(world, "D-1");
    for (int m = 0; m < 2; m++) {
        add_message(world);
        for (int i = 0; i < 3; i++) {
            add_record(world, device, 1000 * (3 * m + i), 1, "");
        }
    }
    struct slice slice = {.batch = &world->batch, .first = 0, .last = 2};
    PGresult *settled = ROWS(2, "1", "1", "1", "4", "1", "5", "1", "0", "1", "7", "2", "2", "9", "3", "-1", "3");
    slice_take_fates(&slice, settled);
    slice_take_fates(&slice, settled); /* tried again: counted anew */
    PQclear(settled);
    const struct batch_message *messages = world->batch.messages;
    assert_int_equal(messages[0].fates[FATE_STORED], 1);
    assert_int_equal(messages[0].fates[FATE_DUPLICATE], 1);
    assert_int_equal(messages[0].fates[FATE_MERGED], 1);
    assert_int_equal(messages[1].fates[FATE_STORED], 1);
    assert_int_equal(messages[1].fates[FATE_DUPLICATE], 2);
    assert_int_equal(messages[1].fates[FATE_REVISED], 0);
}

static void test_ids(void **state) {
    struct world *world = *state;
    struct device *devices[] = {add_device(world, "D-1"), add_device(world, "D-2"), add_device(world, "D-3")};
    add_message(world);
    for (int i = 0; i < 6; i++) {
        add_record(world, devices[i % 3], i * 1000, 1, "");
    }
    devices[1]->id = 77;
    struct slice slice = {.batch = &world->batch, .first = 0, .last = 1};
    assert_int_equal(slice_devices_without_id(&slice), 2);
    devices[2]->id = 78; /* another lane was faster */
    PGresult *ids = ROWS(1, "90", "91");
    slice_give_ids(&slice, ids);
    PQclear(ids);
    assert_int_equal(devices[0]->id, 90);
    assert_int_equal(devices[1]->id, 77);
    assert_int_equal(devices[2]->id, 78);
    assert_int_equal(slice_devices_without_id(&slice), 0);
    PGresult *real = ROWS(4, "12", "dust", "acme", "D-1");
    slice_take_ids(&slice, real);
    PQclear(real);
    assert_int_equal(devices[0]->id, 12);
    assert_true(devices[0]->registered);
    assert_false(devices[1]->registered);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frame),
                                       cmocka_unit_test(test_fields),
                                       cmocka_unit_test(test_time),
                                       cmocka_unit_test(test_point),
                                       cmocka_unit_test(test_readings),
                                       TEST(test_rows),
                                       TEST(test_days),
                                       TEST(test_quotes),
                                       TEST(test_alarms_of_a_refused_device),
                                       TEST(test_alarms_of_earlier_messages),
                                       TEST(test_fates),
                                       TEST(test_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
