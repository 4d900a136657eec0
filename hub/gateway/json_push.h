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

/* The desk that a request's server was given. */
struct json_desk *json_desk_of(const struct request *request);

/* The rows' answers. */
void json_push_answer(struct request *request, struct answer *answer);
void json_echo_answer(struct request *request, struct answer *answer);

#endif
