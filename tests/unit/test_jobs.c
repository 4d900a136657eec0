/* test_jobs.c: periodic work: what is due when, on which of the two connections, what becomes of its results, and that
 * a job that fails or takes long holds up nobody. */
#include "captured.h"
#include "copied.h"
#include "fake_postgres.h"
#include "fake_world.h"

#include <time.h>

#include "hub/base/count.h"
#include "hub/base/metrics.h"
#include "hub/serve/jobs.h"

struct pacing {
    struct fake_world *world;
    struct jobs *jobs;
    int64_t listening_since_ms;
    int dropped, closed;
};

static struct postgres *quick(void) {
    return fake_postgres("states");
}

static struct postgres *slow(void) {
    return fake_postgres("jobs");
}

static int64_t listening_since(void *user) {
    return ((const struct pacing *)user)->listening_since_ms;
}

static void partitions_dropped(void *user) {
    ((struct pacing *)user)->dropped++;
}

static void on_closed(void *user) {
    ((struct pacing *)user)->closed++;
}

static int begin(void **state) {
    struct pacing *pacing = calloc(1, sizeof *pacing);
    void *world;
    assert_non_null(pacing);
    assert_int_equal(fake_world_begin(&world), 0);
    pacing->world = world;
    pacing->world->config.jobs_device_state_s = 2;
    pacing->world->config.jobs_rollup_s = 10;
    pacing->world->config.jobs_offline_s = 30;
    pacing->listening_since_ms = 42000;
    const struct jobs_handlers handlers = {
        .listening_since_ms = listening_since, .partitions_dropped = partitions_dropped, .user = pacing};
    pacing->jobs = jobs_open(&pacing->world->loop, &pacing->world->world, &handlers);
    assert_non_null(pacing->jobs);
    *state = pacing;
    return 0;
}

static int end(void **state) {
    struct pacing *pacing = *state;
    void *world = pacing->world;
    jobs_close(pacing->jobs, on_closed, pacing);
    fake_loop_turn(&pacing->world->loop);
    assert_int_equal(pacing->closed, 1);
    assert_int_equal(fake_postgres_count(), 0);
    fake_world_end(&world);
    free(pacing);
    return 0;
}

static void see(struct pacing *pacing, struct device *device, int64_t at_ms) {
    struct record record = {.observed_at_ms = at_ms, .present = 1};
    assert_int_equal(states_note(pacing->world->world.states, device, &record, FAKE_NOW_MS), 0);
}

/* All of the slow connection's, once, in their order. */
static void slow_round(struct pacing *pacing) {
    PLAY(&pacing->world->loop, slow(), {.expects = "partition_maintain"}, {.expects = "delivery_maintain"},
         {.expects = "rollup_run"}, {.expects = "presence_sweep"}, {.expects = "sweep_run"},
         {.expects = "calendar_warning"}, {.expects = "pack_step"}, {.expects = "conformity_add"});
}

static void test_first_round(void **state) {
    struct pacing *pacing = *state;
    const struct config *config = &pacing->world->config;
    char maintain[128], delivery[128];
    snprintf(maintain, sizeof maintain, "SELECT onemap.partition_maintain(%d, %d)",
             (int)config->retention_partitions_ahead_days, (int)config->retention_observation_days);
    snprintf(delivery, sizeof delivery, "SELECT onemap.delivery_maintain(%d, %d)", (int)config->retention_outbox_days,
             (int)config->retention_quarantine_days);
    PLAY(&pacing->world->loop, slow(), {.expects = maintain}, {.expects = delivery},
         {.expects = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT onemap.rollup_run('{}'::uuid[], NULL); COMMIT"},
         {.expects = "onemap.presence_sweep('epoch'::timestamptz + 42000 * interval '1 millisecond')"},
         {.expects = "SELECT p FROM pg_catalog.unnest(onemap.sweep_run()) p"},
         {.expects = "SELECT c.warning, c.warning_zh, k.warning, k.warning_zh FROM (SELECT) one",
          .answers = {ANSWER("calendar", 4, "2027 has no notice", "2027 年没有", "1 terminal", "1 台终端")}},
         {.expects = "SELECT onemap.pack_step((now() AT TIME ZONE 'UTC')::date - 7)",
          .answers = {ANSWER("pack_step", 1, "done")}},
         {.expects = "SELECT onemap.conformity_add()"});
    assert_string_equal(hub_metrics.calendar_warning.en, "2027 has no notice");
    assert_string_equal(hub_metrics.calendar_warning.zh, "2027 年没有");
    assert_string_equal(hub_metrics.key_warning.en, "1 terminal");
    assert_string_equal(hub_metrics.key_warning.zh, "1 台终端");
    assert_int_equal(pacing->dropped, 1);
    PLAY(&pacing->world->loop, quick(),
         {.expects = "SELECT (SELECT count(*) FROM onemap.device_state",
          .answers = {ANSWER("count", 5, "11", "22", "33", "44", "55")}});
    assert_int_equal(hub_metrics.devices_online, 11);
    assert_int_equal(hub_metrics.alarms_open, 22);
    assert_int_equal(hub_metrics.quarantine_waiting, 33);
    assert_int_equal(hub_metrics.quarantine_dropped, 55);
    assert_int_equal(hub_metrics.outbox_waiting, 44);
    assert_int_equal(hub_metrics.jobs_run, 9);
    assert_int_equal(hub_metrics.pack_steps, 0);
    assert_int_equal(hub_metrics.jobs_failed, 0);
    assert_string_equal(fake_postgres_setup(quick()), "SELECT onemap.stage_create()");
    assert_string_equal(fake_postgres_setup(slow()), "SET statement_timeout = '1800s'");
}

static const char *const slow_words[] = {"partition_maintain", "delivery_maintain", "rollup_run", "presence_sweep",
                                         "sweep_run",          "calendar_warning",  "pack_step",  "conformity_add"};

/* Succeeds in whatever the slow connection does for so long, and counts it. */
static void count_slow(struct pacing *pacing, int seconds, int counts[COUNT_OF(slow_words)]) {
    memset(counts, 0, COUNT_OF(slow_words) * sizeof *counts);
    for (int tenth = 0; tenth < 10 * seconds; tenth++) {
        fake_loop_pass(&pacing->world->loop, 100);
        for (size_t i = 0; i < COUNT_OF(slow_words); i++) {
            if (strstr(fake_postgres_sql(slow()), slow_words[i]) != NULL) {
                counts[i]++;
                fake_postgres_succeed(slow());
            }
        }
    }
}

static void test_intervals(void **state) {
    struct pacing *pacing = *state;
    int counts[COUNT_OF(slow_words)];
    count_slow(pacing, 3590, counts);
    static const int first[] = {1, 1, 359, 120, 120, 60, 12, 60};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        assert_in_range(counts[i], first[i] - first[i] / 50, first[i]);
    }
    count_slow(pacing, 20, counts);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
}

/* Whoever does not listen cannot say who is silent. */
static void test_not_listening(void **state) {
    struct pacing *pacing = *state;
    int counts[COUNT_OF(slow_words)];
    pacing->listening_since_ms = 0;
    count_slow(pacing, 100, counts);
    assert_int_equal(counts[3], 0);
    assert_in_range(counts[4], 3, 4);
    pacing->listening_since_ms = 1;
    count_slow(pacing, 31, counts);
    assert_int_equal(counts[3], 1);
}

/* Whether it should have come through by now, as /metrics tells. */
static void expect_overdue(const char *job, bool overdue) {
    char line[64];
    struct timespec moment = {.tv_nsec = 5000000};
    nanosleep(&moment, NULL);
    char *text = metrics_text();
    snprintf(line, sizeof line, "\ncityhub_job_overdue_seconds{job=\"%s\"} ", job);
    const char *at = strstr(text, line);
    assert_non_null(at);
    assert_int_equal(strtod(at + strlen(line), NULL) > 0, overdue);
    free(text);
}

/* A job that fails, or is lost with its connection, is told, and comes again when it is due. */
static void test_failures(void **state) {
    struct pacing *pacing = *state;
    static struct captured captured;
    uv_loop_t *loop = &pacing->world->loop;
    captured_begin(&captured, stderr);
    PLAY(loop, slow(), {.expects = "partition_maintain", .sqlstate = "55P03", .message = "lock timeout"},
         {.expects = "delivery_maintain"}, {.expects = "rollup_run", .sqlstate = ""});
    int64_t failed_at = fake_loop_passed();
    fake_postgres_await(loop, slow());
    const char *said = captured_end(&captured);
    captured_expect(said, "event=job_failed job=partitions sqlstate=55P03 reason=\"lock timeout\"");
    captured_expect(said, "event=job_failed job=rollup sqlstate=- reason=\"made to be lost\"");
    assert_int_equal(pacing->dropped, 0);
    assert_int_equal(hub_metrics.jobs_failed, 2);
    expect_overdue("partitions", true);
    expect_overdue("delivery", false);
    expect_overdue("rollup", true);
    PLAY(loop, slow(), {.expects = "presence_sweep"}, {.expects = "sweep_run"}, {.expects = "calendar_warning"},
         {.expects = "pack_step"}, {.expects = "conformity_add"}, {.expects = "rollup_run"});
    assert_in_range(fake_loop_passed() - failed_at, 9000, 10200);
    expect_overdue("rollup", false);
    expect_overdue("partitions", true);
    expect_overdue("gauges", true);       /* which has no answer */
    expect_overdue("device_state", true); /* which waits for it */
    PLAY(loop, quick(), {.expects = "onemap.quarantine_day", .answers = {ANSWER("count", 5, "1", "2", "3", "4", "5")}});
    fake_loop_pass(loop, 100);
    expect_overdue("gauges", false);
    expect_overdue("device_state", false); /* there was nothing to do */
}

/* While there is something to pack, step follows step; then it is asked now and then. */
static void test_packing(void **state) {
    struct pacing *pacing = *state;
    static const char *const steps[] = {"begun", "devices", "devices", "packed", "done"};
    uv_loop_t *loop = &pacing->world->loop;
    uint64_t packed = hub_metrics.days_packed, taken = hub_metrics.pack_steps;
    size_t step = 0;
    for (int tenth = 0; tenth < 200; tenth++) {
        fake_loop_pass(loop, 100);
        if (strstr(fake_postgres_sql(slow()), "pack_step") != NULL) {
            assert_true(step < COUNT_OF(steps));
            PLAY(loop, slow(), {.expects = "pack_step", .answers = {ANSWER("pack_step", 1, steps[step])}});
            step++;
        } else if (fake_postgres_sql(slow())[0] != '\0') {
            fake_postgres_succeed(slow());
        }
    }
    assert_int_equal(step, COUNT_OF(steps));
    assert_int_equal(hub_metrics.days_packed - packed, 1);
    assert_int_equal(hub_metrics.pack_steps - taken, 4);
}

/* A step may take long: what has come due meanwhile goes before the next one, which rests a fifth of the time that
 * took. */
static void test_packing_gives_way(void **state) {
    struct pacing *pacing = *state;
    uv_loop_t *loop = &pacing->world->loop;
    int steps = 0, rollups = 0;
    for (int64_t ended_at = 0; steps < 5;) {
        fake_loop_pass(loop, 100);
        const char *sql = fake_postgres_sql(slow());
        if (strstr(sql, "pack_step") != NULL) {
            assert_true(steps == 0 || rollups > 0);
            assert_true(steps == 0 || fake_loop_passed() - ended_at >= 2400);
            fake_loop_pass(loop, 12000);
            PLAY(loop, slow(), {.expects = "pack_step", .answers = {ANSWER("pack_step", 1, "devices")}});
            ended_at = fake_loop_passed();
            rollups = 0;
            steps++;
        } else if (sql[0] != '\0') {
            rollups += strstr(sql, "rollup_run") != NULL;
            fake_postgres_succeed(slow());
        }
    }
}

/* A job that takes longer than its interval is due again when it ends: the others have their turns all the same. */
static void test_slow_sweeps(void **state) {
    struct pacing *pacing = *state;
    uv_loop_t *loop = &pacing->world->loop;
    for (int steps = 0, sweeps = 0; steps < 3;) {
        fake_loop_pass(loop, 100);
        const char *sql = fake_postgres_sql(slow());
        if (strstr(sql, "pack_step") != NULL) {
            PLAY(loop, slow(), {.expects = "pack_step", .answers = {ANSWER("pack_step", 1, "devices")}});
            steps++;
        } else if (sql[0] != '\0') {
            if (strstr(sql, "sweep_run") != NULL) {
                assert_true(sweeps++ < 10);
                fake_loop_pass(loop, 40000);
            }
            fake_postgres_succeed(slow());
        }
    }
}

/* What sweeps could not do they say in rows. */
static void test_sweeps_that_fail(void **state) {
    struct pacing *pacing = *state;
    static struct captured captured;
    PLAY(&pacing->world->loop, slow(), {.expects = "partition"}, {.expects = "delivery"}, {.expects = "rollup"},
         {.expects = "presence"});
    captured_begin(&captured, stderr);
    PLAY(&pacing->world->loop, slow(),
         {.expects = "sweep_run", .answers = {ANSWER("sweep_run", 1, "first", "second")}});
    const char *said = captured_end(&captured);
    captured_expect(said, "event=sweep_failed reason=\"first\"");
    captured_expect(said, "event=sweep_failed reason=\"second\"");
    assert_int_equal(hub_metrics.jobs_failed, 2);
}

/* One that takes half an hour holds up its own connection alone, and may take so long. */
static void test_slow_job(void **state) {
    struct pacing *pacing = *state;
    fake_postgres_await(&pacing->world->loop, slow());
    assert_int_equal(fake_postgres_timeout(slow()), 1800);
    for (int second = 0; second < 1700; second += 2) {
        PLAY(&pacing->world->loop, quick(), {.expects = "count(*)"});
    }
    assert_in_range(fake_loop_passed(), 1600000, 1750000);
    assert_int_equal(fake_postgres_timeout(quick()), 0);
    assert_int_equal(fake_postgres_jobs(slow()), 1);
    slow_round(pacing);
}

/* What is counted grows with its table: who takes long rests the longer. */
static void test_gauges_rest(void **state) {
    struct pacing *pacing = *state;
    uv_loop_t *loop = &pacing->world->loop;
    fake_postgres_await(loop, quick());
    fake_loop_pass(loop, 1000); /* the answer takes a second */
    fake_postgres_succeed(quick());
    int64_t before = fake_loop_passed();
    fake_postgres_await(loop, quick());
    assert_in_range(fake_loop_passed() - before, 49000, 49300);
    fake_postgres_succeed(quick());
    before = fake_loop_passed();
    fake_postgres_await(loop, quick());
    assert_in_range(fake_loop_passed() - before, 1900, 2200);
    fake_postgres_succeed(quick());
}

/* ---- device states ---- */

static void expect_copied(int64_t first_id, int rows) {
    const struct postgres_copy *copy = fake_postgres_copy(quick(), "COPY pg_temp.device_state_stage");
    struct copied copied = copied_begin(copy->data, copy->length);
    for (int i = 0; i < rows; i++) {
        assert_true(copied_next(&copied));
        assert_true(rows > 1 || copied_integer(&copied, 0) == first_id);
    }
    assert_false(copied_next(&copied));
}

static void await_states(struct pacing *pacing) {
    for (int turn = 0; turn < 100; turn++) {
        fake_postgres_await(&pacing->world->loop, quick());
        if (strstr(fake_postgres_sql(quick()), "COPY") != NULL) {
            return;
        }
        fake_postgres_succeed(quick());
    }
    fail_msg("states are not written");
}

/* Written every two seconds, if there is something; of devices that the database knows. */
static void test_states(void **state) {
    struct pacing *pacing = *state;
    struct device *known = fake_world_device(pacing->world, "T-1", 5);
    struct device *fresh = fake_world_device(pacing->world, "T-2", 6);
    static const char batch[] = "00000000-0000-4000-8000-000000000001";
    PLAY(&pacing->world->loop, quick(), {.expects = "count(*)"}, {.expects = "count(*)"}); /* there is nothing */
    see(pacing, known, FAKE_NOW_MS);
    assert_int_equal(states_batches(pacing->world->world.states, batch, sizeof batch), 0);
    await_states(pacing);
    const char *sql = fake_postgres_sql(quick());
    captured_expect(sql, "BEGIN; TRUNCATE pg_temp.device_state_stage; COPY pg_temp.device_state_stage (device_id, ");
    captured_expect(sql, "SELECT onemap.device_state_merge('{00000000-0000-4000-8000-000000000001}'::uuid[],"
                         " interval '300 s'); COMMIT");
    expect_copied(5, 1);
    int64_t before = fake_loop_passed();
    fake_postgres_succeed(quick());
    assert_int_equal(hub_metrics.state_dirty, 0);
    see(pacing, fresh, FAKE_NOW_MS);
    await_states(pacing);
    captured_expect(fake_postgres_sql(quick()),
                    "device_state_merge('{}'::uuid[]"); /* what is stated is not said again */
    assert_in_range(fake_loop_passed() - before, 1900, 2200);
    expect_copied(6, 1);
    fake_postgres_succeed(quick());
    assert_int_equal(hub_metrics.state_dirty, 0);
}

/* What could not be written is written with the next. */
static void test_states_fail(void **state) {
    struct pacing *pacing = *state;
    static const char *const sqlstates[] = {"40P01", ""};
    struct device *device = fake_world_device(pacing->world, "T-1", 5);
    see(pacing, device, FAKE_NOW_MS);
    for (size_t i = 0; i < COUNT_OF(sqlstates); i++) {
        await_states(pacing);
        see(pacing, device, FAKE_NOW_MS + 1000 * (int64_t)i); /* heard of again meanwhile */
        fake_postgres_fail(quick(), sqlstates[i], "made to fail");
        assert_int_equal(states_dirty(pacing->world->world.states), 1);
    }
    await_states(pacing);
    expect_copied(5, 1);
    fake_postgres_succeed(quick());
    assert_int_equal(states_dirty(pacing->world->world.states), 0);
}

/* More than can be written at once: the rest follows without waiting. */
static void test_many_states(void **state) {
    struct pacing *pacing = *state;
    for (int i = 0; i < 12000; i++) {
        char code[16];
        snprintf(code, sizeof code, "T-%d", i);
        see(pacing, fake_world_device(pacing->world, code, i + 1), FAKE_NOW_MS);
    }
    static const int rows[] = {5000, 5000, 2000};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        await_states(pacing);
        expect_copied(0, rows[i]);
        int64_t before = fake_loop_passed();
        fake_postgres_succeed(quick());
        if (i == 0) {
            await_states(pacing);
            assert_in_range(fake_loop_passed() - before, 0, 200);
        }
    }
    assert_int_equal(hub_metrics.state_dirty, 0);
}

/* What took long rests as long: those that report have the other half. */
static void test_states_rest(void **state) {
    struct pacing *pacing = *state;
    struct device *device = fake_world_device(pacing->world, "T-1", 5);
    see(pacing, device, FAKE_NOW_MS);
    await_states(pacing);
    fake_loop_pass(&pacing->world->loop, 5000);
    see(pacing, device, FAKE_NOW_MS + 5000);
    fake_postgres_succeed(quick());
    int64_t before = fake_loop_passed();
    await_states(pacing);
    assert_in_range(fake_loop_passed() - before, 4800, 5200);
    expect_copied(5, 1);
    fake_postgres_succeed(quick());
}

/* ---- rollups ---- */

static void count(struct pacing *pacing, struct device *device, const char *batch) {
    struct record record = {.observed_at_ms = FAKE_NOW_MS, .present = 1};
    rollups_note(pacing->world->world.rollups, device, &record);
    rollups_batch(pacing->world->world.rollups, batch, ROLLUPS_ID_BYTES);
}

/* Ends the slow connection's jobs until it is at a rollup, and expects its SQL. */
static void await_rollup(struct pacing *pacing, const char *sql) {
    for (int turn = 0; turn < 100; turn++) {
        fake_postgres_await(&pacing->world->loop, slow());
        if (strstr(fake_postgres_sql(slow()), "rollup_run") != NULL) {
            captured_expect(fake_postgres_sql(slow()), sql);
            return;
        }
        fake_postgres_succeed(slow());
    }
    fail_msg("rollups are not written");
}

static void end_rollup(const char *touched) {
    fake_postgres_end(slow(), &(struct fake_act){.answers = {ANSWER("rollup_run", 1, touched)}});
}

/* What the hub has counted is written with the names of its batches, once; what is not known to be written, the
 * database reads itself. */
static void test_rollups(void **state) {
    struct pacing *pacing = *state;
    struct device *device = fake_world_device(pacing->world, "T-1", 5);
    static const char first[] = "00000000-0000-4000-8000-000000000001";
    static const char second[] = "00000000-0000-4000-8000-000000000002";
    count(pacing, device, first);
    await_rollup(pacing, "BEGIN ISOLATION LEVEL REPEATABLE READ; COPY onemap.rollup_stage (device_id, ");
    captured_expect(fake_postgres_sql(slow()),
                    " SELECT onemap.rollup_run('{00000000-0000-4000-8000-000000000001}'::uuid[], NULL); COMMIT");
    assert_non_null(fake_postgres_copy(slow(), "COPY onemap.rollup_stage"));
    end_rollup("1");
    await_rollup(pacing, "READ; SELECT onemap.rollup_run('{}'::uuid[], '{}'::uuid[]); COMMIT"); /* once */
    count(pacing, device, first);
    end_rollup("0");
    await_rollup(pacing, "rollup_run('{00000000-0000-4000-8000-000000000001}'::uuid[], '{}'::uuid[])");
    fake_postgres_fail(slow(), "40001", "made to fail");
    count(pacing, device, second);
    await_rollup(pacing, "rollup_run('{00000000-0000-4000-8000-000000000002}'::uuid[],"
                         " '{00000000-0000-4000-8000-000000000001}'::uuid[])");
    end_rollup(NULL); /* another hub was at it */
    await_rollup(pacing, "rollup_run('{}'::uuid[], '{00000000-0000-4000-8000-000000000002,"
                         "00000000-0000-4000-8000-000000000001}'::uuid[])");
    end_rollup("1");
    await_rollup(pacing, "rollup_run('{}'::uuid[], '{}'::uuid[])");
    assert_int_equal(hub_metrics.jobs_failed, 1);
}

/* Much that waits is written before its time. */
static void test_many_rollups(void **state) {
    struct pacing *pacing = *state;
    await_rollup(pacing, "rollup_run");
    end_rollup("0");
    int64_t before = fake_loop_passed();
    for (int i = 0; !rollups_full(pacing->world->world.rollups); i++) {
        char code[16];
        snprintf(code, sizeof code, "T-%d", i);
        count(pacing, fake_world_device(pacing->world, code, i + 1), "00000000-0000-4000-8000-000000000001");
    }
    await_rollup(pacing, "COPY onemap.rollup_stage");
    assert_in_range(fake_loop_passed() - before, 0, 1000);
    assert_int_equal(rollups_bytes(pacing->world->world.rollups), 0);
    end_rollup("1");
}

/* Closed while both work: what was being written is back among the changed. */
static void test_close(void **state) {
    struct pacing *pacing = *state;
    static struct captured captured;
    see(pacing, fake_world_device(pacing->world, "T-1", 5), FAKE_NOW_MS);
    await_states(pacing);
    fake_postgres_await(&pacing->world->loop, slow());
    captured_begin(&captured, stderr);
    jobs_close(pacing->jobs, NULL, NULL);
    assert_string_equal(captured_end(&captured), ""); /* nobody's fault */
    assert_int_equal(states_dirty(pacing->world->world.states), 1);
    fake_loop_turn(&pacing->world->loop);
    const struct jobs_handlers handlers = {.listening_since_ms = listening_since, .user = pacing};
    pacing->jobs = jobs_open(&pacing->world->loop, &pacing->world->world, &handlers);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_first_round), TEST(test_intervals),    TEST(test_not_listening),     TEST(test_failures),
        TEST(test_slow_job),    TEST(test_packing),      TEST(test_sweeps_that_fail),  TEST(test_gauges_rest),
        TEST(test_states),      TEST(test_states_fail),  TEST(test_many_states),       TEST(test_close),
        TEST(test_rollups),     TEST(test_many_rollups), TEST(test_packing_gives_way), TEST(test_slow_sweeps),
        TEST(test_states_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
