/* test_lane.c: read, commit, acknowledge: batches and when they are handed over, and that nothing is
 * acknowledged, or even written, before all that was read is committed. */
#include "laning.h"

#include "hub/ingest/delivery.h"

#define FILTERS(prefix)                                                                                                \
    prefix "cityhub/v1/construction_waste/+/telemetry " prefix "cityhub/v1/construction_waste/+/inventory " prefix     \
           "cityhub/v1/construction_waste/+/staff " prefix "cityhub/v1/construction_waste/+/work " prefix              \
           "cityhub/v1/construction_waste/+/case " prefix "cityhub/v1/construction_waste/+/interval"

/* ---- the session ---- */

static void test_subscribes(void **state) {
    struct laning *laning = *state;
    const struct config *config = &laning->world->config;
    char text[256];
    snprintf(text, sizeof text, "%s-construction_waste-1", config->hub_instance);
    assert_string_equal(lane_name(laning->lane), text);
    snprintf(text, sizeof text, "%s-construction_waste-1-%s", config->hub_instance, LANING_SECRET);
    assert_string_equal(lane_client_id(laning->lane), text);
    assert_ptr_equal(lane_adapter(laning->lane), laning->world->adapter);
    laning_connect(laning, false);
    assert_int_equal(fake_subscribe_options(laning->client), MQTT_SUB_OPT_SEND_RETAIN_NEVER);
    assert_string_equal(fake_subscribed(laning->client), FILTERS(""));
    assert_string_equal(fake_unsubscribed(laning->client), "");
    assert_false(lane_connected(laning->lane)); /* not before the broker has said yes */
    fake_broker_subscribe(laning->client, 1);
    fake_loop_turn(&laning->world->loop);
    assert_true(lane_connected(laning->lane));
    const struct fake_setup *setup = fake_setup(laning->client);
    assert_false(setup->clean_session);
    assert_int_equal(setup->session_expiry_s, config->mqtt_session_expiry_s);
    assert_int_equal(setup->receive_maximum, config->mqtt_receive_maximum);
    fake_broker_close(laning->client);
    fake_loop_turn(&laning->world->loop);
    assert_false(lane_connected(laning->lane));
}

/* A session of before may have the other form of subscription, of another number of lanes: it is given up. */
static void test_subscribes_again(void **state) {
    struct laning *laning = *state;
    laning_connect(laning, true);
    char shared[1024];
    const char *instance = laning->world->config.hub_instance;
    snprintf(shared, sizeof shared, "$share/%s-%s/%s", instance, LANING_SECRET,
             "cityhub/v1/construction_waste/+/telemetry ");
    assert_string_equal(fake_subscribed(laning->client), FILTERS(""));
    assert_memory_equal(fake_unsubscribed(laning->client), shared, strlen(shared));
}

static void reopen(struct laning *laning, int number, int of, bool draining) {
    lane_close(laning->lane, NULL, NULL);
    if (fake_dialling()) {
        fake_dial(MOSQ_ERR_SUCCESS, NULL);
    }
    fake_loop_turn(&laning->world->loop);
    laning_open(laning, number, of, draining);
}

static void test_shared(void **state) {
    struct laning *laning = *state;
    free(laning->world->config.hub_instance);
    laning->world->config.hub_instance = strdup("xuzhou");
    reopen(laning, 2, 3, false);
    assert_string_equal(lane_name(laning->lane), "xuzhou-construction_waste-2");
    laning_connect(laning, true);
    assert_string_equal(fake_subscribed(laning->client), FILTERS("$share/xuzhou-" LANING_SECRET "/"));
    assert_string_equal(fake_unsubscribed(laning->client), FILTERS("") " ");
}

/* The right was taken away, or the library has no memory for it: the connection is tried again. */
static void test_subscription_refused(void **state) {
    struct laning *laning = *state;
    laning_connect(laning, false);
    fake_broker_subscribe(laning->client, MQTT_RC_NOT_AUTHORIZED);
    fake_loop_turn(&laning->world->loop);
    assert_false(lane_connected(laning->lane));
    fake_loop_pass(&laning->world->loop, 100);
    assert_true(fake_dialling());
    laning_ready(laning);
    assert_int_equal(laning->metrics->connects, 2);
}

/* ---- batches ---- */

/* While the writers idle a message goes as soon as it is read. What comes while it is stored goes together, when the
 * lane has let the writers alone for four times as long as that took. */
static void test_at_once(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    int64_t before = fake_loop_passed();
    laning_send(laning, 0, 1);
    assert_true(laning_busy("writer-1"));
    laning_send(laning, 1, 2);
    fake_loop_pass(&laning->world->loop, 10);
    laning_send(laning, 2, 3);
    assert_false(laning_busy("writer-2"));
    laning_store(laning, "writer-1", ", 1);");
    laning_expect(laning, 3, 0);
    assert_false(laning_busy("writer-1") || laning_busy("writer-2"));
    fake_postgres_await(&laning->world->loop, fake_postgres("writer-1"));
    assert_int_equal(fake_loop_passed() - before, 40);
    laning_store(laning, "writer-1", ", 2);");
    laning_expect(laning, 3, 3);
    fake_loop_pass(&laning->world->loop, 1000);
    assert_false(laning_busy("writer-1") || laning_busy("writer-2"));
}

/* A message waits 50 ms at the most, whatever is under way; when all is committed it is acknowledged. */
static void test_age(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 1);
    laning_send(laning, 1, 2);
    assert_int_equal(laning->metrics->queue_messages, 2);
    int64_t before = fake_loop_passed();
    fake_loop_pass(&laning->world->loop, 30);
    laning_send(laning, 2, 3);
    assert_false(laning_busy("writer-2"));
    fake_postgres_await(&laning->world->loop, fake_postgres("writer-2"));
    assert_int_equal(fake_loop_passed() - before, 50);
    laning_expect(laning, 3, 0);
    laning_store(laning, "writer-2", ", 2);");
    laning_expect(laning, 3, 0);
    laning_store(laning, "writer-1", ", 1);");
    laning_expect(laning, 3, 3);
    assert_int_equal(laning->metrics->queue_messages, 0);
}

/* Full by records, or by bytes: handed over at once. A message is never divided. */
static void test_full(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 4);
    assert_true(laning_busy("writer-1"));
    static char large[4000000];
    memset(large, 'x', sizeof large);
    for (int i = 0; i < 5; i++) {
        assert_false(laning_busy("writer-2"));
        fake_broker_send(laning->client, LANING_TOPIC, large, sizeof large, NULL);
        fake_loop_turn(&laning->world->loop);
    }
    assert_true(laning_busy("writer-2"));
    laning_store(laning, "writer-1", ", 4);");
    laning_store(laning, "writer-2", "COPY pg_temp.quarantine_stage");
    laning_expect(laning, 9, 9);
    assert_int_equal(fake_loop_passed(), 0);
}

/* Two batches are stored side by side, a third waits for a writer, the fourth fills; then nothing more is read until
 * one is committed. */
static void test_in_flight(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 24);
    laning_expect(laning, 16, 0);
    assert_true(laning_busy("writer-1") && laning_busy("writer-2"));
    laning_store(laning, "writer-1", ", 4);");
    laning_expect(laning, 20, 0);
    assert_true(laning_busy("writer-1")); /* with the third */
    laning_store(laning, "writer-2", ", 4);");
    laning_expect(laning, 24, 0);
    for (int rest = 0; rest < 4; rest++) {
        laning_expect(laning, 24, 0);
        laning_store(laning, rest % 2 == 0 ? "writer-1" : "writer-2", ", 4);");
    }
    laning_expect(laning, 24, 24);
}

/* Whichever of two batches is committed first, nothing is written before both are; then all in one go. */
static void test_order_of_commits(void **state) {
    static const char *const orders[][2] = {{"writer-1", "writer-2"}, {"writer-2", "writer-1"}};
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        if (i > 0) {
            laning_end(state);
            laning_begin(state);
        }
        struct laning *laning = *state;
        laning_ready(laning);
        int writes = fake_writes(laning->client);
        laning_send(laning, 0, 8);
        laning_store(laning, orders[i][0], ", 4);");
        fake_loop_pass(&laning->world->loop, 60000);
        laning_expect(laning, 8, 0);
        assert_int_equal(fake_writes(laning->client), writes);
        laning_store(laning, orders[i][1], ", 4);");
        laning_expect(laning, 8, 8);
        assert_int_equal(fake_writes(laning->client), writes + 1);
    }
}

/* A batch that fails and is tried again holds the acknowledgements of all that was read. */
static void test_failing_batch(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 8);
    PLAY(&laning->world->loop, fake_postgres("writer-1"), {.expects = "partition_ensure"},
         {.expects = "COMMIT", .sqlstate = "53100"}, {.expects = "COMMIT", .sqlstate = ""});
    laning_store(laning, "writer-2", ", 4);");
    laning_expect(laning, 8, 0);
    PLAY(&laning->world->loop, fake_postgres("writer-1"), {.expects = "FROM onemap.batch_log b"},
         {.expects = "COMMIT"});
    fake_loop_turn(&laning->world->loop);
    laning_expect(laning, 8, 8);
}

/* There is always something uncommitted, as messages come without end: after 64 batches the lane reads no more until
 * all are committed and acknowledged. */
static void test_round(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 288);
    for (int batch = 0; batch < 64; batch++) {
        laning_expect(laning, batch < 60 ? 4 * (batch + 4) : 256, 0);
        laning_store(laning, batch % 2 == 0 ? "writer-1" : "writer-2", ", 4);");
    }
    laning_expect(laning, 272, 256); /* and the next round has begun */
}

/* ---- losses and ends ---- */

/* The connection is lost with messages read: they are stored, come again, and are acknowledged on the new connection
 * without being taken a second time. */
static void test_lost(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 6);
    fake_broker_close(laning->client);
    fake_loop_turn(&laning->world->loop);
    assert_true(laning_busy("writer-1") && laning_busy("writer-2")); /* not only the full one */
    laning_store(laning, "writer-1", ", 4);");
    laning_store(laning, "writer-2", ", 2);");
    fake_loop_pass(&laning->world->loop, 100);
    laning_expect(laning, 6, 0);
    laning_connect(laning, true);
    laning_expect(laning, 6, 6);
    assert_int_equal(laning->metrics->messages_redelivered, 6);
    fake_loop_pass(&laning->world->loop, 1000);
    assert_false(laning_busy("writer-1") || laning_busy("writer-2"));
}

/* The same content is published once more after a reconnection: it is another message, and is taken. */
static void test_published_again(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 4);
    laning_store(laning, "writer-1", ", 4);");
    laning_expect(laning, 4, 4);
    fake_broker_close(laning->client);
    fake_loop_pass(&laning->world->loop, 100);
    laning_connect(laning, true);
    laning_send(laning, 0, 4);
    laning_store(laning, "writer-1", ", 4);");
    laning_expect(laning, 8, 8);
    assert_int_equal(laning->metrics->messages_redelivered, 0);
}

/* A hub was killed after it had committed and before it acknowledged: what it wrote down tells the next one. */
static void test_killed(void **state) {
    struct laning *laning = *state;
    char packed[256] = "";
    laning_ready(laning);
    laning_send(laning, 0, 4);
    const char *sql = fake_postgres_sql(fake_postgres("writer-1"));
    if (strstr(sql, "partition_ensure") != NULL) {
        fake_postgres_succeed(fake_postgres("writer-1"));
        sql = fake_postgres_sql(fake_postgres("writer-1"));
    }
    const char *at = strstr(sql, "INSERT INTO onemap.delivery (lane, received_at, messages) VALUES"
                                 " ('hub1/construction_waste-1', ");
    assert_non_null(at);
    sscanf(strstr(at, "'\\x"), "'%255[^']", packed);
    assert_int_equal(strlen(packed), 2 + 4 * 20);
    struct batch_message messages[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        unsigned identifier;
        unsigned long long key;
        assert_int_equal(sscanf(packed + 2 + 20 * i, "%4x%16llx", &identifier, &key), 2);
        messages[i] = (struct batch_message){.identifier = (uint16_t)identifier, .key = key};
    }
    size_t length;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)packed, &length);
    struct deliveries *next = deliveries_new(10);
    assert_non_null(next);
    deliveries_take(next, 1, bytes, length);
    deliveries_connected(next, true);
    for (size_t i = 0; i < 4; i++) {
        assert_false(deliveries_met(next, messages[i].key, (uint16_t)(messages[i].identifier + 1), true));
        assert_true(deliveries_met(next, messages[i].key, messages[i].identifier, true));
    }
    deliveries_free(next);
    PQfreemem(bytes);
}

/* Lost while a batch is under way: on the new connection nothing is written before the old batch is committed, not even
 * the subscription. */
static void test_lost_in_flight(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 4);
    fake_broker_close(laning->client);
    fake_loop_turn(&laning->world->loop);
    fake_loop_pass(&laning->world->loop, 100);
    laning_connect(laning, true);
    laning_expect(laning, 4, 0); /* read again: they are held already */
    assert_false(laning_busy("writer-2"));
    laning_store(laning, "writer-1", ", 4);");
    laning_expect(laning, 4, 4);
    assert_int_equal(laning->metrics->messages_redelivered, 4);
    fake_broker_subscribe(laning->client, 1);
    fake_loop_turn(&laning->world->loop);
    assert_true(lane_connected(laning->lane));
}

/* Stopped: what was read is stored and acknowledged, nothing more is read. */
static void test_stop(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 6);
    assert_false(lane_idle(laning->lane));
    lane_stop(laning->lane);
    laning_send(laning, 6, 8);
    laning_store(laning, "writer-1", ", 4);");
    assert_false(lane_idle(laning->lane));
    laning_store(laning, "writer-2", ", 2);");
    assert_true(lane_idle(laning->lane));
    laning_expect(laning, 6, 6);
    fake_loop_pass(&laning->world->loop, 60000);
    laning_expect(laning, 6, 6);
}

/* Stopped with a batch that must wait its turn: it has it. */
static void test_stop_in_order(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send(laning, 0, 4);
    laning_send_speed(laning, "T-9", 4, 90);
    fake_loop_turn(&laning->world->loop);
    lane_stop(laning->lane);
    assert_false(laning_busy("writer-2"));
    laning_store(laning, "writer-1", ", 4);");
    laning_store(laning, laning_busy("writer-1") ? "writer-1" : "writer-2", "alarm_apply");
    assert_true(lane_idle(laning->lane));
    laning_expect(laning, 5, 5);
}

/* Closed with what is not committed: it is not acknowledged, and nothing is said to the broker at all. */
static void test_close(void **state) {
    struct laning *laning = *state;
    int64_t expiry_s;
    laning_ready(laning);
    laning_send(laning, 0, 6);
    int writes = fake_writes(laning->client);
    lane_close(laning->lane, laning_closed, laning);
    assert_int_equal(fake_writes(laning->client), writes);
    assert_false(fake_disconnected(laning->client, &expiry_s));
    laning_expect(laning, 6, 0);
    /* The writer still has a batch of it: it is closed before anything of the lane is freed. */
    writer_close(laning->writer, NULL, NULL);
    fake_loop_turn(&laning->world->loop);
    assert_int_equal(laning->closed, 1);
    laning->closed = 0;
    laning->writer = writer_open(&laning->world->loop, &laning->world->config, NULL, NULL);
    laning_open(laning, 1, 1, false);
}

/* A session of an earlier configuration: unsubscribed from both forms, emptied, and ended after 10 s of quiet. */
static void test_drain(void **state) {
    struct laning *laning = *state;
    reopen(laning, 7, 1, true);
    laning_connect(laning, true);
    assert_string_equal(fake_subscribed(laning->client), "");
    char both[1024];
    snprintf(both, sizeof both, "$share/%s-%s/cityhub/v1/construction_waste/+/telemetry ",
             laning->world->config.hub_instance, LANING_SECRET);
    assert_memory_equal(fake_unsubscribed(laning->client), both, strlen(both));
    assert_non_null(strstr(fake_unsubscribed(laning->client), " cityhub/v1/construction_waste/+/telemetry "));
    fake_loop_pass(&laning->world->loop, 9000);
    laning_send(laning, 0, 1); /* there was something left */
    fake_loop_pass(&laning->world->loop, 9000);
    assert_int_equal(laning->drained, 0);
    laning_store(laning, "writer-1", ", 1);");
    laning_expect(laning, 1, 1);
    fake_loop_pass(&laning->world->loop, 9999);
    assert_int_equal(laning->drained, 0);
    fake_loop_pass(&laning->world->loop, 1);
    assert_int_equal(laning->drained, 1);
    fake_loop_pass(&laning->world->loop, 60000);
    assert_int_equal(laning->drained, 1);
    int64_t expiry_s;
    lane_close(laning->lane, NULL, NULL);
    assert_true(fake_disconnected(laning->client, &expiry_s));
    assert_int_equal(expiry_s, 0);
    fake_loop_turn(&laning->world->loop);
    laning_open(laning, 1, 1, false);
}

/* While it is not connected, quiet means nothing. */
static void test_drain_away(void **state) {
    struct laning *laning = *state;
    reopen(laning, 7, 1, true);
    laning_connect(laning, true);
    fake_broker_close(laning->client);
    fake_loop_pass(&laning->world->loop, 60000);
    assert_int_equal(laning->drained, 0);
    laning_connect(laning, true);
    fake_loop_pass(&laning->world->loop, 10000);
    assert_int_equal(laning->drained, 1);
}

/* One that the broker does not know any more holds nothing. */
static void test_drain_of_nothing(void **state) {
    struct laning *laning = *state;
    reopen(laning, 7, 1, true);
    laning_connect(laning, false);
    assert_int_equal(fake_loop_passed(), 0);
    fake_loop_turn(&laning->world->loop);
    assert_int_equal(laning->drained, 1);
}

/* RabbitMQ takes back only what it has seen on this connection; MQTT 3.1.1 has no shared subscriptions. */
static void test_drain_by_3_1_1(void **state) {
    struct laning *laning = *state;
    free(laning->world->config.mqtt_protocol);
    laning->world->config.mqtt_protocol = strdup("3.1.1");
    reopen(laning, 7, 1, true);
    laning_connect(laning, true);
    assert_string_equal(fake_subscribed(laning->client), FILTERS(""));
    assert_string_equal(fake_unsubscribed(laning->client), FILTERS("") " ");
    fake_loop_pass(&laning->world->loop, 10000);
    assert_int_equal(laning->drained, 1);
    reopen(laning, 1, 1, false);
    laning_connect(laning, true);
    assert_string_equal(fake_unsubscribed(laning->client), "");
}

/* While sessions of an earlier configuration are drained, this one is made and subscribed, and nothing of it is read.
 */
static void test_waits(void **state) {
    struct laning *laning = *state;
    lane_close(laning->lane, NULL, NULL);
    if (fake_dialling()) {
        fake_dial(MOSQ_ERR_SUCCESS, NULL);
    }
    fake_loop_turn(&laning->world->loop);
    laning_open_as(laning, 1, 1, false, true);
    laning_ready(laning);
    assert_true(lane_connected(laning->lane));
    laning_send(laning, 0, 1);
    fake_loop_pass(&laning->world->loop, 60000);
    assert_int_equal(laning->metrics->messages_received, 0);
    lane_go_on(laning->lane);
    fake_loop_turn(&laning->world->loop);
    assert_int_equal(laning->metrics->messages_received, 1);
    fake_loop_pass(&laning->world->loop, 50);
    laning_store(laning, "writer-1", ", 1);");
    laning_expect(laning, 1, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, laning_begin, laning_end)
    const struct CMUnitTest tests[] = {
        TEST(test_subscribes),
        TEST(test_subscribes_again),
        TEST(test_shared),
        TEST(test_subscription_refused),
        TEST(test_at_once),
        TEST(test_age),
        TEST(test_full),
        TEST(test_in_flight),
        TEST(test_order_of_commits),
        TEST(test_failing_batch),
        TEST(test_round),
        TEST(test_lost),
        TEST(test_published_again),
        TEST(test_killed),
        TEST(test_lost_in_flight),
        TEST(test_stop),
        TEST(test_stop_in_order),
        TEST(test_close),
        TEST(test_drain),
        TEST(test_drain_away),
        TEST(test_drain_of_nothing),
        TEST(test_drain_by_3_1_1),
        TEST(test_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
