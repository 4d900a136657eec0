/* test_metrics.c: what is counted comes out in the text, in the form that Prometheus reads. Writes the text also to the
 * strict reader of tests/harness/metrics.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hub/base/clock.h"
#include "hub/base/metrics.h"

static int teardown(void **state) {
    (void)state;
    metrics_free();
    hub_metrics = (struct hub_metrics){0};
    return 0;
}

/* The value of the sample with exactly this name and these labels. */
static double sample(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, name, length) == 0 && at[length] == ' ') {
            return strtod(at + length, NULL);
        }
    }
    fail_msg("no sample %s in:\n%s", name, text);
    return NAN;
}

static char *text_of(void) {
    char *text = metrics_text();
    assert_non_null(text);
    return text;
}

/* The harness's reader is the judge of the form. */
static void check_form(const char *text) {
    FILE *reader =
        popen("cd " CITYHUB_SOURCE_DIR "/tests && /usr/bin/python3 -c 'import sys; sys.dont_write_bytecode = "
              "True; from harness.metrics import Metrics; m = Metrics(sys.stdin.read()); m.check(); "
              "assert len(m.types) > 30, m.types'",
              "w");
    assert_non_null(reader);
    assert_int_equal(fwrite(text, 1, strlen(text), reader), strlen(text));
    int status = pclose(reader);
    if (status != 0) {
        fail_msg("the strict reader refuses (status %d):\n%s", WEXITSTATUS(status), text);
    }
}

static void test_histogram_bounds(void **state) {
    (void)state;
    static const double bounds[] = {1, 2, 5};
    struct histogram histogram = {.bounds = bounds, .bound_count = 3};
    const double values[] = {0, 1, 1.0000001, 2, 5, 5.1, 1e300, INFINITY, NAN, -3};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        histogram_observe(&histogram, values[i]);
    }
    assert_int_equal(histogram.counts[0], 3); /* 0, 1, -3: a bound belongs to its bucket */
    assert_int_equal(histogram.counts[1], 2);
    assert_int_equal(histogram.counts[2], 1);
    assert_int_equal(histogram.counts[3], 4); /* what is not finite counts, but must not spoil the sum */
    assert_true(fabs(histogram.sum - 1e300) < 1e290);
}

static void test_lanes(void **state) {
    (void)state;
    assert_int_equal(metrics_lane_count(), 0);
    assert_null(metrics_lane_at(0));
    for (int i = 0; i < METRICS_LANES_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "dust-%d", i);
        struct lane_metrics *lane = metrics_lane_add(name, "dust");
        assert_non_null(lane);
        assert_ptr_equal(metrics_lane_at((size_t)i), lane);
        assert_string_equal(lane->lane, name);
        lane->messages_received = (uint64_t)i;
    }
    assert_null(metrics_lane_add("dust-256", "dust"));
    assert_int_equal(metrics_lane_count(), METRICS_LANES_MAX);
    char *text = text_of();
    check_form(text);
    assert_true(sample(text, "cityhub_messages_received_total{lane=\"dust-255\",subsystem=\"dust\"}") == 255);
    free(text);
    metrics_free();
    assert_int_equal(metrics_lane_count(), 0);
    assert_non_null(metrics_lane_add("gas-0", "gas"));
}

static void test_empty(void **state) {
    (void)state;
    char *text = text_of();
    check_form(text);
    assert_true(sample(text, "cityhub_build_info{version=\"" CITYHUB_VERSION "\"}") == 1);
    assert_true(sample(text, "cityhub_database_connected") == 0);
    free(text);
}

static void test_values(void **state) {
    (void)state;
    struct lane_metrics *lane = metrics_lane_add("gas-0", "gas");
    lane->connected = true;
    lane->records_committed = UINT64_C(9007199254740993); /* a double could not hold it */
    lane->queue_records = 17;
    lane->committed_at_ms = 1790000000123;
    lane->batch_lag_s = 0.0625;
    lane->oldest_at_ms = clock_now_ms() - 90000;
    histogram_observe(&lane->commit_s, 0.004);
    histogram_observe(&lane->commit_s, 0.2);
    histogram_observe(&lane->commit_s, 1000);
    histogram_observe(&lane->batch_records, 5000);
    hub_metrics.outbox_sent = 12;
    hub_metrics.devices_online = 1980;
    hub_metrics.database_connected = true;
    char *text = text_of();
    check_form(text);
#define LANE "{lane=\"gas-0\",subsystem=\"gas\"}"
#define BUCKET(bound) "{lane=\"gas-0\",subsystem=\"gas\",le=\"" bound "\"}"
    assert_non_null(strstr(text, "cityhub_records_committed_total" LANE " 9007199254740993\n"));
    assert_non_null(strstr(text, "cityhub_last_commit_timestamp_seconds" LANE " 1790000000.123\n"));
    assert_true(sample(text, "cityhub_lane_connected" LANE) == 1);
    assert_true(sample(text, "cityhub_queue_records" LANE) == 17);
    assert_true(sample(text, "cityhub_batch_lag_seconds" LANE) == 0.0625);
    assert_true(sample(text, "cityhub_lag_seconds" LANE) >= 90 && sample(text, "cityhub_lag_seconds" LANE) < 120);
    assert_true(sample(text, "cityhub_commit_seconds_bucket" BUCKET("0.0025")) == 0);
    assert_true(sample(text, "cityhub_commit_seconds_bucket" BUCKET("0.005")) == 1);
    assert_true(sample(text, "cityhub_commit_seconds_bucket" BUCKET("30")) == 2);
    assert_true(sample(text, "cityhub_commit_seconds_bucket" BUCKET("+Inf")) == 3);
    assert_true(sample(text, "cityhub_commit_seconds_count" LANE) == 3);
    assert_true(fabs(sample(text, "cityhub_commit_seconds_sum" LANE) - 1000.204) < 1e-9);
    assert_true(sample(text, "cityhub_batch_records_bucket" BUCKET("2000")) == 0);
    assert_true(sample(text, "cityhub_batch_records_bucket" BUCKET("5000")) == 1);
    assert_true(sample(text, "cityhub_outbox_sent_total") == 12);
    assert_true(sample(text, "cityhub_devices_online") == 1980);
    assert_true(sample(text, "cityhub_database_connected") == 1);
    free(text);
}

static void test_odd_values(void **state) {
    (void)state;
    struct lane_metrics *lane = metrics_lane_add("a\"b\\c\nd", "gas");
    lane->batch_lag_s = NAN;
    lane->oldest_at_ms = clock_now_ms() + 3600000; /* the clock was set back */
    char *text = text_of();
    check_form(text);
    assert_non_null(strstr(text, "cityhub_batch_lag_seconds{lane=\"a\\\"b\\\\c\\nd\",subsystem=\"gas\"} NaN\n"));
    assert_non_null(strstr(text, "cityhub_lag_seconds{lane=\"a\\\"b\\\\c\\nd\",subsystem=\"gas\"} 0.000\n"));
    lane->batch_lag_s = -INFINITY;
    free(text);
    text = text_of();
    check_form(text);
    assert_non_null(strstr(text, ",subsystem=\"gas\"} -Inf\n"));
    free(text);
}

static void test_process(void **state) {
    (void)state;
    char *before = text_of();
    check_form(before);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    volatile double burnt = 0;
    clock_t until = clock() + CLOCKS_PER_SEC / 20;
    while (clock() < until) {
        burnt += 1;
    }
    char *after = text_of();
    close(ends[0]);
    close(ends[1]);
    assert_true(sample(after, "process_open_fds") == sample(before, "process_open_fds") + 2);
    assert_true(sample(after, "process_cpu_seconds_total") >= sample(before, "process_cpu_seconds_total") + 0.04);
    assert_true(sample(after, "process_resident_memory_bytes") > 1e6);
    assert_true(sample(after, "process_max_fds") >= sample(after, "process_open_fds"));
    double started = sample(after, "process_start_time_seconds");
    double now = (double)time(NULL);
    if (!(started <= now + 2 && started > now - 300)) {
        fail_msg("the process started at %.3f, and now it is %.0f", started, now);
    }
    assert_true(sample(before, "process_start_time_seconds") == started);
    free(before);
    free(after);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_histogram_bounds, teardown),
        cmocka_unit_test_teardown(test_lanes, teardown),
        cmocka_unit_test_teardown(test_empty, teardown),
        cmocka_unit_test_teardown(test_values, teardown),
        cmocka_unit_test_teardown(test_odd_values, teardown),
        cmocka_unit_test_teardown(test_process, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
