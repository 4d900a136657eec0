/* migrate_unit.c: one transaction of migrate. Must never leave a file half applied. */
#include "hub/migrate/migrate_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/migrate/migrate_ready.h"
#include "hub/migrate/sql_script.h"

static double seconds_since(int64_t start_ms) {
    return (double)(clock_steady_ms() - start_ms) / 1000;
}

/* ---- running files ---- */

static void complain_of_statement(const struct migrate_place *place, const PGresult *result, const char *name,
                                  const struct sql_statement *statement) {
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    int line = sql_statement_line(statement, position == NULL ? 0 : atol(position));
    fprintf(stderr, "%s/%s:%d:\n", place->settings->data_dir, name, line);
    database_complain(place->connection, result);
    if (context != NULL) {
        fprintf(stderr, "%s\n", context);
    }
}

static int run_statement(const struct migrate_place *place, const char *name, const struct sql_statement *statement) {
    if (sql_statement_is_transaction_control(statement)) {
        command_fail("%s/%s:%d: ends or begins a transaction; migrate runs files within its own",
                     place->settings->data_dir, name, statement->line);
        return CH_EINVAL;
    }
    char *sql = strndup(statement->text, statement->length);
    if (sql == NULL) {
        command_fail("out of memory");
        return CH_EMEMORY;
    }
    PGresult *result = PQexec(place->connection, sql);
    ExecStatusType status = PQresultStatus(result);
    int code = 0;
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        code = CH_EDATABASE;
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
            command_fail("%s/%s:%d: COPY from or to the client is not possible here", place->settings->data_dir, name,
                         statement->line);
        } else {
            complain_of_statement(place, result, name, statement);
        }
    }
    PQclear(result);
    free(sql);
    return code;
}

int migrate_run_file(const struct migrate_place *place, const struct migration_file *file) {
    struct sql_script script = {.text = file->text, .line = 1};
    struct sql_statement statement;
    int code = 0;
    while (code == 0 && sql_script_next(&script, &statement)) {
        code = run_statement(place, file->name, &statement);
    }
    return code;
}

/* ---- one transaction ---- */

static int unit_within(const struct migrate_place *place, const struct migrate_unit *unit, int64_t start_ms) {
    /* Unqualified names must find PostGIS's operators, and nothing be made in public by a forgotten qualification. */
    int code = database_run(place->connection, "SET LOCAL search_path = pg_catalog, public", 0, NULL);
    if (code == 0) {
        code = unit->work(place, unit->subject);
    }
    if (code == 0) {
        char duration[32];
        snprintf(duration, sizeof duration, "%.3f seconds", seconds_since(start_ms));
        code = unit->record(place, unit->subject, duration);
    }
    return code;
}

int migrate_unit_run(const struct migrate_place *place, const struct migrate_unit *unit) {
    int64_t start_ms = clock_steady_ms();
    int code = database_run(place->connection, "BEGIN", 0, NULL);
    if (code == 0) {
        code = unit_within(place, unit, start_ms);
    }
    if (code == 0) {
        code = database_run(place->connection, "COMMIT", 0, NULL);
    }
    if (code != 0) {
        if (PQtransactionStatus(place->connection) != PQTRANS_UNKNOWN) {
            PQclear(PQexec(place->connection, "ROLLBACK"));
        }
        fprintf(stderr,
                "cityhub: %s: not applied, nothing of it is in the database; what was applied before stays. "
                "Mend the cause and run `cityhub migrate` again.\n",
                unit->label);
        return code;
    }
    fprintf(place->settings->out, "%-40s  applied in %.2f s\n", unit->label, seconds_since(start_ms));
    fflush(place->settings->out);
    /* A file may have changed settings of the session. */
    if (database_run(place->connection, "RESET ALL", 0, NULL) != 0 || database_session(place->connection, 0) != 0) {
        return CH_EDATABASE;
    }
    return migrate_set_lock_wait(place->connection, place->settings);
}
