/* openapi.h: the routes as an OpenAPI 3.1 document: what a row says of itself, and the forms of bodies and answers that
 * openapi.json has. A route that is not in openapi.json is there without the form of its answer. */
#ifndef CITYHUB_OPENAPI_H
#define CITYHUB_OPENAPI_H

#include "hub/http/route.h"

/* From malloc; NULL = out of memory. */
char *openapi_json(const struct router *router);

#endif
