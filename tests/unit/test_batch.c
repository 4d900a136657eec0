/* test_batch.c: what is read and not committed: messages, rows, texts; what a mark gives back; what of its memory a
 * batch keeps. */
#include "fake_world.h"

#include "hub/base/count.h"

static struct record record_at(int64_t at_ms) {
    struct record record = {.observed_at_ms = at_ms, .present = 1, .has_position = true, .lon = 117.5, .lat = 34.25};
    record.values[0] = 42;
    return record;
}

/* Texts begin with an empty one at place 0, end with NUL, and stay where they are while others come. */
static void test_texts(void **state) {
    (void)state;
    struct batch batch = {0};
    assert_string_equal(batch_text(&batch, 0), "");
    size_t first = batch_keep_text(&batch, "first", 5);
    size_t empty = batch_keep_text(&batch, "", 0);
    size_t bytes = batch_keep_text(&batch, "a\0b", 3);
    for (int i = 0; i < 1000; i++) {
        batch_keep_text(&batch, "more", 4);
    }
    assert_true(first != 0 && empty != 0);
    assert_string_equal(batch_text(&batch, 0), "");
    assert_string_equal(batch_text(&batch, first), "first");
    assert_string_equal(batch_text(&batch, empty), "");
    assert_memory_equal(batch_text(&batch, bytes), "a\0b", 4);
    batch_free(&batch);
}

/* Messages know where their rows and tracks begin, however many there are. */
static void test_messages_and_rows(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    enum { MESSAGES = 200, ROWS = 7 };
    for (int m = 0; m < MESSAGES; m++) {
        fake_world_message(world, &batch, "m");
        for (int i = 0; i < ROWS; i++) {
            struct record record = record_at(1000 * m + i);
            batch_row_add(&batch, device, &record, NULL, 0);
            if (i % 2 == 0) {
                batch_track_add(&batch, device, &record);
            }
        }
    }
    assert_false(batch.failed);
    assert_int_equal(batch.message_count, MESSAGES);
    for (unsigned m = 0; m < MESSAGES; m++) {
        const struct batch_message *message = &batch.messages[m];
        assert_int_equal(message->first_row, m * ROWS);
        assert_int_equal(message->row_count, ROWS);
        assert_int_equal(message->first_track, m * 4);
        assert_int_equal(message->track_count, 4);
        for (unsigned i = 0; i < ROWS; i++) {
            const struct batch_row *row = &batch.row_index[message->first_row + i];
            assert_int_equal(row->message, m);
            assert_int_equal(row->observed_at_ms, 1000 * m + i);
            assert_ptr_equal(row->device, device);
            struct record read = {.index = 0};
            batch_row_read(&batch, row, &read);
            assert_true(read.present == 1 && read.values[0] == 42);
        }
    }
    assert_true(batch_bytes(&batch) > batch.rows.length + batch.tracks.length + batch.texts.length);
    batch_free(&batch);
}

/* Of the two places of a track one is set. One outside the county is no place of the map's, nor of a check. */
static void test_places(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    static const char empty[] = "\377\377\377\377", point[] = "\0\0\0\31\1\1\0\0\40\346\20\0\0";
    enum { POINT_SIZE = 4 + 25 };
    fake_world_message(world, &batch, "m");
    struct record record = record_at(1000);
    for (int outside = 0; outside < 2; outside++) {
        record.outside = outside == 1;
        batch_track_add(&batch, device, &record);
        batch_check_add(&batch, &world->adapter->checks[0], device, &record);
        struct buffer copy = {0};
        batch_track_copy(&batch, &batch.track_index[outside], (struct batch_stamp){.device_id = 5}, &copy);
        assert_memory_equal(copy.data, "\0\5\0\0\0\4\0\0\0\5", 10);
        const char *places = (const char *)copy.data + copy.length - POINT_SIZE - 4; /* ends the row */
        assert_memory_equal(places + (outside == 1 ? 4 : 0), point, sizeof point - 1);
        assert_memory_equal(places + (outside == 1 ? 0 : POINT_SIZE), empty, sizeof empty - 1);
        assert_int_equal(batch.checks[outside].has_position, outside == 0);
        buffer_free(&copy);
    }
    batch_free(&batch);
}

/* What was there before is whole; what came after has never been. */
static void test_cut(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    fake_world_message(world, &batch, "kept");
    fake_world_record(world, &batch, device, 1000, 90);
    struct batch_mark mark = batch_mark(&batch);
    struct buffer rows = {0}, texts = {0};
    buffer_bytes(&rows, batch.rows.data, batch.rows.length);
    buffer_bytes(&texts, batch.texts.data, batch.texts.length);
    for (int turn = 0; turn < 2; turn++) {
        fake_world_message(world, &batch, "taken back");
        for (int i = 0; i < 300; i++) {
            struct record record = record_at(2000 + i);
            batch_row_add(&batch, device, &record, "{}", 2);
            batch_track_add(&batch, device, &record);
            batch_check_add(&batch, &world->adapter->checks[0], device, &record);
            struct alarm_operation operation = {.device = device, .rule_id = 9};
            assert_int_equal(batch_operation_add(&batch, &operation), 0);
        }
        batch.document_count++;
        batch.revisits = batch.failed = batch.rows.failed = true;
        batch_cut(&batch, &mark);
        assert_false(batch.failed || batch.rows.failed || batch.revisits);
        assert_int_equal(batch.message_count, 1);
        assert_int_equal(batch.row_count, 1);
        assert_int_equal(batch.track_count + batch.check_count + batch.document_count, 0);
        assert_int_equal(batch.operation_count, 1);
        assert_int_equal(batch.operations[0].rule_id, FAKE_RULE);
        assert_int_equal(batch.rows.length, rows.length);
        assert_memory_equal(batch.rows.data, rows.data, rows.length);
        assert_int_equal(batch.texts.length, texts.length);
        assert_memory_equal(batch.texts.data, texts.data, texts.length);
    }
    buffer_free(&rows);
    buffer_free(&texts);
    batch_free(&batch);
}

/* A modest amount of memory stays for the next batch, a large one does not. */
static void test_reset(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    static const int sizes[] = {10, 3000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        fake_world_message(world, &batch, "m");
        for (int n = 0; n < sizes[i]; n++) {
            fake_world_record(world, &batch, device, n, n % 2 == 0 ? 90 : 10);
        }
        batch.document_count = 1;
        batch.revisits = batch.failed = true;
        batch_reset(&batch);
        assert_false(batch.failed || batch.revisits);
        assert_int_equal(batch.message_count + batch.row_count + batch.operation_count + batch.document_count, 0);
        assert_int_equal(batch.records, 0);
        assert_int_equal(batch_bytes(&batch), 0);
        assert_int_equal(batch.row_index != NULL, sizes[i] == 10);
        assert_int_equal(batch.operations != NULL, sizes[i] == 10);
        assert_non_null(batch.messages);
        assert_non_null(batch.texts.data);
    }
    fake_world_message(world, &batch, "again");
    fake_world_record(world, &batch, device, 5000, 1);
    assert_int_equal(batch.row_count, 1);
    batch_free(&batch);
}

/* The device's newest judged record before each row, so that a message can be taken back. */
static void test_evaluated(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    fake_world_message(world, &batch, "m");
    static const int64_t times[] = {3000, 1000, 5000};
    static const int64_t before[] = {INT64_MIN, 3000, 3000};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        fake_world_record(world, &batch, device, times[i], 1);
        assert_true(batch.row_index[i].evaluated_ms == before[i]);
    }
    assert_int_equal(device->evaluated_ms, 5000);
    batch_free(&batch);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), WORLD_TEST(test_messages_and_rows),
                                       WORLD_TEST(test_places),      WORLD_TEST(test_places),
                                       WORLD_TEST(test_cut),         WORLD_TEST(test_reset),
                                       WORLD_TEST(test_evaluated)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
