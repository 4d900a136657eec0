/* webhook.h: events of subscriptions go to their webhooks, each by a process of its own, so that one that is slow or
 * away holds up no other. Which addresses may be reached at all says the county's file, never a subscription. */
#ifndef CITYHUB_EXCHANGE_WEBHOOK_H
#define CITYHUB_EXCHANGE_WEBHOOK_H

#include <stdbool.h>

#include "hub/base/config.h"

/* Sends by the file at `path` until SIGTERM or SIGINT; with `once` what is due now, one webhook after the other.
 * Returns an exit code. */
int webhook_run(const struct config *config, const char *path, bool once);

#endif
