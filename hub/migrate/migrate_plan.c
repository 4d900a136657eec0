/* migrate_plan.c: what a database has applied against what a build brings. Reads only. */
#include "hub/migrate/migrate_plan.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"

enum { COLUMN_VERSION, COLUMN_NAME, COLUMN_CHECKSUM, COLUMN_APPLIED_AT, COLUMN_DURATION, COLUMN_BUILD };

static PGresult *read_applied(PGconn *connection) {
    char *there =
        database_text(connection, "SELECT pg_catalog.to_regclass('cityhub_meta.migration') IS NOT NULL", 0, NULL);
    if (there == NULL) {
        return NULL;
    }
    const char *sql = *there == 't'
                          ? "SELECT version, name, checksum, pg_catalog.to_char(applied_at, 'YYYY-MM-DD HH24:MI:SS'),"
                            " pg_catalog.round(EXTRACT(epoch FROM duration), 3), build"
                            " FROM cityhub_meta.migration ORDER BY version"
                          : "SELECT 0 WHERE false";
    free(there);
    return database_query(connection, sql, 0, NULL);
}

static void step_from_record(struct migrate_step *step, const PGresult *applied, int row) {
    step->version = atoi(PQgetvalue(applied, row, COLUMN_VERSION));
    step->name = PQgetvalue(applied, row, COLUMN_NAME);
    step->checksum = PQgetvalue(applied, row, COLUMN_CHECKSUM);
    step->applied_at = PQgetvalue(applied, row, COLUMN_APPLIED_AT);
    step->duration = PQgetvalue(applied, row, COLUMN_DURATION);
    step->build = PQgetvalue(applied, row, COLUMN_BUILD);
}

static enum migrate_state step_state(const struct migrate_step *step, int build_version, int database_version) {
    if (step->file == NULL) {
        return step->version > build_version ? MIGRATE_NEWER : MIGRATE_MISSING;
    }
    if (step->checksum == NULL) {
        return step->version < database_version ? MIGRATE_OUT_OF_ORDER : MIGRATE_PENDING;
    }
    return strcmp(step->checksum, step->file->checksum) == 0 ? MIGRATE_APPLIED : MIGRATE_CHANGED;
}

int migrate_plan_make(struct migrate_plan *plan, PGconn *connection, const struct migration_files *files) {
    *plan = (struct migrate_plan){.applied = read_applied(connection)};
    if (plan->applied == NULL) {
        return CH_EDATABASE;
    }
    int rows = PQntuples(plan->applied);
    plan->steps = calloc((size_t)rows + files->count + 1, sizeof *plan->steps);
    if (plan->steps == NULL) {
        command_fail("out of memory");
        return CH_EMEMORY;
    }
    if (rows > 0) {
        plan->database_version = atoi(PQgetvalue(plan->applied, rows - 1, COLUMN_VERSION));
    }
    int build_version = files->count > 0 ? files->list[files->count - 1].version : 0;
    /* Both lists are in order of versions: merge them. */
    size_t file = 0;
    for (int row = 0; row < rows || file < files->count;) {
        struct migrate_step *step = &plan->steps[plan->count++];
        int applied = row < rows ? atoi(PQgetvalue(plan->applied, row, COLUMN_VERSION)) : 1000;
        int built = file < files->count ? files->list[file].version : 1000;
        if (applied <= built) {
            step_from_record(step, plan->applied, row++);
        }
        if (built <= applied) {
            step->file = &files->list[file++];
            step->version = step->file->version;
            step->name = step->file->name;
        }
        step->state = step_state(step, build_version, plan->database_version);
        plan->pending += step->state == MIGRATE_PENDING;
        plan->refused += step->state != MIGRATE_PENDING && step->state != MIGRATE_APPLIED;
    }
    return 0;
}

void migrate_plan_free(struct migrate_plan *plan) {
    PQclear(plan->applied);
    free(plan->steps);
    *plan = (struct migrate_plan){0};
}

static void explain_step(const struct migrate_step *step, FILE *out) {
    switch (step->state) {
    case MIGRATE_CHANGED:
        fprintf(out,
                "%s was applied on %s UTC by build %s and has been changed since (SHA-256 then %.12s, now %.12s).\n"
                "  Put the file back as it was and make the change in a new file with the next free number.\n",
                step->name, step->applied_at, step->build, step->checksum, step->file->checksum);
        break;
    case MIGRATE_MISSING:
        fprintf(out,
                "%s was applied on %s UTC by build %s and is missing in this build.\n"
                "  Is [hub] data_dir whole? Put the file back; an applied file is never deleted.\n",
                step->name, step->applied_at, step->build);
        break;
    case MIGRATE_NEWER:
        fprintf(out,
                "%s was applied on %s UTC by build %s: the database is newer than this build.\n"
                "  Install that build or a later one; there is no way back but restoring a backup.\n",
                step->name, step->applied_at, step->build);
        break;
    case MIGRATE_OUT_OF_ORDER:
        fprintf(out,
                "%s was not applied, but later files were: there is a gap.\n"
                "  Give the file a number after the last applied one, so that every database runs the files in one "
                "order.\n",
                step->name);
        break;
    case MIGRATE_PENDING:
    case MIGRATE_APPLIED:
        break;
    }
}

void migrate_plan_explain(const struct migrate_plan *plan, FILE *out) {
    for (size_t i = 0; i < plan->count; i++) {
        explain_step(&plan->steps[i], out);
    }
}

void migrate_plan_print(const struct migrate_plan *plan, FILE *out) {
    static const char *const names[] = {
        [MIGRATE_PENDING] = "pending", [MIGRATE_APPLIED] = "applied", [MIGRATE_CHANGED] = "CHANGED",
        [MIGRATE_MISSING] = "MISSING", [MIGRATE_NEWER] = "NEWER",     [MIGRATE_OUT_OF_ORDER] = "OUT OF ORDER",
    };
    fprintf(out, "%-12s  %-36s  %-12s  %-23s  %s\n", "state", "file", "SHA-256", "applied at (UTC)", "seconds");
    for (size_t i = 0; i < plan->count; i++) {
        const struct migrate_step *step = &plan->steps[i];
        const char *checksum = step->file != NULL ? step->file->checksum : step->checksum;
        fprintf(out, "%-12s  %-36s  %.12s  %-23s  %s\n", names[step->state], step->name, checksum,
                step->applied_at == NULL ? "-" : step->applied_at, step->duration == NULL ? "-" : step->duration);
    }
}
