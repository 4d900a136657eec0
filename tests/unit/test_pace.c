/* test_pace.c: when a lane's batch goes: at once, by age, full, and how those who bring much give way. */
#include "hub/ingest/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 5000, AGE_MS = 50, SOON = 1000000 };

static struct pace_batch holding(uint64_t now, size_t records) {
    return (struct pace_batch){
        .now = now, .records = records, .spare = true, .records_most = MOST, .age_most_ms = AGE_MS};
}

static struct pace lanes[3];

/* A batch of one record, which came at the moment filled_at, goes in so many ms. */
static uint64_t due_of_one(struct pace *pace, uint64_t filled_at, uint64_t now) {
    struct pace_batch batch = holding(now, 1);
    pace->filled_at = filled_at;
    return pace_due(pace, &batch);
}

static int begin(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        pace_forget(&lanes[i]);
        lanes[i] = (struct pace){0};
    }
    return 0;
}

/* The first of a quiet lane, and whatever comes after a rest of four commits' time. */
static void test_at_once(void **state) {
    (void)state;
    struct pace *pace = &lanes[0];
    struct pace_batch batch = holding(SOON, 1);
    assert_int_equal(due_of_one(pace, SOON, SOON), 0);
    assert_false(pace_handed(pace, &batch));
    pace->cost_ms = 5;
    assert_int_equal(due_of_one(pace, SOON + 6, SOON + 6), 14);
    assert_int_equal(due_of_one(pace, SOON + 6, SOON + 20), 0);
}

/* Who brings much rests the longer, so that fewer commits carry it: one commit's time more for eight records. */
static void test_busy(void **state) {
    (void)state;
    struct pace *pace = &lanes[0];
    struct pace_batch much = holding(SOON, 40), little = holding(SOON + 18, 1);
    assert_false(pace_handed(pace, &much));
    pace->cost_ms = 2;
    assert_int_equal(due_of_one(pace, SOON + 1, SOON + 1), 17);
    assert_false(pace_handed(pace, &little));
    assert_int_equal(due_of_one(pace, SOON + 19, SOON + 19), 7);
}

/* What others bring makes commits slow: the quiet lane does not rest the longer for it. A disk that stays slow counts.
 */
static void test_cost(void **state) {
    (void)state;
    struct pace *pace = &lanes[0];
    struct pace_batch batch = holding(SOON + 10, 1);
    pace_handed(pace, &(struct pace_batch){.now = SOON, .records = 1, .records_most = MOST});
    pace->filled_at = SOON + 10;
    pace_committed(pace, 3);
    pace_committed(pace, 40);
    assert_int_equal(pace_due(pace, &batch), 6);
    pace_committed(pace, 3);
    assert_int_equal(pace_due(pace, &batch), 2);
    for (int i = 0; i < 9; i++) {
        pace_committed(pace, 40);
    }
    assert_int_equal(pace_due(pace, &batch), 38);
}

/* The batch's age is the upper bound: after a slow commit, with writers at work, with a batch in flight. */
static void test_age(void **state) {
    (void)state;
    struct pace *pace = &lanes[0];
    struct pace_batch batch = holding(SOON, 1);
    pace_handed(pace, &batch);
    pace->cost_ms = 300;
    pace->filled_at = SOON + 10;
    batch = holding(SOON + 10, 1);
    assert_int_equal(pace_due(pace, &batch), 40); /* nobody rests for longer than 50 ms, ... */
    pace->filled_at = SOON - 20;
    assert_int_equal(pace_due(pace, &batch), 20); /* ... and the batch is old before */
    pace->filled_at = SOON + 10;
    pace->cost_ms = 0;
    batch.spare = false;
    assert_int_equal(pace_due(pace, &batch), AGE_MS);
    batch.spare = true;
    batch.in_flight = 1;
    assert_int_equal(pace_due(pace, &batch), AGE_MS);
    batch.now += AGE_MS;
    assert_int_equal(pace_due(pace, &batch), 0);
}

/* Alone, a lane's batches are as large as they may be, side by side, without a rest. */
static void test_alone(void **state) {
    (void)state;
    struct pace *pace = &lanes[0];
    struct pace_batch batch = holding(SOON, MOST - 1);
    pace->filled_at = SOON;
    pace->handed_at = SOON;
    pace->took_ms = 100;
    assert_false(pace_full(pace, &batch));
    batch.records = MOST;
    batch.in_flight = 1;
    assert_true(pace_full(pace, &batch));
    assert_int_equal(pace_due(pace, &batch), 0);
    assert_false(pace_handed(pace, &batch));
    batch = holding(SOON, 1);
    batch.large = true;
    assert_true(pace_full(pace, &batch));
}

/* While another brings little, half as large ones, one at a time, with a rest as long as the commit took. */
static void test_shared(void **state) {
    (void)state;
    struct pace *flood = &lanes[0], *quiet = &lanes[1];
    struct pace_batch little = holding(SOON, 1), much = holding(SOON, MOST / 2);
    assert_false(pace_full(flood, &much));
    pace_handed(quiet, &little);
    assert_true(pace_shared(flood, SOON));
    assert_true(pace_full(flood, &much));
    assert_int_equal(pace_due(flood, &much), 0);
    assert_true(pace_handed(flood, &much)); /* it yields */
    much.in_flight = 1;
    assert_true(pace_due(flood, &much) == PACE_WAIT);
    flood->took_ms = 12;
    much = holding(SOON + 13, MOST / 2);
    assert_int_equal(pace_due(flood, &much), 11);
    much.now = SOON + 24;
    assert_int_equal(pace_due(flood, &much), 0);
    flood->took_ms = 60000; /* a database that was away: nobody rests for that long */
    much.now = SOON + 60000;
    pace_handed(quiet, &(struct pace_batch){.now = SOON + 60000, .records = 1, .records_most = MOST});
    assert_int_equal(pace_due(flood, &much), 50);
    assert_false(pace_shared(quiet, SOON + 60000)); /* who brings little is not slowed by itself, nor by the flood */
}

/* A second after its last batch nobody waits for it any more, and not when it has gone. */
static void test_over(void **state) {
    (void)state;
    struct pace *flood = &lanes[0], *quiet = &lanes[1];
    struct pace_batch little = holding(SOON, 1);
    pace_handed(quiet, &little);
    assert_true(pace_shared(flood, SOON + 999));
    assert_false(pace_shared(flood, SOON + 1000));
    pace_handed(quiet, &little);
    pace_forget(quiet);
    assert_false(pace_shared(flood, SOON));
}

/* Two floods do not give way to each other; a lane that brings little now and much then does not wait for itself. */
static void test_among_equals(void **state) {
    (void)state;
    struct pace_batch much = holding(SOON, MOST), little = holding(SOON, 1);
    assert_false(pace_handed(&lanes[0], &much));
    assert_false(pace_handed(&lanes[1], &much));
    assert_false(pace_shared(&lanes[0], SOON) || pace_shared(&lanes[1], SOON));
    pace_handed(&lanes[0], &little);
    assert_false(pace_shared(&lanes[0], SOON));
    pace_handed(&lanes[1], &little);
    assert_true(pace_shared(&lanes[0], SOON) && pace_shared(&lanes[1], SOON) && pace_shared(&lanes[2], SOON));
    pace_handed(&lanes[1], &little);
    assert_true(pace_shared(&lanes[1], SOON)); /* of lane 0, though lane 1 was the last, twice */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        TEST(test_at_once), TEST(test_busy),   TEST(test_cost), TEST(test_age),
        TEST(test_alone),   TEST(test_shared), TEST(test_over), TEST(test_among_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
