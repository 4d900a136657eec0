/* postgres_parameters.c: parameters of connections, see postgres_parameters.h. Must never print a connection string: it
 * may hold a password. */
#include "hub/link/postgres_parameters.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"

void postgres_parameters_set(struct postgres_parameters *parameters, const char *conninfo, int64_t connect_timeout_s,
                             const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parameters->application, sizeof parameters->application, format, arguments);
    va_end(arguments);
    snprintf(parameters->timeout, sizeof parameters->timeout, "%lld", (long long)connect_timeout_s);
    /* Of repeated keywords libpq takes the last: those before dbname may be overruled by the connection string, those
     * after it may not. tcp_user_timeout is in milliseconds, the keepalives in seconds. */
    const char *const pairs[][2] = {{"keepalives_idle", "30"},
                                    {"keepalives_interval", "10"},
                                    {"keepalives_count", "3"},
                                    {"tcp_user_timeout", "60000"},
                                    {"dbname", conninfo},
                                    {"connect_timeout", parameters->timeout},
                                    {"client_encoding", "UTF8"},
                                    {"application_name", parameters->application},
                                    {NULL, NULL}};
    _Static_assert(COUNT_OF(pairs) == POSTGRES_PARAMETERS, "one place for each, and the end");
    for (size_t i = 0; i < POSTGRES_PARAMETERS; i++) {
        parameters->keywords[i] = pairs[i][0];
        parameters->values[i] = pairs[i][1];
    }
}

const char *postgres_session_text(char text[static POSTGRES_SESSION_TEXT], int64_t statement_timeout_s) {
    /* client_connection_check_interval: what was killed must not have its statement run on and hold its locks. Whatever
     * the server, the role or the database was altered to, a commit is a commit (what waits for more, remote_apply,
     * stays), a backslash in a message's text is a backslash, numbers and times are told whole and in one form, and who
     * waited for a lock sees what its holder has committed. What plays a replica has no foreign keys, and no triggers
     * but the guards: only a superuser can put that right, so it is refused. */
    snprintf(
        text, POSTGRES_SESSION_TEXT,
        "SELECT pg_catalog.set_config('synchronous_commit', 'on', false) WHERE"
        " pg_catalog.current_setting('synchronous_commit') IN ('off', 'local');"
        " SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed';"
        " SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1;"
        " SET bytea_output = 'hex';"
        " SET TimeZone = 'UTC'; SET statement_timeout = '%llds'; SET client_connection_check_interval = '2s';"
        " DO $$BEGIN IF pg_catalog.current_setting('session_replication_role') <> 'origin' THEN RAISE EXCEPTION"
        " 'session_replication_role is %% for login %%: triggers and foreign keys would not act', "
        "pg_catalog.current_setting('session_replication_role'), session_user USING HINT ="
        " 'As a superuser: ALTER ROLE ... RESET session_replication_role, or where else it was set.'; END IF; END$$",
        (long long)statement_timeout_s);
    return text;
}
