/* command_gateway.h: the command of the gateway. */
#ifndef CITYHUB_COMMAND_GATEWAY_H
#define CITYHUB_COMMAND_GATEWAY_H

#include "hub/cli/command.h"

extern const struct command command_gateway;

#endif
