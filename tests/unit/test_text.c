/* test_text.c: which texts are fit to be stored, how others are shown, and where a cut text ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/text.h"

#define INVALID "is not valid UTF-8"
#define CONTROL "has a control character"

/* Looks at an exact-sized copy, so that a sanitizer sees every byte read too far. */
static const char *flaw(const char *text, size_t length, bool lines) {
    char *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    const char *found = text_flaw(copy, length, lines);
    free(copy);
    return found;
}

static void test_flaws(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *flaw, *flaw_with_lines;
    } cases[] = {
        {"", 0, NULL, NULL},
        {"plain ~", 7, NULL, NULL},
        {"é中\xf0\x9f\x9a\x9b", 9, NULL, NULL},
        {"\xc2\xa0", 2, NULL, NULL},                 /* U+00A0, the first after C1 */
        {"\xed\x9f\xbf\xee\x80\x80", 6, NULL, NULL}, /* on both sides of the surrogates */
        {"\xf4\x8f\xbf\xbf", 4, NULL, NULL},         /* U+10FFFF */
        {"\t", 1, CONTROL, NULL},
        {"a\nb", 3, CONTROL, NULL},
        {"a\rb", 3, CONTROL, NULL},
        {"\0", 1, CONTROL, CONTROL},
        {"\x1b[0m", 4, CONTROL, CONTROL},
        {"\x7f", 1, CONTROL, CONTROL},
        {"\xc2\x80", 2, CONTROL, CONTROL},
        {"\xc2\x9f", 2, CONTROL, CONTROL},
        {"\x80", 1, INVALID, INVALID},
        {"\xbf", 1, INVALID, INVALID},
        {"\xc0\x80", 2, INVALID, INVALID}, /* longer forms than needed */
        {"\xc1\xbf", 2, INVALID, INVALID},
        {"\xe0\x9f\xbf", 3, INVALID, INVALID},
        {"\xf0\x8f\xbf\xbf", 4, INVALID, INVALID},
        {"\xed\xa0\x80", 3, INVALID, INVALID}, /* surrogates */
        {"\xed\xbf\xbf", 3, INVALID, INVALID},
        {"\xf4\x90\x80\x80", 4, INVALID, INVALID}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 4, INVALID, INVALID},
        {"\xff", 1, INVALID, INVALID},
        {"\xc3", 1, INVALID, INVALID}, /* cut */
        {"\xe4\xb8", 2, INVALID, INVALID},
        {"\xf0\x9f\x9a", 3, INVALID, INVALID},
        {"\xe4\xb8\x41", 3, INVALID, INVALID},
        {"a\xe4\xb8\xad\xff", 5, INVALID, INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *plain = flaw(cases[i].text, cases[i].length, false);
        const char *lines = flaw(cases[i].text, cases[i].length, true);
        if ((plain == NULL) != (cases[i].flaw == NULL) || (lines == NULL) != (cases[i].flaw_with_lines == NULL)) {
            fail_msg("case %zu: %s, with lines %s", i, plain == NULL ? "no flaw" : plain,
                     lines == NULL ? "no flaw" : lines);
        }
        if (plain != NULL) {
            assert_string_equal(plain, cases[i].flaw);
        }
        if (lines != NULL) {
            assert_string_equal(lines, cases[i].flaw_with_lines);
        }
    }
}

/* Every code point: its shortest form is valid, and a control character if it is one. */
static void test_every_character(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char bytes[4];
        size_t length;
        if (c < 0x80) {
            bytes[0] = (char)c, length = 1;
        } else if (c < 0x800) {
            bytes[0] = (char)(0xc0 | c >> 6), bytes[1] = (char)(0x80 | (c & 63)), length = 2;
        } else if (c < 0x10000) {
            bytes[0] = (char)(0xe0 | c >> 12), bytes[1] = (char)(0x80 | (c >> 6 & 63));
            bytes[2] = (char)(0x80 | (c & 63)), length = 3;
        } else {
            bytes[0] = (char)(0xf0 | c >> 18), bytes[1] = (char)(0x80 | (c >> 12 & 63));
            bytes[2] = (char)(0x80 | (c >> 6 & 63)), bytes[3] = (char)(0x80 | (c & 63)), length = 4;
        }
        const char *expected = c >= 0xd800 && c <= 0xdfff             ? INVALID
                               : c < 0x20 || (c >= 0x7f && c <= 0x9f) ? CONTROL
                                                                      : NULL;
        const char *found = text_flaw(bytes, length, false);
        if (expected == NULL ? found != NULL : found == NULL || strcmp(found, expected) != 0) {
            fail_msg("U+%04X: %s", c, found == NULL ? "no flaw" : found);
        }
    }
}

static void shows(const char *text, size_t length, const char *expected) {
    char shown[DECODE_SHOWN_MAX];
    assert_ptr_equal(text_show(shown, text, length), shown);
    assert_string_equal(shown, expected);
}

static void test_show(void **state) {
    (void)state;
    shows("", 0, "\"\"");
    shows("中文 a", 8, "\"中文 a\"");
    shows("a\"b\\c", 5, "\"a\\x22b\\x5cc\"");
    shows("\n\x1b\x7f", 3, "\"\\x0a\\x1b\\x7f\"");
    shows("\xc2\x85", 2, "\"\\xc2\\x85\"");
    shows("\xff\xe4\xb8", 3, "\"\\xff\\xe4\\xb8\"");
    shows("abcdefghijklmnopqrstuvwxyz012345", 32, "\"abcdefghijklmnopqrstuvwxyz012345\"");
    shows("abcdefghijklmnopqrstuvwxyz0123456", 33, "\"abcdefghijklmnopqrstuvwxyz012345...\"");
    /* Whatever is shown: valid, no control characters, within its size. */
    for (int byte = 0; byte < 256; byte++) {
        char text[200], shown[DECODE_SHOWN_MAX];
        memset(text, byte, sizeof text);
        for (size_t length = 0; length < sizeof text; length++) {
            text_show(shown, text, length);
            assert_in_range(strlen(shown), 2, DECODE_SHOWN_MAX - 1);
            assert_null(text_flaw(shown, strlen(shown), false));
        }
    }
}

static void test_formula(void **state) {
    (void)state;
    static const char *const formulas[] = {
        "=1", "=HYPERLINK(1)", "+A1",      "-A1",    "@SUM(1)", "-1+A1",    "-2+3",  "\t=1", "\r=1", "\n=1", "--",
        "==", "＝1",           "＠SUM(1)", "-1e5+x", "+86 138", "-5%|cmd!", "-1.2e", "＋1"};
    static const char *const texts[] = {"",       "-",   "+", "=",  "@",   "-0.5", "+8613800000000",
                                        "-1e-05", "a=1", "1", "中", "'=1", "￥5"};
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
        assert_true(text_is_formula(formulas[i], strlen(formulas[i]), "=+-@"));
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(text_is_formula(texts[i], strlen(texts[i]), "=+-@"));
    }
    assert_false(text_is_formula("@owner", 6, "=+-"));
    assert_false(text_is_formula("-5x", 2, "=+-"));
}

static void test_trim(void **state) {
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", ""},         {"abc", "abc"}, {"中", "中"},       {"a中\xf0\x9f\x9a\x9b", "a中\xf0\x9f\x9a\x9b"},
        {"a\xc3", "a"},   {"a\xe4", "a"}, {"a\xe4\xb8", "a"}, {"中\xf0\x9f\x9a", "中"},
        {"\xf0\x9f", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[20];
        snprintf(text, sizeof text, "%s", cases[i].text);
        text_trim(text);
        assert_string_equal(text, cases[i].expected);
    }
}

static void test_xml(void **state) {
    static const char *const cases[][2] = {
        {"", ""},
        {"a\xef\xbf\xbf"
         "b\xef\xbf\xbe",
         "ab"},
        {"\xef\xbf\xbd\xef\xbf\xbf\xef\xbf\xbf\xef\xbb\xbf", "\xef\xbf\xbd\xef\xbb\xbf"},
        {"\xef\xbf", "\xef\xbf"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s", cases[i][0]);
        text_xml(text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void test_word(void **state) {
    (void)state;
    const char *words = "  one two   3 ";
    size_t length;
    static const char *const expected[] = {"one", "two", "3"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const char *word = text_word(&words, &length);
        assert_non_null(word);
        assert_int_equal(length, strlen(expected[i]));
        assert_memory_equal(word, expected[i], length);
    }
    assert_null(text_word(&words, &length));
    assert_null(text_word(&words, &length)); /* nor ever after */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flaws), cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_show),  cmocka_unit_test(test_formula),
        cmocka_unit_test(test_trim),  cmocka_unit_test(test_word),
        cmocka_unit_test(test_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
