/* command_gateway.c: `cityhub gateway`: its actions. */
#include "hub/command/commands.h"

static const struct command *const actions[] = {&command_gateway_serve, &command_gateway_check, &command_gateway_decode,
                                                NULL};

const struct command command_gateway = {
    .name = "gateway",
    .summary = "take in devices that speak HJ 212 or JT/T 808, and pushes over HTTP (接入网关)",
    .actions = actions,
    .more = "docs/gateway.md",
};
