/* arguments.h: what a command was given, read by its table of options. Complaints of wrong use are made here and
 * nowhere else, but for what a command alone can judge. */
#ifndef CITYHUB_ARGUMENTS_H
#define CITYHUB_ARGUMENTS_H

#include <cjson/cJSON.h>

#include "hub/cli/command.h"

struct arguments {
    struct command_path path;
    char name[COMMAND_NAME_MAX];     /* "vendor add" */
    const char *config_path;         /* --config, or NULL */
    bool help, version;              /* were asked for: nothing else is checked then */
    const char *values[OPTIONS_MAX]; /* by row of the table: what was given or holds by default, NULL = neither */
    bool given[OPTIONS_MAX];         /* as against a default */
    char **operands;                 /* all of them, as typed */
    size_t operand_count;
    cJSON *request; /* members by the table; the command may put others. Never NULL after success */
};

/* Reads the arguments of the path's last command; argv[0] is its name. Of a command with actions: those before the
 * action, whose place in argv goes to `action` (argc = there is none). Returns EXIT_DONE, or EXIT_USAGE after saying
 * what is wrong. Release with arguments_free in either case. */
int arguments_read(struct arguments *arguments, int argc, char **argv, int *action);
void arguments_free(struct arguments *arguments);

/* By the option's name as it is in the table; a name that is not there is an error of the program, which ends. NULL, 0
 * and false if it was not given and has no default. */
const char *argument_text(const struct arguments *arguments, const char *name);
int64_t argument_number(const struct arguments *arguments, const char *name);
double argument_decimal(const struct arguments *arguments, const char *name);
bool argument_given(const struct arguments *arguments, const char *name);

/* command_misuse of this command. */
#define arguments_misuse(arguments, ...) command_misuse(&(arguments)->path, __VA_ARGS__)

#endif
