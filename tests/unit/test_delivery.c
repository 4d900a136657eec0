/* test_delivery.c: what is called a redelivery: only what is committed or held, once for each time it may come again,
 * and only as long as the broker may still have it in flight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/ingest/delivery.h"

enum { MOST = 8 };

/* A batch of messages with these keys; the identifiers count from `first`. */
static struct batch *batch_of(struct batch *batch, int count, const uint64_t *keys, int first) {
    static struct batch_message messages[2 * MOST];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < count; i++) {
        messages[i].key = keys[i];
        messages[i].identifier = (uint16_t)(first + i);
        messages[i].stamp_us = first;
    }
    *batch = (struct batch){.messages = messages, .message_count = (size_t)count};
    return batch;
}

static void commit(struct deliveries *deliveries, int count, const uint64_t *keys, int first) {
    struct batch batch;
    deliveries_committed(deliveries, batch_of(&batch, count, keys, first));
}

static const uint64_t keys[] = {100, 200, 300, 400, 500, 600, 700, 800, 900};

static void test_by_identifier(void **state) {
    (void)state;
    struct deliveries *deliveries = deliveries_new(MOST);
    commit(deliveries, 3, keys, 1);
    assert_false(deliveries_met(deliveries, 100, 1, true)); /* on the same connection nothing comes again */
    deliveries_connected(deliveries, true);
    assert_true(deliveries_met(deliveries, 200, 2, true));
    assert_false(deliveries_met(deliveries, 200, 2, true)); /* once for each */
    assert_false(deliveries_met(deliveries, 100, 7, true)); /* published anew */
    assert_false(deliveries_met(deliveries, 999, 3, true)); /* the identifier's next user */
    assert_true(deliveries_met(deliveries, 300, 3, true));
    deliveries_connected(deliveries, true); /* lost again before anything was acknowledged */
    assert_true(deliveries_met(deliveries, 200, 2, true));
    deliveries_connected(deliveries, false); /* the broker has forgotten the session */
    assert_false(deliveries_met(deliveries, 300, 3, true));
    deliveries_free(deliveries);
}

/* What is held and not committed yet is met, too; what was held of a connection before is committed by then. */
static void test_held(void **state) {
    (void)state;
    struct deliveries *deliveries = deliveries_new(MOST);
    struct batch batch;
    deliveries_connected(deliveries, true);
    deliveries_held(deliveries, batch_of(&batch, 2, keys, 1));
    deliveries_held_message(deliveries, 300, 3);
    deliveries_held_message(deliveries, 400, 0); /* one that cannot come again */
    assert_true(deliveries_met(deliveries, 300, 3, true));
    assert_true(deliveries_met(deliveries, 100, 1, true));
    assert_false(deliveries_met(deliveries, 400, 0, true));
    deliveries_connected(deliveries, true);
    assert_false(deliveries_met(deliveries, 200, 2, true));
    deliveries_free(deliveries);
}

/* A broker that gives new identifiers: as often as the content is committed, in whichever order. */
static void test_by_content(void **state) {
    (void)state;
    static const uint64_t same[] = {5, 7, 5, 9, 5};
    struct deliveries *deliveries = deliveries_new(MOST);
    commit(deliveries, 5, same, 1);
    deliveries_connected(deliveries, true);
    assert_true(deliveries_met(deliveries, 9, 60, false));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(deliveries_met(deliveries, 5, (uint16_t)(61 + i), false), i < 3);
    }
    assert_true(deliveries_met(deliveries, 7, 65, false));
    assert_false(deliveries_met(deliveries, 7, 66, false));
    deliveries_free(deliveries);
}

/* What is in flight comes first: after as many messages as may be, nothing is a redelivery. */
static void test_end(void **state) {
    (void)state;
    struct deliveries *deliveries = deliveries_new(MOST);
    commit(deliveries, 1, keys, 1);
    deliveries_connected(deliveries, true);
    for (int i = 0; i < MOST; i++) {
        assert_false(deliveries_met(deliveries, 1000 + (uint64_t)i, (uint16_t)(10 + i), true));
    }
    assert_false(deliveries_met(deliveries, 100, 1, true));
    deliveries_free(deliveries);
}

/* So many are remembered, the last ones; what the database has from before them may go. */
static void test_most(void **state) {
    (void)state;
    struct deliveries *deliveries = deliveries_new(MOST);
    for (int i = 0; i < MOST; i++) {
        assert_true(deliveries_oldest_us(deliveries) == INT64_MIN);
        commit(deliveries, 1, &keys[i], 10 + i);
    }
    assert_true(deliveries_oldest_us(deliveries) == 10);
    commit(deliveries, 1, &keys[MOST], 10 + MOST);
    assert_true(deliveries_oldest_us(deliveries) == 11);
    deliveries_connected(deliveries, true);
    assert_false(deliveries_met(deliveries, keys[0], 10, true));
    for (int i = MOST; i > 1; i--) {
        assert_true(deliveries_met(deliveries, keys[i], (uint16_t)(10 + i), true));
    }
    deliveries_free(deliveries);
}

/* As the database has them: identifier and key, big-endian; a row that was cut short ends early. */
static void test_packed(void **state) {
    (void)state;
    static const char packed[] = "\x01\x02\0\0\0\0\0\0\x01\x2c\xff\xff\xfe\0\0\0\0\0\0\x01\x09\x09\x09";
    struct deliveries *deliveries = deliveries_new(MOST);
    deliveries_take(deliveries, 4, packed, sizeof packed - 1);
    deliveries_connected(deliveries, true);
    assert_true(deliveries_met(deliveries, 300, 258, true));
    assert_true(deliveries_met(deliveries, UINT64_C(0xfe00000000000001), 65535, true));
    assert_false(deliveries_met(deliveries, 9, 2313, true));
    deliveries_free(deliveries);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_identifier), cmocka_unit_test(test_held),
                                       cmocka_unit_test(test_by_content),    cmocka_unit_test(test_end),
                                       cmocka_unit_test(test_most),          cmocka_unit_test(test_packed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
