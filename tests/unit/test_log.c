/* test_log.c: the form of a line, what is quoted, what is left out, and what is kept for the status. */
#include "captured.h"

#include <sys/stat.h>
#include <time.h>

#include "hub/base/count.h"
#include "hub/base/log.h"
#include "hub/base/text.h"

static struct captured captured;

static void test_form(void **state) {
    (void)state;
    captured_begin(&captured, stderr);
    log_warning("lane_slow", "lane=%s ms=%d", log_quote("dust 1"), 17);
    const char *line = captured_end(&captured);
    struct tm utc = {0};
    assert_non_null(strptime(line, "time=%Y-%m-%dT%H:%M:%SZ", &utc));
    assert_in_range(timegm(&utc), time(NULL) - 5, time(NULL));
    assert_string_equal(strchr(line, ' '), " level=warning event=lane_slow lane=\"dust 1\" ms=17\n");
    int64_t at = 0;
    assert_string_equal(log_last_problem(&at), "lane_slow: lane=\"dust 1\" ms=17");
    assert_in_range(at, time(NULL) - 5, time(NULL));
}

static void test_levels(void **state) {
    (void)state;
    static const struct {
        enum log_level level;
        int lines;
    } cases[] = {{LOG_LEVEL_ERROR, 1}, {LOG_LEVEL_WARNING, 2}, {LOG_LEVEL_INFO, 3}, {LOG_LEVEL_DEBUG, 4}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        log_level_set(cases[i].level);
        captured_begin(&captured, stderr);
        log_error("one", "n=1");
        log_warning("two", "n=2");
        log_info("three", "n=3");
        log_debug("four", "n=4");
        int lines = 0;
        for (const char *at = captured_end(&captured); (at = strchr(at, '\n')) != NULL; at++) {
            lines++;
        }
        assert_int_equal(lines, cases[i].lines);
    }
    log_level_set(LOG_LEVEL_INFO);
    int64_t at;
    assert_string_equal(log_last_problem(&at), "two: n=2"); /* notices are no problems */
}

static void test_names_of_levels(void **state) {
    (void)state;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    enum log_level level = LOG_LEVEL_ERROR;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_true(log_level_named(names[i], &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_named("Debug", &level));
    assert_false(log_level_named("", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
}

/* Priorities go to journald alone: the variable must name the very stream that standard error is. */
static void test_priorities_for_journald(void **state) {
    (void)state;
    captured_begin(&captured, stderr);
    struct stat stream;
    char here[64];
    assert_int_equal(fstat(STDERR_FILENO, &stream), 0);
    snprintf(here, sizeof here, "%ju:%ju", (uintmax_t)stream.st_dev, (uintmax_t)stream.st_ino);
    setenv("JOURNAL_STREAM", here, 1);
    log_begin();
    log_error("e", "n=1");
    log_info("i", "n=2");
    setenv("JOURNAL_STREAM", "8:1", 1); /* a service's, but standard error was redirected */
    log_begin();
    log_error("e", "n=3");
    unsetenv("JOURNAL_STREAM");
    log_begin();
    log_error("e", "n=4");
    const char *lines = captured_end(&captured);
    assert_int_equal(strncmp(lines, "<3>time=", 8), 0);
    captured_expect(lines, "\n<6>time=");
    const char *third = strchr(strchr(lines, '\n') + 1, '\n') + 1;
    assert_int_equal(strncmp(third, "time=", 5), 0);
    captured_expect(third, "\ntime=");
}

/* A place writes 20 lines in 10 seconds; what was left out is counted in the first line after them. */
static void test_rate_limit(void **state) {
    (void)state;
    struct log_site site = {0};
    captured_begin(&captured, stderr);
    for (int i = 0; i < 25; i++) {
        log_write(&site, LOG_LEVEL_INFO, "flood", "n=%d", i);
    }
    const char *lines = captured_end(&captured);
    captured_expect(lines, "event=flood n=19\n");
    assert_null(strstr(lines, "n=20"));
    assert_int_equal(site.suppressed, 5);
    site.window_start_s -= 10;
    captured_begin(&captured, stderr);
    log_write(&site, LOG_LEVEL_INFO, "flood", "n=25");
    log_write(&site, LOG_LEVEL_INFO, "flood", "n=26");
    lines = captured_end(&captured);
    captured_expect(lines, "event=flood n=25 suppressed=5\n");
    captured_expect(lines, "event=flood n=26\n");
    /* A clock that was set back does not silence the place. */
    site = (struct log_site){.window_start_s = time(NULL) + 3600, .lines = 20};
    captured_begin(&captured, stderr);
    log_write(&site, LOG_LEVEL_INFO, "flood", "n=27");
    captured_expect(captured_end(&captured), "n=27\n");
}

static void test_quote(void **state) {
    (void)state;
    assert_string_equal(log_quote(NULL), "-");
    assert_string_equal(log_quote(""), "\"\"");
    assert_string_equal(log_quote("a \"b\" \\"), "\"a \\\"b\\\" \\\\\"");
    assert_string_equal(log_quote("line\nline\r\x1b[0m\x7f"), "\"line line\\x0d\\x1b[0m\\x7f\"");
    assert_string_equal(log_quote("中文"), "\"中文\"");
    /* Eight at a time. */
    const char *first = log_quote("first");
    for (int i = 0; i < 7; i++) {
        log_quote("another");
    }
    assert_string_equal(first, "\"first\"");
}

/* At most 200 bytes, and never half a character. */
static void test_quote_cuts(void **state) {
    (void)state;
    char text[400];
    memset(text, 'x', sizeof text);
    text[200] = '\0';
    assert_int_equal(strlen(log_quote(text)), 202);
    text[200] = 'y';
    text[399] = '\0';
    assert_int_equal(strlen(log_quote(text)), 202);
    assert_null(strchr(log_quote(text), 'y'));
    for (size_t at = 195; at <= 200; at++) {
        static const char *const characters[] = {"é", "中", "\xf0\x9f\x9a\x9b"};
        for (size_t i = 0; i < 3; i++) {
            memset(text, 'x', 300);
            text[300] = '\0';
            memcpy(text + at, characters[i], strlen(characters[i]));
            const char *quoted = log_quote(text);
            assert_null(text_flaw(quoted, strlen(quoted), false));
            assert_int_equal(strlen(quoted), 2 + (at < 200 && at + strlen(characters[i]) > 200 ? at : 200));
        }
    }
    /* Bytes that are no UTF-8 are cut where the limit is. */
    memset(text, 0x80, 300);
    text[300] = '\0';
    assert_in_range(strlen(log_quote(text)), 198, 202);
    memset(text, 1, 300);
    assert_int_equal(strlen(log_quote(text)), 802);
}

static void test_long_lines(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    captured_begin(&captured, stderr);
    log_error("long", "%s", text);
    const char *line = captured_end(&captured);
    assert_in_range(strlen(line), 2048, 2200);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    int64_t at;
    assert_in_range(strlen(log_last_problem(&at)), 2000, 2047);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_names_of_levels),
        cmocka_unit_test(test_priorities_for_journald),
        cmocka_unit_test(test_rate_limit),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_quote_cuts),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
