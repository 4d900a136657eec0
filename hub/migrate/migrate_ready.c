/* migrate_ready.c: what must hold before migrate changes anything. Changes nothing itself but the session's role. */
#include "hub/migrate/migrate_ready.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"

/* "cityhub" in ASCII; advisory locks are per database. */
#define LOCK_KEY "x'0063697479687562'::bigint"

/* ---- what an administrator must have done before ---- */

void migrate_warn_of_encoding(PGconn *connection) {
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
    " FROM me, pg_catalog.unnest(ARRAY['cityhub_hub', 'cityhub_api', 'cityhub_read', 'cityhub_exchange'] || $1::text[]) n"
    " WHERE NOT me.rolsuper AND NOT me.rolcreaterole"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = n)"
    " UNION ALL SELECT 'ALTER ROLE cityhub_hub NOINHERIT; GRANT cityhub_api TO cityhub_hub;' FROM me"
    " WHERE NOT me.rolsuper AND NOT me.rolcreaterole AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m"
    " JOIN pg_catalog.pg_roles a ON a.oid = m.roleid AND a.rolname = 'cityhub_api'"
    " JOIN pg_catalog.pg_roles h ON h.oid = m.member AND h.rolname = 'cityhub_hub' AND NOT h.rolinherit)"
    " UNION ALL SELECT pg_catalog.format('GRANT CREATE ON DATABASE %I TO %I;', pg_catalog.current_database(), "
    "current_user)"
    " WHERE NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')";

static int check_rights(PGconn *connection, bool simulation) {
    PGresult *missing =
        database_query(connection, missing_sql, 1, (const char *const[]){simulation ? "{cityhub_history}" : "{}"});
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

int migrate_set_lock_wait(PGconn *connection, const struct migrate_settings *settings) {
    char limit[32];
    snprintf(limit, sizeof limit, "%llds", (long long)settings->lock_wait_s);
    return database_run(connection, "SELECT pg_catalog.set_config('lock_timeout', $1, false)", 1,
                        (const char *const[]){limit});
}

static int take_lock(PGconn *connection, const struct migrate_settings *settings) {
    char *got = database_text(connection, "SELECT pg_catalog.pg_try_advisory_lock(" LOCK_KEY ")", 0, NULL);
    if (got == NULL) {
        return CH_EDATABASE;
    }
    bool taken = *got == 't';
    free(got);
    if (taken) {
        return 0;
    }
    tell_who_migrates(connection, settings->lock_wait_s);
    PGresult *result = PQexec(connection, "SELECT pg_catalog.pg_advisory_lock(" LOCK_KEY ")");
    int code = PQresultStatus(result) == PGRES_TUPLES_OK ? 0 : CH_EDATABASE;
    if (code != 0 && database_failed_with(result, "55P03")) {
        command_fail("the other migrate did not end within %lld s: nothing was done", (long long)settings->lock_wait_s);
    } else if (code != 0) {
        database_complain(connection, result);
    }
    PQclear(result);
    return code;
}

int migrate_ready(PGconn *connection, const struct migrate_settings *settings) {
    int code = check_postgis(connection);
    if (code == 0) {
        code = become_owner(connection);
    }
    if (code == 0) {
        code = check_rights(connection, settings->simulation);
    }
    if (code == 0 && !settings->dry_run) {
        code = migrate_set_lock_wait(connection, settings);
    }
    if (code == 0 && !settings->dry_run) {
        code = take_lock(connection, settings);
    }
    return code;
}
