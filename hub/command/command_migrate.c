/* command_migrate.c: `cityhub migrate`. Options only; migrate.c does the work. */
#include <getopt.h>
#include <stdio.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/migrate/migrate.h"

static const char usage[] =
    "usage: cityhub migrate [--dry-run] [--list] [--simulation] [--lock-wait SECONDS]\n\n"
    "Brings the database of [database] migrate_conninfo (else conninfo) up to this build: the files of schema/tables in\n"
    "the order of their numbers, each in one transaction; then, if one of them changed, all rules in one transaction:\n"
    "what schema/rules/order lists, with the catalogue of metrics and adapters/*/*.sql. Killed or failed, it can be run\n"
    "again. A database that does not descend from this build's files is refused. Which edition of each file is in force,\n"
    "since when and by whom, is in cityhub_meta.rule_edition.\n\n"
    "  --dry-run            tell what would be applied, change nothing\n"
    "  --list               show every schema file and its state, and the edition of every rule that is in force; exit\n"
    "                       code 1 if migrate would refuse\n"
    "  --simulation         bring the SQL of `cityhub simulate` too, which has no place in a county's database\n"
    "  --lock-wait SECONDS  how long to wait for another migrate and for each table that is in use (1 to 86400,\n"
    "                       default 60)\n";

int command_migrate(const struct config *config, int argc, char **argv) {
    static const struct option options[] = {{"dry-run", no_argument, NULL, 'n'},
                                            {"list", no_argument, NULL, 'l'},
                                            {"simulation", no_argument, NULL, 's'},
                                            {"lock-wait", required_argument, NULL, 'w'},
                                            {0}};
    if (command_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    struct migrate_settings settings = {.data_dir = config->hub_data_dir, .lock_wait_s = 60, .out = stdout};
    bool list = false;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'n') {
            settings.dry_run = true;
        } else if (option == 'l') {
            list = true;
        } else if (option == 's') {
            settings.simulation = true;
        } else if (option != 'w') {
            return command_misuse("cityhub migrate", "migrate: see above");
        } else if (command_number(optarg, 1, 86400, &settings.lock_wait_s) != 0) {
            return command_misuse("cityhub migrate", "--lock-wait %s: must be 1 to 86400 seconds", optarg);
        }
    }
    if (optind < argc) {
        return command_misuse("cityhub migrate", "`%s` is one argument too many", argv[optind]);
    }
    const char *conninfo =
        config->database_migrate_conninfo[0] != '\0' ? config->database_migrate_conninfo : config->database_conninfo;
    /* No statement timeout: a migration of a large table takes its time. */
    PGconn *connection = database_open(conninfo, config->database_connect_timeout_s, 0, "cityhub migrate");
    if (connection == NULL) {
        return EXIT_FAILED;
    }
    int code = list ? migrate_list(connection, &settings) : migrate_run(connection, &settings);
    PQfinish(connection);
    return code == 0 ? EXIT_DONE : EXIT_FAILED;
}
