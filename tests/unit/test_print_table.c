/* test_print_table.c: query results in columns, wide characters and text that would steer the terminal. */
#include "captured.h"

#include "hub/cli/print_table.h"

enum { OID_TEXT = 25, OID_INT4 = 23, OID_NUMERIC = 1700 };

static void width_is(const char *text, int width, const char *shown) {
    char out[200] = ""; /* nothing written leaves it so */
    FILE *file = fmemopen(out, sizeof out, "w");
    print_text(file, text);
    fclose(file);
    assert_string_equal(out, shown == NULL ? text : shown);
    assert_int_equal(print_width(text), width);
}

static void test_text(void **state) {
    (void)state;
    width_is("", 0, NULL);
    width_is("plain \\ \"", 9, NULL);
    width_is("é", 1, NULL);
    width_is("中文，", 6, NULL);
    width_is("豫A12345", 8, NULL);
    width_is("한글ｱ", 5, NULL); /* a halfwidth katakana takes one place */
    width_is("\xf0\x9f\x9a\x9b\xf0\xa0\x80\x80", 4, NULL);
    width_is("a\tb\nc", 11, "a\\x09b\\x0ac");
    width_is("\x1b[2J\x7f", 11, "\\x1b[2J\\x7f");
    width_is("\xc2\x9b"
             "1m",
             10, "\\xc2\\x9b1m"); /* CSI of C1 */
    width_is("\xe2\x80\xae"
             "x",
             13, "\\xe2\\x80\\xaex");                /* right-to-left override */
    width_is("\xe2\x81\xa6", 12, "\\xe2\\x81\\xa6"); /* left-to-right isolate */
    width_is("\xff\x80\xc3", 12, "\\xff\\x80\\xc3"); /* no UTF-8 */
    width_is("\xe4\xb8", 8, "\\xe4\\xb8");
    width_is("\xe0\x80\x9b", 12, "\\xe0\\x80\\x9b"); /* escape in a longer form than needed */
}

struct column {
    char name[64];
    Oid type;
};

static PGresult *result_of(struct column *columns, int count, int rows, const char *const *cells) {
    PGresAttDesc attributes[40] = {0};
    for (int i = 0; i < count; i++) {
        attributes[i] = (PGresAttDesc){.name = columns[i].name, .typid = columns[i].type};
    }
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_true(PQsetResultAttrs(result, count, attributes));
    for (int row = 0; row < rows; row++) {
        for (int i = 0; i < count; i++) {
            char cell[100];
            const char *text = cells[row * count + i];
            snprintf(cell, sizeof cell, "%s", text == NULL ? "" : text);
            assert_true(PQsetvalue(result, row, i, text == NULL ? NULL : cell, text == NULL ? -1 : (int)strlen(cell)));
        }
    }
    return result;
}

static void prints(PGresult *result, const char *expected) {
    char out[4000] = "";
    FILE *file = fmemopen(out, sizeof out, "w");
    print_table(file, result);
    fclose(file);
    PQclear(result);
    assert_string_equal(out, expected);
}

static void test_columns(void **state) {
    (void)state;
    struct column columns[] = {{"vendor_name", OID_TEXT}, {"devices", OID_INT4}, {"state", OID_TEXT}};
    static const char *const cells[] = {"甲公司", "7",  "on\x1b", /* three characters in six places */
                                        "b",      NULL, NULL,     "a longer name", "1234567890", ""};
    prints(result_of(columns, 3, 3, cells), "vendor name       devices  state\n"
                                            "甲公司                  7  on\\x1b\n"
                                            "b                       -  -\n"
                                            "a longer name  1234567890  \n");
}

static void test_no_rows_and_one_column(void **state) {
    (void)state;
    struct column number[] = {{"n", OID_NUMERIC}};
    static const char *const cells[] = {"1.50", "-20.25"};
    prints(result_of(number, 1, 0, NULL), "n\n");
    prints(result_of(number, 1, 2, cells), "     n\n  1.50\n-20.25\n");
    struct column longest[] = {{"a_name_of_sixty_three_bytes_which_is_the_longest_in_postgresql_", OID_TEXT}};
    prints(result_of(longest, 1, 0, NULL), "a name of sixty three bytes which is the longest in postgresql \n");
}

/* A fact and its value a row: values begin in one column, and stay in it over several lines. */
static void test_facts(void **state) {
    (void)state;
    struct column columns[] = {{"fact", OID_TEXT}, {"value", OID_TEXT}};
    static const char *const cells[] = {"id", "7", "单位", "甲\n乙\x1b[m\n", "problems", "", "x", NULL};
    char out[500] = "";
    FILE *file = fmemopen(out, sizeof out, "w");
    PGresult *result = result_of(columns, 2, 4, cells);
    print_facts(file, result);
    fclose(file);
    PQclear(result);
    assert_string_equal(out, "id        7\n"
                             "单位      甲\n"
                             "          乙\\x1b[m\n"
                             "          \n"
                             "problems  \n"
                             "x         \n");
}

/* More columns than anybody can read: the first 32. */
static void test_many_columns(void **state) {
    (void)state;
    struct column columns[40];
    for (int i = 0; i < 40; i++) {
        snprintf(columns[i].name, sizeof columns[i].name, "c%d", i);
        columns[i].type = OID_TEXT;
    }
    char out[1000] = "";
    FILE *file = fmemopen(out, sizeof out, "w");
    PGresult *result = result_of(columns, 40, 0, NULL);
    print_table(file, result);
    fclose(file);
    PQclear(result);
    captured_expect(out, "c30  c31\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_no_rows_and_one_column),
        cmocka_unit_test(test_many_columns),
        cmocka_unit_test(test_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
