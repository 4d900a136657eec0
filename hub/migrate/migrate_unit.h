/* migrate_unit.h: work within one transaction, and the statements of one file. Part of migrate. */
#ifndef CITYHUB_MIGRATE_UNIT_H
#define CITYHUB_MIGRATE_UNIT_H

#include <libpq-fe.h>

#include "hub/migrate/migrate.h"
#include "hub/migrate/migration_file.h"

/* Where the work is done. */
struct migrate_place {
    PGconn *connection;
    const struct migrate_settings *settings;
};

/* `work` and then `record` are called within one transaction; each returns 0 or an error after telling why. `duration`
 * is what `work` took, as PostgreSQL's interval. */
struct migrate_unit {
    const char *label; /* what the operator reads */
    int (*work)(const struct migrate_place *place, void *subject);
    int (*record)(const struct migrate_place *place, void *subject, const char *duration);
    void *subject;
};

/* Commits all of it, or nothing: says then that nothing of it is in the database. Prints one line when it is done.
 * Settings of the session that a file changed are taken back. Returns 0, what work or record returned, or
 * CH_EDATABASE. */
int migrate_unit_run(const struct migrate_place *place, const struct migrate_unit *unit);

/* Runs the file's statements one by one; an error is told with the file's name and line. Returns 0, CH_EINVAL (a
 * statement that would end the transaction), CH_EMEMORY or CH_EDATABASE. */
int migrate_run_file(const struct migrate_place *place, const struct migration_file *file);

#endif
