/* migrate_rules.h: the rules of a build against the editions that are in force in a database: cityhub_meta.rule_edition
 * has one row for every edition of every file, which is never changed. Part of migrate. */
#ifndef CITYHUB_MIGRATE_RULES_H
#define CITYHUB_MIGRATE_RULES_H

#include "hub/migrate/migrate_unit.h"

enum rule_state {
    RULE_IN_FORCE,
    RULE_NEW,       /* the database has no edition of it */
    RULE_CHANGED,   /* another edition is in force */
    RULE_WITHDRAWN, /* in force, but no longer among the build's files */
};

struct rule {
    enum rule_state state;
    const char *name;
    const struct migration_file *file;      /* NULL = withdrawn */
    const char *checksum;                   /* in force, or NULL */
    const char *since, *applied_by, *build; /* of the edition that is in force, or NULL */
};

struct rules {
    struct rule *list; /* in the order of the files, then what is withdrawn by name */
    size_t count, changed;
    bool stale;         /* the rules were not run since the last numbered file */
    PGresult *in_force; /* owns texts */
};

/* Compares. `files` (with the text of the metrics) must outlive the rules. Returns 0, CH_EMEMORY or CH_EDATABASE;
 * release with rules_free in every case. */
int rules_read(struct rules *rules, PGconn *connection, const struct migration_files *files);
void rules_free(struct rules *rules);

/* Runs all of the files in one transaction, and records the editions that are new. Returns as migrate_unit_run. */
int rules_run(const struct migrate_place *place, struct rules *rules);

/* The table of `cityhub migrate --list`. */
void rules_print(const struct rules *rules, FILE *out);

/* One line for each file that is not in force as this build has it; none where the database has no rules at all. */
void rules_tell_changes(const struct rules *rules, FILE *out);

#endif
