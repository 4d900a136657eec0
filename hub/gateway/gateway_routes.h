/* gateway_routes.h: the rows of the gateway's HTTP server. */
#ifndef CITYHUB_GATEWAY_ROUTES_H
#define CITYHUB_GATEWAY_ROUTES_H

#include "hub/http/route.h"

extern const struct route gateway_routes[];
extern const size_t gateway_route_count;

#endif
