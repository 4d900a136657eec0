/* fetch.h: photographs that citizens' reports name by address (Open311's media_url): fetched, sent to the hub as
 * attachments, and told to the database. */
#ifndef CITYHUB_EXCHANGE_FETCH_H
#define CITYHUB_EXCHANGE_FETCH_H

#include <stdbool.h>

#include "hub/base/config.h"

/* Fetches what is due until SIGTERM or SIGINT, or, if `once`, what is due now. `path`: a JSON file with the addresses
 * that may be reached, the hub and the token for it. Returns an exit status. */
int fetch_run(const struct config *config, const char *path, bool once);

#endif
