/* sender.h: what is due at one target goes there. Blocks; one process a target. */
#ifndef CITYHUB_EXCHANGE_SENDER_H
#define CITYHUB_EXCHANGE_SENDER_H

#include <stdbool.h>

#include "hub/base/config.h"
#include "hub/exchange/platform.h"

/* Adds the target to the database or brings it up to date (not a webhook, which is there), then sends until SIGTERM or
 * SIGINT, or with `once` until nothing is due or the target is away, and says what became of it. A database that goes
 * away is waited for, unless `once`. One sender a target: a second one is told so and ends. Returns an exit code. */
int sender_run(const struct config *config, const struct platform *target, bool once);

#endif
