/* test_parameter.c: values against a parameter's type and range, and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/http/parameter.h"

/* The value as JSON, or "!" if it is refused. */
static const char *json_of(const struct parameter *parameter, const char *text) {
    static char out[512];
    struct buffer json = {0};
    struct parameter_value value;
    int code = parameter_check(parameter, text, strlen(text), &json, &value);
    assert_int_equal(parameter_check(parameter, text, strlen(text), NULL, &value), code);
    snprintf(out, sizeof out, "%s", code != 0 ? "!" : buffer_string(&json));
    buffer_free(&json);
    return out;
}

static void check_all(const struct parameter *parameter, const char *const *cases) {
    for (; *cases != NULL; cases += 2) {
        if (strcmp(json_of(parameter, cases[0]), cases[1]) != 0) {
            fail_msg("%s: %s, not %s", cases[0], json_of(parameter, cases[0]), cases[1]);
        }
    }
}

static void test_numbers(void **state) {
    (void)state;
    const struct parameter whole = {.name = "n", .kind = PARAMETER_INTEGER, .low = -5, .high = 1000, .meaning = "m"};
    const char *const wholes[] = {"0",
                                  "0",
                                  "-0",
                                  "0",
                                  "007",
                                  "7",
                                  "-5",
                                  "-5",
                                  "-6",
                                  "!",
                                  "1000",
                                  "1000",
                                  "1001",
                                  "!",
                                  "",
                                  "!",
                                  "-",
                                  "!",
                                  "1-",
                                  "!",
                                  "1.0",
                                  "!",
                                  "1e2",
                                  "!",
                                  "0x10",
                                  "!",
                                  " 1",
                                  "!",
                                  "1 ",
                                  "!",
                                  "+1",
                                  "!",
                                  "1,0",
                                  "!",
                                  "99999999999999999999999999",
                                  "!",
                                  "1000000000000000000000000000000000000000",
                                  "!",
                                  NULL};
    check_all(&whole, wholes);
    const struct parameter clamped = {
        .name = "n", .kind = PARAMETER_INTEGER, .low = 1, .high = 50, .clamp = true, .meaning = "m"};
    const char *const clamps[] = {"50", "50", "51", "50", "99999999999999999999999999", "50", "0", "!", "-1",
                                  "!",  "x",  "!",  NULL};
    check_all(&clamped, clamps);
    const struct parameter large = {.name = "n", .kind = PARAMETER_INTEGER, .high = 9007199254740992, .meaning = "m"};
    const char *const larges[] = {"9007199254740991", "9007199254740991", "9007199254740994", "!", NULL};
    check_all(&large, larges);
    const struct parameter number = {.name = "n", .kind = PARAMETER_NUMBER, .low = -180, .high = 180, .meaning = "m"};
    const char *const numbers[] = {"114.25", "114.25", "-180",  "-180",   "180.0001", "!",   "1e2", "100", "1e3",
                                   "!",      ".5",     "0.5",   "5.",     "5",        "nan", "!",   "inf", "!",
                                   "-inf",   "!",      "0x1p3", "!",      "1e",       "!",   "--1", "!",   "1.2.3",
                                   "!",      "1e400",  "!",     "1e-400", "0",        NULL};
    check_all(&number, numbers);
}

static void test_words(void **state) {
    (void)state;
    const struct parameter boolean = {.name = "b", .kind = PARAMETER_BOOLEAN, .meaning = "m"};
    const char *const booleans[] = {"true", "true", "false", "false",     "1", "!", "TRUE",
                                    "!",    "",     "!",     "truefalse", "!", NULL};
    check_all(&boolean, booleans);
    const struct parameter choice = {
        .name = "c", .kind = PARAMETER_CHOICE, .choices = "hour day month", .meaning = "m"};
    const char *const choices[] = {"hour", "\"hour\"", "month", "\"month\"", "mont", "!", "hour day",
                                   "!",    "",         "!",     " ",         "!",    NULL};
    check_all(&choice, choices);
    struct parameter_value value;
    assert_int_equal(parameter_check(&choice, "month", 5, NULL, &value), 0);
    assert_true(value.number == 2);
    const struct parameter text = {.name = "t", .kind = PARAMETER_TEXT, .low = 2, .high = 3, .meaning = "m"};
    const char *const texts[] = {"ab",    "\"ab\"",        "a",      "!",          "abcd", "!",
                                 "扬尘",  "\"扬尘\"",      "扬尘控", "\"扬尘控\"", "扬",   "!",
                                 "a\"\\", "\"a\\\"\\\\\"", NULL};
    check_all(&text, texts);
}

static void test_times(void **state) {
    (void)state;
    const struct parameter time = {.name = "t", .kind = PARAMETER_TIME, .meaning = "m"};
    static const char *const good[] = {"2026-11-24",
                                       "2024-02-29",
                                       "2000-02-29",
                                       "2026-11-24T08:00:00Z",
                                       "2026-11-24t08:00:00z",
                                       "2026-11-24T23:59:59.999999Z",
                                       "2026-11-24T08:00:00.5+08:00",
                                       "2026-11-24T08:00:00-14:00",
                                       "0001-01-01T00:00:00Z"};
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-31",
                                      "2026-02-29",
                                      "1900-02-29",
                                      "2026-00-10",
                                      "2026-13-10",
                                      "2026-11-00",
                                      "0000-01-01",
                                      "2026-11-24T08:00:00",
                                      "2026-11-24T24:00:00Z",
                                      "2026-11-24T08:60:00Z",
                                      "2026-11-24T08:00:60Z",
                                      "2026-11-24T08:00Z",
                                      "2026-11-24T08:00:00.Z",
                                      "2026-11-24T08:00:00.1234567Z",
                                      "2026-11-24T08:00:00+8:00",
                                      "2026-11-24T08:00:00+0800",
                                      "2026-11-24T08:00:00+15:00",
                                      "2026-11-24T08:00:00+08:60",
                                      "2026-11-24T08:00:00Zx",
                                      "2026-11-24 08:00:00Z",
                                      "now",
                                      "infinity",
                                      "2026-11-24T08:00:00.000000000000000000Z",
                                      "2026-11-2x",
                                      "-026-11-24"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\"", good[i]);
        assert_string_equal(json_of(&time, good[i]), quoted);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (strcmp(json_of(&time, bad[i]), "!") != 0) {
            fail_msg("%s", bad[i]);
        }
    }
    /* In a query + is a blank, unless it was escaped. */
    assert_string_equal(json_of(&time, "2026-11-24T08:00:00 08:00"), "\"2026-11-24T08:00:00+08:00\"");
}

static void test_boxes_and_lists(void **state) {
    (void)state;
    const struct parameter box = {.name = "b", .kind = PARAMETER_BOX, .meaning = "m"};
    const char *const boxes[] = {"114,33.5,114.5,34",
                                 "[114,33.5,114.5,34]",
                                 "177,65,-177,70",
                                 "[177,65,-177,70]",
                                 "1,2,3",
                                 "!",
                                 "1,2,3,4,5",
                                 "!",
                                 "1,4,3,2",
                                 "!",
                                 "181,0,0,0",
                                 "!",
                                 "0,91,0,91",
                                 "!",
                                 "1,2,3,",
                                 "!",
                                 ",,,",
                                 "!",
                                 "",
                                 "!",
                                 "1,2,3,x",
                                 "!",
                                 NULL};
    check_all(&box, boxes);
    const struct parameter list = {
        .name = "l", .kind = PARAMETER_INTEGER, .low = 1, .high = 9, .list = 3, .meaning = "m"};
    const char *const lists[] = {"1", "[1]", "1,2,3", "[1,2,3]", "1,2,3,4", "!",    "1,,2", "!", "1,",
                                 "!", ",",   "!",     "",        "!",       "1,10", "!",    NULL};
    check_all(&list, lists);
}

static void test_rows_that_are_wrong(void **state) {
    (void)state;
    static const struct parameter wrong[] = {
        {.kind = PARAMETER_INTEGER, .meaning = "m"},
        {.name = "Name", .kind = PARAMETER_INTEGER, .meaning = "m"},
        {.name = "n", .kind = PARAMETER_INTEGER, .low = 2, .high = 1, .meaning = "m"},
        {.name = "n", .kind = PARAMETER_INTEGER, .high = 1e17, .meaning = "m"},
        {.name = "n", .kind = PARAMETER_INTEGER, .high = 1, .initial = "2", .meaning = "m"},
        {.name = "n", .kind = PARAMETER_INTEGER, .high = 1, .initial = "1", .required = true, .meaning = "m"},
        {.name = "n", .kind = PARAMETER_INTEGER, .high = 1},
        {.name = "n", .kind = PARAMETER_INTEGER, .high = 1, .choices = "a", .meaning = "m"},
        {.name = "n", .kind = PARAMETER_CHOICE, .meaning = "m"},
        {.name = "n", .kind = PARAMETER_TEXT, .meaning = "m"},
        {.name = "n", .kind = PARAMETER_BOX, .list = 2, .meaning = "m"},
        {.name = "n", .kind = PARAMETER_NUMBER, .high = 1, .clamp = true, .meaning = "m"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_non_null(parameter_flaw(&wrong[i]));
    }
}

static void test_expected(void **state) {
    (void)state;
    char text[256];
    const struct parameter number = {
        .name = "n", .kind = PARAMETER_NUMBER, .low = -0.5, .high = 1e6, .list = 2, .meaning = "m"};
    parameter_expected(&number, LANGUAGE_EN, text, sizeof text);
    assert_string_equal(text, "must be up to 2 values with commas, each: must be a number from -0.5 to 1000000");
    parameter_expected(&number, LANGUAGE_ZH, text, sizeof text);
    assert_string_equal(text, "须为最多 2 个以逗号分隔的值，每个须为 -0.5 至 1000000 的数");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_boxes_and_lists),
        cmocka_unit_test(test_rows_that_are_wrong),
        cmocka_unit_test(test_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
