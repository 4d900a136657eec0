/* migrate.h: brings a database up to this build: the numbered files of schema/tables, then the rules (schema/rules, the
 * catalogue of metrics, the adapters' SQL) in the order of schema/rules/order. May be killed at any moment and called
 * again: each numbered file is one transaction with its own record, all rules together are one. */
#ifndef CITYHUB_MIGRATE_H
#define CITYHUB_MIGRATE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct migrate_settings {
    const char *data_dir; /* holds schema/ and adapters/ */
    bool dry_run;         /* tell what would be done, change nothing, wait for nobody */
    bool simulation;      /* bring schema/simulation too; once there, it is kept up to date without being asked for */
    int64_t lock_wait_s;  /* how long to wait for another migrate, and for each table lock; 1 to 86400 */
    FILE *out;            /* progress, one line a transaction */
};

/* Applies what is missing. Refuses, before anything is changed, a database that does not descend from this build's
 * files. Tells every problem on standard error. Returns 0, CH_EINVAL (refused), CH_EIO, CH_EMEMORY or CH_EDATABASE. */
int migrate_run(PGconn *connection, const struct migrate_settings *settings);

/* Prints every numbered file with its state (applied, pending, superseded, changed, missing, newer, out of order), then
 * every file of the rules with the edition that is in force. Returns 0, or CH_EINVAL if migrate_run would refuse; other
 * codes as above. */
int migrate_list(PGconn *connection, const struct migrate_settings *settings);

#endif
