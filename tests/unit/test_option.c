/* test_option.c: each kind of option: which values it takes, how it says what is wrong, how it is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/error.h"
#include "hub/cli/option.h"

static void takes(const struct command_option *option, const char *value) {
    char problem[OPTION_NOTE_MAX];
    if (option_problem(option, value, problem) != NULL) {
        fail_msg("\"%s\": %s", value, problem);
    }
}

static void refuses(const struct command_option *option, const char *value, const char *expected) {
    char problem[OPTION_NOTE_MAX] = "";
    if (option_problem(option, value, problem) == NULL) {
        fail_msg("\"%s\" is taken", value);
    }
    assert_string_equal(problem, expected);
}

static void test_whole_numbers(void **state) {
    (void)state;
    const struct command_option small = {.kind = OPTION_NUMBER, .minimum = -5, .maximum = 10, .unit = "seconds"};
    static const char *const wrong[] = {"",   " ", "x", "1x", "1 ", " 1", "1.5", "-6", "11", "99999999999999999999",
                                        "0x1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refuses(&small, wrong[i], "must be a whole number from -5 to 10 seconds");
    }
    takes(&small, "-5");
    takes(&small, "10");
    takes(&small, "+7");
    takes(&small, "007");
    const struct command_option any = {.kind = OPTION_NUMBER, .minimum = 1, .maximum = INT64_MAX};
    takes(&any, "9223372036854775807");
    refuses(&any, "9223372036854775808", "must be a whole number, 1 or more");
    refuses(&any, "0", "must be a whole number, 1 or more");
    int64_t number = 77;
    assert_int_equal(option_number("12", 0, 11, &number), CH_EINVAL);
    assert_int_equal(number, 77);
    assert_int_equal(option_number("-12", INT64_MIN, 0, &number), 0);
    assert_int_equal(number, -12);
}

static void test_decimals(void **state) {
    (void)state;
    const struct command_option points = {.kind = OPTION_DECIMAL, .low = -100, .high = 100};
    static const char *const good[] = {"0", "-0", "100", "-100", "100.000", "-1.5", "0.0001", "99.99999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        takes(&points, good[i]);
    }
    /* Only what is a number in JSON, too: it goes into a request as it stands. */
    static const char *const wrong[] = {"",    "-",      ".5",     "5.",   "+5",  "05",
                                        "1e1", "nan",    "inf",    "0x10", "1,5", "1.2.3",
                                        "--1", "100.01", "-100.1", "1 ",   " 1",  "1234567890123456"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refuses(&points, wrong[i], "must be a number from -100 to 100");
    }
    const struct command_option speed = {.kind = OPTION_DECIMAL, .low = 0.01, .high = 10000, .unit = "times"};
    refuses(&speed, "0.009", "must be a number from 0.01 to 10000 times");
    takes(&speed, "0.01");
}

static void test_words(void **state) {
    (void)state;
    const struct command_option word = {.kind = OPTION_WORD, .words = "register quarantine"};
    takes(&word, "register");
    takes(&word, "quarantine");
    static const char *const wrong[] = {"", "regist", "registers", "register quarantine", " register", "Register"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refuses(&word, wrong[i], "must be one of register, quarantine");
    }
    const struct command_option text = {.kind = OPTION_TEXT, .words = "one two"};
    takes(&text, "three"); /* suggestions only */
    const struct command_option subsystem = {.kind = OPTION_SUBSYSTEM};
    takes(&subsystem, "dust");
    takes(&subsystem, "construction_waste");
    refuses(&subsystem, "waste",
            "must be one of construction_waste, dust, enforcement, gas, heating, incineration, landscaping, "
            "municipal, sanitation, streetlight, water");
}

static void test_texts(void **state) {
    (void)state;
    const struct command_option any = {.kind = OPTION_TEXT};
    takes(&any, "");
    takes(&any, "背街\n小巷\t");
    refuses(&any, "\xb1\xa9", "is not valid UTF-8");
    refuses(&any, "a\x1b[m", "has a control character");
    const struct command_option month = OPTION_MONTH(.name = "month");
    takes(&month, "2026-10");
    static const char *const wrong[] = {"",           "2026-13", "2026-00",  "2026-1",
                                        "2026-10-01", "26-10",   "2026-10 ", "x2026-10"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refuses(&month, wrong[i], "must be a month such as 2026-10");
    }
    const struct command_option day = OPTION_DAY(.name = "from");
    takes(&day, "2026-10-31");
    refuses(&day, "2026-10-32", "must be a day such as 2026-10-01");
}

static void test_files_and_pairs(void **state) {
    (void)state;
    const struct command_option file = {.kind = OPTION_FILE};
    takes(&file, "-");
    takes(&file, "/tmp/\xb1\xa9"); /* names of files are bytes */
    refuses(&file, "", "must be a name");
    const struct command_option folder = {.kind = OPTION_FOLDER};
    refuses(&folder, "", "must be a name");
    const struct command_option pair = {.kind = OPTION_PAIR};
    takes(&pair, "key=");
    takes(&pair, "key=a=b");
    refuses(&pair, "key", "must be KEY=VALUE");
    refuses(&pair, "=value", "must be KEY=VALUE");
    refuses(&pair, "a_key_of_sixty_four_bytes_is_one_too_long_to_be_kept_as_a_member=1", "must be KEY=VALUE");
    const struct command_option refused = {.kind = OPTION_REFUSED, .help = "never"};
    refuses(&refused, "x", "never");
}

static void shows(const struct command_option *option, const char *form, const char *note) {
    char form_text[OPTION_FORM_MAX];
    char note_text[OPTION_NOTE_MAX];
    assert_string_equal(option_form(option, form_text), form);
    assert_string_equal(option_note(option, note_text), note);
}

static void test_forms_and_notes(void **state) {
    (void)state;
    shows(&(struct command_option){.name = "json", .kind = OPTION_FLAG}, "--json", "");
    shows(&(struct command_option){.name = "CODE", .kind = OPTION_TEXT}, "CODE", "");
    shows(
        &(struct command_option){
            .name = "limit", .argument = "N", .kind = OPTION_NUMBER, .minimum = 1, .maximum = 1000, .initial = "50"},
        "--limit N", "1 to 1000; default 50");
    shows(&(struct command_option){.name = "wait",
                                   .argument = "SECONDS",
                                   .kind = OPTION_NUMBER,
                                   .minimum = 0,
                                   .maximum = INT64_MAX,
                                   .unit = "seconds"},
          "--wait SECONDS", "0 or more seconds");
    shows(&(struct command_option){.name = "speed", .argument = "X", .kind = OPTION_DECIMAL, .low = 0.01, .high = 10},
          "--speed X", "0.01 to 10");
    shows(
        &(struct command_option){.name = "by", .argument = "WORD", .kind = OPTION_WORD, .words = "a b", .initial = "a"},
        "--by WORD", "a, b; default a");
    shows(&(struct command_option){.name = "vendor", .argument = "NAME", .kind = OPTION_TEXT, .initial = "sim"},
          "--vendor NAME", "default sim");
    shows(&(struct command_option)OPTION_MONTH(.name = "month"), "--month MONTH", "a month such as 2026-10");
    char needs[OPTION_NOTE_MAX];
    assert_string_equal(option_needs(&(struct command_option){.needs = "all since"}, needs), "--all or --since");
    assert_string_equal(option_needs(&(struct command_option){.name = "x"}, needs), "");
    assert_true(option_is_operand(&(struct command_option){.name = "CODE"}));
    assert_false(option_is_operand(&(struct command_option){.name = "code"}));
    assert_false(option_is_shown(&(struct command_option){.name = "password", .kind = OPTION_REFUSED}));
}

/* However long the words are, nothing is written beyond the end. */
static void test_long_texts_are_cut(void **state) {
    (void)state;
    char words[4 * OPTION_NOTE_MAX];
    for (size_t i = 0; i < sizeof words; i++) {
        words[i] = i % 10 == 9 ? ' ' : 'w';
    }
    words[sizeof words - 1] = '\0';
    const struct command_option word = {.name = "w", .kind = OPTION_WORD, .words = words, .initial = words};
    char text[OPTION_NOTE_MAX];
    assert_int_equal(strlen(option_note(&word, text)), OPTION_NOTE_MAX - 1);
    assert_int_equal(strlen(option_problem(&word, "x", text)), OPTION_NOTE_MAX - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_files_and_pairs),
        cmocka_unit_test(test_forms_and_notes),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
