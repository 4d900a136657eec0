/* completion.h: completion for shells from the table of commands. */
#ifndef CITYHUB_COMPLETION_H
#define CITYHUB_COMPLETION_H

#include <stdio.h>

#include "hub/cli/command.h"

/* Writes a script for bash that completes commands, actions, options and, where the table names them, their values;
 * files and folders otherwise. It needs bash alone, no package of completions. */
void completion_print_bash(FILE *out, const struct command *program);

#endif
