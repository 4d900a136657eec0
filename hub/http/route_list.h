/* route_list.h: the table of routes as JSON, for people, tests and documents made from it. */
#ifndef CITYHUB_ROUTE_LIST_H
#define CITYHUB_ROUTE_LIST_H

#include <cjson/cJSON.h>

#include "hub/http/route.h"

/* {"routes": [{"method", "path", "summary", "right", "loopback", "parameters": [...], "body", "function",
 * "content_type"}]}. The caller frees; NULL = out of memory. */
char *route_list_json(const struct router *router);

/* Adds "default" to a parameter's object or schema, if it has one. */
void route_list_default(cJSON *object, const struct parameter *parameter);

#endif
