/* program.h: main() of a program whose commands are a tree of data. */
#ifndef CITYHUB_PROGRAM_H
#define CITYHUB_PROGRAM_H

#include "hub/cli/command.h"

/* Finds the command, reads its arguments and the configuration, runs it. argv[0] `cityhubd` is `cityhub serve`, for
 * service managers. Returns an exit code of error.h. */
int program_main(const struct command *program, int argc, char **argv);

#endif
