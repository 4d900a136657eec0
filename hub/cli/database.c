/* database.c: one blocking PostgreSQL connection for a command. Must never print a connection string: it may hold a
 * password. */
#include "hub/cli/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/cli/command.h"
#include "hub/link/postgres_parameters.h"

static const char *connection_host(const PGconn *connection) {
    const char *host = PQhost(connection);
    return host == NULL || *host == '\0' ? "(local socket)" : host;
}

/* Notices are for the log: at the default level only warnings show. */
static void notice_received(void *user, const PGresult *result) {
    (void)user;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (severity != NULL && strcmp(severity, "WARNING") == 0) {
        log_warning("database_notice", "message=%s", log_quote(message));
    } else {
        log_debug("database_notice", "severity=%s message=%s", severity == NULL ? "-" : severity, log_quote(message));
    }
}

static void complain_of_connection(const PGconn *connection) {
    const char *database = PQdb(connection);
    const char *user = PQuser(connection);
    const char *port = PQport(connection);
    command_fail("cannot connect to database %s at %s port %s as %s: %s"
                 "Does this login exist, and does [database] conninfo name the right server, port and database? A "
                 "password belongs into ~/.pgpass (mode 0600) or the file that PGPASSFILE names.",
                 database == NULL ? "-" : database, connection_host(connection), port == NULL ? "-" : port,
                 user == NULL ? "-" : user, PQerrorMessage(connection));
}

int database_session(PGconn *connection, int64_t statement_timeout_s) {
    char text[POSTGRES_SESSION_TEXT];
    PGresult *result = PQexec(connection, postgres_session_text(text, statement_timeout_s));
    int code = PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : CH_EDATABASE;
    if (code != 0) {
        database_complain(connection, result);
    }
    PQclear(result);
    return code;
}

PGconn *database_open(const char *conninfo, int64_t connect_timeout_s, int64_t statement_timeout_s,
                      const char *application_name) {
    struct postgres_parameters parameters;
    postgres_parameters_set(&parameters, conninfo, connect_timeout_s, "%s", application_name);
    PGconn *connection = PQconnectdbParams(parameters.keywords, parameters.values, 1);
    if (connection == NULL) {
        command_fail("out of memory");
        return NULL;
    }
    if (PQstatus(connection) != CONNECTION_OK) {
        complain_of_connection(connection);
        PQfinish(connection);
        return NULL;
    }
    PQsetNoticeReceiver(connection, notice_received, NULL);
    if (PQserverVersion(connection) < 150000) {
        command_fail("the server is PostgreSQL %d; cityhub needs 15 or newer", PQserverVersion(connection) / 10000);
    } else if (database_session(connection, statement_timeout_s) == 0) {
        return connection;
    }
    PQfinish(connection);
    return NULL;
}

PGconn *database_connect(const struct config *config, const char *command) {
    char name[64];
    snprintf(name, sizeof name, "cityhub %s", command);
    return database_open(config->database_conninfo, config->database_connect_timeout_s,
                         config->database_statement_timeout_s, name);
}

bool database_failed_with(const PGresult *result, const char *sqlstate) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != NULL && strcmp(state, sqlstate) == 0;
}

/* What an operator can do about it; keyed by SQLSTATE (PostgreSQL's appendix A). */
static const struct {
    const char *sqlstate;
    const char *advice;
} advices[] = {
    {"3F000", "The database has not been migrated, or not by this build: run `cityhub migrate`."},
    {"42P01", "The database has not been migrated, or not by this build: run `cityhub migrate`."},
    {"42883", "The database has not been migrated, or not by this build: run `cityhub migrate`."},
    {"42501", "This login lacks a right: `GRANT cityhub_hub TO <login>` gives what the commands need; for migrate, "
              "[database] migrate_conninfo must be the schema's owner."},
    {"57014", "The statement took too long: [database] statement_timeout_s sets the limit."},
    {"55P03", "Another session holds what this needs: see pg_stat_activity, then try again."},
    {"53300", "The server has no connection left: see max_connections and pg_stat_activity."},
    {"25006", "The server is read-only (a standby?): connect to the primary."},
};

/* What whoever typed the command has said wrongly, and nothing but that: the codes of the rules for a reason that is
 * missing, a field that is unknown, missing or wrong, a department that there is not, a wrong request of scores; and a
 * time that is none. */
static const char *const misuses[] = {"CH012", "CH013", "CH016", "CH030", "CH070", "CH071", "22007"};
static bool misused;

static void note_misuse(const PGresult *result) {
    for (size_t i = 0; i < COUNT_OF(misuses); i++) {
        misused = misused || database_failed_with(result, misuses[i]);
    }
}

bool database_misused(void) {
    return misused;
}

/* Class 23: a constraint of a table, whose name and whose row say nothing to whoever typed a command. */
static bool complain_of_constraint(const PGresult *result) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);
    static const struct {
        const char *sqlstate, *sentence;
    } sentences[] = {
        {"23502", "the database refuses this: a value is missing"},
        {"23503", "the database refuses this: it names something that is not there, or that others still name"},
        {"23505", "the database refuses this: it is there already"},
        {"23514", "the database refuses this: a value is out of its range, or values do not fit together"},
        {"23P01", "the database refuses this: it overlaps with what is there"},
    };
    for (size_t i = 0; state != NULL && i < sizeof sentences / sizeof sentences[0]; i++) {
        if (strcmp(state, sentences[i].sqlstate) == 0) {
            command_fail("%s (table %s)", sentences[i].sentence, table == NULL ? "-" : table);
            return true;
        }
    }
    return false;
}

void database_complain(const PGconn *connection, const PGresult *result) {
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    note_misuse(result);
    if (message == NULL) {
        command_fail("the database connection failed: %s", PQerrorMessage(connection));
        return;
    }
    command_fail("the database says: %s", message);
    if (detail != NULL && *detail != '\0') {
        fprintf(stderr, "%s\n", detail);
    }
    if (hint != NULL) {
        fprintf(stderr, "%s\n", hint);
    }
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
        if (database_failed_with(result, advices[i].sqlstate)) {
            fprintf(stderr, "%s\n", advices[i].advice);
        }
    }
}

enum { FORMAT_TEXT = 0, FORMAT_BINARY = 1 };

static PGresult *query(PGconn *connection, const char *sql, int count, const char *const *parameters, int format) {
    PGresult *result = PQexecParams(connection, sql, count, NULL, parameters, NULL, NULL, format);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        if (!complain_of_constraint(result)) {
            database_complain(connection, result);
        }
        PQclear(result);
        return NULL;
    }
    return result;
}

PGresult *database_query(PGconn *connection, const char *sql, int count, const char *const *parameters) {
    return query(connection, sql, count, parameters, FORMAT_TEXT);
}

PGresult *database_query_binary(PGconn *connection, const char *sql, int count, const char *const *parameters) {
    return query(connection, sql, count, parameters, FORMAT_BINARY);
}

int database_run(PGconn *connection, const char *sql, int count, const char *const *parameters) {
    PGresult *result = database_query(connection, sql, count, parameters);
    if (result == NULL) {
        return CH_EDATABASE;
    }
    PQclear(result);
    return 0;
}

char *database_text(PGconn *connection, const char *sql, int count, const char *const *parameters) {
    PGresult *result = database_query(connection, sql, count, parameters);
    if (result == NULL) {
        return NULL;
    }
    char *text = NULL;
    if (PQntuples(result) < 1 || PQnfields(result) < 1) {
        command_fail("the database gave no row where one was expected");
    } else {
        text = strdup(PQgetvalue(result, 0, 0));
        if (text == NULL) {
            command_fail("out of memory");
        }
    }
    PQclear(result);
    return text;
}
