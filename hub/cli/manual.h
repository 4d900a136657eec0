/* manual.h: manual pages from the table of commands: cityhub(1), and one a command, cityhub-COMMAND(1). */
#ifndef CITYHUB_MANUAL_H
#define CITYHUB_MANUAL_H

#include <stdio.h>

#include "hub/cli/command.h"

/* Writes the page of the program (path of one step) or of one of its commands (of two) in the man macros of roff,
 * UTF-8. The page's day is that of $SOURCE_DATE_EPOCH, if it is set, else today. */
void manual_print(FILE *out, const struct command_path *path);

#endif
