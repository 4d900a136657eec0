/* json_push.h: messages of foreign platforms over HTTP: POST /json/<mapping>/<token> and the vendor's own paths, read
 * by a mapping, answered after their commit. A token is a source's identity (a terminal of protocol json), a dot and
 * its secret. */
#ifndef CITYHUB_JSON_PUSH_H
#define CITYHUB_JSON_PUSH_H

#include "hub/gateway/connection.h"

struct json_desk;
struct request;
struct answer;

/* The parts are borrowed. NULL after logging that memory is out. */
struct json_desk *json_desk_new(const struct connections_parts *parts);
/* After the loop has ended. */
void json_desk_free(struct json_desk *desk);

struct parcel;
/* A message of a source that came otherwise, read by its mapping (or that of ThingsBoard's gateways, `device`:
 * devices), to where its records go, as parts of the parcel; what no record can be made of goes into quarantine as it
 * came. 0, or CH_ENOTFOUND (there is no such mapping for it; of a device it goes into quarantine) or CH_EMEMORY: it
 * must come again. */
int json_desk_take(struct json_desk *desk, const struct terminal *terminal, bool device, const void *bytes,
                   size_t length, struct parcel *parcel);

/* The desk that a request's server was given. */
struct json_desk *json_desk_of(const struct request *request);

/* The rows' answers. */
void json_push_answer(struct request *request, struct answer *answer);
void json_echo_answer(struct request *request, struct answer *answer);

#endif
