/* all_commands.h: the program: every command there is. */
#ifndef CITYHUB_ALL_COMMANDS_H
#define CITYHUB_ALL_COMMANDS_H

#include "hub/cli/command.h"

extern const struct command all_commands;

#endif
