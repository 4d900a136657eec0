/* main.c: `cityhub COMMAND`, and `cityhubd` = `cityhub serve` for service managers. Knows commands, nothing else. */
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/cli/command.h"

static const struct {
    const char *name;
    command_function *function;
    const char *summary;
} commands[] = {
    {"serve", command_serve, "run the hub"},
    {"check-config", command_check_config,
     "check the configuration; --print shows every key with its range and default"},
    {"migrate", command_migrate, "bring the database's schema and catalogue up to this build"},
    {"status", command_status, "how the running hub is: records a second, devices, alarms, the last problem"},
    {"vendor", command_vendor, "add, list and revoke vendors and their broker logins"},
    {"simulate", command_simulate, "play the vendors of a synthetic county against the broker"},
    {"catalogue", command_catalogue, "import and export the categories of cases, the departments, the holidays"},
    {"case", command_case, "list, show, report cases and act on them; check their journal"},
    {"score", command_score, "the monthly score: compute, explain, enter, publish; the county's assessment"},
    {"quarantine", command_quarantine, "list messages that could not be stored, and replay them"},
};

static int usage(FILE *out, int code) {
    fprintf(out, "usage: cityhub [--config FILE] COMMAND [OPTION ...]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].summary);
    }
    fprintf(out,
            "\n`cityhub COMMAND --help` tells a command's options. Configuration: --config, else $CITYHUB_CONFIG,\n"
            "else /etc/cityhub/cityhub.ini. Exit codes: 0 done, 1 failed, 2 wrong use.\n");
    return code;
}

static int command_run(size_t index, const char *config_path, int argc, char **argv) {
    struct config config;
    enum log_level level;
    int code = EXIT_USAGE;
    if (command_wants_help(argc, argv) || config_load(&config, config_path, stderr) == 0) {
        bool help = command_wants_help(argc, argv);
        if (!help && log_level_named(config.hub_log_level, &level)) {
            log_level_set(level);
        }
        code = commands[index].function(help ? NULL : &config, argc, argv);
        if (!help) {
            config_free(&config);
        }
        return code;
    }
    config_free(&config);
    return code;
}

int main(int argc, char **argv) {
    static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {"version", no_argument, NULL, 'V'},
                                                 {0}};
    const char *config_path = NULL;
    const char *name = basename(argv[0]);
    log_begin();
    /* '+': options before the command are ours, those after it are the command's. */
    for (int option; (option = getopt_long(argc, argv, "+c:hV", long_options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            config_path = optarg;
            break;
        case 'h':
            return usage(stdout, EXIT_DONE);
        case 'V':
            printf("cityhub %s\n", CITYHUB_VERSION);
            return EXIT_DONE;
        default:
            return usage(stderr, EXIT_USAGE);
        }
    }
    char serve[] = "serve";
    if (strcmp(name, "cityhubd") == 0) {
        argv[optind - 1] = serve;
        optind--;
    }
    if (optind >= argc) {
        return usage(stderr, EXIT_USAGE);
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, argv[optind]) == 0) {
            int shift = optind;
            optind = 0;
            return command_run(i, config_path, argc - shift, argv + shift);
        }
    }
    fprintf(stderr, "cityhub: `%s` is no command\n", argv[optind]);
    return usage(stderr, EXIT_USAGE);
}
