/* serve.h: the daemon as a whole. */
#ifndef CITYHUB_SERVE_H
#define CITYHUB_SERVE_H

#include "hub/base/config.h"

/* Runs the hub until SIGTERM or SIGINT, or until it cannot go on. Returns an exit code of error.h. */
int serve_run(const struct config *config);

#endif
