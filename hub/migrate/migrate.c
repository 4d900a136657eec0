/* migrate.c: brings a database up to this build. Must never leave a file half applied, nor change a database that it
 * does not understand. */
#include "hub/migrate/migrate.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/know/adapter_json.h"
#include "hub/migrate/migrate_plan.h"
#include "hub/migrate/migrate_ready.h"
#include "hub/migrate/migrate_rules.h"

/* What the build brings, and what the database has of it. */
struct migrate {
    struct migrate_place place;
    struct migration_files meta, numbered, rule_files;
    struct migrate_plan plan;
    struct rules rules;
};

/* ---- the ground: PostGIS, and the tables in which migrate keeps account ---- */

static int work_ground(const struct migrate_place *place, void *subject) {
    int code = database_run(place->connection, "CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public", 0, NULL);
    return code != 0 ? code : migrate_run_file(place, subject);
}

static int record_nothing(const struct migrate_place *place, void *subject, const char *duration) {
    (void)place;
    (void)subject;
    (void)duration;
    return 0;
}

/* Only where something is missing: a login that owns the schema need not be able to make any of it again. */
static int ensure_ground(struct migrate *migrate) {
    char *there = database_text(migrate->place.connection,
                                "SELECT pg_catalog.to_regclass('cityhub_meta.rule_edition') IS NOT NULL"
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
    const struct migrate_unit unit = {.label = "postgis, cityhub_meta",
                                      .work = work_ground,
                                      .record = record_nothing,
                                      .subject = &migrate->meta.list[0]};
    return migrate_unit_run(&migrate->place, &unit);
}

/* ---- numbered files ---- */

static int work_file(const struct migrate_place *place, void *subject) {
    const struct migrate_step *step = subject;
    return migrate_run_file(place, step->file);
}

static int record_file(const struct migrate_place *place, void *subject, const char *duration) {
    const struct migrate_step *step = subject;
    char version[16];
    snprintf(version, sizeof version, "%d", step->version);
    return database_run(place->connection,
                        "INSERT INTO cityhub_meta.migration (version, name, checksum, duration, build)"
                        " VALUES ($1::int, $2, $3, $4::interval, $5)",
                        5, (const char *const[]){version, step->name, step->file->checksum, duration, CITYHUB_VERSION});
}

/* Takes the rows of the predecessors out of the way, so that their numbers are free. */
static int work_supersede(const struct migrate_place *place, void *subject) {
    const struct migrate_plan *plan = subject;
    int code = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct migrate_step *step = &plan->steps[i];
        for (size_t n = 0; code == 0 && step->state == MIGRATE_SUPERSEDED && n < step->file->supersedes_count; n++) {
            code = database_run(
                place->connection,
                "WITH old AS (DELETE FROM cityhub_meta.migration m WHERE m.name = $1"
                " RETURNING m.version, m.name, m.checksum, m.applied_at, m.applied_by, m.duration, m.build)"
                " INSERT INTO cityhub_meta.migration_superseded"
                " (version, name, checksum, applied_at, applied_by, duration, build, superseded_by)"
                " SELECT o.version, o.name, o.checksum, o.applied_at, o.applied_by, o.duration, o.build, $2 FROM old o",
                2, (const char *const[]){step->file->supersedes[n].name, step->name});
        }
    }
    return code;
}

/* The file counts as applied when and by whom its first predecessor was. */
static int record_supersede(const struct migrate_place *place, void *subject, const char *duration) {
    const struct migrate_plan *plan = subject;
    (void)duration;
    int code = 0;
    for (size_t i = 0; code == 0 && i < plan->count; i++) {
        const struct migrate_step *step = &plan->steps[i];
        if (step->state == MIGRATE_SUPERSEDED) {
            char version[16];
            snprintf(version, sizeof version, "%d", step->version);
            code = database_run(
                place->connection,
                "INSERT INTO cityhub_meta.migration (version, name, checksum, applied_at, applied_by, duration, build)"
                " SELECT $1::int, $2, $3, s.applied_at, s.applied_by, s.duration, s.build"
                " FROM cityhub_meta.migration_superseded s WHERE s.superseded_by = $2 ORDER BY s.version LIMIT 1",
                3, (const char *const[]){version, step->name, step->file->checksum});
        }
    }
    return code;
}

static int apply_numbered(struct migrate *migrate) {
    int code = 0;
    if (migrate->plan.superseded > 0) {
        const struct migrate_unit unit = {.label = "files of an earlier build: recorded as superseded",
                                          .work = work_supersede,
                                          .record = record_supersede,
                                          .subject = &migrate->plan};
        code = migrate_unit_run(&migrate->place, &unit);
    }
    for (size_t i = 0; code == 0 && i < migrate->plan.count; i++) {
        struct migrate_step *step = &migrate->plan.steps[i];
        if (step->state == MIGRATE_PENDING) {
            const struct migrate_unit unit = {
                .label = step->name, .work = work_file, .record = record_file, .subject = step};
            code = migrate_unit_run(&migrate->place, &unit);
        }
    }
    return code;
}

/* ---- the whole ---- */

/* The metrics of the build take their place among the rules. */
static int fill_metrics(struct migration_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        struct migration_file *file = &files->list[i];
        if (strcmp(file->name, METRICS_NAME) == 0) {
            file->text = adapter_json();
            if (file->text == NULL) {
                command_fail("out of memory");
                return CH_EMEMORY;
            }
            return migration_checksum(file->text, strlen(file->text), file->checksum);
        }
    }
    return 0;
}

/* 1 = the simulator's SQL belongs to this database, 0 = not, or CH_EDATABASE. */
static int wants_simulation(const struct migrate *migrate) {
    char *there = database_text(migrate->place.connection,
                                "SELECT pg_catalog.to_regnamespace('simulation') IS NOT NULL", 0, NULL);
    if (there == NULL) {
        return CH_EDATABASE;
    }
    int wanted = migrate->place.settings->simulation || *there == 't';
    free(there);
    return wanted;
}

static int migrate_open(struct migrate *migrate, PGconn *connection, const struct migrate_settings *settings) {
    *migrate = (struct migrate){.place = {.connection = connection, .settings = settings}};
    int code = migration_files_one(&migrate->meta, settings->data_dir, "schema/meta.sql");
    if (code == 0) {
        code = migration_files_numbered(&migrate->numbered, settings->data_dir);
    }
    if (code == 0) {
        code = migration_files_rules(&migrate->rule_files, settings->data_dir);
    }
    int simulation = code == 0 ? wants_simulation(migrate) : 0;
    if (simulation != 0) {
        code = simulation < 0 ? simulation : migration_files_simulation(&migrate->rule_files, settings->data_dir);
    }
    return code != 0 ? code : fill_metrics(&migrate->rule_files);
}

static void migrate_close(struct migrate *migrate) {
    migrate_plan_free(&migrate->plan);
    rules_free(&migrate->rules);
    migration_files_free(&migrate->meta);
    migration_files_free(&migrate->numbered);
    migration_files_free(&migrate->rule_files);
}

static int refuse(const struct migrate *migrate) {
    command_fail("this build does not fit the database; nothing was changed");
    migrate_plan_explain(&migrate->plan, stderr);
    return CH_EINVAL;
}

static int dry_run(const struct migrate *migrate) {
    const struct migrate_plan *plan = &migrate->plan;
    FILE *out = migrate->place.settings->out;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->steps[i].state == MIGRATE_PENDING || plan->steps[i].state == MIGRATE_SUPERSEDED) {
            fprintf(out, "%-40s  would be %s\n", plan->steps[i].name,
                    plan->steps[i].state == MIGRATE_PENDING ? "applied" : "recorded: its predecessors are applied");
        }
    }
    rules_tell_changes(&migrate->rules, out);
    bool run = migrate->rules.changed > 0 || migrate->rules.stale || plan->pending > 0;
    fprintf(out, "%zu schema files would be applied, %zu rules are new or changed%s; nothing was changed\n",
            plan->pending, migrate->rules.changed, run ? ": all rules would be run" : "");
    return 0;
}

static int apply(struct migrate *migrate) {
    int code = ensure_ground(migrate);
    if (code == 0) {
        code = apply_numbered(migrate);
    }
    /* The ground may have changed what is in force, and numbered files make all rules stale. */
    if (code == 0) {
        rules_free(&migrate->rules);
        code = rules_read(&migrate->rules, migrate->place.connection, &migrate->rule_files);
    }
    bool run = migrate->rules.changed > 0 || migrate->rules.stale;
    if (code == 0 && run) {
        code = rules_run(&migrate->place, &migrate->rules);
    }
    if (code == 0) {
        fprintf(migrate->place.settings->out,
                "the database is up to date: schema %03d; %zu schema files applied now, %zu of %zu rules new or "
                "changed%s\n",
                migrate->plan.count > 0 ? migrate->plan.steps[migrate->plan.count - 1].version : 0,
                migrate->plan.pending, migrate->rules.changed, migrate->rules.count, run ? ", all run" : "");
    }
    return code;
}

/* Compares the build with the database. */
static int migrate_read(struct migrate *migrate) {
    int code = migrate_plan_make(&migrate->plan, migrate->place.connection, &migrate->numbered);
    return code != 0 ? code : rules_read(&migrate->rules, migrate->place.connection, &migrate->rule_files);
}

int migrate_run(PGconn *connection, const struct migrate_settings *settings) {
    struct migrate migrate;
    int code = migrate_open(&migrate, connection, settings);
    migrate_warn_of_encoding(connection);
    if (code == 0) {
        code = migrate_ready(connection, settings);
    }
    if (code == 0) {
        code = migrate_read(&migrate);
    }
    if (code == 0 && migrate.plan.refused > 0) {
        code = refuse(&migrate);
    } else if (code == 0) {
        code = settings->dry_run ? dry_run(&migrate) : apply(&migrate);
    }
    migrate_close(&migrate);
    return code;
}

int migrate_list(PGconn *connection, const struct migrate_settings *settings) {
    struct migrate migrate;
    int code = migrate_open(&migrate, connection, settings);
    if (code == 0) {
        code = migrate_read(&migrate);
    }
    if (code == 0) {
        migrate_plan_print(&migrate.plan, settings->out);
        fputc('\n', settings->out);
        rules_print(&migrate.rules, settings->out);
        if (migrate.plan.refused > 0) {
            migrate_plan_explain(&migrate.plan, stderr);
            code = CH_EINVAL;
        }
    }
    migrate_close(&migrate);
    return code;
}
