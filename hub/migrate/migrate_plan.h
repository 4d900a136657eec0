/* migrate_plan.h: compares the numbered files of a build with what a database has applied. Part of migrate; changes
 * nothing. */
#ifndef CITYHUB_MIGRATE_PLAN_H
#define CITYHUB_MIGRATE_PLAN_H

#include <libpq-fe.h>
#include <stdio.h>

#include "hub/migrate/migration_file.h"

enum migrate_state {
    MIGRATE_PENDING,
    MIGRATE_APPLIED,
    MIGRATE_SUPERSEDED, /* all files of an earlier build that it takes the place of are applied: only to be recorded */
    MIGRATE_CHANGED,    /* applied, but the file has other bytes now */
    MIGRATE_MISSING,    /* applied, but this build has no such file and later ones */
    MIGRATE_NEWER,      /* applied, and beyond this build's last file */
    MIGRATE_OUT_OF_ORDER, /* not applied, but a later one is */
    MIGRATE_FOREIGN,      /* of the files that it takes the place of some are not applied, or with other bytes */
};

struct migrate_step {
    enum migrate_state state;
    int version;
    const char *name;                          /* the file's name; of the applied record if there is no file */
    const struct migration_file *file;         /* NULL = this build has none */
    const char *checksum;                      /* as applied; NULL = not applied */
    const char *applied_at, *duration, *build; /* as applied, or NULL; of a superseded file's first predecessor */
};

struct migrate_plan {
    struct migrate_step *steps; /* by version */
    size_t count, pending, superseded, refused;
    int database_version; /* highest applied or superseded, 0 = none */
    PGresult *applied;    /* owns the steps' texts */
};

/* Reads cityhub_meta.migration (none = nothing applied) and compares. `files` must outlive the plan. Returns 0,
 * CH_EMEMORY or CH_EDATABASE; release with migrate_plan_free in every case. */
int migrate_plan_make(struct migrate_plan *plan, PGconn *connection, const struct migration_files *files);
void migrate_plan_free(struct migrate_plan *plan);

/* Tells each step that is refused, why, and what to do. */
void migrate_plan_explain(const struct migrate_plan *plan, FILE *out);

void migrate_plan_print(const struct migrate_plan *plan, FILE *out);

#endif
