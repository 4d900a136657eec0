/* command_gateway_serve.c: `cityhub gateway serve`. gateway.c does the work. */
#include "hub/cli/arguments.h"
#include "hub/command/commands.h"
#include "hub/gateway/gateway.h"

static int serve(const struct config *config, const struct arguments *arguments) {
    (void)arguments;
    return gateway_run(config);
}

const struct command command_gateway_serve = {
    .name = "serve",
    .summary = "run the gateway",
    .text =
        "Runs the gateway in the foreground until SIGTERM or SIGINT: devices that speak HJ 212 or JT/T 808, and vendors that "
        "push over HTTP, reach the hub through its broker, which is all that the gateway needs in reach. Each has its "
        "acknowledgement (9014, 8001, 200) when its data is committed, and not before. Log lines go to standard error.\n\n"
        "Its configuration is a file of its own: [mqtt] is the gateway's login, [http] where it takes pushes, [hub] instance its "
        "name, [gateway] all else.",
    .run = serve,
    .examples = "cityhub gateway serve --config /etc/cityhub/gateway.ini\n",
};
