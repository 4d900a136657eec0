/* command_migrate.c: `cityhub migrate`. Options only; migrate.c does the work. */
#include <stdio.h>

#include "hub/base/error.h"
#include "hub/cli/arguments.h"
#include "hub/cli/database.h"
#include "hub/command/commands.h"
#include "hub/migrate/migrate.h"

static int run(const struct config *config, const struct arguments *arguments) {
    const struct migrate_settings settings = {
        .data_dir = config->hub_data_dir,
        .dry_run = argument_given(arguments, "dry-run"),
        .simulation = argument_given(arguments, "simulation"),
        .lock_wait_s = argument_number(arguments, "lock-wait"),
        .out = stdout,
    };
    const char *conninfo =
        config->database_migrate_conninfo[0] != '\0' ? config->database_migrate_conninfo : config->database_conninfo;
    /* No statement timeout: a migration of a large table takes its time. */
    PGconn *connection = database_open(conninfo, config->database_connect_timeout_s, 0, "cityhub migrate");
    if (connection == NULL) {
        return EXIT_FAILED;
    }
    bool list = argument_given(arguments, "list");
    int code = list ? migrate_list(connection, &settings) : migrate_run(connection, &settings);
    PQfinish(connection);
    return code == 0 ? EXIT_DONE : EXIT_FAILED;
}

static const struct command_option options[] = {
    {.name = "dry-run", .kind = OPTION_FLAG, .help = "tell what would be applied, change nothing"},
    {.name = "list",
     .kind = OPTION_FLAG,
     .either = true,
     .help =
         "show every schema file and its state, and the edition of every rule that is in force; exit code 1 if migrate would "
         "refuse"},
    {.name = "simulation",
     .kind = OPTION_FLAG,
     .help = "bring the SQL of `cityhub simulate` too, which has no place in a county's database"},
    {.name = "lock-wait",
     .argument = "SECONDS",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 86400,
     .unit = "seconds",
     .initial = "60",
     .help = "how long to wait for another migrate and for each table that is in use"},
    {0},
};

const struct command command_migrate = {
    .name = "migrate",
    .summary = "bring the database's schema and catalogue up to this build",
    .text =
        "Brings the database of [database] migrate_conninfo (else conninfo) up to this build: the files of schema/tables in the order "
        "of their numbers, each in one transaction; then, if one of them changed, all rules in one transaction: what "
        "schema/rules/order lists, with the catalogue of metrics and adapters/*/*.sql. Killed or failed, it can be run again. A "
        "database that does not descend from this build's files is refused. Which edition of each file is in force, since when and "
        "by whom, is in cityhub_meta.rule_edition.\n\n"
        "Run it after every update, before the hub is started.",
    .options = options,
    .run = run,
    .examples = "cityhub migrate --dry-run\n"
                "cityhub migrate\n",
    .more = "docs/deploy.md",
};
