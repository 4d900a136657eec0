/* routes.h: the product's routes: rows of one table. A new one is a row there and an SQL function (query.h). */
#ifndef CITYHUB_ROUTES_H
#define CITYHUB_ROUTES_H

#include "hub/http/route.h"

extern const struct route routes[];
extern const size_t route_count;

#endif
