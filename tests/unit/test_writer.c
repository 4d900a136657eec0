/* test_writer.c: the pool that stores batches, when all goes well or a batch meets what it must expect: new devices,
 * missing partitions, duplicates, documents, messages that the database will not have. test_writer_failure.c has the
 * rest. */
#include "writing.h"

static struct postgres *one(void) {
    return fake_postgres("writer-1");
}

static void expect_metrics(const struct lane_metrics *metrics, uint64_t committed, uint64_t duplicate, uint64_t merged,
                           uint64_t revised, uint64_t rejected) {
    assert_int_equal(metrics->records_committed, committed);
    assert_int_equal(metrics->records_duplicate, duplicate);
    assert_int_equal(metrics->records_merged, merged);
    assert_int_equal(metrics->records_revised, revised);
    assert_int_equal(metrics->records_rejected, rejected);
}

/* Ids, then partitions, then all in one; the next batch of the day needs the last alone. */
static void test_first_batch(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct device *device = fake_world_device(writing->world, "T-1", 0);
    writing_message(writing, 0, "m1", device, FAKE_NOW_MS);
    writing_message(writing, 0, "m2", device, FAKE_NOW_MS + 86400000);
    writing_submit(writing, 0);
    assert_int_equal(writing->commits, 0); /* never from within the call */
    PLAY(&writing->world->loop, one(),
         {.expects = "nextval('onemap.device_id') FROM pg_catalog.generate_series(1, 1)",
          .answers = {ANSWER("nextval", 1, "4711")}},
         {.expects = "BEGIN; SELECT onemap.partition_ensure(('epoch'::date + 20370)::date); COMMIT;"
                     "BEGIN; SELECT onemap.partition_ensure(('epoch'::date + 20371)::date); COMMIT;"});
    assert_int_equal(device->id, 4711);
    fake_postgres_await(&writing->world->loop, one());
    const struct postgres_copy *copy = fake_postgres_copy(one(), "onemap.observation");
    struct copied rows = copied_begin(copy->data, copy->length);
    assert_true(copied_next(&rows));
    assert_int_equal(copied_integer(&rows, 0), 4711);
    assert_true(copied_time(&rows, 2) == writing_stamp(one()));
    assert_false(device->registered);
    assert_int_equal(writing->commits, 0);
    PLAY(&writing->world->loop, one(), {.expects = "device_register('[{\"id\":4711,"});
    assert_int_equal(writing->written[0].committed, 1);
    assert_true(device->registered);
    assert_int_equal(writing->outbox_written, 1); /* its receipts */
    assert_int_equal(fake_loop_passed(), 0);      /* no wait anywhere */
    writing_message(writing, 1, "m3", device, FAKE_NOW_MS + 1000);
    writing_submit(writing, 1);
    PLAY(&writing->world->loop, one(), {.expects = "BEGIN;\nCOPY onemap.observation", .lacks = "device_register"});
    assert_int_equal(writing->written[1].committed, 1);
    const struct lane_metrics *metrics = writing->world->metrics;
    expect_metrics(metrics, 3, 0, 0, 0, 0);
    assert_int_equal(metrics->batches_committed, 2);
    assert_int_equal(metrics->batches_settled + metrics->batch_failures, 0);
    assert_true(metrics->committed_at_ms == FAKE_NOW_MS);
    writing_end(writing);
}

/* Where the retention has dropped partitions, each day is asked for anew. */
static void test_partitions_forgotten(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    for (int i = 0; i < 3; i++) {
        writing_message(writing, i, "m", device, FAKE_NOW_MS + i);
        writing_submit(writing, i);
        if (i != 1) {
            PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"});
        }
        PLAY(&writing->world->loop, one(), {.expects = "COPY onemap.observation"});
        if (i == 1) {
            writer_forget_partitions(writing->writer);
        }
    }
    assert_int_equal(writing->commits, 3);
    writing_end(writing);
}

/* The first and the last day that can be remembered. */
static void test_odd_days(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    static const int64_t days[] = {-40000, 91071};
    for (int i = 0; i < 2; i++) {
        for (int turn = 0; turn < 2; turn++) {
            batch_reset(&writing->written[i].batch);
            writing_message(writing, i, "m", device, days[i] * 86400000);
            writing_submit(writing, i);
            if (turn == 0) {
                PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"});
            }
            PLAY(&writing->world->loop, one(), {.expects = "COPY onemap.observation"});
        }
    }
    assert_int_equal(writing->commits, 4);
    writing_end(writing);
}

/* 23505: the batch goes through the stage, which says what became of each row. */
static void test_duplicates(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    for (int i = 0; i < 6; i++) {
        writing_message(writing, 0, "m", device, FAKE_NOW_MS + i);
    }
    writing_submit(writing, 0);
    PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"});
    fake_postgres_await(&writing->world->loop, one());
    int64_t stamp = writing_stamp(one());
    PLAY(&writing->world->loop, one(), {.expects = "COPY onemap.observation", .sqlstate = "23505", .at = "COPY onemap"},
         {.expects = "COPY pg_temp.observation_stage",
          .lacks = "COMMIT",
          .answers = {ANSWER("observation_settle", 2, "1", "2", "1", "3", "2", "4", "3", "5")}});
    assert_int_equal(writing->commits, 0);
    fake_postgres_await(&writing->world->loop, one());
    assert_true(writing_stamp(one()) > stamp); /* the first one's may not be told from another's */
    PLAY(&writing->world->loop, one(), {.expects = "INSERT INTO onemap.batch_log", .lacks = "observation"});
    assert_int_equal(writing->written[0].committed, 1);
    expect_metrics(writing->world->metrics, 2, 2, 1, 1, 0);
    assert_int_equal(writing->world->metrics->batches_settled, 1);
    assert_int_equal(fake_loop_passed(), 0);
    writing_end(writing);
}

/* Documents say what became of their records, by their statement. */
static void test_documents(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct batch *batch = &writing->written[0].batch;
    size_t text = batch_keep_text(batch, "{}", 2);
    for (int i = 0; i < 2; i++) {
        struct batch_message *message = fake_world_message(writing->world, batch, i == 0 ? "d0" : "d1");
        message->document = text;
        message->total = 10;
    }
    writing_submit(writing, 0);
    PLAY(&writing->world->loop, one(),
         {.expects = "message_store",
          .answers = {ANSWER("SELECT 0, s.accepted", 7, "0", "7", "2", "1", "0", "0", "0"),
                      ANSWER("SELECT 1, s.accepted", 7, "1", "7", "0", "0", "2", "1", "3")}});
    assert_int_equal(writing->written[0].committed, 1);
    expect_metrics(writing->world->metrics, 14, 2, 2, 1, 1);
    assert_int_equal(writing->world->metrics->fields_rejected, 3);
    assert_int_equal(writing->world->metrics->messages_quarantined, 2);
    assert_int_equal(writing->outbox_written, 1);
    writing_end(writing);
}

/* Nothing for the outbox: nobody is woken. */
static void test_no_receipts(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    writing->world->acme->receipts_all = false;
    writing_message(writing, 0, "m", fake_world_device(writing->world, "T-1", 5), FAKE_NOW_MS);
    writing_submit(writing, 0);
    PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"}, {.expects = "COMMIT", .lacks = "outbox"});
    assert_int_equal(writing->written[0].committed, 1);
    assert_int_equal(writing->outbox_written, 0);
    writing_end(writing);
}

/* One message of four is not to be stored: the batch is taken message by message, that one goes to quarantine whole,
 * its neighbours are stored, each with a stamp of its own; then the batch is committed, once. */
static void test_divided(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct batch *batch = &writing->written[0].batch;
    uv_loop_t *loop = &writing->world->loop;
    int64_t stamps[5];
    for (int i = 0; i < 4; i++) {
        char code[8], name[8];
        snprintf(code, sizeof code, "T-%d", i);
        snprintf(name, sizeof name, "msg%d", i);
        fake_world_message(writing->world, batch, name);
        fake_world_record(writing->world, batch, fake_world_device(writing->world, code, 10 + i), FAKE_NOW_MS, 90);
    }
    writing_submit(writing, 0);
    PLAY(loop, one(), {.expects = "partition_ensure"},
         {.expects = "alarm_apply", .sqlstate = "22P05", .at = "alarm_apply", .message = "no such character"});
    for (int i = 0; i < 5; i++) {
        /* 0, 1 refused, 1 kept, 2, 3 */
        bool quarantined = i == 2;
        fake_postgres_await(loop, one());
        stamps[i] = writing_stamp(one());
        const struct postgres_copy *rows = fake_postgres_copy(one(), "COPY onemap.observation");
        const struct postgres_copy *quarantine = fake_postgres_copy(one(), "COPY pg_temp.quarantine_stage");
        assert_int_equal(rows == NULL, quarantined);
        assert_int_equal(quarantine != NULL, quarantined);
        assert_int_equal(strstr(fake_postgres_sql(one()), "alarm_apply") != NULL, !quarantined);
        if (quarantined) {
            struct copied copied = copied_begin(quarantine->data, quarantine->length);
            assert_true(copied_next(&copied));
            copied_expect(&copied, 5, "msg1");
            copied_expect(&copied, 8, "refused_by_database");
            copied_expect(&copied, 9, "the database refuses it (SQLSTATE 22P05): no such character");
        }
        assert_int_equal(writing->commits, 0);
        fake_postgres_end(one(),
                          &(struct fake_act){.sqlstate = i == 1 ? "22P05" : NULL, .message = "no such character"});
    }
    assert_int_equal(writing->written[0].committed, 1);
    assert_true(stamps[0] < stamps[1] && stamps[1] == stamps[2] && stamps[2] < stamps[3] && stamps[3] < stamps[4]);
    expect_metrics(writing->world->metrics, 3, 0, 0, 0, 1);
    assert_int_equal(writing->world->metrics->messages_quarantined, 1);
    assert_int_equal(writing->world->metrics->batches_committed, 1);
    assert_int_equal(fake_loop_passed(), 0);
    writing_end(writing);
}

/* Batches wait in their order for whoever is free; each connection has one at a time. */
static void test_pool(void **state) {
    (void)state;
    struct writing *writing = writing_begin(2);
    uv_loop_t *loop = &writing->world->loop;
    struct postgres *two = fake_postgres("writer-2");
    assert_int_equal(hub_metrics.writers_idle, 2);
    assert_true(writer_connected(writing->writer));
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    static const char *const names[] = {"first", "second", "third", "fourth"};
    for (int i = 0; i < 4; i++) {
        writing_message(writing, i, names[i], device, FAKE_NOW_MS + i);
        writing_submit(writing, i);
    }
    fake_loop_turn(loop);
    assert_int_equal(hub_metrics.writers_idle, 0);
    assert_int_equal(hub_metrics.writer_queue, 2);
    PLAY(loop, one(), {.expects = "partition_ensure"});
    PLAY(loop, two, {.expects = "partition_ensure"}, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[1].place, 1);
    assert_int_equal(hub_metrics.writer_queue, 1);
    PLAY(loop, two, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[2].place, 2);
    PLAY(loop, one(), {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[0].place, 3);
    PLAY(loop, two, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[3].place, 4);
    assert_int_equal(hub_metrics.writers_idle, 2);
    assert_int_equal(hub_metrics.writer_queue, 0);
    writing_end(writing);
}

/* Four batches of a record each; those in `yielding` give way. */
static struct writing *begin_yielding(int writers, const bool *yielding) {
    struct writing *writing = writing_begin(writers);
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    for (int i = 0; i < WRITING_BATCHES; i++) {
        writing_message(writing, i, "m", device, FAKE_NOW_MS + i);
        writing->written[i].job.yields = yielding[i];
    }
    return writing;
}

/* One that yields leaves a connection to whoever comes, and whoever comes passes it. */
static void test_yields(void **state) {
    (void)state;
    struct writing *writing = begin_yielding(2, (bool[]){true, true, false, false});
    uv_loop_t *loop = &writing->world->loop;
    struct postgres *two = fake_postgres("writer-2");
    assert_true(writer_spare(writing->writer));
    writing_submit(writing, 0);
    writing_submit(writing, 1);
    assert_int_equal(hub_metrics.writers_idle, 1);
    assert_int_equal(hub_metrics.writer_queue, 1);
    assert_false(writer_spare(writing->writer)); /* one waits */
    writing_submit(writing, 2);
    PLAY(loop, two, {.expects = "partition_ensure"}, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[2].place, 1);
    assert_int_equal(hub_metrics.writers_idle, 1);
    writing_submit(writing, 3);
    PLAY(loop, one(), {.expects = "partition_ensure"}, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[0].place, 2);
    assert_int_equal(hub_metrics.writer_queue, 1); /* the other is at work: this one is left free */
    PLAY(loop, two, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[3].place, 3);
    assert_int_equal(hub_metrics.writer_queue, 0);
    assert_int_equal(hub_metrics.writers_idle, 1);
    PLAY(loop, fake_postgres_sql(two)[0] != '\0' ? two : one(), {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[1].place, 4);
    writing_end(writing);
}

/* For a second; then it has its turn. And not when there is no other connection to wait for. */
static void test_yields_no_longer(void **state) {
    (void)state;
    struct writing *writing = begin_yielding(2, (bool[]){true, true, false, true});
    uv_loop_t *loop = &writing->world->loop;
    struct postgres *two = fake_postgres("writer-2");
    writing_submit(writing, 0);
    writing_submit(writing, 1);
    fake_loop_pass(loop, 1000);
    assert_int_equal(hub_metrics.writer_queue, 1);
    writing_submit(writing, 2);
    assert_int_equal(hub_metrics.writer_queue, 1);
    PLAY(loop, two, {.expects = "partition_ensure"}, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[1].place, 1);
    PLAY(loop, two, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[2].place, 2);
    writing_end(writing);
    writing = begin_yielding(1, (bool[]){true, true, true, true});
    writing_submit(writing, 0);
    assert_int_equal(hub_metrics.writer_queue, 0);
    writing_end(writing);
}

/* Nobody is connected: batches wait, and are taken as soon as one is. */
static void test_away(void **state) {
    (void)state;
    struct writing *writing = writing_begin(2);
    uv_loop_t *loop = &writing->world->loop;
    fake_postgres_away(true);
    fake_loop_turn(loop);
    assert_false(writer_connected(writing->writer));
    assert_false(hub_metrics.database_connected);
    assert_int_equal(hub_metrics.database_losses, 2);
    writing_message(writing, 0, "m", fake_world_device(writing->world, "T-1", 5), FAKE_NOW_MS);
    writing_submit(writing, 0);
    fake_loop_pass(loop, 60000);
    assert_int_equal(hub_metrics.writer_queue, 1);
    fake_postgres_away(false);
    fake_loop_pass(loop, 200);
    assert_int_equal(hub_metrics.writer_queue, 0);
    assert_true(hub_metrics.database_connected);
    struct postgres *taker = fake_postgres_sql(one())[0] != '\0' ? one() : fake_postgres("writer-2");
    PLAY(loop, taker, {.expects = "partition_ensure"}, {.expects = "COPY onemap.observation"});
    assert_int_equal(writing->written[0].committed, 1);
    writing_end(writing);
}

/* Closed with one batch under way and one waiting: neither is called committed. */
static void test_close(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    for (int i = 0; i < 2; i++) {
        writing_message(writing, i, "m", device, FAKE_NOW_MS + i);
        writing_submit(writing, i);
    }
    PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"});
    fake_postgres_await(&writing->world->loop, one());
    writing_end(writing); /* which closes the writer */
}

/* Stamps grow, two in a microsecond too; a clock that was ahead and is put right is followed. */
static void test_stamps(void **state) {
    (void)state;
    struct writing *writing = writing_begin(1);
    struct device *device = fake_world_device(writing->world, "T-1", 5);
    int64_t last = 0;
    for (int i = 0; i < 4; i++) {
        writing_message(writing, i, "m", device, FAKE_NOW_MS + i);
        writing_submit(writing, i);
        if (i == 0) {
            PLAY(&writing->world->loop, one(), {.expects = "partition_ensure"});
        }
        fake_postgres_await(&writing->world->loop, one());
        assert_true(i == 2 ? writing_stamp(one()) < last - INT64_C(3500000000) : writing_stamp(one()) > last);
        assert_true(i == 2 || writing_stamp(one()) < last + 2000000 || last == 0);
        last = writing_stamp(one());
        fake_postgres_succeed(one());
        fake_clock_set(i == 0 ? -500 : i == 1 ? -3600000 : 0);
    }
    writing_end(writing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_batch), cmocka_unit_test(test_partitions_forgotten),
        cmocka_unit_test(test_odd_days),    cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_documents),   cmocka_unit_test(test_no_receipts),
        cmocka_unit_test(test_divided),     cmocka_unit_test(test_pool),
        cmocka_unit_test(test_yields),      cmocka_unit_test(test_yields_no_longer),
        cmocka_unit_test(test_away),        cmocka_unit_test(test_close),
        cmocka_unit_test(test_stamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
