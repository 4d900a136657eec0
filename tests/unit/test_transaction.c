/* test_transaction.c: a slice of a batch as SQL and COPY data: every statement in its order, what goes to quarantine,
 * which receipts, and whose answers are taken in. */
#include "copied.h"
#include "fake_world.h"
#include "rows.h"

#include "hub/base/count.h"
#include "hub/store/transaction.h"

static struct transaction transaction;

static const char *sql(void) {
    assert_false(transaction_failed(&transaction));
    return buffer_string(&transaction.sql);
}

/* The second half alone, of a slice whose rows are settled. */
static const char *finish(struct batch *batch, size_t first, size_t last) {
    struct slice slice = fake_world_slice(batch, first, last);
    transaction_finish(&transaction, &slice);
    return sql();
}

static const char *store(struct batch *batch, size_t first, size_t last) {
    struct slice slice = fake_world_slice(batch, first, last);
    transaction_store(&transaction, &slice);
    return sql();
}

static void has(const char *text, const char *word) {
    if (strstr(text, word) == NULL) {
        fail_msg("there is no \"%s\" in:\n%s", word, text);
    }
}

static void lacks(const char *text, const char *word) {
    if (strstr(text, word) != NULL) {
        fail_msg("there is \"%s\" in:\n%s", word, text);
    }
}

/* Rows come once, piece by piece; they stay until the next call for this index. */
static struct copied copied(size_t index) {
    static struct buffer taken[TRANSACTION_COPIES_MAX];
    const struct postgres_copy *copy = &transaction.copies[index];
    assert_true(index < transaction.copy_count);
    if (copy->more == NULL) {
        return copied_begin(copy->data, copy->length);
    }
    struct buffer *rows = &taken[index];
    rows->length = 0;
    while (copy->more(copy->user, rows)) {
    }
    return copied_begin(rows->data, rows->length);
}

static void release(struct batch *batch) {
    transaction_free(&transaction);
    transaction = (struct transaction){0};
    batch_free(batch);
}

static void keep_problem(struct batch *batch, struct batch_message *message, const char *code) {
    char json[128];
    snprintf(json, sizeof json, "{\"index\":0,\"code\":\"%s\",\"reason\":\"r\"}", code);
    size_t problems = batch_keep_text(batch, json, strlen(json));
    size_t code_at = batch_keep_text(batch, code, strlen(code));
    size_t reason = batch_keep_text(batch, "r", 1);
    message->problems = problems;
    message->problems_length = strlen(json);
    message->problem_count = 1;
    message->code = code_at;
    message->reason = reason;
}

/* All that a batch can have, in the order in which it must come. */
static void test_order_of_statements(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    device->registered = false;
    fake_world_message(world, &batch, "m1");
    fake_world_record(world, &batch, device, FAKE_NOW_MS, 90);
    struct record record = {.observed_at_ms = FAKE_NOW_MS, .has_position = true, .lon = 117.5, .lat = 34.25};
    batch_track_add(&batch, device, &record);
    batch_check_add(&batch, &world->adapter->checks[0], device, &record);
    keep_problem(&batch, &batch.messages[0], "bad_text");
    struct batch_message *document = fake_world_message(world, &batch, "m2");
    document->document = batch_keep_text(&batch, "{\"kind\":\"it's\"}", 15);
    assert_string_equal(
        store(&batch, 0, 2),
        "BEGIN;\n"
        "SELECT onemap.device_register('[{\"id\":5,\"subsystem\":\"construction_waste\",\"vendor\":\"acme\",\"code\":"
        "\"T-1\"}]'::jsonb);\n"
        "COPY onemap.observation_raw (device_id, observed_at, received_at, readings, quality, attributes) FROM STDIN"
        " (FORMAT binary);\n"
        "COPY onemap.track_point_raw (device_id, observed_at, received_at, geom, geom_outside) FROM STDIN (FORMAT binary);\n"
        "SELECT 1, s.accepted, s.duplicates, s.rejected, s.merged, s.revised, s.bad_fields FROM"
        " onemap.message_store('{\"kind\":\"it''s\"}'::jsonb,"
        " '\\x6d32'::bytea) s;\n"
        "SELECT onemap.construction_waste_dumping_check('[{\"device_id\":5,\"observed_at_ms\":1760000000000,\"lon\":117.5,"
        "\"lat\":34.25}]'::jsonb);\n"
        "SELECT onemap.alarm_apply('[{\"op\":\"open\",\"device_id\":5,\"rule_id\":7,\"at_ms\":1760000000000,\"value\":90}]'"
        "::jsonb);\n"
        "COPY pg_temp.quarantine_stage (received_at, subsystem, vendor, kind, topic, payload, sha256, bytes, code,"
        " reason, problems, record_count) FROM STDIN (FORMAT binary);\n"
        "SELECT onemap.quarantine_settle(0);\n"
        "COPY onemap.outbox (topic, payload) FROM STDIN (FORMAT binary);\n"
        "INSERT INTO onemap.vendor_intake (received_at, subsystem, vendor, messages, replayed, records, duplicates, merged,"
        " revised, refused, unjudged, flawed, late, unlisted, findings) VALUES (pg_catalog.to_timestamp(1759999500),"
        " 'construction_waste', 'acme', 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, NULL);\n"
        "INSERT INTO onemap.batch_log (id, received_at, hours, records) VALUES ('', 'epoch'::timestamptz + 1760000000000000 *"
        " interval '1 microsecond', ARRAY[pg_catalog.to_timestamp(1759996800)]::timestamptz[], 1);\n"
        "COMMIT;\n");
    assert_int_equal(transaction.copy_count, 4);
    assert_int_equal(transaction.statements, 13);
    assert_int_equal(transaction.fates_at, -1);
    assert_true(transaction.outbox);
    release(&batch);
}

/* A batch of duplicates: rows through the stage, the rest in the same transaction. */
static void test_settle_and_finish(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    fake_world_message(world, &batch, "m");
    fake_world_record(world, &batch, fake_world_device(world, "T-1", 5), FAKE_NOW_MS, 10);
    struct slice slice = fake_world_slice(&batch, 0, 1);
    transaction_settle(&transaction, &slice);
    assert_string_equal(
        sql(),
        "BEGIN;\n"
        "TRUNCATE pg_temp.observation_stage, pg_temp.track_point_stage RESTART IDENTITY;\n"
        "COPY pg_temp.observation_stage (device_id, observed_at, received_at, readings, quality, attributes)"
        " FROM STDIN (FORMAT binary);\n"
        "SELECT l.fate, r.row_no FROM onemap.observation_settle('epoch'::timestamptz + 1760000000000000 * interval"
        " '1 microsecond') s CROSS JOIN LATERAL (VALUES (1, s.duplicates), (2, s.merged), (3, s.revised))"
        " l(fate, row_nos) CROSS JOIN LATERAL pg_catalog.unnest(l.row_nos) r(row_no);\n");
    assert_int_equal(transaction.fates_at, 3);
    assert_int_equal(transaction.place_fates_at, -1);
    assert_int_equal(transaction.statements, 4);
    transaction_finish(&transaction, &slice);
    lacks(sql(), "BEGIN");
    lacks(sql(), "observation");
    has(sql(), "INSERT INTO onemap.batch_log");
    assert_string_equal(sql() + strlen(sql()) - 8, "COMMIT;\n");
    assert_int_equal(transaction.fates_at, -1);
    release(&batch);
}

/* Places are settled before their records; a replayed message's rows have the time at which it came first. */
static void test_settle_places(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    struct record record = {.observed_at_ms = FAKE_NOW_MS, .has_position = true, .lon = 117.5, .lat = 34.25};
    for (int m = 0; m < 2; m++) {
        fake_world_message(world, &batch, "m");
        fake_world_record(world, &batch, device, FAKE_NOW_MS, 10);
        batch_track_add(&batch, device, &record);
    }
    batch.messages[1].first_received_ms = FAKE_NOW_MS - 86400000;
    struct slice slice = fake_world_slice(&batch, 0, 2);
    transaction_settle(&transaction, &slice);
    has(sql(),
        "COPY pg_temp.track_point_stage (device_id, observed_at, received_at, geom, geom_outside) FROM STDIN (FORMAT binary);\n"
        "SELECT l.fate, r.row_no FROM onemap.track_point_settle('epoch'::timestamptz + 1760000000000000 * interval"
        " '1 microsecond') s CROSS JOIN LATERAL (VALUES (2, s.added), (3, s.revised)) l(fate, row_nos) CROSS JOIN"
        " LATERAL pg_catalog.unnest(l.row_nos) r(row_no);\n");
    assert_int_equal(transaction.place_fates_at, 4);
    assert_int_equal(transaction.fates_at, 5);
    for (size_t copy = 0; copy < 2; copy++) {
        struct copied rows = copied(copy);
        for (int m = 0; m < 2; m++) {
            assert_true(copied_next(&rows));
            assert_true(copied_time(&rows, 2) == (FAKE_NOW_MS - (m == 1 ? 86400000 : 0)) * 1000);
        }
    }
    /* Its quarantine row, too, so that the next replay knows. */
    keep_problem(&batch, &batch.messages[1], "bad_text");
    has(store(&batch, 1, 2), "COPY pg_temp.quarantine_stage");
    struct copied rows = copied(2);
    assert_true(copied_next(&rows));
    assert_true(copied_time(&rows, 0) == (FAKE_NOW_MS - 86400000) * 1000);
    release(&batch);
}

/* With what the batch did not know: the device's id, and the slice's stamp. */
static void test_rows(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *devices[] = {fake_world_device(world, "T-1", 258), fake_world_device(world, "T-2", 70000)};
    for (int m = 0; m < 3; m++) {
        fake_world_message(world, &batch, "m");
        for (int i = 0; i < 4; i++) {
            struct record record = {.observed_at_ms = 1000 * m + i, .present = 5, .values = {1, 99, -2}};
            record.quality = i == 1 ? 4 : 0;
            batch_row_add(&batch, devices[i % 2], &record, "{\"a\":\"b\"}", i == 2 ? 9 : 0);
            record.lon = 1;
            record.lat = -2;
            batch_track_add(&batch, devices[i % 2], &record);
        }
    }
    store(&batch, 1, 3);
    struct copied rows = copied(0), tracks = copied(1);
    for (int row = 0; row < 8; row++) {
        int i = 2 * (row % 4) + row / 4; /* the first device's four, then the other's */
        assert_true(copied_next(&rows) && copied_next(&tracks));
        assert_int_equal(rows.columns, 6);
        assert_int_equal(tracks.columns, 5);
        assert_int_equal(copied_integer(&rows, 0), devices[i % 2]->id);
        assert_int_equal(copied_integer(&tracks, 0), devices[i % 2]->id);
        int64_t at_us = (1000 * (1 + i / 4) + i % 4) * 1000;
        assert_int_equal(copied_time(&rows, 1), at_us);
        assert_int_equal(copied_time(&tracks, 1), at_us);
        assert_true(copied_time(&rows, 2) == FAKE_NOW_MS * 1000 && copied_time(&tracks, 2) == FAKE_NOW_MS * 1000);
        assert_int_equal(rows.fields[3].length, 20 + 12 + 4 + 12);
        assert_int_equal(rows.fields[4].length, i % 4 == 1 ? 8 : -1);
        assert_int_equal(rows.fields[5].length, i % 4 == 2 ? 10 : -1);
        assert_int_equal(tracks.fields[3].length, 25);
        assert_int_equal(tracks.fields[4].length, -1);
    }
    assert_false(copied_next(&rows) || copied_next(&tracks));
    release(&batch);
}

/* Into the table by device, as its key is; into the stage as they came, since answers count the rows. What is not the
 * slice's stays away, and each row is whole. */
static void test_rows_by_device(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *nine = fake_world_device(world, "T-9", 9), *five = fake_world_device(world, "T-5", 5);
    fake_world_message(world, &batch, "before");
    fake_world_record(world, &batch, five, FAKE_NOW_MS - 1, 10);
    fake_world_message(world, &batch, "m");
    for (int i = 0; i < 4; i++) {
        fake_world_record(world, &batch, i % 2 == 0 ? nine : five, FAKE_NOW_MS + i, 10);
    }
    static const int ids[][4] = {{5, 5, 9, 9}, {9, 5, 9, 5}}, times[][4] = {{1, 3, 0, 2}, {0, 1, 2, 3}};
    for (size_t way = 0; way < 2; way++) {
        struct slice slice = fake_world_slice(&batch, 1, 2);
        (way == 0 ? transaction_store : transaction_settle)(&transaction, &slice);
        struct copied rows = copied(0);
        for (size_t i = 0; i < 4; i++) {
            assert_true(copied_next(&rows));
            assert_int_equal(copied_integer(&rows, 0), ids[way][i]);
            assert_int_equal(copied_time(&rows, 1), (FAKE_NOW_MS + times[way][i]) * 1000);
        }
        assert_false(copied_next(&rows));
    }
    release(&batch);
}

/* Quotes of a code end neither its JSON nor the literal; a device is named once. */
static void test_registration(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *odd = fake_world_device(world, "T'\"\\1", 0), *known = fake_world_device(world, "T-2", 6);
    fake_world_message(world, &batch, "m");
    for (int i = 0; i < 3; i++) {
        fake_world_record(world, &batch, odd, FAKE_NOW_MS + i, 10);
        fake_world_record(world, &batch, known, FAKE_NOW_MS + i, 10);
    }
    odd->id = 5;
    has(store(&batch, 0, 1),
        "SELECT onemap.device_register('[{\"id\":5,\"subsystem\":\"construction_waste\",\"vendor\":"
        "\"acme\",\"code\":\"T''\\\"\\\\1\"}]'::jsonb);\n");
    struct slice slice = fake_world_slice(&batch, 0, 1);
    transaction_ask_ids(&transaction, &slice);
    has(sql(), "jsonb_to_recordset('[{\"id\":5,");
    slice_committed(&slice);
    lacks(store(&batch, 0, 1), "device_register");
    transaction_ask_ids(&transaction, &slice);
    has(sql(), "jsonb_to_recordset('[]'::jsonb)");
    release(&batch);
}

/* What a message has made of alarms goes with it, and is refused with it. */
static void test_alarms(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *devices[2];
    for (int i = 0; i < 2; i++) {
        devices[i] = fake_world_device(world, i == 0 ? "T-1" : "T-2", 0);
        devices[i]->id = 41 + i;
        fake_world_message(world, &batch, "m");
        fake_world_record(world, &batch, devices[i], FAKE_NOW_MS, 90);
    }
    has(store(&batch, 0, 2), "{\"op\":\"open\",\"device_id\":41,");
    has(sql(), ",{\"op\":\"open\",\"device_id\":42,");
    has(store(&batch, 0, 1), "alarm_apply('[{\"op\":\"open\",\"device_id\":41,");
    lacks(sql(), "\"device_id\":42");
    batch.messages[0].refused = true;
    lacks(store(&batch, 0, 1), "device_register");
    lacks(sql(), "alarm_apply");
    has(sql(), "COPY pg_temp.quarantine_stage");
    lacks(store(&batch, 1, 2), "\"device_id\":41");
    has(sql(), "alarm_apply('[{\"op\":\"open\",\"device_id\":42,");
    batch.operations[1].out_of_range = true;
    has(store(&batch, 1, 2), "\"value\":90,\"out_of_range\":true}");
    devices[0]->registered = true; /* by another message: that one's alarms are refused all the same */
    lacks(store(&batch, 1, 2), "\"device_id\":41");
    release(&batch);
}

/* Each check asks for the records of its own, of messages that the slice has and the database has not refused. */
static void test_checks(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct record record = {.observed_at_ms = FAKE_NOW_MS};
    for (int i = 0; i < 3; i++) {
        char code[8];
        snprintf(code, sizeof code, "T-%d", i);
        fake_world_message(world, &batch, "m");
        batch_check_add(&batch, &world->adapter->checks[0], fake_world_device(world, code, 61 + i), &record);
    }
    has(store(&batch, 0, 2), "dumping_check('[{\"device_id\":61,\"observed_at_ms\":1760000000000},{\"device_id\":62,");
    lacks(sql(), "\"device_id\":63");
    batch.messages[0].refused = true;
    lacks(store(&batch, 0, 1), "dumping_check");
    has(store(&batch, 2, 3), "dumping_check('[{\"device_id\":63,");
    release(&batch);
}

static void test_quarantine(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    fake_world_message(world, &batch, "good")->total = 3;
    struct batch_message *bad = fake_world_message(world, &batch, "bad");
    bad->total = 4;
    bad->length = 262144;
    memset(bad->sha256, 7, sizeof bad->sha256);
    batch.quarantine_budget = 700;
    keep_problem(&batch, bad, "bad_text");
    struct batch_message *document = fake_world_message(world, &batch, "document");
    document->document = batch_keep_text(&batch, "{}", 2);
    keep_problem(&batch, document, "bad_text"); /* message_store sees to it */
    lacks(store(&batch, 0, 1), "quarantine");
    has(store(&batch, 0, 3), "COPY pg_temp.quarantine_stage");
    struct copied rows = copied(0);
    assert_true(copied_next(&rows));
    assert_int_equal(rows.columns, 12);
    assert_true(copied_time(&rows, 0) == FAKE_NOW_MS * 1000);
    static const char *const texts[] = {FAKE_SUBSYSTEM, "acme", "telemetry", "bad", "bad", NULL, NULL, "bad_text", "r"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i] != NULL) {
            copied_expect(&rows, (int)i + 1, texts[i]);
        }
    }
    assert_int_equal(rows.fields[6].length, 32);
    assert_memory_equal(rows.fields[6].bytes, bad->sha256, 32);
    assert_memory_equal(rows.fields[7].bytes, "\0\0\0\0\0\4\0\0", 8); /* it had 256 KiB */
    has(sql(), "(FORMAT binary);\nSELECT onemap.quarantine_settle(700);\n");
    copied_expect(&rows, 10, "\1[{\"index\":0,\"code\":\"bad_text\",\"reason\":\"r\"}]");
    assert_int_equal(copied_integer(&rows, 11), 4);
    assert_false(copied_next(&rows));
    /* Refused by the database: a document, too, is kept whole, and no statement asks for it again. */
    batch.messages[2].refused = true;
    lacks(store(&batch, 2, 3), "message_store");
    rows = copied(0);
    assert_true(copied_next(&rows));
    copied_expect(&rows, 5, "document");
    release(&batch);
}

/* Who is told: of every message or of problems alone, the unknown too; runs of one vendor's share a row. */
static void test_receipts(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    static const char *const names[] = {"a1", "a2", "q1", "a3", "u1"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        fake_world_message(world, &batch, names[i]);
    }
    size_t quiet = batch_keep_text(&batch, "quiet", 5), unknown = batch_keep_text(&batch, "who", 3);
    batch.messages[2].vendor = world->quiet;
    batch.messages[2].vendor_name = quiet;
    batch.messages[4].vendor = NULL;
    batch.messages[4].vendor_name = unknown;
    batch.messages[1].total = 9;
    memcpy(batch.messages[1].fates, (uint32_t[FATE_COUNT]){3, 2, 1, 2}, sizeof batch.messages[1].fates);
    keep_problem(&batch, &batch.messages[1], "bad_text");
    batch.messages[1].field_count = 2;
    lacks(store(&batch, 2, 3), "outbox"); /* nothing to tell */
    assert_false(transaction.outbox);
    has(finish(&batch, 0, 5), "COPY onemap.outbox");
    struct copied rows = copied(1);
    assert_true(copied_next(&rows));
    copied_expect(&rows, 0, "cityhub/v1/construction_waste/acme/receipt");
    copied_expect(
        &rows, 1,
        "{\"receipts\":[{\"message\":\"a1\",\"kind\":\"telemetry\",\"received_at_ms\":1760000000000,"
        "\"records\":0,\"accepted\":0,\"duplicates\":0,\"merged\":0,\"revised\":0,\"rejected\":0,"
        "\"bad_fields\":0,\"warned\":0,\"problems\":[],\"warnings\":[]},{\"message\":\"a2\",\"kind\":\"telemetry\","
        "\"received_at_ms\":1760000000000,\"records\":9,\"accepted\":3,\"duplicates\":2,\"merged\":1,"
        "\"revised\":2,\"rejected\":1,\"bad_fields\":2,\"warned\":0,\"problems\":[{\"index\":0,\"code\":\"bad_text\",\"reason\":\"r\"}],"
        "\"warnings\":[]},{\"message\":\"a3\",\"kind\":\"telemetry\",\"received_at_ms\":1760000000000,"
        "\"records\":0,\"accepted\":0,\"duplicates\":0,\"merged\":0,\"revised\":0,\"rejected\":0,"
        "\"bad_fields\":0,\"warned\":0,\"problems\":[],\"warnings\":[]}]}");
    assert_true(copied_next(&rows));
    copied_expect(&rows, 0, "cityhub/v1/construction_waste/who/receipt");
    assert_false(copied_next(&rows));
    /* A message that the database refuses counts as rejected with all its records. */
    batch.messages[1].refused = true;
    store(&batch, 1, 2);
    rows = copied(1);
    assert_true(copied_next(&rows));
    assert_non_null(memmem(rows.fields[1].bytes, (size_t)rows.fields[1].length,
                           "\"records\":9,\"accepted\":0,\"duplicates\":0,\"merged\":0,\"revised\":0,\"rejected\":9,",
                           70));
    release(&batch);
}

/* A bad field and a warning are told to who hears of problems alone, too; only the bad field keeps the message. */
static void test_fields_and_warnings(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    size_t quiet = batch_keep_text(&batch, "quiet", 5);
    for (int i = 0; i < 2; i++) {
        struct batch_message *message = fake_world_message(world, &batch, i == 0 ? "f" : "w");
        message->vendor = world->quiet;
        message->vendor_name = quiet;
        message->total = 1;
        message->fates[FATE_STORED] = 1;
    }
    keep_problem(&batch, &batch.messages[0], "not_finite");
    batch.messages[0].problem_count = 0;
    batch.messages[0].field_count = 1;
    batch.messages[1].warning_count = 70;
    finish(&batch, 0, 2);
    struct copied quarantined = copied(0), receipts = copied(1);
    assert_true(copied_next(&quarantined));
    copied_expect(&quarantined, 4, "f");
    assert_false(copied_next(&quarantined));
    assert_true(copied_next(&receipts));
    static const char *const counts[] = {
        "\"accepted\":1,\"duplicates\":0,\"merged\":0,\"revised\":0,\"rejected\":0,\"bad_fields\":1,\"warned\":0,",
        "\"accepted\":1,\"duplicates\":0,\"merged\":0,\"revised\":0,\"rejected\":0,\"bad_fields\":0,\"warned\":70,"};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        size_t length = (size_t)receipts.fields[1].length;
        assert_non_null(memmem(receipts.fields[1].bytes, length, counts[i], strlen(counts[i])));
    }
    release(&batch);
}

/* What the slice adds to its vendors: a row a vendor and quarter of an hour, kinds of findings once with their last
 * example; a replay counts as that alone, what the database refused against nobody, and of an unknown vendor nothing.
 */
static void test_conformity(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    for (int i = 0; i < 6; i++) {
        struct batch_message *message = fake_world_message(world, &batch, "c");
        message->vendor = i == 3 ? world->quiet : i == 4 ? NULL : world->acme;
        message->total = 3;
        message->fates[FATE_STORED] = message->fates[FATE_MERGED] = 1;
        message->problem_count = message->flawed_count = 1;
        if (i < 2) {
            size_t reason = batch_keep_text(&batch, i == 0 ? "it's" : "new", i == 0 ? 4 : 3);
            *batch_tally_add(&batch) = (struct batch_tally){.code = "no_value",
                                                            .field = "speed_km_h",
                                                            .reason = reason,
                                                            .value = -999,
                                                            .index = i,
                                                            .count = 2,
                                                            .kind = TALLY_WARNING};
        }
    }
    batch.messages[2].first_received_ms = 1;
    batch.messages[5].received_at_ms += 900000;
    batch.messages[5].refused = true;
    batch.messages[5].code = batch_keep_text(&batch, "refused_by_database", 19);
    finish(&batch, 0, 6);
    static const char wanted[] =
        " VALUES (pg_catalog.to_timestamp(1759999500), 'construction_waste', 'acme', 2, 1, 6, 0, 2, 0, 2, 0, 2, 0, 0,"
        " ('[' || '{\"fate\":\"warning\",\"code\":\"no_value\",\"n\":4,\"field\":\"speed_km_h\",\"example\":{\"index\":1,"
        "\"received_at_ms\":1760000000000,\"kind\":\"telemetry\",\"message\":\"c\",\"reason\":\"new\",\"value\":-999}}' || ']')"
        "::jsonb), (pg_catalog.to_timestamp(1759999500), 'construction_waste', 'quiet', 1, 0, 3, 0, 1, 0, 1, 0, 1, 0, 0, NULL),"
        " (pg_catalog.to_timestamp(1760000400), 'construction_waste', 'acme', 1, 0, 3, 0, 0, 0, 3, 3, 0, 0, 0,"
        " ('[' || '{\"fate\":\"refused\",\"code\":\"refused_by_database\",\"n\":3}' || ']')::jsonb);\n";
    if (strstr(sql(), wanted) == NULL) {
        fail_msg("there is no%sin:\n%s", wanted, strstr(sql(), "INSERT INTO onemap.vendor_intake"));
    }
    release(&batch);
}

/* One row of the outbox must not grow without bound. */
static void test_large_receipts(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    char name[1000];
    enum { MESSAGES = 600 };
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < MESSAGES; i++) {
        fake_world_message(world, &batch, name);
    }
    store(&batch, 0, MESSAGES);
    struct copied rows = copied(0);
    int count = 0;
    while (copied_next(&rows)) {
        count++;
        assert_in_range(rows.fields[1].length, 1000, 256 * 1024 + 2000);
    }
    assert_int_equal(count, 3);
    release(&batch);
}

/* Answers are told apart by their statement alone, whatever columns they have. */
static void test_answers(void **state) {
    struct fake_world *world = *state;
    struct batch batch = {0};
    struct device *device = fake_world_device(world, "T-1", 5);
    fake_world_message(world, &batch, "m1");
    fake_world_record(world, &batch, device, FAKE_NOW_MS, 10);
    fake_world_record(world, &batch, device, FAKE_NOW_MS + 1, 10);
    size_t document = batch_keep_text(&batch, "{}", 2);
    fake_world_message(world, &batch, "m2")->document = document;
    fake_world_message(world, &batch, "m3")->document = document;
    struct slice slice = fake_world_slice(&batch, 0, 3);
    PGresult *fates = ROWS(2, "1", "1"), *first = ROWS(7, "1", "8", "0", "0", "0", "0", "0"),
             *second = ROWS(7, "2", "9", "0", "0", "0", "0", "0");
    transaction_settle(&transaction, &slice);
    for (int statement = 0; statement < transaction.statements; statement++) {
        transaction_take(&transaction, &slice, statement, statement == transaction.fates_at ? fates : first);
    }
    assert_int_equal(batch.messages[0].fates[FATE_DUPLICATE], 1);
    assert_int_equal(batch.messages[1].fates[FATE_STORED], 0);
    transaction_finish(&transaction, &slice);
    assert_int_equal(transaction.documents_past - transaction.documents_at, 2);
    for (int statement = 0; statement < transaction.statements; statement++) {
        bool is_second = statement == transaction.documents_at + 1;
        transaction_take(&transaction, &slice, statement, is_second ? second : first);
    }
    assert_int_equal(batch.messages[0].fates[FATE_DUPLICATE], 1);
    assert_int_equal(batch.messages[1].fates[FATE_STORED], 8);
    assert_int_equal(batch.messages[2].fates[FATE_STORED], 9);
    /* Built anew without a document, the numbers mean something else. */
    batch.messages[1].refused = true;
    struct slice refused = fake_world_slice(&batch, 1, 2);
    transaction_store(&transaction, &refused);
    for (int statement = 0; statement < transaction.statements; statement++) {
        transaction_take(&transaction, &refused, statement, second);
        transaction_take(&transaction, &refused, statement, fates);
    }
    assert_int_equal(batch.messages[1].fates[FATE_STORED], 0);
    PQclear(fates);
    PQclear(first);
    PQclear(second);
    release(&batch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_order_of_statements),
        WORLD_TEST(test_settle_and_finish),
        WORLD_TEST(test_settle_places),
        WORLD_TEST(test_rows),
        WORLD_TEST(test_rows_by_device),
        WORLD_TEST(test_registration),
        WORLD_TEST(test_alarms),
        WORLD_TEST(test_checks),
        WORLD_TEST(test_quarantine),
        WORLD_TEST(test_receipts),
        WORLD_TEST(test_fields_and_warnings),
        WORLD_TEST(test_conformity),
        WORLD_TEST(test_large_receipts),
        WORLD_TEST(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
