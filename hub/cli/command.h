/* command.h: the commands of the program `cityhub` as a tree of data: a command has actions, or it runs. Help, manual,
 * completion and the reading of arguments follow from it; nothing here knows a single command.
 *
 * --config FILE, --help and --version are taken anywhere. Exit codes are those of error.h: 0 done, 1 failed, 2 wrong
 * use. */
#ifndef CITYHUB_COMMAND_H
#define CITYHUB_COMMAND_H

#include <stddef.h>

#include "hub/base/config.h"
#include "hub/cli/option.h"

struct ask_list;
struct arguments;

/* Runs a command with what it was given. `config` is NULL for a command that is `bare`. Returns an exit code. */
typedef int command_function(const struct config *config, const struct arguments *arguments);

/* The same with a connection to the database of [database] conninfo (a PGconn), which the caller closes. */
struct pg_conn;
typedef int command_work(const struct config *config, struct pg_conn *connection, const struct arguments *arguments);

struct command {
    const char *name;
    const char *summary; /* what it does, for lists: one line that begins with a verb, without a full stop */
    const char *text;    /* what a user must know beside the options: paragraphs, parted by \n\n; NULL = nothing */
    const struct command_option *options; /* ends with a row without a name; NULL = none */
    const struct command *const *actions; /* ends with NULL; a command with actions has no options and does not run */
    command_function *run;                /* of a command without actions one of these: runs by itself, */
    command_work *work;                   /* or works on a connection, */
    const struct ask_list *list;          /* or shows what the database lists; `work` may have it beside */
    const char *examples;                 /* whole command lines, each ended by \n; NULL = none */
    const char *more;                     /* where to read more: "docs/cases.md"; actions have that of their command */
    bool bare;                            /* needs no configuration */
};

enum { COMMAND_DEPTH_MAX = 5, COMMAND_NAME_MAX = 64 };

/* The way from the program to a command: [0] is the program, whose name is "cityhub". */
struct command_path {
    const struct command *steps[COMMAND_DEPTH_MAX];
    size_t depth;
};

/* The last step. */
const struct command *command_last(const struct command_path *path);

/* Goes one step down to the action with this name; false if there is none. */
bool command_step(struct command_path *path, const char *name);

/* "vendor add", "" for the program; with `from` 0: "cityhub vendor add". Returns `name`. */
const char *command_name(const struct command_path *path, size_t from, char name[static COMMAND_NAME_MAX]);

/* Where to read more about it: its own or that of the nearest step above. NULL = nowhere. */
const char *command_more(const struct command_path *path);

/* Calls `visit` for each command below the path's last that runs, in their order. */
void command_walk(const struct command_path *path, void (*visit)(void *user, const struct command_path *path),
                  void *user);

/* Says what is wrong with how the command was called, then where to read more. Returns EXIT_USAGE. */
int command_misuse(const struct command_path *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes `cityhub: ` and the message to standard error. Returns EXIT_FAILED. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
