/* address.h: which addresses a target may have. A target's name must not lead into the county's own network: private
 * ranges are reached only where its file names them. Pure functions. */
#ifndef CITYHUB_EXCHANGE_ADDRESS_H
#define CITYHUB_EXCHANGE_ADDRESS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Whether `text` is a range such as "10.20.0.0/16" or "fd00::/8"; NULL is none. */
bool address_range_valid(const char *text);

/* Whether the address may be connected to: a public one, or one within `ranges`, a list of ranges as text or NULL. */
bool address_allowed(const struct sockaddr *address, const cJSON *ranges);

#endif
