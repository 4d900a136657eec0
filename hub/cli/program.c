/* program.c: finds the command that was called, sees that it has what it needs, and runs it. Knows none of them. */
#include "hub/cli/program.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/cli/arguments.h"
#include "hub/cli/ask.h"
#include "hub/cli/database.h"
#include "hub/cli/help.h"

/* A command with actions was called without one, or with one that it does not have. */
static int complain_of_action(const struct command_path *path, const char *action) {
    char name[COMMAND_NAME_MAX];
    const char *word = path->depth == 1 ? "command" : "action";
    command_name(path, 0, name);
    if (action == NULL) {
        fprintf(stderr, "%s: which %s?\n", name, word);
    } else {
        fprintf(stderr, "%s: `%s` is no %s\n", name, action, word);
    }
    help_print_short(stderr, path);
    return EXIT_USAGE;
}

static int run_configured(const struct command *command, const struct arguments *arguments, const char *config_path) {
    struct config config;
    enum log_level level;
    int code = EXIT_USAGE;
    if (config_load(&config, config_path, stderr) == 0) {
        if (log_level_named(config.hub_log_level, &level)) {
            log_level_set(level);
        }
        code = command->run != NULL ? command->run(&config, arguments) : ask_run(&config, arguments);
    }
    config_free(&config);
    return code;
}

static int run(const struct arguments *arguments, const char *config_path) {
    const struct command *command = command_last(&arguments->path);
    return command->bare ? command->run(NULL, arguments) : run_configured(command, arguments, config_path);
}

/* What was asked for on the way, instead of a run. */
static int answer(const struct arguments *arguments) {
    if (arguments->help) {
        help_print(stdout, &arguments->path);
    } else {
        printf("cityhub %s\n", CITYHUB_VERSION);
    }
    return EXIT_DONE;
}

int program_main(const struct command *program, int argc, char **argv) {
    struct arguments arguments = {.path = {.steps = {program}, .depth = 1}};
    const char *config_path = NULL;
    if (strcmp(basename(argv[0]), "cityhubd") == 0) {
        command_step(&arguments.path, "serve");
    }
    for (;;) {
        int action = argc;
        int code = arguments_read(&arguments, argc, argv, &action);
        config_path = arguments.config_path == NULL ? config_path : arguments.config_path;
        bool asked = arguments.help || arguments.version;
        bool leaf = command_last(&arguments.path)->actions == NULL;
        if (code == EXIT_DONE && asked) {
            code = answer(&arguments);
        } else if (code == EXIT_DONE && leaf) {
            code = run(&arguments, config_path);
            code = code == EXIT_FAILED && database_misused() ? EXIT_USAGE : code;
        } else if (code == EXIT_DONE && action < argc && command_step(&arguments.path, argv[action])) {
            arguments_free(&arguments);
            argc -= action;
            argv += action;
            continue;
        } else if (code == EXIT_DONE) {
            code = complain_of_action(&arguments.path, action < argc ? argv[action] : NULL);
        }
        arguments_free(&arguments);
        return code;
    }
}
