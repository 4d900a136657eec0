/* test_lane_order.c: what a lane commits in order, and what may go beside: alarms, documents, what builds on an
 * inventory. */
#include "laning.h"

static int send_document(struct laning *laning) {
    static const char inventory[] = "{\"device_code\":\"T-0\",\"kind\":\"truck\"}";
    return fake_broker_send(laning->client, "cityhub/v1/construction_waste/acme/inventory", inventory,
                            strlen(inventory), NULL);
}

/* What changes what is there, or may meet a row of a batch before, waits until all before it are committed; meanwhile
 * nothing is read, so that nothing overtakes it. */
static void test_needs_order(void **state) {
    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            laning_end(state);
            laning_begin(state);
        }
        struct laning *laning = *state;
        laning_ready(laning);
        laning_send(laning, 0, 4);
        switch (i) {
        case 0:
            laning_send_speed(laning, "T-9", 4, 90); /* an alarm */
            break;
        case 1:
            send_document(laning);
            break;
        case 2: /* not newer than the one before it of its device */
            laning_send_speed(laning, "T-3", 2, 10);
            break;
        default: { /* a check */
            static const char lifted[] =
                "{\"device_code\":\"T-0\",\"observed_at_ms\":1760000000004,\"bed_lifted\":true}";
            fake_broker_send(laning->client, LANING_TOPIC, lifted, strlen(lifted), NULL);
            break;
        }
        }
        fake_loop_pass(&laning->world->loop, 50);
        laning_expect(laning, 5, 0);
        laning_send(laning, 10, 12);
        fake_loop_pass(&laning->world->loop, 1000);
        assert_false(laning_busy("writer-2"));
        laning_expect(laning, 5, 0);
        laning_store(laning, "writer-1", ", 4);");
        laning_expect(laning, i == 1 ? 6 : 7, 0); /* the fifth is under way, the lane reads on */
        struct postgres *taker = fake_postgres(laning_busy("writer-1") ? "writer-1" : "writer-2");
        static const char *const words[] = {"alarm_apply", "message_store", "COPY onemap.observation", "dumping_check"};
        PLAY(&laning->world->loop, taker, {.expects = words[i]});
        fake_loop_turn(&laning->world->loop);
        /* The two behind it go together, but for one that has waited for an inventory. */
        for (int left = i == 1 ? 2 : 1; left > 0; left--) {
            fake_loop_pass(&laning->world->loop, 50);
            laning_store(laning, laning_busy("writer-1") ? "writer-1" : "writer-2", i == 1 ? ", 1);" : ", 2);");
        }
        laning_expect(laning, 7, 7);
    }
}

/* Who has sent an inventory may send what builds on it at once, receipt or not: it is judged when that is committed.
 * What others send goes on up to then. */
static void test_inventory_first(void **state) {
    struct laning *laning = *state;
    static const char *const devices[] = {"5", FAKE_SUBSYSTEM, "strict", "T-0", "truck", NULL, "1"};
    static const char inventory[] = "{\"device_code\":\"T-0\",\"kind\":\"truck\"}";
    static const char record[] = "{\"device_code\":\"T-0\",\"observed_at_ms\":1760000000007,\"speed_km_h\":10}";
    laning_ready(laning);
    fake_broker_send(laning->client, "cityhub/v1/" FAKE_SUBSYSTEM "/strict/inventory", inventory, strlen(inventory),
                     NULL);
    laning_send(laning, 0, 1); /* another vendor's */
    laning_expect(laning, 2, 0);
    fake_broker_send(laning->client, "cityhub/v1/" FAKE_SUBSYSTEM "/strict/telemetry", record, strlen(record), NULL);
    fake_loop_turn(&laning->world->loop);
    laning_send(laning, 1, 3);
    laning_expect(laning, 3, 0);                          /* nothing passes it */
    assert_int_equal(laning->metrics->queue_messages, 3); /* it, too, is one that is not stored */
    struct postgres *session = fake_postgres("writer-1");
    fake_postgres_await(&laning->world->loop, session);
    if (strstr(fake_postgres_sql(session), "partition_ensure") != NULL) {
        fake_postgres_succeed(session);
    }
    fake_postgres_await(&laning->world->loop, session);
    assert_non_null(strstr(fake_postgres_sql(session), "message_store"));
    assert_null(vendor_device(laning->world->strict, "T-0", 3));
    fake_postgres_end(session, &(struct fake_act){.answers = {{"d.updated_at = pg_catalog.now()", 7, devices, 7}}});
    fake_loop_turn(&laning->world->loop);
    assert_int_equal(vendor_device(laning->world->strict, "T-0", 3)->id, 5);
    laning_expect(laning, 5, 0); /* it is taken, but not committed: what came before is not acknowledged either */
    for (int batch = 0; batch < 2; batch++) { /* it, and those behind it */
        fake_loop_pass(&laning->world->loop, 50);
        laning_store(laning, laning_busy("writer-1") ? "writer-1" : "writer-2", "COPY onemap.observation");
    }
    laning_expect(laning, 5, 5);
    assert_int_equal(laning->metrics->messages_quarantined, 0);
}

/* One that only adds rows goes beside one that had to wait for its turn. */
static void test_beside(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send_speed(laning, "T-9", 0, 90);
    laning_send(laning, 1, 8);
    laning_expect(laning, 8, 0);
    assert_true(laning_busy("writer-1") && laning_busy("writer-2"));
    laning_store(laning, "writer-2", ", 4);");
    laning_expect(laning, 8, 0);
    laning_store(laning, "writer-1", "alarm_apply");
    laning_expect(laning, 8, 8);
}

/* When an alarm and its end are committed, nothing is kept of them. */
static void test_alarms_settled(void **state) {
    struct laning *laning = *state;
    laning_ready(laning);
    laning_send_speed(laning, "T-9", 0, 90);
    laning_send_speed(laning, "T-9", 1, 60);
    fake_loop_pass(&laning->world->loop, 50);
    const struct device *device = vendor_device(laning->world->acme, "T-9", 3);
    assert_int_equal(device->conditions, 1);
    laning_store(laning, "writer-1", "alarm_apply");
    assert_int_equal(device->conditions, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, laning_begin, laning_end)
    const struct CMUnitTest tests[] = {
        TEST(test_needs_order),
        TEST(test_inventory_first),
        TEST(test_beside),
        TEST(test_alarms_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
