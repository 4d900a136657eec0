/* command.h: the commands of the program `cityhub`, one function each: argv[0] is the command's name, options follow.
 * Returns an exit code of error.h. `--help` is answered by every command. */
#ifndef CITYHUB_COMMAND_H
#define CITYHUB_COMMAND_H

#include "hub/config.h"

typedef int command_function(const struct config *config, int argc, char **argv);

command_function command_serve, command_check_config, command_migrate, command_vendor, command_quarantine,
    command_simulate, command_status, command_catalogue, command_case, command_score;

/* True if one of the arguments asks for help (-h, --help). */
bool command_wants_help(int argc, char **argv);

#endif
