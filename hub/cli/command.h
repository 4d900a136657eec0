/* command.h: the commands of the program `cityhub`, one function each: argv[0] is the command's name, options follow.
 * Returns an exit code of error.h. `--help` is answered by every command, without a configuration (config is NULL
 * then). */
#ifndef CITYHUB_COMMAND_H
#define CITYHUB_COMMAND_H

#include <stddef.h>

#include "hub/base/config.h"

typedef int command_function(const struct config *config, int argc, char **argv);

command_function command_serve, command_check_config, command_migrate, command_status, command_vendor, command_simulate,
    command_catalogue, command_case, command_score, command_quarantine;

/* True if one of the arguments before a `--` asks for help (-h, --help). */
bool command_wants_help(int argc, char **argv);

/* One action of a command that has several, such as `cityhub vendor add`. */
struct command_action {
    const char *name;
    command_function *function; /* argv[0] is the action's name */
};

/* Runs the action that argv[1] names. Without one, or with an unknown one: says so, prints `usage` and returns
 * EXIT_USAGE. When help is wanted: prints `usage` and returns EXIT_DONE, the action is not called. */
int command_act(const struct config *config, int argc, char **argv, const struct command_action *actions, size_t count,
                const char *usage);

/* Says what is wrong with how the command was called, then where to read more (`help` is what goes before --help, e.g.
 * "cityhub vendor"). Returns EXIT_USAGE. */
int command_misuse(const char *help, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes `cityhub: ` and the message to standard error. Returns EXIT_FAILED. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reads a whole number within [minimum, maximum] into `number`. Returns 0 or CH_EINVAL, and prints nothing. */
int command_number(const char *text, int64_t minimum, int64_t maximum, int64_t *number);

#endif
