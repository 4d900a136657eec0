/* test_outbox.c: from the table to the broker: what is read, that a row is marked when the broker has acknowledged it
 * and not before, and what becomes of rows when broker or database refuse, are silent or go away. */
#include "fake_broker.h"
#include "fake_postgres.h"

#include "hub/base/config.h"
#include "hub/base/count.h"
#include "hub/base/metrics.h"
#include "hub/serve/outbox.h"

enum { ROWS_MAX = 400 };

struct sending {
    uv_loop_t loop;
    struct config config;
    struct outbox *outbox;
    int closed;
};

static struct postgres *database(void) {
    return fake_postgres("outbox");
}

/* It keeps no session: whatever id the broker gives it does. */
static struct mosquitto *broker(const struct sending *sending) {
    (void)sending;
    struct mosquitto *client = fake_client("");
    assert_non_null(client);
    return client;
}

static void on_closed(void *user) {
    ((struct sending *)user)->closed++;
}

static int begin(void **state) {
    struct sending *sending = calloc(1, sizeof *sending);
    assert_non_null(sending);
    hub_metrics = (struct hub_metrics){0};
    fake_loop_begin(&sending->loop);
    assert_int_equal(config_load(&sending->config, "/dev/null", stderr), 0);
    sending->outbox = outbox_open(&sending->loop, &sending->config);
    assert_non_null(sending->outbox);
    *state = sending;
    return 0;
}

static int end(void **state) {
    struct sending *sending = *state;
    outbox_close(sending->outbox, on_closed, sending);
    if (fake_dialling()) {
        fake_dial(MOSQ_ERR_SUCCESS, NULL);
    }
    fake_loop_turn(&sending->loop);
    assert_int_equal(sending->closed, 1);
    assert_int_equal(fake_client_count(), 0);
    assert_int_equal(fake_postgres_count(), 0);
    fake_loop_end(&sending->loop);
    config_free(&sending->config);
    free(sending);
    return 0;
}

static void connect_broker(struct sending *sending) {
    fake_dial(MOSQ_ERR_SUCCESS, NULL);
    fake_loop_turn(&sending->loop);
    fake_broker_accept(broker(sending), 0, false);
    fake_loop_turn(&sending->loop);
}

/* Rows with ids from `first` to before `past` are the answer to the running job, which must read. */
static void give_rows(struct sending *sending, int first, int past) {
    static char ids[ROWS_MAX][12];
    static const char *values[ROWS_MAX * 5];
    int count = 0;
    for (int id = first; id < past; id++, count++) {
        snprintf(ids[count], sizeof ids[count], "%d", id);
        values[5 * count] = values[5 * count + 2] = ids[count];
        values[5 * count + 1] = "cityhub/v1/dust/acme/receipt";
    }
    fake_postgres_await(&sending->loop, database());
    fake_postgres_end(database(), &(struct fake_act){.answers = {{.of = "SELECT o.id", 5, values, 5 * count}}});
    fake_loop_turn(&sending->loop);
}

/* The number of what has the row as its payload, among what was published on this connection. */
static int mid_of(const struct sending *sending, int id) {
    const struct fake_published *list;
    size_t count = fake_published(broker(sending), &list);
    char payload[12];
    snprintf(payload, sizeof payload, "%d", id);
    for (size_t i = count; i > 0; i--) {
        if (strcmp(list[i - 1].payload, payload) == 0) {
            return list[i - 1].mid;
        }
    }
    fail_msg("row %d was not published", id);
    return 0;
}

static size_t published(const struct sending *sending) {
    const struct fake_published *list;
    return fake_published(broker(sending), &list);
}

static void acknowledge(struct sending *sending, int id, int reason) {
    fake_broker_acknowledge(broker(sending), mid_of(sending, id), reason);
    fake_loop_turn(&sending->loop);
}

static void expect_idle(struct sending *sending) {
    fake_loop_turn(&sending->loop);
    assert_string_equal(fake_postgres_sql(database()), "");
}

/* Read, published, acknowledged, marked. */
static void test_way(void **state) {
    struct sending *sending = *state;
    fake_loop_pass(&sending->loop, 4000);
    expect_idle(sending); /* there is nobody to send to */
    connect_broker(sending);
    fake_postgres_await(&sending->loop, database());
    const char *sql = fake_postgres_sql(database());
    assert_string_equal(
        sql, "SELECT o.id, o.topic, o.payload, q.payload, round(extract(epoch FROM q.received_at) * 1000)"
             " FROM onemap.outbox o LEFT JOIN onemap.quarantine q ON q.id = o.replay WHERE o.destination = 'mqtt'"
             " AND o.sent_at IS NULL AND (o.retry_at IS NULL OR o.retry_at <= now())"
             " AND o.id <> ALL ('{}'::bigint[]) ORDER BY o.id LIMIT 200");
    give_rows(sending, 1, 4);
    assert_int_equal(published(sending), 3);
    const struct fake_published *list;
    fake_published(broker(sending), &list);
    assert_string_equal(list[0].topic, "cityhub/v1/dust/acme/receipt");
    assert_string_equal(list[0].payload, "1");
    fake_loop_pass(&sending->loop, 900);
    expect_idle(sending); /* nothing is marked that the broker has not acknowledged */
    acknowledge(sending, 2, 0);
    acknowledge(sending, 3, 0x10); /* nobody listens to it: the vendor's choice */
    PLAY(&sending->loop, database(),
         {.expects = "SELECT onemap.outbox_sent('{2,3}'::bigint[]);", .lacks = "SELECT o.id"});
    assert_int_equal(hub_metrics.outbox_sent, 2);
    /* What still has a place is not read again. */
    fake_loop_pass(&sending->loop, 5000);
    PLAY(&sending->loop, database(), {.expects = "<> ALL ('{1}'::bigint[])"});
    acknowledge(sending, 1, 0);
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{1}'"});
    assert_int_equal(hub_metrics.outbox_sent, 3);
    assert_int_equal(hub_metrics.outbox_failures, 0);
}

/* A message of the quarantine goes as the bytes that it came as; that nobody takes it is a failure then. */
static void test_replay(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    fake_postgres_await(&sending->loop, database());
    static const char *const row[] = {"7", "cityhub/v1/dust/acme/telemetry", "", "\\x6f6e65", "1700000000123"};
    fake_postgres_end(database(), &(struct fake_act){.answers = {{.of = "SELECT o.id", 5, row, 5}}});
    fake_loop_turn(&sending->loop);
    const struct fake_published *list;
    assert_int_equal(fake_published(broker(sending), &list), 1);
    assert_string_equal(list[0].payload, "one");
    fake_broker_acknowledge(broker(sending), list[0].mid, 0x10);
    fake_loop_turn(&sending->loop);
    fake_postgres_await(&sending->loop, database());
    assert_non_null(strstr(fake_postgres_sql(database()), "onemap.outbox_failed('{7}'"));
    fake_postgres_succeed(database());
}

/* A poke is answered soon, and rows that nobody poked for are found within seconds. */
static void test_poke(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    give_rows(sending, 0, 0);
    int64_t before = fake_loop_passed();
    outbox_poke(sending->outbox);
    outbox_poke(sending->outbox);
    give_rows(sending, 0, 0);
    assert_int_equal(fake_loop_passed() - before, 20);
    before = fake_loop_passed();
    give_rows(sending, 0, 0);
    assert_in_range(fake_loop_passed() - before, 3000, 6000);
}

/* Full answers are followed by the next at once, as long as there are places. */
static void test_many(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    for (int read = 0; read < 5; read++) {
        fake_postgres_await(&sending->loop, database());
        assert_non_null(strstr(fake_postgres_sql(database()), "LIMIT 200"));
        give_rows(sending, 200 * read, 200 * read + 200);
    }
    fake_loop_pass(&sending->loop, 10000);
    expect_idle(sending); /* all 1000 places are taken */
    assert_int_equal(published(sending), 1000);
    for (int id = 0; id < 30; id++) {
        fake_broker_acknowledge(broker(sending), mid_of(sending, id), 0);
    }
    fake_loop_turn(&sending->loop);
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{0,1,2,"});
    fake_postgres_await(&sending->loop, database());
    assert_non_null(strstr(fake_postgres_sql(database()), "LIMIT 30"));
    assert_null(strstr(fake_postgres_sql(database()), "'{0,"));
    give_rows(sending, 2000, 2030);
    assert_int_equal(published(sending), 1030);
}

/* Refused by the broker, or already by the library: the database says when it may be tried again. */
static void test_refused(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    fake_postgres_await(&sending->loop, database());
    fake_library_fail(FAKE_PUBLISH, MOSQ_ERR_PAYLOAD_SIZE);
    give_rows(sending, 1, 4);
    assert_int_equal(published(sending), 2);
    PLAY(&sending->loop, database(),
         {.expects = "SELECT onemap.outbox_failed('{1}'::bigint[], 'Payload too large.');", .lacks = "outbox_sent"});
    acknowledge(sending, 2, MQTT_RC_QUOTA_EXCEEDED);
    acknowledge(sending, 3, 0);
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{3}'::bigint[]);SELECT onemap.outbox_failed('{2}'"});
    assert_int_equal(hub_metrics.outbox_failures, 2);
    assert_int_equal(hub_metrics.outbox_sent, 1);
    fake_loop_pass(&sending->loop, 5000);
    PLAY(&sending->loop, database(), {.expects = "<> ALL ('{}'"}); /* their places are free */
}

/* The database refuses, or is lost: what was acknowledged is marked when it can be, nothing is sent twice for that. */
static void test_database_fails(void **state) {
    struct sending *sending = *state;
    static const char *const sqlstates[] = {"53100", ""};
    connect_broker(sending);
    give_rows(sending, 1, 3);
    acknowledge(sending, 1, 0);
    acknowledge(sending, 2, MQTT_RC_QUOTA_EXCEEDED);
    for (size_t i = 0; i < COUNT_OF(sqlstates); i++) {
        PLAY(&sending->loop, database(), {.expects = "outbox_sent('{1}'", .sqlstate = sqlstates[i]});
        assert_int_equal(hub_metrics.outbox_sent, 0);
    }
    fake_postgres_await(&sending->loop, database());
    const char *sql = fake_postgres_sql(database());
    assert_non_null(strstr(sql, "outbox_sent('{1}'"));
    assert_non_null(strstr(sql, "outbox_failed('{2}'"));
    assert_non_null(strstr(sql, "<> ALL ('{1,2}'"));
    give_rows(sending, 3, 4);
    assert_int_equal(hub_metrics.outbox_sent, 1);
    assert_int_equal(published(sending), 3);
    acknowledge(sending, 3, 0);
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{3}'"});
}

/* An error of a later statement comes after the rows were published: they keep their places and are not read again. */
static void test_fails_after_rows(void **state) {
    struct sending *sending = *state;
    static const char *const row[] = {"7", "cityhub/v1/dust/acme/receipt", "7"};
    connect_broker(sending);
    fake_postgres_await(&sending->loop, database());
    fake_postgres_end(database(), &(struct fake_act){.answers = {{.of = "SELECT o.id", 3, row, 3}}});
    acknowledge(sending, 7, 0);
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{7}'", .sqlstate = ""});
    fake_postgres_await(&sending->loop, database());
    assert_non_null(strstr(fake_postgres_sql(database()), "outbox_sent('{7}'"));
    fake_postgres_succeed(database());
    assert_int_equal(hub_metrics.outbox_sent, 1);
}

/* The broker goes away: nothing is read, but what it has acknowledged before is marked; what was in flight the library
 * sends again, and its acknowledgement counts. */
static void test_broker_away(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    give_rows(sending, 1, 3);
    int second = mid_of(sending, 2);
    acknowledge(sending, 1, 0);
    fake_broker_close(broker(sending));
    fake_loop_turn(&sending->loop);
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{1}'", .lacks = "SELECT o.id"});
    fake_loop_pass(&sending->loop, 20000);
    expect_idle(sending);
    connect_broker(sending);
    PLAY(&sending->loop, database(), {.expects = "<> ALL ('{2}'"});
    fake_broker_acknowledge(broker(sending), second, 0);
    fake_loop_turn(&sending->loop);
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{2}'"});
}

/* The broker is lost between a read and its answer: the rows are not published, and read again. */
static void test_lost_before_answer(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    fake_postgres_await(&sending->loop, database());
    fake_broker_close(broker(sending));
    fake_loop_turn(&sending->loop);
    give_rows(sending, 1, 3);
    fake_loop_pass(&sending->loop, 100);
    connect_broker(sending);
    PLAY(&sending->loop, database(), {.expects = "<> ALL ('{}'"});
}

/* Second by second; whatever is asked of the database meanwhile is answered by nothing new. */
static void pass_quietly(struct sending *sending, int seconds) {
    for (int second = 0; second < seconds && !fake_dialling(); second++) {
        fake_loop_pass(&sending->loop, 1000);
        if (fake_postgres_sql(database())[0] != '\0') {
            fake_postgres_succeed(database());
        }
    }
}

/* A broker that is there and acknowledges nothing for a minute: another connection, and all is sent anew. */
static void test_silence(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    give_rows(sending, 1, 4);
    pass_quietly(sending, 30);
    acknowledge(sending, 1, 0); /* it was only slow */
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{1}'"});
    pass_quietly(sending, 59);
    assert_false(fake_dialling());
    pass_quietly(sending, 3);
    assert_true(fake_dialling());
    assert_int_equal(hub_metrics.outbox_failures, 2);
    connect_broker(sending);
    assert_int_equal(fake_client_count(), 1); /* the old one has been let go of */
    fake_postgres_await(&sending->loop, database());
    assert_non_null(strstr(fake_postgres_sql(database()), "<> ALL ('{}'"));
    give_rows(sending, 2, 4);
    assert_int_equal(published(sending), 2);
    acknowledge(sending, 2, 0);
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{2}'"});
}

/* No memory for another connection: at the next tick there may be. */
static void test_silence_without_memory(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    give_rows(sending, 1, 2);
    fake_library_fail(FAKE_NEW, MOSQ_ERR_NOMEM);
    pass_quietly(sending, 70);
    assert_true(fake_dialling());
    connect_broker(sending);
    assert_int_equal(fake_client_count(), 1);
}

/* An acknowledgement of something that has no place means nothing. */
static void test_odd_acknowledgement(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    give_rows(sending, 1, 2);
    fake_broker_acknowledge(broker(sending), mid_of(sending, 1) + 500, 0);
    fake_loop_pass(&sending->loop, 900);
    expect_idle(sending);
    acknowledge(sending, 1, 0);
    acknowledge(sending, 1, 0); /* twice */
    PLAY(&sending->loop, database(), {.expects = "outbox_sent('{1}'"});
    assert_int_equal(hub_metrics.outbox_sent, 1);
}

/* Closed while a job runs and messages are in flight, and while an old connection is still being let go. */
static void test_close_busy(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    give_rows(sending, 1, 3);
    acknowledge(sending, 1, 0);
    fake_postgres_await(&sending->loop, database());
}

static void test_close_after_silence(void **state) {
    struct sending *sending = *state;
    connect_broker(sending);
    give_rows(sending, 1, 3);
    pass_quietly(sending, 70);
    assert_true(fake_dialling());
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_way),
        TEST(test_replay),
        TEST(test_poke),
        TEST(test_many),
        TEST(test_refused),
        TEST(test_database_fails),
        TEST(test_fails_after_rows),
        TEST(test_broker_away),
        TEST(test_lost_before_answer),
        TEST(test_silence),
        TEST(test_silence_without_memory),
        TEST(test_odd_acknowledgement),
        TEST(test_close_busy),
        TEST(test_close_after_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
