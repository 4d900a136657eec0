/* test_postgres_parameters.c: what may be overruled by a connection string and what not, and how every session begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "hub/link/postgres_parameters.h"

/* libpq's own reading of them, with a connection string that sets each again. No server is asked: the port is closed.
 */
static void test_what_may_be_overruled(void **state) {
    (void)state;
    struct postgres_parameters parameters;
    postgres_parameters_set(&parameters,
                            "host=127.0.0.1 port=1 keepalives_idle=77 application_name=mine connect_timeout=9 dbname=x",
                            5, "cityhub %s %s", "hub1", "jobs");
    PGconn *connection = PQconnectdbParams(parameters.keywords, parameters.values, 1);
    assert_non_null(connection);
    PQconninfoOption *options = PQconninfo(connection);
    size_t seen = 0;
    static const char *const expected[][2] = {{"keepalives_idle", "77"},
                                              {"keepalives_interval", "10"},
                                              {"keepalives_count", "3"},
                                              {"tcp_user_timeout", "60000"},
                                              {"connect_timeout", "5"},
                                              {"client_encoding", "UTF8"},
                                              {"application_name", "cityhub hub1 jobs"},
                                              {"dbname", "x"}};
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
            if (strcmp(option->keyword, expected[i][0]) == 0) {
                assert_string_equal(option->val, expected[i][1]);
                seen++;
            }
        }
    }
    assert_int_equal(seen, sizeof expected / sizeof expected[0]);
    PQconninfoFree(options);
    PQfinish(connection);
}

#define REPLICA                                                                                                        \
    " DO $$BEGIN IF pg_catalog.current_setting('session_replication_role') <> 'origin' THEN RAISE EXCEPTION"           \
    " 'session_replication_role is % for login %: triggers and foreign keys would not act', "                          \
    "pg_catalog.current_setting('session_replication_role'), session_user USING HINT ="                                \
    " 'As a superuser: ALTER ROLE ... RESET session_replication_role, or where else it was set.'; END IF; END$$"

static void test_session(void **state) {
    (void)state;
    char text[POSTGRES_SESSION_TEXT];
    assert_string_equal(postgres_session_text(text, 60),
                        "SELECT pg_catalog.set_config('synchronous_commit', 'on', false)"
                        " WHERE pg_catalog.current_setting('synchronous_commit') IN"
                        " ('off', 'local');"
                        " SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed';"
                        " SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1;"
                        " SET bytea_output = 'hex';"
                        " SET TimeZone = 'UTC'; SET statement_timeout = '60s';"
                        " SET client_connection_check_interval = '2s';" REPLICA);
    assert_non_null(strstr(postgres_session_text(text, INT64_MAX), "'9223372036854775807s'; SET client_connection_check"
                                                                   "_interval = '2s';" REPLICA));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_may_be_overruled), cmocka_unit_test(test_session)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
