/* command_simulate.h: `cityhub simulate`, for the program's table of commands. */
#ifndef CITYHUB_COMMAND_SIMULATE_H
#define CITYHUB_COMMAND_SIMULATE_H

#include "hub/cli/command.h"

extern const struct command command_simulate;

#endif
