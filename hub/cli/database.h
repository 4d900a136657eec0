/* database.h: the blocking connection of the commands. The daemon has asynchronous ones of its own and never comes
 * here. Whatever fails is told on standard error in words an operator can act on; passwords and connection strings
 * never are. */
#ifndef CITYHUB_DATABASE_H
#define CITYHUB_DATABASE_H

#include <libpq-fe.h>
#include <stdint.h>

#include "hub/base/config.h"

/* Connects as `application_name`, with client encoding UTF8, time zone UTC and the statement timeout (seconds, 0 =
 * none). A query whose client has gone is given up by the server within seconds. The server's notices go to the log.
 * Returns NULL after telling why. Close with PQfinish. */
PGconn *database_open(const char *conninfo, int64_t connect_timeout_s, int64_t statement_timeout_s,
                      const char *application_name);

/* The same with the configuration's [database] values; `command` such as "vendor add" names it to the server. */
PGconn *database_connect(const struct config *config, const char *command);

/* Sets again what database_open had set, after a RESET ALL. Returns 0 or CH_EDATABASE. */
int database_session(PGconn *connection, int64_t statement_timeout_s);

/* Runs one statement with text parameters $1... (NULL = SQL null; `count` 0 and `parameters` NULL = none). Returns its
 * result, never empty-handed of rows or completion, or NULL after telling why. Release with PQclear. */
PGresult *database_query(PGconn *connection, const char *sql, int count, const char *const *parameters);

/* The same with all columns in binary form: text is the text itself, and bytea keeps its bytes. */
PGresult *database_query_binary(PGconn *connection, const char *sql, int count, const char *const *parameters);

/* Runs one statement and drops its result. Returns 0 or CH_EDATABASE. */
int database_run(PGconn *connection, const char *sql, int count, const char *const *parameters);

/* First column of the first row; "" for SQL null. Returns NULL after telling why, also when there is no row.
 * The caller frees. */
char *database_text(PGconn *connection, const char *sql, int count, const char *const *parameters);

/* Tells what the server said about `result`, and what to do where that is known. */
void database_complain(const PGconn *connection, const PGresult *result);

/* True if the server has refused something because the command was used wrongly: such a command ends with
 * EXIT_USAGE. */
bool database_misused(void);

/* True if the result failed with this SQLSTATE. */
bool database_failed_with(const PGresult *result, const char *sqlstate);

#endif
