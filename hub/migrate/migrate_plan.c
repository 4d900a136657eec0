/* migrate_plan.c: what a database has applied against what a build brings. Reads only. */
#include "hub/migrate/migrate_plan.h"

#include <stdbool.h>
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

/* The row of an applied file by its name, -1 if it is not applied. */
static int row_of(const PGresult *applied, const char *name) {
    for (int row = 0; row < PQntuples(applied); row++) {
        if (strcmp(PQgetvalue(applied, row, COLUMN_NAME), name) == 0) {
            return row;
        }
    }
    return -1;
}

/* Makes the step of a file whose predecessors, or some of them, the database has applied; their rows are marked as
 * spent. Returns false if it has applied none. */
static bool step_from_predecessors(struct migrate_step *step, const struct migration_file *file,
                                   const PGresult *applied, bool *spent) {
    size_t same = 0;
    size_t known = 0;
    for (size_t i = 0; i < file->supersedes_count; i++) {
        int row = row_of(applied, file->supersedes[i].name);
        if (row < 0) {
            continue;
        }
        if (known++ == 0) {
            step_from_record(step, applied, row);
        }
        spent[row] = true;
        same += strcmp(PQgetvalue(applied, row, COLUMN_CHECKSUM), file->supersedes[i].checksum) == 0;
    }
    if (known == 0) {
        return false;
    }
    step->state = same == file->supersedes_count ? MIGRATE_SUPERSEDED : MIGRATE_FOREIGN;
    step->version = file->version;
    step->name = file->name;
    step->file = file;
    return true;
}

static void count_step(struct migrate_plan *plan, const struct migrate_step *step) {
    if (step->state == MIGRATE_PENDING) {
        plan->pending++;
    } else if (step->state == MIGRATE_SUPERSEDED) {
        plan->superseded++;
    } else if (step->state != MIGRATE_APPLIED) {
        plan->refused++;
    }
}

/* The steps of files with applied predecessors; the others' places stay open (no name). */
static void plan_predecessors(struct migrate_plan *plan, const struct migration_files *files, bool *spent) {
    for (size_t i = 0; i < files->count; i++) {
        const struct migration_file *file = &files->list[i];
        if (row_of(plan->applied, file->name) < 0 &&
            step_from_predecessors(&plan->steps[i], file, plan->applied, spent)) {
            plan->database_version = file->version;
        }
    }
}

/* Both lists are in order of versions: merges them. `steps` has room for both; the first files->count of them are as
 * plan_predecessors left them. */
static void plan_merge(struct migrate_plan *plan, const struct migration_files *files, const bool *spent,
                       struct migrate_step *steps) {
    int rows = PQntuples(plan->applied);
    int build_version = files->count > 0 ? files->list[files->count - 1].version : 0;
    size_t file = 0;
    for (int row = 0; row < rows || file < files->count;) {
        if (row < rows && spent[row]) {
            row++;
            continue;
        }
        struct migrate_step *step = &steps[plan->count];
        int applied = row < rows ? atoi(PQgetvalue(plan->applied, row, COLUMN_VERSION)) : 1000;
        int built = file < files->count ? files->list[file].version : 1000;
        if (built <= applied && plan->steps[file].name != NULL) {
            *step = plan->steps[file++];
        } else {
            if (applied <= built) {
                step_from_record(step, plan->applied, row++);
            }
            if (built <= applied) {
                step->file = &files->list[file++];
                step->version = step->file->version;
                step->name = step->file->name;
            }
            step->state = step_state(step, build_version, plan->database_version);
        }
        count_step(plan, step);
        plan->count++;
    }
}

int migrate_plan_make(struct migrate_plan *plan, PGconn *connection, const struct migration_files *files) {
    *plan = (struct migrate_plan){.applied = read_applied(connection)};
    if (plan->applied == NULL) {
        return CH_EDATABASE;
    }
    int rows = PQntuples(plan->applied);
    struct migrate_step *merged = calloc((size_t)rows + files->count + 1, sizeof *merged);
    bool *spent = calloc((size_t)rows + 1, sizeof *spent);
    plan->steps = calloc(files->count + 1, sizeof *plan->steps);
    if (merged == NULL || spent == NULL || plan->steps == NULL) {
        free(merged);
        free(spent);
        command_fail("out of memory");
        return CH_EMEMORY;
    }
    plan_predecessors(plan, files, spent);
    for (int row = 0; row < rows; row++) {
        int version = atoi(PQgetvalue(plan->applied, row, COLUMN_VERSION));
        plan->database_version = !spent[row] && version > plan->database_version ? version : plan->database_version;
    }
    plan_merge(plan, files, spent, merged);
    free(plan->steps);
    free(spent);
    plan->steps = merged;
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
    case MIGRATE_FOREIGN:
        fprintf(
            out,
            "%s takes the place of %zu files of an earlier build (its first lines name them); the database has only "
            "some of them, or has applied them with other bytes.\n"
            "  Bring the database up with that build first, then with this one.\n",
            step->name, step->file->supersedes_count);
        break;
    case MIGRATE_PENDING:
    case MIGRATE_APPLIED:
    case MIGRATE_SUPERSEDED:
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
        [MIGRATE_PENDING] = "pending",           [MIGRATE_APPLIED] = "applied", [MIGRATE_SUPERSEDED] = "superseded",
        [MIGRATE_CHANGED] = "CHANGED",           [MIGRATE_MISSING] = "MISSING", [MIGRATE_NEWER] = "NEWER",
        [MIGRATE_OUT_OF_ORDER] = "OUT OF ORDER", [MIGRATE_FOREIGN] = "FOREIGN",
    };
    fprintf(out, "%-12s  %-40s  %-12s  %-23s  %s\n", "state", "file", "SHA-256", "applied at (UTC)", "seconds");
    for (size_t i = 0; i < plan->count; i++) {
        const struct migrate_step *step = &plan->steps[i];
        const char *checksum = step->file != NULL ? step->file->checksum : step->checksum;
        fprintf(out, "%-12s  %-40s  %.12s  %-23s  %s\n", names[step->state], step->name, checksum,
                step->applied_at == NULL ? "-" : step->applied_at, step->duration == NULL ? "-" : step->duration);
    }
}
