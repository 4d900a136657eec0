/* gateway.h: `cityhub gateway serve`: devices and platforms that speak other than MQTT come in here, and reach the hub
 * as one more client of its broker. */
#ifndef CITYHUB_GATEWAY_H
#define CITYHUB_GATEWAY_H

#include "hub/base/config.h"

/* Runs until SIGTERM or SIGINT. Returns an exit code. */
int gateway_run(const struct config *config);

#endif
