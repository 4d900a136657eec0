/* test_sql_script.c: where statements of an SQL file begin and end, and on which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/migrate/sql_script.h"

/* `expected` lists the statements, each ended by a bar, with "line:" before it. */
static void divides(const char *text, const char *expected) {
    struct sql_script script = {.text = text, .line = 1};
    struct sql_statement statement;
    char found[2000] = "";
    size_t used = 0;
    while (sql_script_next(&script, &statement)) {
        used += (size_t)snprintf(found + used, sizeof found - used, "%d:%.*s|", statement.line, (int)statement.length,
                                 statement.text);
    }
    assert_string_equal(found, expected);
    assert_int_equal(script.at, strlen(text));
    assert_false(sql_script_next(&script, &statement));
}

static void test_plain(void **state) {
    (void)state;
    divides("", "");
    divides(" \n;;\n ; ", "");
    divides("SELECT 1", "1:SELECT 1|");
    divides("SELECT 1;", "1:SELECT 1|");
    divides("\n\nSELECT 1 ;\n  SELECT\n2;;SELECT 3 \n", "3:SELECT 1|4:SELECT\n2|5:SELECT 3|");
    divides("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            "1:CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)|1:SELECT 3|");
    divides("a); b", "1:a)|1:b|");
}

static void test_comments(void **state) {
    (void)state;
    divides("-- one; two\nSELECT 1; -- three;\n/* four; */ SELECT 2", "2:SELECT 1|3:SELECT 2|");
    divides("/* a /* b; */ c; */ SELECT 1", "1:SELECT 1|");
    divides("SELECT /* ; */ 1 -- ;\n + 2 -- the end", "1:SELECT /* ; */ 1 -- ;\n + 2|");
    divides("-- nothing but a comment", "");
    divides("/* not closed; SELECT 1;", "");
    divides("SELECT 1 /* not closed;", "1:SELECT 1|");
    divides("SELECT 1 - -1; SELECT 4 / 2 * 1", "1:SELECT 1 - -1|1:SELECT 4 / 2 * 1|");
}

static void test_quotes(void **state) {
    (void)state;
    divides("SELECT 'a;b'; SELECT 'it''s;'; SELECT \"odd;\"\"name\"",
            "1:SELECT 'a;b'|1:SELECT 'it''s;'|1:SELECT \"odd;\"\"name\"|");
    divides("SELECT 'no escape\\'; SELECT 2", "1:SELECT 'no escape\\'|1:SELECT 2|");
    divides("SELECT E'an escape\\';'; SELECT e'\\\\'; SELECT 3",
            "1:SELECT E'an escape\\';'|1:SELECT e'\\\\'|1:SELECT 3|");
    divides("SELECT name'\\'; SELECT 2", "1:SELECT name'\\'|1:SELECT 2|");
    divides("SELECT '-- no comment'; SELECT '/*'; SELECT 1", "1:SELECT '-- no comment'|1:SELECT '/*'|1:SELECT 1|");
    divides("SELECT 'not closed; SELECT 1;\n", "1:SELECT 'not closed; SELECT 1;\n|");
    divides("SELECT E'not closed\\", "1:SELECT E'not closed\\|");
}

static void test_dollar_quotes(void **state) {
    (void)state;
    divides("SELECT $$a;b$$; SELECT 2", "1:SELECT $$a;b$$|1:SELECT 2|");
    divides("DO $x$ BEGIN; $$ ; $y$ END; $x$;\nSELECT 2", "1:DO $x$ BEGIN; $$ ; $y$ END; $x$|2:SELECT 2|");
    divides("SELECT $1; SELECT a$b; SELECT $2;", "1:SELECT $1|1:SELECT a$b|1:SELECT $2|");
    divides("SELECT $文$;$文$; SELECT 1", "1:SELECT $文$;$文$|1:SELECT 1|");
    divides("SELECT $a$ not closed $b$; SELECT 1", "1:SELECT $a$ not closed $b$; SELECT 1|");
    divides("SELECT $; SELECT 2", "1:SELECT $|1:SELECT 2|");
}

static void test_bodies(void **state) {
    (void)state;
    divides("CREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC\n  SELECT 1;\n  SELECT CASE WHEN true THEN 1 END;\nEND;\n"
            "SELECT 2;",
            "1:CREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC\n  SELECT 1;\n  SELECT CASE WHEN true THEN 1 END;\nEND|"
            "6:SELECT 2|");
    divides("create or replace procedure p() begin atomic select 1; end; begin; end",
            "1:create or replace procedure p() begin atomic select 1; end|1:begin|1:end|");
    divides("BEGIN; CREATE TABLE t (a int); END;", "1:BEGIN|1:CREATE TABLE t (a int)|1:END|");
    divides("CREATE TABLE t (function int); SELECT CASE WHEN true THEN 1 END; SELECT 2",
            "1:CREATE TABLE t (function int)|1:SELECT CASE WHEN true THEN 1 END|1:SELECT 2|");
}

static bool controls(const char *text) {
    struct sql_script script = {.text = text, .line = 1};
    struct sql_statement statement;
    assert_true(sql_script_next(&script, &statement));
    return sql_statement_is_transaction_control(&statement);
}

static void test_transaction_control(void **state) {
    (void)state;
    static const char *const yes[] = {"BEGIN",
                                      "begin;",
                                      "START TRANSACTION",
                                      "COMMIT",
                                      "Commit WORK",
                                      "END",
                                      "ROLLBACK TO x",
                                      "ABORT",
                                      "PREPARE TRANSACTION 'x'",
                                      "prepare\n\ttransaction 'x'"};
    static const char *const no[] = {"BEGINNING", "SELECT 1",    "PREPARE p AS SELECT 1",
                                     "prepare",   "SAVEPOINT a", "RELEASE a",
                                     "ENDING",    "\"commit\"",  "(commit)"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (!controls(yes[i])) {
            fail_msg("%s", yes[i]);
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (controls(no[i])) {
            fail_msg("%s", no[i]);
        }
    }
}

static void test_lines_of_positions(void **state) {
    (void)state;
    struct sql_script script = {.text = "\n\nSELECT '中文',\n  x,\n  y;", .line = 1};
    struct sql_statement statement;
    assert_true(sql_script_next(&script, &statement));
    assert_int_equal(sql_statement_line(&statement, 0), 3);
    assert_int_equal(sql_statement_line(&statement, 1), 3);
    /* Characters, not bytes: the line's 12 characters and its end come before x. */
    assert_int_equal(sql_statement_line(&statement, 13), 3);
    assert_int_equal(sql_statement_line(&statement, 14), 4);
    assert_int_equal(sql_statement_line(&statement, 19), 5);
    assert_int_equal(sql_statement_line(&statement, 1000), 5);
    assert_int_equal(sql_statement_line(&statement, -1), 3);
}

/* A long script is divided in one pass. */
static void test_long_scripts(void **state) {
    (void)state;
    enum { COUNT = 50000 };
    static const char one[] = "INSERT INTO t VALUES ('a;b', $$c;d$$); -- e;f\n";
    char *text = malloc(COUNT * (sizeof one - 1) + 1);
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(text + i * (sizeof one - 1), one, sizeof one);
    }
    struct sql_script script = {.text = text, .line = 1};
    struct sql_statement statement;
    int count = 0;
    while (sql_script_next(&script, &statement)) {
        count++;
        assert_int_equal(statement.line, count);
        assert_int_equal(statement.length, strlen("INSERT INTO t VALUES ('a;b', $$c;d$$)"));
    }
    assert_int_equal(count, COUNT);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_quotes),       cmocka_unit_test(test_dollar_quotes),
        cmocka_unit_test(test_bodies),       cmocka_unit_test(test_transaction_control),
        cmocka_unit_test(test_long_scripts), cmocka_unit_test(test_lines_of_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
