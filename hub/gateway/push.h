/* push.h: POST /push/<subsystem>/<vendor>/<kind>: a vendor's message over HTTP, answered after its commit with the
 * hub's receipt. Each vendor's login has a session of its own at the broker, which so checks password and rights. */
#ifndef CITYHUB_PUSH_H
#define CITYHUB_PUSH_H

#include <uv.h>

#include "hub/base/config.h"

struct push_desk;
struct request;
struct answer;
struct route_sink;

/* NULL after logging that memory is out. */
struct push_desk *push_desk_open(uv_loop_t *loop, const struct config *config);

/* After the HTTP server was closed: no request waits any more. */
void push_desk_close(struct push_desk *desk, void (*closed)(void *user), void *user);

/* The desk that a request's server was given. */
struct push_desk *push_desk_of(const struct request *request);

/* The row's body and answer; its request's server_source.user is asked by push_desk_of. */
extern const struct route_sink push_sink;
void push_answer(struct request *request, struct answer *answer);

#endif
