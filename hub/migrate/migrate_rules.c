/* migrate_rules.c: runs the rules, all of them in one transaction, and keeps account of their editions. Must never
 * change a row of cityhub_meta.rule_run or rule_edition: they are the history of the law. */
#include "hub/migrate/migrate_rules.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"

enum { COLUMN_NAME, COLUMN_CHECKSUM, COLUMN_SINCE, COLUMN_BY, COLUMN_BUILD, COLUMN_SCHEMA_VERSION };

/* ---- what is in force ---- */

static PGresult *read_in_force(PGconn *connection) {
    char *there =
        database_text(connection, "SELECT pg_catalog.to_regclass('cityhub_meta.rule_edition') IS NOT NULL", 0, NULL);
    if (there == NULL) {
        return NULL;
    }
    /* Only the last row of a file counts; one without a checksum says that it was withdrawn. */
    const char *sql =
        *there == 't'
            ? "SELECT e.name, e.checksum, pg_catalog.to_char(r.run_at, 'YYYY-MM-DD HH24:MI:SS'), r.run_by, r.build,"
              " (SELECT x.schema_version FROM cityhub_meta.rule_run x ORDER BY x.id DESC LIMIT 1)"
              " IS NOT DISTINCT FROM (SELECT max(m.version) FROM cityhub_meta.migration m)"
              " FROM (SELECT DISTINCT ON (x.name) x.name, x.checksum, x.run_id FROM cityhub_meta.rule_edition x"
              " ORDER BY x.name, x.id DESC) e JOIN cityhub_meta.rule_run r ON r.id = e.run_id"
              " WHERE e.checksum IS NOT NULL ORDER BY e.name"
            : "SELECT 0 WHERE false";
    free(there);
    return database_query(connection, sql, 0, NULL);
}

static int row_of(const PGresult *in_force, const char *name) {
    for (int row = 0; row < PQntuples(in_force); row++) {
        if (strcmp(PQgetvalue(in_force, row, COLUMN_NAME), name) == 0) {
            return row;
        }
    }
    return -1;
}

static struct rule rule_of(const struct migration_file *file, const PGresult *in_force, int row) {
    struct rule rule = {.state = RULE_NEW, .file = file};
    if (row >= 0) {
        rule.name = PQgetvalue(in_force, row, COLUMN_NAME);
        rule.checksum = PQgetvalue(in_force, row, COLUMN_CHECKSUM);
        rule.since = PQgetvalue(in_force, row, COLUMN_SINCE);
        rule.applied_by = PQgetvalue(in_force, row, COLUMN_BY);
        rule.build = PQgetvalue(in_force, row, COLUMN_BUILD);
        rule.state = file == NULL                                 ? RULE_WITHDRAWN
                     : strcmp(rule.checksum, file->checksum) == 0 ? RULE_IN_FORCE
                                                                  : RULE_CHANGED;
    }
    if (file != NULL) {
        rule.name = file->name;
    }
    return rule;
}

int rules_read(struct rules *rules, PGconn *connection, const struct migration_files *files) {
    *rules = (struct rules){.in_force = read_in_force(connection)};
    if (rules->in_force == NULL) {
        return CH_EDATABASE;
    }
    int rows = PQntuples(rules->in_force);
    bool *listed = calloc((size_t)rows + 1, sizeof *listed);
    rules->list = calloc(files->count + (size_t)rows + 1, sizeof *rules->list);
    if (listed == NULL || rules->list == NULL) {
        free(listed);
        command_fail("out of memory");
        return CH_EMEMORY;
    }
    for (size_t i = 0; i < files->count; i++) {
        int row = row_of(rules->in_force, files->list[i].name);
        rules->list[rules->count++] = rule_of(&files->list[i], rules->in_force, row);
        if (row >= 0) {
            listed[row] = true;
        }
    }
    for (int row = 0; row < rows; row++) {
        if (!listed[row]) {
            rules->list[rules->count++] = rule_of(NULL, rules->in_force, row);
        }
    }
    for (size_t i = 0; i < rules->count; i++) {
        rules->changed += rules->list[i].state != RULE_IN_FORCE;
    }
    rules->stale = rows == 0 || *PQgetvalue(rules->in_force, 0, COLUMN_SCHEMA_VERSION) != 't';
    free(listed);
    return 0;
}

void rules_free(struct rules *rules) {
    PQclear(rules->in_force);
    free(rules->list);
    *rules = (struct rules){0};
}

/* ---- running them ---- */

static int work_rules(const struct migrate_place *place, void *subject) {
    const struct rules *rules = subject;
    int code = 0;
    for (size_t i = 0; code == 0 && i < rules->count; i++) {
        const struct migration_file *file = rules->list[i].file;
        if (file == NULL) {
            continue; /* withdrawn: what it made is dropped by a numbered file */
        }
        if (strcmp(file->name, METRICS_NAME) == 0) {
            code = database_run(place->connection, "SELECT onemap.catalogue_sync($1::jsonb)", 1,
                                (const char *const[]){file->text});
        } else {
            code = migrate_run_file(place, file);
        }
    }
    return code;
}

static int record_edition(const struct migrate_place *place, const struct rule *rule, const char *run) {
    const char *checksum = rule->file == NULL ? NULL : rule->file->checksum;
    return database_run(place->connection,
                        "INSERT INTO cityhub_meta.rule_edition (run_id, name, checksum) VALUES ($1::bigint, $2, $3)", 3,
                        (const char *const[]){run, rule->name, checksum});
}

static int record_rules(const struct migrate_place *place, void *subject, const char *duration) {
    const struct rules *rules = subject;
    char *run = database_text(place->connection,
                              "INSERT INTO cityhub_meta.rule_run (schema_version, duration, build)"
                              " SELECT max(m.version), $1::interval, $2 FROM cityhub_meta.migration m RETURNING id",
                              2, (const char *const[]){duration, CITYHUB_VERSION});
    int code = run == NULL ? CH_EDATABASE : 0;
    for (size_t i = 0; code == 0 && i < rules->count; i++) {
        if (rules->list[i].state != RULE_IN_FORCE) {
            code = record_edition(place, &rules->list[i], run);
        }
    }
    free(run);
    return code;
}

int rules_run(const struct migrate_place *place, struct rules *rules) {
    char label[60];
    snprintf(label, sizeof label, "rules: %zu files, %zu of them new or changed", rules->count, rules->changed);
    const struct migrate_unit unit = {.label = label, .work = work_rules, .record = record_rules, .subject = rules};
    int code = migrate_unit_run(place, &unit);
    if (code == 0) {
        rules_tell_changes(rules, place->settings->out);
    }
    return code;
}

/* ---- what the operator reads ---- */

static const char *const state_names[] = {
    [RULE_IN_FORCE] = "in force",
    [RULE_NEW] = "new",
    [RULE_CHANGED] = "changed",
    [RULE_WITHDRAWN] = "withdrawn",
};

static const char *checksum_of(const struct rule *rule) {
    return rule->file != NULL ? rule->file->checksum : rule->checksum;
}

void rules_print(const struct rules *rules, FILE *out) {
    fprintf(out, "%-12s  %-50s  %-12s  %-19s  %-20s  %s\n", "state", "rules", "SHA-256", "in force (UTC)", "by",
            "build");
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->list[i];
        fprintf(out, "%-12s  %-50s  %.12s  %-19s  %-20s  %s\n", state_names[rule->state], rule->name, checksum_of(rule),
                rule->since == NULL ? "-" : rule->since, rule->applied_by == NULL ? "-" : rule->applied_by,
                rule->build == NULL ? "-" : rule->build);
    }
}

void rules_tell_changes(const struct rules *rules, FILE *out) {
    if (PQntuples(rules->in_force) == 0) {
        return; /* all of them are new */
    }
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->list[i];
        if (rule->state != RULE_IN_FORCE) {
            fprintf(out, "  %-10s  %-50s  %.12s\n", state_names[rule->state], rule->name, checksum_of(rule));
        }
    }
}
