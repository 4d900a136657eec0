/* status.h: how the hub is, as JSON: what /api/v1/status answers and `cityhub status` reads. */
#ifndef CITYHUB_STATUS_H
#define CITYHUB_STATUS_H

#include <stdbool.h>

#include "hub/base/config.h"
#include "hub/base/text.h"

/* From hub_metrics, the lanes' metrics and the last problem in the log. `why` says what is missing if not `ready`.
 * Numbers of a subsystem are sums over its lanes, but lag_s (the largest) and last_commit_at (the latest). The caller
 * frees; NULL = out of memory. */
char *status_json(const struct config *config, bool ready, const struct words *why);

#endif
