/* command.c: finding one's way in the tree of commands, and complaining. Knows none of them. */
#include "hub/cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/error.h"

const struct command *command_last(const struct command_path *path) {
    return path->steps[path->depth - 1];
}

bool command_step(struct command_path *path, const char *name) {
    const struct command *const *actions = command_last(path)->actions;
    for (size_t i = 0; actions != NULL && actions[i] != NULL && path->depth < COMMAND_DEPTH_MAX; i++) {
        if (strcmp(actions[i]->name, name) == 0) {
            path->steps[path->depth++] = actions[i];
            return true;
        }
    }
    return false;
}

const char *command_name(const struct command_path *path, size_t from, char name[static COMMAND_NAME_MAX]) {
    size_t used = 0;
    name[0] = '\0';
    for (size_t i = from; i < path->depth && used < COMMAND_NAME_MAX; i++) {
        used +=
            (size_t)snprintf(name + used, COMMAND_NAME_MAX - used, "%s%s", i == from ? "" : " ", path->steps[i]->name);
    }
    return name;
}

const char *command_more(const struct command_path *path) {
    for (size_t i = path->depth; i > 0; i--) {
        if (path->steps[i - 1]->more != NULL) {
            return path->steps[i - 1]->more;
        }
    }
    return NULL;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a path is long */
void command_walk(const struct command_path *path, void (*visit)(void *user, const struct command_path *path),
                  void *user) {
    const struct command *command = command_last(path);
    if (command->actions == NULL) {
        visit(user, path);
        return;
    }
    for (size_t i = 0; command->actions[i] != NULL && path->depth < COMMAND_DEPTH_MAX; i++) {
        struct command_path below = *path;
        below.steps[below.depth++] = command->actions[i];
        command_walk(&below, visit, user);
    }
}

static void complain(const char *prefix, const char *format, va_list arguments) {
    fprintf(stderr, "%s: ", prefix);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int command_misuse(const struct command_path *path, const char *format, ...) {
    char name[COMMAND_NAME_MAX];
    va_list arguments;
    va_start(arguments, format);
    complain(command_name(path, 0, name), format, arguments);
    va_end(arguments);
    fprintf(stderr, "`%s --help` tells how to use it.\n", name);
    return EXIT_USAGE;
}

int command_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain("cityhub", format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}
