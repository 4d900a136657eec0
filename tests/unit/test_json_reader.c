/* test_json_reader.c: the pull reader: values, numbers to the last bit, strings, and where a syntax error is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "hub/decode/json_reader.h"

static char scratch[JSON_SCRATCH_MAX];

static struct json_reader begin(const char *text) {
    struct json_reader reader;
    json_reader_begin(&reader, text, strlen(text), scratch);
    return reader;
}

static struct json_value one(const char *text) {
    struct json_reader reader = begin(text);
    struct json_value value;
    if (!json_value(&reader, &value) || !json_at_end(&reader)) {
        fail_msg("%s: %s", text, reader.problem == NULL ? "not read to its end" : reader.problem);
    }
    return value;
}

/* Reads a whole value and skips what is in it. NULL or the problem, with its place in `at`. */
static const char *problem_of(const char *text, size_t *at) {
    struct json_reader reader = begin(text);
    struct json_value value;
    if (json_value(&reader, &value)) {
        json_skip(&reader, &value);
    }
    *at = (size_t)(reader.at - reader.start);
    return reader.problem;
}

static void test_words(void **state) {
    (void)state;
    assert_int_equal(one("null").kind, JSON_NULL);
    assert_int_equal(one(" \t\r\ntrue ").kind, JSON_TRUE);
    assert_int_equal(one("\xef\xbb\xbf"
                         "false")
                         .kind,
                     JSON_FALSE);
    assert_int_equal(one("\"\"").kind, JSON_STRING);
    assert_int_equal(one("1").kind, JSON_NUMBER);
}

static void test_numbers(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "1",
        "-1",
        "0.1",
        "-0.1",
        "1e0",
        "1E+2",
        "1e-2",
        "123456789012345678",
        "1234567890123456789",
        "12345678901234567890123",
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0",
        "0.30000000000000004",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "1.7976931348623157e308",
        "2.2250738585072011e-308",
        "5e-324",
        "4.9e-325",
        "2.4703282292062328e-324",
        "1e308",
        "123.456e-3",
        "0.000001",
        "0.00000000000000000000000000000000001234",
        "8.5e15",
        "4503599627370497.5",
        "179769313486231580793728971405301199e273",
        "100000000000000000000000e-23",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double expected = strtod(texts[i], NULL), got = one(texts[i]).number;
        if (memcmp(&expected, &got, sizeof got) != 0) {
            fail_msg("%s: %.17g, expected %.17g", texts[i], got, expected);
        }
    }
    assert_true(isinf(one("1e309").number) && one("1e309").number > 0);
    assert_true(isinf(one("-1e999999999999").number) && one("-1e999999999999").number < 0);
    assert_true(one("1e-999999999999").number == 0);
    assert_true(one("0e999999999999").number == 0);
    assert_true(isnan(one("NaN").number));
    assert_true(isinf(one("Infinity").number));
    assert_true(one("-Infinity").number < 0);
    char digits[1100];
    memset(digits, '7', sizeof digits);
    digits[1000] = '\0';
    assert_true(isinf(one(digits).number));
}

/* Random doubles in their shortest and longest forms come back to the last bit. */
static void test_numbers_come_back(void **state) {
    (void)state;
    uint64_t bits = UINT64_C(88172645463325252);
    for (int i = 0; i < 200000; i++) {
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        double number;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number)) {
            continue;
        }
        char text[64];
        snprintf(text, sizeof text, i % 2 == 0 ? "%.17g" : "%.15g", number);
        double expected = strtod(text, NULL), got = one(text).number;
        if (memcmp(&expected, &got, sizeof got) != 0) {
            fail_msg("%s: %.17g, expected %.17g", text, got, expected);
        }
    }
}

static void test_whole_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_whole;
        int64_t whole;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775807", true, -INT64_MAX},
        {"9223372036854775808", false, 0},
        {"18446744073709551616", false, 0},
        {"1.0", true, 1},
        {"1e3", true, 1000},
        {"-2.5e1", true, -25},
        {"1.5", false, 0},
        {"9007199254740992.0", true, INT64_C(9007199254740992)},
        {"1e17", false, 0}, /* beyond 2^53 the form with a point or exponent is not exact */
        {"NaN", false, 0},
        {"Infinity", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_value value = one(cases[i].text);
        if (value.is_whole != cases[i].is_whole || value.whole != cases[i].whole) {
            fail_msg("%s: %s %lld", cases[i].text, value.is_whole ? "whole" : "not whole", (long long)value.whole);
        }
    }
}

static void string_is(const char *text, const char *expected, size_t length, bool wrong_escape) {
    struct json_value value = one(text);
    assert_int_equal(value.kind, JSON_STRING);
    assert_int_equal(value.length, length);
    assert_memory_equal(value.text, expected, length);
    assert_int_equal(value.wrong_escape, wrong_escape);
    assert_false(value.is_cut);
}

static void test_strings(void **state) {
    (void)state;
    string_is("\"plain 中\"", "plain 中", 9, false);
    string_is("\"a\x01\n\"", "a\x01\n", 3, false); /* raw control characters are the caller's business */
    string_is("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8, false);
    string_is("\"\\u0041\\u00e9\\u4E2D\\uD83D\\ude9b\"", "Aé中\xf0\x9f\x9a\x9b", 10, false);
    string_is("\"\\u0000\"", "\0", 1, false);
    string_is("\"\\q\"", "q", 1, true);
    string_is("\"\\ud800\"", "", 0, true);
    string_is("\"\\ud800\\u0041\"", "A", 1, true);
    string_is("\"\\udc00x\"", "x", 1, true);
    string_is("\"\\u12\"", "12", 2, true);
    string_is("\"\\u12g4\"", "12g4", 4, true);
}

static void test_long_strings(void **state) {
    (void)state;
    char text[JSON_SCRATCH_MAX + 100];
    memset(text, 'x', sizeof text);
    text[0] = '"';
    text[sizeof text - 2] = '"';
    text[sizeof text - 1] = '\0';
    struct json_value value = one(text); /* without escapes it needs no scratch */
    assert_int_equal(value.length, sizeof text - 3);
    assert_false(value.is_cut);
    assert_ptr_equal(value.text, text + 1);
    text[1] = '\\';
    text[2] = 'n';
    value = one(text);
    assert_int_equal(value.length, sizeof text - 4);
    assert_true(value.is_cut);
    assert_int_equal(value.text[0], '\n');
    assert_int_equal(value.text[JSON_SCRATCH_MAX - 1], 'x');
    /* A character that would pass the end is left out whole; zeros stand there, nothing of an earlier string. */
    char *wide = text + JSON_SCRATCH_MAX; /* after one byte for \n and JSON_SCRATCH_MAX - 3 letters: 2 bytes are left */
    memcpy(wide, "\\u4e2d", 6);
    value = one(text);
    assert_true(value.is_cut);
    assert_int_equal(value.text[JSON_SCRATCH_MAX - 3], 'x');
    assert_int_equal(value.text[JSON_SCRATCH_MAX - 2], '\0');
    assert_int_equal(value.text[JSON_SCRATCH_MAX - 1], '\0');
}

static void test_walk(void **state) {
    (void)state;
    struct json_reader reader = begin("{\"a\": [1, 2], \"b\": {}, \"c\": [], \"\\u0064\": 4}");
    struct json_value value, name, element;
    bool first = true, first_element = true;
    assert_true(json_value(&reader, &value));
    assert_int_equal(value.kind, JSON_OBJECT);
    assert_true(json_member(&reader, &first, &name));
    assert_memory_equal(name.text, "a", 1);
    assert_true(json_value(&reader, &value));
    assert_int_equal(value.kind, JSON_ARRAY);
    assert_int_equal(reader.depth, 2);
    assert_int_equal(json_count_elements(&reader), 2);
    for (int i = 1; i <= 2; i++) {
        assert_true(json_element(&reader, &first_element));
        assert_true(json_value(&reader, &element));
        assert_int_equal(element.whole, i);
    }
    assert_false(json_element(&reader, &first_element));
    assert_null(reader.problem);
    for (int i = 0; i < 2; i++) {
        assert_true(json_member(&reader, &first, &name));
        assert_true(json_value(&reader, &value));
        assert_true(json_skip(&reader, &value));
        assert_int_equal(reader.depth, 1);
    }
    assert_true(json_member(&reader, &first, &name));
    assert_int_equal(name.length, 1);
    assert_memory_equal(name.text, "d", 1);
    assert_true(json_value(&reader, &value));
    assert_false(json_member(&reader, &first, &name));
    assert_null(reader.problem);
    assert_true(json_at_end(&reader));
}

static void test_count(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t count;
    } cases[] = {
        {"[]", 1}, /* at the most */
        {"[1]", 1},  {"[1,2,3]", 3},         {"[[1,2],{\"a\":1,\"b\":[3,4]},\",,]\\\",\"]", 3},
        {"[1,2", 2}, {"[\"not closed, ", 1}, {"[\"\\", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_reader reader = begin(cases[i].text);
        struct json_value value;
        assert_true(json_value(&reader, &value));
        assert_int_equal(json_count_elements(&reader), cases[i].count);
    }
}

static void test_problems(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t at;
        const char *problem;
    } cases[] = {
        {"", 0, "the payload ends too early"},
        {"  ", 2, "the payload ends too early"},
        {"x", 1, "the payload ends too early"},
        {"nul", 3, "the payload ends too early"},
        {"'a'", 3, "the payload ends too early"},
        {"[x", 2, "the payload ends too early"},
        {",", 0, "a value was expected"},
        {"[x\"y\"]", 2, "a value was expected"},
        {"[1[2]]", 2, "a value was expected"},
        {"{\"a\"::1}", 5, "a value was expected"},
        {"\"abc", 4, "a string has no end"},
        {"\"a\\", 3, "a string has no end"},
        {"\"a\\\"", 4, "a string has no end"},
        {"[1", 2, "the payload ends too early"},
        {"[1 2]", 3, "a comma or ] was expected"},
        {"{\"a\":1 \"b\"", 7, "a comma or } was expected"},
        {"{\"a\" 1}", 5, "a colon was expected"},
        {"{\"a\"", 4, "the payload ends too early"},
        {"{a:1}", 1, "a name in quotes was expected"},
        {"{\"a\":1,b}", 7, "a name in quotes was expected"},
        {"{", 1, "the payload ends too early"},
        {"[[[{\"a\":[}]]]]", 9, "a value was expected"},
        {"{\"a\":]", 5, "a value was expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t at;
        const char *problem = problem_of(cases[i].text, &at);
        if (problem == NULL || strcmp(problem, cases[i].problem) != 0 || at != cases[i].at) {
            fail_msg("%s: %s at %zu", cases[i].text, problem == NULL ? "no problem" : problem, at);
        }
    }
}

/* Tokens that are no values: read up to where a value would end. */
static void test_no_values(void **state) {
    (void)state;
    static const char *const words[] = {"x",    "nul",  "nulls", "'a'", "01", "-",  "-a", "1.", "1e",  "1e+",
                                        "1.5.", "12kg", "0x1f",  "--",  ".5", "+1", "",   "中", "\x01"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char text[100];
        struct json_value value, element;
        bool first = true;
        snprintf(text, sizeof text, "[%s ,[%s],%s]", words[i], words[i][0] == '\0' ? "1" : words[i], words[i]);
        struct json_reader reader = begin(text);
        assert_true(json_value(&reader, &value));
        for (int place = 0; place < 3; place++) {
            assert_true(json_element(&reader, &first));
            assert_true(json_value(&reader, &element));
            if (place == 1) {
                assert_true(json_skip(&reader, &element));
                continue;
            }
            assert_int_equal(element.kind, JSON_WORD);
            assert_int_equal(element.length, strlen(words[i]));
            assert_memory_equal(element.text, words[i], element.length);
        }
        assert_false(json_element(&reader, &first));
        assert_true(json_at_end(&reader));
    }
    static const char *const none[] = {"NaN",       "nan",      "-nan",    "+NAN",    "inf",
                                       "-Infinity", "INFINITY", "1.#QNAN", "-1.#INF", "-nan(ind)"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct json_value value = one(none[i]), text;
        assert_int_equal(value.kind, JSON_NUMBER);
        assert_true(!isfinite(value.number));
        assert_false(value.is_whole);
        assert_true(json_text_number(none[i], strlen(none[i]), &text));
        assert_true(!isfinite(text.number));
    }
}

static void test_texts_as_numbers(void **state) {
    (void)state;
    struct json_value value;
    assert_true(json_text_number("1760000000000", 13, &value));
    assert_true(value.is_whole && value.whole == INT64_C(1760000000000));
    assert_true(json_text_number("-9223372036854775807", 20, &value));
    assert_true(value.is_whole && value.whole == -INT64_MAX);
    assert_true(json_text_number("35.20000", 8, &value));
    assert_true(!value.is_whole && value.number == 35.2);
    static const char *const bad[] = {"",   " 1", "1 ", "1,5", "1_000", "0x10", "01",
                                      "1e", "+1", "--", "N/A", "1.#",   "n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(json_text_number(bad[i], strlen(bad[i]), &value));
    }
}

static void test_end(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        bool at_end;
    } cases[] = {{"1", 1, true},         {"1 \n", 3, true}, {"1\n\0", 3, true},
                 {"1 \0\0 \0", 6, true}, {"1 x", 3, false}, {"1 \0x", 4, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_reader reader;
        struct json_value value;
        json_reader_begin(&reader, cases[i].text, cases[i].length, scratch);
        assert_true(json_value(&reader, &value));
        assert_int_equal(json_at_end(&reader), cases[i].at_end);
    }
}

static void test_depth(void **state) {
    (void)state;
    char text[200] = "";
    size_t at;
    for (int depth = 0; depth < JSON_DEPTH_MAX; depth++) {
        strcat(text, depth % 2 == 0 ? "[" : "{\"a\":");
    }
    size_t open = strlen(text);
    for (int depth = JSON_DEPTH_MAX - 1; depth >= 0; depth--) {
        strcat(text, depth % 2 == 0 ? "]" : depth == JSON_DEPTH_MAX - 1 ? "1}" : "}");
    }
    assert_null(problem_of(text, &at));
    assert_int_equal(at, strlen(text));
    strcpy(text + open, "[");
    assert_string_equal(problem_of(text, &at), "arrays and objects are nested more than 32 deep");
    assert_int_equal(at, open);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_come_back),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_no_values),
        cmocka_unit_test(test_texts_as_numbers),
        cmocka_unit_test(test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
