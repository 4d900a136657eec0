/* commands.h: the commands of the program, one file each, but for the simulator's, which is not the product's. */
#ifndef CITYHUB_COMMANDS_H
#define CITYHUB_COMMANDS_H

#include "hub/cli/command.h"

extern const struct command command_serve, command_bench, command_check_config, command_migrate, command_status,
    command_vendor, command_terminal, command_user, command_token, command_alarm, command_catalogue, command_calendar,
    command_map, command_basemap, command_case, command_score, command_quarantine, command_storage, command_gateway,
    command_gateway_serve, command_mapping, command_gateway_check, command_gateway_decode, command_upstream,
    command_help;

#endif
