/* test_alarm.c: threshold rules judged record by record, cases worked by hand: duration, hysteresis, windows over
 * midnight, records out of order, flagged readings, kinds, what survives a reading of the rules anew, and what of it
 * was not committed when the database was asked. */
#include "fake_memory.h"
#include "rows.h"

#include "hub/base/error.h"
#include "hub/know/alarm.h"

enum { MINUTE = 60000 };
static const int64_t day_ms = INT64_C(1700006400000); /* 2023-11-15 00:00:00 UTC, 08:00 in China */

struct world {
    struct registry *registry;
    struct alarms *alarms;
    struct device *device;
    char said[512]; /* operations: "open@minutes=value ..." */
    bool held;      /* what a record changes is not committed at once */
    bool no_room;   /* nor can it be kept */
    struct alarm_operation operations[8];
    size_t operation_count;
};

static int note(void *user, const struct alarm_operation *operation) {
    struct world *world = user;
    if (world->no_room) {
        return CH_EMEMORY;
    }
    size_t length = strlen(world->said);
    assert_ptr_equal(operation->device, world->device);
    snprintf(world->said + length, sizeof world->said - length, "%s%s%d@%lld=%g%s", length > 0 ? " " : "",
             alarm_action_names[operation->action], operation->rule_id, (long long)(operation->at_ms - day_ms) / MINUTE,
             operation->value, operation->out_of_range ? "!" : "");
    world->operations[world->operation_count++] = *operation;
    return 0;
}

static void commit(struct world *world) {
    alarms_settled(world->alarms, world->operations, world->operation_count);
    world->operation_count = 0;
}

static void take_rules(struct world *world, PGresult *rows) {
    assert_int_equal(alarms_take_rules(world->alarms, rows), 0);
    PQclear(rows);
}

static void take_conditions(struct world *world, PGresult *rows) {
    assert_int_equal(alarms_take_conditions(world->alarms, world->registry, rows), 0);
    PQclear(rows);
}

/* Ordinals of dust: 1 PM2.5, 4 noise. Columns as in alarms_rules_sql. */
#define RULE(id, ordinal, kind, comparison, threshold, clear, duration, from, to)                                      \
    id, "dust", ordinal, kind, comparison, threshold, clear, duration, from, to, "28800"
#define SIMPLE(comparison, threshold, clear, duration)                                                                 \
    ROWS(11, RULE("1", "1", NULL, comparison, threshold, clear, duration, NULL, NULL))

/* Columns as in alarms_conditions_sql. */
#define OPEN_ONE ROWS(7, CONDITION("D-1", "t", "1700006400000"))
#define CONDITION(code, open, since) "dust", "acme", code, "1", open, since, "f"

static int begin(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->registry = registry_new();
    world->alarms = alarms_new();
    PGresult *rows = ROWS(5, "dust", "acme", "f", "t", "f");
    assert_int_equal(registry_take_vendors(world->registry, rows), 0);
    PQclear(rows);
    world->device = vendor_device_add(registry_vendor(world->registry, "dust", "acme"), "D-1", 3);
    assert_non_null(world->device);
    *state = world;
    return 0;
}

static int end(void **state) {
    struct world *world = *state;
    alarms_free(world->alarms);
    registry_free(world->registry);
    free(world);
    return 0;
}

static void judge_metric(struct world *world, int minutes, int ordinal, double value, bool flagged) {
    struct record record = {.observed_at_ms = day_ms + (int64_t)minutes * MINUTE,
                            .present = UINT64_C(1) << (ordinal - 1)};
    record.quality = flagged ? record.present : 0;
    record.values[ordinal - 1] = value;
    assert_int_equal(alarms_judge(world->alarms, world->device, &record, note, world), 0);
    if (!world->held) {
        commit(world);
    }
}

static void judge(struct world *world, int minutes, double value) {
    judge_metric(world, minutes, 1, value, false);
}

static void flag(struct world *world, int minutes, double value) {
    judge_metric(world, minutes, 1, value, true);
}

static void said(struct world *world, const char *expected) {
    assert_string_equal(world->said, expected);
    world->said[0] = '\0';
}

/* Opens above 150, closes at 115: in between nothing changes, whatever way the value came. */
static void test_hysteresis(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    judge(world, 0, 150);
    said(world, ""); /* the threshold itself is allowed */
    judge(world, 1, 150.5);
    said(world, "open1@1=150.5");
    judge(world, 2, 300);
    judge(world, 3, 120);
    said(world, ""); /* one alarm, and it stays open above 115 */
    judge(world, 4, 115);
    said(world, "close1@4=115");
    judge(world, 5, 140);
    said(world, "");
    judge(world, 6, 151);
    said(world, "open1@6=151");
}

static void test_below_and_equals(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("below", "18", NULL, "0"));
    judge(world, 0, 18);
    judge(world, 1, 17.9);
    judge(world, 2, 18);
    said(world, "open1@1=17.9 close1@2=18"); /* without a clear threshold it closes at the threshold */
    take_rules(world, SIMPLE("equals", "2", NULL, "0"));
    judge(world, 3, 1);
    judge(world, 4, 2);
    judge(world, 5, 2);
    judge(world, 6, 3);
    said(world, "open1@4=2 close1@6=3");
}

/* 10 minutes: the record at minute 10 after the first one beyond is the first that opens. */
static void test_duration(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "600"));
    judge(world, 0, 160);
    said(world, "pend1@0=160");
    judge(world, 9, 170);
    said(world, "");
    judge(world, 10, 180);
    said(world, "open1@10=180");
    judge(world, 20, 100);
    said(world, "close1@20=100");
    /* Interrupted: the time begins anew. Between clear and threshold is not beyond. */
    judge(world, 21, 160);
    judge(world, 25, 130);
    judge(world, 26, 160);
    judge(world, 35, 160);
    said(world, "pend1@21=160 drop1@25=130 pend1@26=160");
    judge(world, 36, 160);
    said(world, "open1@36=160");
    judge(world, 37, 130);
    said(world, "");
}

/* Local 22:00 to 06:00 is 14:00 to 22:00 UTC. */
static void test_window_over_midnight(void **state) {
    struct world *world = *state;
    take_rules(world, ROWS(11, RULE("1", "1", NULL, "above", "55", "50", "0", "1320", "360")));
    judge(world, 13 * 60 + 59, 80);
    said(world, ""); /* 21:59 */
    judge(world, 14 * 60, 80);
    said(world, "open1@840=80"); /* 22:00 */
    judge(world, 16 * 60, 80);
    judge(world, 21 * 60 + 59, 80);
    said(world, ""); /* midnight and 05:59 */
    judge(world, 22 * 60, 80);
    said(world, "close1@1320=80"); /* 06:00: outside, though the value is beyond */
    judge(world, 30 * 60, 80);
    said(world, ""); /* 14:00 of the next day */
}

static void test_window_of_day(void **state) {
    struct world *world = *state;
    take_rules(world, ROWS(11, RULE("1", "1", NULL, "above", "70", NULL, "600", "360", "1320")));
    judge(world, -125, 80); /* 05:55 */
    said(world, "");
    judge(world, -120, 80); /* 06:00 */
    judge(world, -111, 80); /* 06:09 */
    said(world, "pend1@-120=80");
    judge(world, -110, 80); /* the duration counts from within the window */
    said(world, "open1@-110=80");
}

/* What is older than a record that was judged changes nothing; the same time again does. */
static void test_order(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", NULL, "0"));
    judge(world, 10, 100);
    judge(world, 9, 500);
    said(world, "");
    judge(world, 10, 500);
    said(world, "open1@10=500");
    judge(world, 9, 100);
    said(world, "");
    judge(world, 11, 100);
    said(world, "close1@11=100");
}

static void test_flagged_and_others(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", NULL, "0"));
    judge_metric(world, 1, 1, -5000, true);
    judge_metric(world, 2, 4, 5000, false);
    said(world, "");
    judge_metric(world, 3, 1, 200, false);
    judge_metric(world, 4, 1, -7, true); /* a reading that cannot be closes nothing either */
    said(world, "open1@3=200");
}

/* PM2.5 is 0 to 1000. Beyond the instrument on the rule's side: judged, with the duration and the hysteresis that the
 * rule has; on the other side it neither opens nor closes, nor ends a duration. */
static void test_out_of_range_above(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "600"));
    flag(world, 0, 1000.5);
    flag(world, 5, -1);
    flag(world, 9, 1e9);
    said(world, "pend1@0=1000.5!");
    flag(world, 10, 2000);
    said(world, "open1@10=2000!");
    flag(world, 11, -999);
    flag(world, 12, 3000);
    said(world, ""); /* the alarm says so already */
    judge(world, 13, 100);
    said(world, "close1@13=100");
    flag(world, 14, -1);
    said(world, "");
    /* A limit at the range's end: only what is beyond the instrument is beyond it. */
    take_rules(world, SIMPLE("above", "1000", "900", "0"));
    judge(world, 15, 1000);
    said(world, "");
    flag(world, 16, 1001);
    said(world, "open1@16=1001!");
}

/* Within the metric's range and flagged: at the instrument's upper limit, as its sender says. What is true is that much
 * at least: it opens and holds, it proves no end, it is nothing to a lower limit. */
static void test_over_range(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "600"));
    flag(world, 0, 500);
    flag(world, 5, 100); /* more than 100: nobody knows, so the duration goes on */
    said(world, "pend1@0=500!");
    flag(world, 10, 500);
    said(world, "open1@10=500!");
    flag(world, 11, 100);
    flag(world, 12, 0);
    said(world, "");
    judge(world, 13, 100);
    said(world, "close1@13=100");
    flag(world, 14, 150);
    said(world, ""); /* nor does it prove a beginning */
    judge(world, 15, 300);
    judge(world, 25, 300);
    said(world, "pend1@15=300 open1@25=300");
    flag(world, 26, 100);
    said(world, "mark1@26=100!");
    take_rules(world, SIMPLE("below", "10", "20", "0"));
    judge(world, 30, 5);
    flag(world, 31, 500);
    flag(world, 32, 0);
    said(world, "");
}

static void test_out_of_range_below(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("below", "10", "20", "0"));
    flag(world, 0, 1001);
    said(world, "");
    flag(world, 1, -0.5);
    said(world, "open1@1=-0.5!");
    flag(world, 2, 1001);
    said(world, "");
    judge(world, 3, 20);
    said(world, "close1@3=20");
    take_rules(world, SIMPLE("equals", "-1", NULL, "0"));
    flag(world, 4, -1);
    said(world, ""); /* no state of the instrument */
}

/* An alarm that was open before the instrument was at its end is told of it, once. */
static void test_out_of_range_later(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    judge(world, 0, 200);
    flag(world, 1, 1200);
    flag(world, 2, 1300);
    judge(world, 3, 200);
    flag(world, 4, 1400);
    said(world, "open1@0=200 mark1@1=1200!");
    judge(world, 5, 100);
    judge(world, 6, 200);
    flag(world, 7, 1500);
    said(world, "close1@5=100 open1@6=200 mark1@7=1500!"); /* another alarm */
    /* Read anew: one that the database has marked, and one that it has not. */
    alarms_reading(world->alarms);
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    take_conditions(world, ROWS(7, "dust", "acme", "D-1", "1", "t", "1700006400000", "t"));
    flag(world, 8, 1600);
    said(world, "");
    alarms_reading(world->alarms);
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    take_conditions(world, OPEN_ONE);
    flag(world, 9, 1700);
    said(world, "mark1@9=1700!");
}

static void test_out_of_range_and_window(void **state) {
    struct world *world = *state;
    take_rules(world, ROWS(11, RULE("1", "1", NULL, "above", "55", "50", "0", "1320", "360")));
    flag(world, 13 * 60 + 59, 1200);
    said(world, ""); /* 21:59 */
    flag(world, 14 * 60, 1200);
    said(world, "open1@840=1200!");
    flag(world, 22 * 60, -5);
    said(world, ""); /* 06:00, but it says nothing */
    flag(world, 22 * 60, 1200);
    said(world, "close1@1320=1200!");
}

/* What a message changed that could not be kept, the last first: as if it had never come. */
static void test_undo_out_of_range(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    judge(world, 0, 200);
    said(world, "open1@0=200");
    world->held = true;
    flag(world, 1, 1200);
    judge(world, 2, 100);
    flag(world, 3, 1300);
    said(world, "mark1@1=1200! close1@2=100 open1@3=1300!");
    alarms_undo(world->alarms, world->operations, world->operation_count);
    world->operation_count = 0;
    world->held = false;
    world->device->evaluated_ms = day_ms;
    flag(world, 1, 1200);
    said(world, "mark1@1=1200!");
    flag(world, 2, 1200);
    said(world, "");
}

static void test_kinds(void **state) {
    struct world *world = *state;
    take_rules(world, ROWS(11, RULE("1", "1", "site_monitor", "above", "150", NULL, "0", NULL, NULL),
                           RULE("2", "1", "road_monitor", "above", "150", NULL, "0", NULL, NULL),
                           RULE("3", "1", NULL, "above", "150", NULL, "0", NULL, NULL)));
    judge(world, 0, 200);
    said(world, "open3@0=200"); /* its kind is not known yet */
    world->device->kind = 1;    /* road_monitor */
    judge(world, 1, 200);
    said(world, "open2@1=200");
    judge(world, 2, 100);
    said(world, "close2@2=100 close3@2=100");
    assert_int_equal(world->device->conditions, 0);
}

/* Read anew: open ones stay open, pending ones keep their beginning, what no row names is forgotten. */
static void test_conditions(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "600"));
    assert_int_equal(alarms_rule_count(world->alarms), 1);
    judge(world, 0, 200);
    said(world, "pend1@0=200");
    take_rules(world, SIMPLE("above", "150", "115", "600"));
    take_conditions(world, ROWS(7, CONDITION("D-1", "f", "1700006400000"), CONDITION("D-9", "t", "0"), "dust", "nobody",
                                "D-1", "1", "t", "0", "f"));
    assert_int_equal(world->device->conditions, 1);
    judge(world, 10, 200);
    said(world, "open1@10=200");
    /* Both at once, as after a crash between two batches: the open one, which comes first, counts. */
    take_rules(world, SIMPLE("above", "150", "115", "600"));
    take_conditions(world, ROWS(7, CONDITION("D-1", "t", "1700006400000"), CONDITION("D-1", "f", "1700006400000")));
    assert_int_equal(world->device->conditions, 1);
    judge(world, 11, 120);
    said(world, "");
    judge(world, 12, 100);
    said(world, "close1@12=100");
    judge(world, 13, 200);
    take_rules(world, SIMPLE("above", "150", "115", "600"));
    take_conditions(world, ROWS(7, CONDITION("D-9", "t", "0")));
    assert_int_equal(world->device->conditions, 0);
    judge(world, 23, 200);
    said(world, "pend1@13=200 pend1@23=200");
}

/* The answer was made before the change was committed: what was judged here stands. */
static void test_read_while_in_flight(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    world->held = true;
    judge(world, 0, 200);
    alarms_reading(world->alarms);
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    take_conditions(world, ROWS(7, CONDITION("D-1", "f", "1700006400000")));
    judge(world, 1, 200);
    said(world, "open1@0=200"); /* no second one */
    commit(world);
    judge(world, 2, 100);
    said(world, "close1@2=100");
    alarms_reading(world->alarms);
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    take_conditions(world, OPEN_ONE); /* it does not know of the end */
    judge(world, 3, 200);
    said(world, "open1@3=200");
    commit(world);
    judge(world, 4, 100);
    commit(world);
    said(world, "close1@4=100");
    assert_int_equal(world->device->conditions, 0); /* nothing is kept of what is normal and committed */
}

/* Committed after the database was asked and before its answer came: the answer may lack it, too. */
static void test_committed_while_read(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    judge(world, 0, 200);
    world->held = true;
    judge(world, 1, 100);
    said(world, "open1@0=200 close1@1=100");
    alarms_reading(world->alarms);
    commit(world);
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    take_conditions(world, OPEN_ONE);
    assert_int_equal(world->device->conditions, 0);
    judge(world, 2, 200);
    said(world, "open1@2=200");
    /* A change that the answer surely has is not held against it: the alarm was ended by hand. */
    commit(world);
    alarms_reading(world->alarms);
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    take_conditions(world, ROWS(7, CONDITION("D-9", "t", "0")));
    judge(world, 3, 200);
    said(world, "open1@3=200");
}

static void test_rules_of_others(void **state) {
    struct world *world = *state;
    take_rules(world, ROWS(11, "1", "moon", "1", NULL, "above", "1", NULL, "0", NULL, NULL, "28800", "2", "gas", "1",
                           NULL, "above", "1", NULL, "0", NULL, NULL, "28800"));
    assert_int_equal(alarms_rule_count(world->alarms), 1);
    judge(world, 0, 200);
    said(world, "");
}

/* Changes taken back, the last first: judged again, the same records say the same, whatever stood before. */
static void test_undo(void **state) {
    struct world *world = *state;
    take_rules(world, SIMPLE("above", "150", "115", "600"));
    world->held = true;
    for (int before = 0; before < 3; before++) {
        static const char *const stands[] = {"", "pend1@0=200", "pend1@0=200 open1@10=200"};
        static const char *const says[] = {"pend1@20=200 open1@30=200 close1@31=100 pend1@32=200 drop1@33=100",
                                           "open1@20=200 close1@31=100 pend1@32=200 drop1@33=100",
                                           "close1@31=100 pend1@32=200 drop1@33=100"};
        judge(world, 0, before > 0 ? 200 : 100);
        judge(world, 10, before > 1 ? 200 : before > 0 ? 140 : 100);
        if (before == 1) { /* 140 ended it: begin again */
            alarms_undo(world->alarms, world->operations, world->operation_count);
            world->operation_count = 0;
            world->said[0] = '\0';
            world->device->evaluated_ms = INT64_MIN;
            judge(world, 0, 200);
        }
        said(world, stands[before]);
        size_t kept = world->operation_count;
        for (int turn = 0; turn < 3; turn++) {
            world->device->evaluated_ms = INT64_MIN;
            judge(world, 20, 200);
            judge(world, 30, 200);
            judge(world, 31, 100);
            judge(world, 32, 200);
            judge(world, 33, 100);
            said(world, says[before]);
            alarms_undo(world->alarms, world->operations + kept, world->operation_count - kept);
            world->operation_count = kept;
        }
        assert_int_equal(world->device->conditions, before > 0);
        alarms_undo(world->alarms, world->operations, kept);
        world->operation_count = 0;
        assert_int_equal(world->device->conditions, 0);
        world->device->evaluated_ms = INT64_MIN;
    }
}

/* A change that cannot be kept is not made: the record, judged again, makes it. */
static void test_no_room(void **state) {
    struct world *world = *state;
    struct record record = {.observed_at_ms = day_ms, .present = 1, .values = {200}};
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    world->no_room = true;
    assert_int_equal(alarms_judge(world->alarms, world->device, &record, note, world), CH_EMEMORY);
    assert_int_equal(world->device->conditions, 0);
    world->no_room = false;
    fake_memory_fail(1, 1); /* for the condition itself */
    assert_int_equal(alarms_judge(world->alarms, world->device, &record, note, world), CH_EMEMORY);
    judge(world, 0, 200);
    said(world, "open1@0=200");
    world->no_room = true;
    record.values[0] = 100;
    assert_int_equal(alarms_judge(world->alarms, world->device, &record, note, world), CH_EMEMORY);
    world->no_room = false;
    judge(world, 0, 100);
    said(world, "close1@0=100");
}

/* An answer for which memory is out changes nothing: rules and open alarms are as they were. */
static void test_answers_without_memory(void **state) {
    struct world *world = *state;
    struct device *other = vendor_device_add(registry_vendor(world->registry, "dust", "acme"), "D-2", 3);
    take_rules(world, SIMPLE("above", "150", "115", "0"));
    take_conditions(world, ROWS(7, CONDITION("D-1", "t", "0")));
    PGresult *rules = ROWS(11, RULE("1", "1", NULL, "above", "10", NULL, "0", NULL, NULL),
                           RULE("2", "1", NULL, "above", "20", NULL, "0", NULL, NULL));
    PGresult *conditions = ROWS(7, CONDITION("D-1", "f", "0"), CONDITION("D-2", "t", "0"));
    for (long first = 1; first <= 3; first++) {
        fake_memory_fail(first, 1);
        assert_int_equal(alarms_take_rules(world->alarms, rules), CH_EMEMORY);
        assert_int_equal(alarms_rule_count(world->alarms), 1);
    }
    fake_memory_fail(1, 1);
    assert_int_equal(alarms_take_conditions(world->alarms, world->registry, conditions), CH_EMEMORY);
    fake_memory_fail(0, 0);
    assert_int_equal(world->device->conditions, 1);
    assert_int_equal(other->conditions, 0);
    judge(world, 0, 140); /* between 115 and 150: it is open still, by the old rule */
    said(world, "");
    judge(world, 1, 100);
    said(world, "close1@1=100");
    assert_int_equal(alarms_take_rules(world->alarms, rules), 0);
    assert_int_equal(alarms_take_conditions(world->alarms, world->registry, conditions), 0);
    assert_int_equal(alarms_rule_count(world->alarms), 2);
    assert_int_equal(other->conditions, 1);
    PQclear(rules);
    PQclear(conditions);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {TEST(test_hysteresis),
                                       TEST(test_below_and_equals),
                                       TEST(test_duration),
                                       TEST(test_window_over_midnight),
                                       TEST(test_window_of_day),
                                       TEST(test_order),
                                       TEST(test_flagged_and_others),
                                       TEST(test_out_of_range_above),
                                       TEST(test_over_range),
                                       TEST(test_out_of_range_below),
                                       TEST(test_out_of_range_later),
                                       TEST(test_out_of_range_and_window),
                                       TEST(test_undo_out_of_range),
                                       TEST(test_kinds),
                                       TEST(test_conditions),
                                       TEST(test_rules_of_others),
                                       TEST(test_read_while_in_flight),
                                       TEST(test_committed_while_read),
                                       TEST(test_undo),
                                       TEST(test_no_room),
                                       TEST(test_answers_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
