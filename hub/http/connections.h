/* connections.h: the connections of clients in the order of their last sign, how many one client has, and which of them
 * make room for others. The bounds: docs/http.md. */
#ifndef CITYHUB_CONNECTIONS_H
#define CITYHUB_CONNECTIONS_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "hub/base/config.h"

struct request;

struct connection {
    struct connections *all;
    struct MHD_Connection *handle;
    struct connection *next, *previous; /* its last request ended before, and behind, this one's */
    struct request *request;            /* NULL between requests */
    struct in6_addr client;
    bool crowded;      /* its client has as many as it may: its request is refused */
    bool ending;       /* it makes room for others */
    uint64_t since_ms; /* when it was opened, or its last request ended */
};

/* All zero but the first two: none. */
struct connections {
    const struct config *config; /* borrowed */
    uv_loop_t *loop;
    struct connection *first, *last; /* the first spoke last */
    size_t ending;                   /* of them that make room */
};

/* Whether one more of the client at `address` is to be closed at once: those that are told of it are enough. */
bool connections_too_many(const struct connections *all, const struct sockaddr *address);
/* A new one; others may be closed for it. Returns NULL if memory is out. Ends by connections_remove. */
struct connection *connections_add(struct connections *all, struct MHD_Connection *handle);
/* Its request has ended. */
void connections_spoke(struct connection *connection);
void connections_remove(struct connection *connection);

/* Closes those that give way while fewer than a sixteenth of all are free. */
void connections_make_room(struct connections *all);
/* Closes it: libmicrohttpd sees the shut socket, or the request's answer. `hard`: what is unsent is thrown away. */
void connection_cut(struct connection *connection, const char *why, bool hard);

#endif
