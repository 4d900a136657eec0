/* hub_url.h: where the hub of this configuration answers over HTTP, for a command on the same machine. */
#ifndef CITYHUB_HUB_URL_H
#define CITYHUB_HUB_URL_H

#include "hub/base/config.h"

enum { HUB_URL_BYTES = 400 };

/* http://host:port and `path`, which begins with "/"; one that listens everywhere is asked at the loopback. */
void hub_url(const struct config *config, const char *path, char url[static HUB_URL_BYTES]);

#endif
