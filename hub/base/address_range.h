/* address_range.h: which addresses this program may connect to on behalf of a name in a file. Such a name must not lead
 * into the county's own network: private ranges are reached only where the file names them. Pure functions. */
#ifndef CITYHUB_ADDRESS_RANGE_H
#define CITYHUB_ADDRESS_RANGE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Whether `text` is a range such as "10.20.0.0/16" or "fd00::/8"; NULL is none. */
bool address_range_valid(const char *text);

/* Whether the address may be connected to: a public one, or one within `ranges`, a list of ranges as text or NULL. */
bool address_range_allowed(const struct sockaddr *address, const cJSON *ranges);

#endif
