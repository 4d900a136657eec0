/* migrate.c: brings a database up to this build. Must never leave a file half applied, nor change a database that it
 * does not understand. */
#include "hub/migrate/migrate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/know/adapter_json.h"
#include "hub/migrate/migrate_plan.h"
#include "hub/migrate/sql_script.h"

/* "cityhub" in ASCII; advisory locks are per database. */
#define LOCK_KEY "x'0063697479687562'::bigint"

struct migrate {
    PGconn *connection;
    const struct migrate_settings *settings;
    struct migration_files numbered, repeatable;
    char *catalogue;
    char catalogue_checksum[CHECKSUM_TEXT];
};

static double seconds_since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* ---- what an administrator must have done before ---- */

static void warn_of_encoding(PGconn *connection) {
    const char *encoding = PQparameterStatus(connection, "server_encoding");
    if (encoding == NULL || strcmp(encoding, "UTF8") != 0) {
        fprintf(stderr,
                "cityhub: warning: the database's encoding is %s: vendors' texts that it cannot hold will go to "
                "quarantine. Create it with ENCODING 'UTF8'.\n",
                encoding == NULL ? "unknown" : encoding);
    }
}

/* Objects must all have one owner, whoever of its members migrates. */
static int become_owner(PGconn *connection) {
    char *sql =
        database_text(connection,
                      "SELECT coalesce((SELECT CASE WHEN pg_catalog.pg_get_userbyid(n.nspowner) = current_user THEN ''"
                      " WHEN pg_catalog.pg_has_role(current_user, n.nspowner, 'MEMBER')"
                      " THEN pg_catalog.format('SET ROLE %I', pg_catalog.pg_get_userbyid(n.nspowner))"
                      " ELSE 'owned by ' || pg_catalog.pg_get_userbyid(n.nspowner) END"
                      " FROM pg_catalog.pg_namespace n WHERE n.nspname = 'cityhub_meta'), '')",
                      0, NULL);
    int code = 0;
    if (sql == NULL) {
        return CH_EDATABASE;
    }
    if (strncmp(sql, "owned by", strlen("owned by")) == 0) {
        command_fail(
            "the schema is %s, and %s is no member of that role: let [database] migrate_conninfo log in as the "
            "owner",
            sql, PQuser(connection));
        code = CH_EINVAL;
    } else if (*sql != '\0') {
        code = database_run(connection, sql, 0, NULL);
    }
    free(sql);
    return code;
}

/* One row per thing that this login neither finds nor may make: the SQL an administrator runs for it. */
static const char missing_sql[] =
    "WITH me AS (SELECT r.rolsuper, r.rolcreaterole FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)"
    " SELECT 'CREATE EXTENSION postgis SCHEMA public;' FROM me WHERE NOT me.rolsuper"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'postgis')"
    " UNION ALL SELECT pg_catalog.format('CREATE ROLE %I NOLOGIN;', n)"
    " FROM me, pg_catalog.unnest(ARRAY['cityhub_hub', 'cityhub_api', 'cityhub_read', 'cityhub_history']) n"
    " WHERE NOT me.rolsuper AND NOT me.rolcreaterole"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = n)"
    " UNION ALL SELECT pg_catalog.format('GRANT CREATE ON DATABASE %I TO %I;', pg_catalog.current_database(), "
    "current_user)"
    " WHERE NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')";

static int check_rights(PGconn *connection) {
    PGresult *missing = database_query(connection, missing_sql, 0, NULL);
    if (missing == NULL) {
        return CH_EDATABASE;
    }
    int rows = PQntuples(missing);
    if (rows > 0) {
        command_fail("%s may not make all that the schema needs. An administrator must first run, in database %s:",
                     PQuser(connection), PQdb(connection));
    }
    for (int row = 0; row < rows; row++) {
        fprintf(stderr, "    %s\n", PQgetvalue(missing, row, 0));
    }
    PQclear(missing);
    return rows == 0 ? 0 : CH_EINVAL;
}

/* Every geometry is written public.geometry, so PostGIS must be there and nowhere else. */
static int check_postgis(PGconn *connection) {
    char *where = database_text(
        connection,
        "SELECT coalesce((SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n"
        " ON n.oid = e.extnamespace WHERE e.extname = 'postgis'),"
        " (SELECT '' FROM pg_catalog.pg_available_extensions a WHERE a.name = 'postgis'), '(not installed)')",
        0, NULL);
    if (where == NULL) {
        return CH_EDATABASE;
    }
    int code = CH_EINVAL;
    if (strcmp(where, "(not installed)") == 0) {
        command_fail("the database server has no PostGIS: install it there (Debian: postgresql-15-postgis-3)");
    } else if (*where != '\0' && strcmp(where, "public") != 0) {
        command_fail("PostGIS is in schema %s of this database; cityhub needs it in schema public", where);
    } else {
        code = 0;
    }
    free(where);
    return code;
}

static int make_postgis(const struct migrate *migrate) {
    return database_run(migrate->connection, "CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public", 0, NULL);
}

/* ---- one migrate at a time ---- */

static void tell_who_migrates(PGconn *connection, int64_t wait_s) {
    PGresult *holder = database_query(
        connection,
        "SELECT a.pid, a.usename, coalesce(pg_catalog.host(a.client_addr), 'this machine'),"
        " pg_catalog.to_char(a.backend_start, 'HH24:MI:SS')"
        " FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())"
        " AND (l.classid::bigint << 32 | l.objid::bigint) = " LOCK_KEY,
        0, NULL);
    if (holder != NULL && PQntuples(holder) > 0) {
        fprintf(
            stderr,
            "cityhub: another migrate is at work (server process %s, user %s, from %s, since %s UTC); waiting up to "
            "%lld s\n",
            PQgetvalue(holder, 0, 0), PQgetvalue(holder, 0, 1), PQgetvalue(holder, 0, 2), PQgetvalue(holder, 0, 3),
            (long long)wait_s);
    }
    PQclear(holder);
}

static int set_lock_wait(const struct migrate *migrate) {
    char limit[32];
    snprintf(limit, sizeof limit, "%llds", (long long)migrate->settings->lock_wait_s);
    return database_run(migrate->connection, "SELECT pg_catalog.set_config('lock_timeout', $1, false)", 1,
                        (const char *const[]){limit});
}

static int take_lock(const struct migrate *migrate) {
    char *got = database_text(migrate->connection, "SELECT pg_catalog.pg_try_advisory_lock(" LOCK_KEY ")", 0, NULL);
    if (got == NULL) {
        return CH_EDATABASE;
    }
    bool taken = *got == 't';
    free(got);
    if (taken) {
        return 0;
    }
    tell_who_migrates(migrate->connection, migrate->settings->lock_wait_s);
    PGresult *result = PQexec(migrate->connection, "SELECT pg_catalog.pg_advisory_lock(" LOCK_KEY ")");
    int code = PQresultStatus(result) == PGRES_TUPLES_OK ? 0 : CH_EDATABASE;
    if (code != 0 && database_failed_with(result, "55P03")) {
        command_fail("the other migrate did not end within %lld s: nothing was done",
                     (long long)migrate->settings->lock_wait_s);
    } else if (code != 0) {
        database_complain(migrate->connection, result);
    }
    PQclear(result);
    return code;
}

/* ---- running files ---- */

static void complain_of_statement(const struct migrate *migrate, const PGresult *result, const char *name,
                                  const struct sql_statement *statement) {
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    int line = sql_statement_line(statement, position == NULL ? 0 : atol(position));
    fprintf(stderr, "%s/%s:%d:\n", migrate->settings->data_dir, name, line);
    database_complain(migrate->connection, result);
    if (context != NULL) {
        fprintf(stderr, "%s\n", context);
    }
}

static int run_statement(const struct migrate *migrate, const char *name, const struct sql_statement *statement) {
    if (sql_statement_is_transaction_control(statement)) {
        command_fail("%s/%s:%d: ends or begins a transaction; migrate runs each file in one of its own",
                     migrate->settings->data_dir, name, statement->line);
        return CH_EINVAL;
    }
    char *sql = strndup(statement->text, statement->length);
    if (sql == NULL) {
        command_fail("out of memory");
        return CH_EMEMORY;
    }
    PGresult *result = PQexec(migrate->connection, sql);
    ExecStatusType status = PQresultStatus(result);
    int code = 0;
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        code = CH_EDATABASE;
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
            command_fail("%s/%s:%d: COPY from or to the client is not possible here", migrate->settings->data_dir, name,
                         statement->line);
        } else {
            complain_of_statement(migrate, result, name, statement);
        }
    }
    PQclear(result);
    free(sql);
    return code;
}

static int run_statements(const struct migrate *migrate, const struct migration_file *file) {
    struct sql_script script = {.text = file->text, .line = 1};
    struct sql_statement statement;
    int code = 0;
    while (code == 0 && sql_script_next(&script, &statement)) {
        code = run_statement(migrate, file->name, &statement);
    }
    return code;
}

/* Work within one transaction: `work` does it, then `record` notes it with parameters `noted`; the last one, the
 * duration in seconds, is appended here. */
struct unit {
    const char *label;
    int (*work)(const struct migrate *migrate, const void *subject);
    const void *subject;
    const char *record;
    const char *noted[4];
};

static int unit_within(const struct migrate *migrate, const struct unit *unit, const struct timespec *start) {
    int code = unit->work(migrate, unit->subject);
    if (code != 0) {
        return code;
    }
    char duration[32];
    snprintf(duration, sizeof duration, "%.3f seconds", seconds_since(start));
    const char *parameters[6] = {unit->noted[0], unit->noted[1], unit->noted[2],
                                 unit->noted[3], duration,       CITYHUB_VERSION};
    return database_run(migrate->connection, unit->record, 6, parameters);
}

static int unit_run(const struct migrate *migrate, const struct unit *unit) {
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    /* Unqualified names must find PostGIS's operators, and nothing be made in public by a forgotten qualification. */
    int code = database_run(migrate->connection, "BEGIN", 0, NULL);
    if (code == 0) {
        code = database_run(migrate->connection, "SET LOCAL search_path = pg_catalog, public", 0, NULL);
    }
    if (code == 0) {
        code = unit_within(migrate, unit, &start);
    }
    if (code == 0) {
        code = database_run(migrate->connection, "COMMIT", 0, NULL);
    }
    if (code != 0) {
        if (PQtransactionStatus(migrate->connection) != PQTRANS_UNKNOWN) {
            PQclear(PQexec(migrate->connection, "ROLLBACK"));
        }
        fprintf(stderr,
                "cityhub: %s was not applied, nothing of it is in the database; what was applied before it "
                "stays. Mend the cause and run `cityhub migrate` again.\n",
                unit->label);
        return code;
    }
    fprintf(migrate->settings->out, "%-36s  applied in %.2f s\n", unit->label, seconds_since(&start));
    fflush(migrate->settings->out);
    /* A file may have changed settings of the session. */
    if (database_run(migrate->connection, "RESET ALL", 0, NULL) != 0 || database_session(migrate->connection, 0) != 0) {
        return CH_EDATABASE;
    }
    return set_lock_wait(migrate);
}

static int work_file(const struct migrate *migrate, const void *subject) {
    return run_statements(migrate, subject);
}

static int work_ground(const struct migrate *migrate, const void *subject) {
    static const struct migration_file ground = {
        .name = (char *)"cityhub_meta",
        .text = (char *)"CREATE SCHEMA IF NOT EXISTS cityhub_meta;\n"
                        "COMMENT ON SCHEMA cityhub_meta IS 'What cityhub migrate did to this database';\n"
                        "CREATE TABLE IF NOT EXISTS cityhub_meta.migration (\n"
                        "    version    int PRIMARY KEY CHECK (version BETWEEN 1 AND 999),\n"
                        "    name       text NOT NULL UNIQUE,\n"
                        "    checksum   text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),\n"
                        "    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),\n"
                        "    applied_by text NOT NULL DEFAULT session_user,\n"
                        "    duration   interval NOT NULL,\n"
                        "    build      text NOT NULL);\n"
                        "COMMENT ON TABLE cityhub_meta.migration IS\n"
                        "    'Applied schema files, by number; checksum: SHA-256 of the file as it was applied';\n"
                        "CREATE TABLE IF NOT EXISTS cityhub_meta.repeatable (\n"
                        "    name               text PRIMARY KEY,\n"
                        "    checksum           text NOT NULL,\n"
                        "    catalogue_checksum text NOT NULL,\n"
                        "    schema_version     int NOT NULL,\n"
                        "    applied_at         timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),\n"
                        "    duration           interval NOT NULL,\n"
                        "    build              text NOT NULL);\n"
                        "COMMENT ON TABLE cityhub_meta.repeatable IS\n"
                        "    'What is applied anew whenever it, the catalogue of metrics or the schema changed: the "
                        "catalogue itself and the adapters'' SQL';\n",
    };
    (void)subject;
    int code = make_postgis(migrate);
    return code != 0 ? code : run_statements(migrate, &ground);
}

/* Only where something is missing: a login that owns the schema need not be able to make any of it again. */
static int ensure_ground(const struct migrate *migrate) {
    char *there = database_text(migrate->connection,
                                "SELECT pg_catalog.to_regclass('cityhub_meta.migration') IS NOT NULL"
                                " AND pg_catalog.to_regclass('cityhub_meta.repeatable') IS NOT NULL"
                                " AND EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'postgis')",
                                0, NULL);
    if (there == NULL) {
        return CH_EDATABASE;
    }
    bool whole = *there == 't';
    free(there);
    if (whole) {
        return 0;
    }
    struct unit unit = {.label = "postgis, cityhub_meta",
                        .work = work_ground,
                        .record = "SELECT $1::text, $2::text, $3::text, $4::text, $5::interval, $6::text"};
    return unit_run(migrate, &unit);
}

static int apply_pending(const struct migrate *migrate, const struct migrate_plan *plan) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < plan->count; i++) {
        const struct migrate_step *step = &plan->steps[i];
        if (step->state != MIGRATE_PENDING) {
            continue;
        }
        char version[16];
        snprintf(version, sizeof version, "%d", step->version);
        struct unit unit = {
            .label = step->name,
            .work = work_file,
            .subject = step->file,
            .record = "INSERT INTO cityhub_meta.migration (version, name, checksum, duration, build)"
                      " SELECT $1::int, $2, $3, $5::interval, $6 WHERE $4::text IS NULL",
            .noted = {version, step->name, step->file->checksum, NULL},
        };
        code = unit_run(migrate, &unit);
    }
    return code;
}

/* ---- what is applied anew when it changed ---- */

static int work_catalogue(const struct migrate *migrate, const void *subject) {
    return database_run(migrate->connection, "SELECT onemap.catalogue_sync($1::jsonb)", 1,
                        (const char *const[]){subject});
}

/* 1 = the record says that exactly this was applied to exactly this schema, 0 = not so, or CH_EDATABASE. */
static int repeatable_is_current(const struct migrate *migrate, const char *name, const char *checksum) {
    char *there = database_text(migrate->connection,
                                "SELECT pg_catalog.to_regclass('cityhub_meta.repeatable') IS NOT NULL", 0, NULL);
    if (there == NULL) {
        return CH_EDATABASE;
    }
    bool known = *there == 't';
    free(there);
    if (!known) {
        return 0;
    }
    char *current = database_text(
        migrate->connection,
        "SELECT EXISTS (SELECT FROM cityhub_meta.repeatable r WHERE r.name = $1 AND r.checksum = $2"
        " AND r.catalogue_checksum = $3 AND r.schema_version = (SELECT max(m.version) FROM cityhub_meta.migration m))",
        3, (const char *const[]){name, checksum, migrate->catalogue_checksum});
    if (current == NULL) {
        return CH_EDATABASE;
    }
    int answer = *current == 't';
    free(current);
    return answer;
}

static int apply_repeatable(const struct migrate *migrate, const char *name, const char *checksum,
                            int (*work)(const struct migrate *, const void *), const void *subject) {
    struct unit unit = {
        .label = name,
        .work = work,
        .subject = subject,
        .record = "INSERT INTO cityhub_meta.repeatable AS r"
                  " (name, checksum, catalogue_checksum, schema_version, duration, build)"
                  " SELECT $1, $2, $3, (SELECT max(m.version) FROM cityhub_meta.migration m), $5::interval, $6"
                  " WHERE $4::text IS NULL"
                  " ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum,"
                  " catalogue_checksum = excluded.catalogue_checksum, schema_version = excluded.schema_version,"
                  " applied_at = pg_catalog.clock_timestamp(), duration = excluded.duration, build = excluded.build",
        .noted = {name, checksum, migrate->catalogue_checksum, NULL},
    };
    return unit_run(migrate, &unit);
}

/* Applies the catalogue and the adapters' files where they are not current, or only names them (dry run: `all` says
 * that schema files are pending, after which everything is to be applied anew). */
static int apply_repeatables(const struct migrate *migrate, bool all, size_t *applied) {
    int code = 0;
    for (size_t i = 0; code == 0 && i <= migrate->repeatable.count; i++) {
        bool catalogue = i == 0;
        const struct migration_file *file = catalogue ? NULL : &migrate->repeatable.list[i - 1];
        const char *name = catalogue ? "catalogue of metrics" : file->name;
        const char *checksum = catalogue ? migrate->catalogue_checksum : file->checksum;
        int current = all ? 0 : repeatable_is_current(migrate, name, checksum);
        if (current < 0) {
            return current;
        }
        if (current == 0) {
            ++*applied;
        }
        if (current == 0 && migrate->settings->dry_run) {
            fprintf(migrate->settings->out, "%-36s  would be applied\n", name);
        } else if (current == 0 && catalogue) {
            code = apply_repeatable(migrate, name, checksum, work_catalogue, migrate->catalogue);
        } else if (current == 0) {
            code = apply_repeatable(migrate, name, checksum, work_file, file);
        }
    }
    return code;
}

/* ---- the whole ---- */

static int migrate_open(struct migrate *migrate, PGconn *connection, const struct migrate_settings *settings) {
    *migrate = (struct migrate){.connection = connection, .settings = settings, .catalogue = adapter_json()};
    if (migrate->catalogue == NULL) {
        command_fail("out of memory");
        return CH_EMEMORY;
    }
    int code = migration_checksum(migrate->catalogue, strlen(migrate->catalogue), migrate->catalogue_checksum);
    if (code == 0) {
        code = migration_files_numbered(&migrate->numbered, settings->data_dir);
    }
    return code != 0 ? code : migration_files_repeatable(&migrate->repeatable, settings->data_dir);
}

static void migrate_close(struct migrate *migrate) {
    migration_files_free(&migrate->numbered);
    migration_files_free(&migrate->repeatable);
    free(migrate->catalogue);
}

static int refuse(const struct migrate_plan *plan) {
    command_fail("this build does not fit the database; nothing was changed");
    migrate_plan_explain(plan, stderr);
    return CH_EINVAL;
}

static int dry_run(const struct migrate *migrate, const struct migrate_plan *plan) {
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->steps[i].state == MIGRATE_PENDING) {
            fprintf(migrate->settings->out, "%-36s  would be applied\n", plan->steps[i].name);
        }
    }
    size_t applied = 0;
    int code = apply_repeatables(migrate, plan->pending > 0, &applied);
    if (code == 0) {
        fprintf(migrate->settings->out,
                "%zu schema files and %zu repeatable ones would be applied; nothing was changed\n", plan->pending,
                applied);
    }
    return code;
}

static int apply(const struct migrate *migrate, const struct migrate_plan *plan) {
    size_t applied = 0;
    int code = apply_pending(migrate, plan);
    if (code == 0) {
        code = apply_repeatables(migrate, false, &applied);
    }
    if (code == 0) {
        fprintf(migrate->settings->out,
                "the database is up to date: schema %03d, %zu schema files and %zu repeatable "
                "ones applied now\n",
                plan->count > 0 ? plan->steps[plan->count - 1].version : 0, plan->pending, applied);
    }
    return code;
}

/* What must hold before anything is done; takes the lock unless nothing will be done. */
static int prepare(const struct migrate *migrate) {
    int code = check_postgis(migrate->connection);
    if (code == 0) {
        code = become_owner(migrate->connection);
    }
    if (code == 0) {
        code = check_rights(migrate->connection);
    }
    if (code == 0 && !migrate->settings->dry_run) {
        code = set_lock_wait(migrate);
    }
    if (code == 0 && !migrate->settings->dry_run) {
        code = take_lock(migrate);
    }
    return code;
}

int migrate_run(PGconn *connection, const struct migrate_settings *settings) {
    struct migrate migrate;
    struct migrate_plan plan = {0};
    int code = migrate_open(&migrate, connection, settings);
    warn_of_encoding(connection);
    if (code == 0) {
        code = prepare(&migrate);
    }
    if (code == 0) {
        code = migrate_plan_make(&plan, connection, &migrate.numbered);
    }
    if (code == 0 && plan.refused > 0) {
        code = refuse(&plan);
    } else if (code == 0 && settings->dry_run) {
        code = dry_run(&migrate, &plan);
    } else if (code == 0) {
        code = ensure_ground(&migrate);
        if (code == 0) {
            code = apply(&migrate, &plan);
        }
    }
    migrate_plan_free(&plan);
    migrate_close(&migrate);
    return code;
}

int migrate_list(PGconn *connection, const struct migrate_settings *settings) {
    struct migrate migrate;
    struct migrate_plan plan = {0};
    int code = migrate_open(&migrate, connection, settings);
    if (code == 0) {
        code = migrate_plan_make(&plan, connection, &migrate.numbered);
    }
    if (code == 0) {
        migrate_plan_print(&plan, settings->out);
        if (plan.refused > 0) {
            migrate_plan_explain(&plan, stderr);
            code = CH_EINVAL;
        }
    }
    migrate_plan_free(&plan);
    migrate_close(&migrate);
    return code;
}
