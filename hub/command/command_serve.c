/* command_serve.c: `cityhub serve`. serve.c does the work. */
#include "hub/cli/arguments.h"
#include "hub/command/commands.h"
#include "hub/serve/serve.h"

static int run(const struct config *config, const struct arguments *arguments) {
    (void)arguments;
    return serve_run(config);
}

const struct command command_serve = {
    .name = "serve",
    .summary = "run the hub",
    .text =
        "Runs the hub in the foreground until SIGTERM or SIGINT; log lines go to standard error. What it has taken from the "
        "broker by then is stored first; whatever is not comes again from the broker.\n\n"
        "`cityhubd` is the same, for service managers.",
    .run = run,
    .examples = "cityhub serve --config /etc/cityhub/cityhub.ini\n",
    .more = "docs/deploy.md, docs/architecture.md",
};
