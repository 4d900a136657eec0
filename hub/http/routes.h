/* routes.h: the product's routes: rows of tables, one table a subject. A new route is a row there and an SQL function
 * (query.h); a new table is named in routes.c. */
#ifndef CITYHUB_ROUTES_H
#define CITYHUB_ROUTES_H

#include "hub/http/route.h"

#define JSON_TYPE "application/json; charset=utf-8"
#define TEXT_TYPE "text/plain; charset=utf-8"

/* Parameters that many routes have. */
#define SUBSYSTEM                                                                                                      \
    { .name = "subsystem", .kind = PARAMETER_TEXT, .low = 2, .high = 32, .meaning = "a subsystem's key, such as dust" }
#define LIMIT                                                                                                          \
    {                                                                                                                  \
        .name = "limit", .kind = PARAMETER_INTEGER, .low = 1, .high = 1000, .initial = "100",                          \
        .meaning = "entries of a page at the most"                                                                     \
    }

/* Each ends with a row without pattern. */
extern const struct route routes_hub[];
extern const struct route routes_device[];
extern const struct route routes_tile[];

/* All rows, one behind the other, made at the first call; not for two threads at once. Never freed. */
const struct route *routes_all(size_t *count);

#endif
