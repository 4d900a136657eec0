/* command_gateway.c: `cityhub gateway`: its actions. */
#include "hub/command/commands.h"

static const struct command *const actions[] = {&command_gateway_decode, NULL};

const struct command command_gateway = {
    .name = "gateway",
    .summary = "look at what field devices (HJ 212) send",
    .actions = actions,
    .more = "docs/gateway.md",
};
