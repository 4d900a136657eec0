/* server.h: the hub's HTTP server on the loop: libmicrohttpd's epoll descriptor in uv_poll, no threads; routes are rows
 * of a table. Must never block: what needs the database is asked over connections of its own, and the client waits. */
#ifndef CITYHUB_SERVER_H
#define CITYHUB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "hub/base/config.h"
#include "hub/base/text.h"

struct server;
struct route;
struct feed_service;
struct tiles;

/* What the server asks the hub. */
struct server_source {
    /* True if messages are being taken and stored; if not, `why` says in words what is missing. */
    bool (*ready)(void *user, struct words *why);
    struct feed_service *live; /* NULL = nothing is told live, yet */
    struct tiles *tiles;       /* NULL = there is no map */
    void *user;
};

struct server_settings {
    uv_loop_t *loop;
    const struct config *config;        /* borrowed until server_close */
    const struct server_source *source; /* likewise */
    const struct route *routes;         /* likewise */
    size_t route_count;
};

/* Binds [http] listen:port (0 = any free port, written to the log), and opens connections to the database if a row has
 * an SQL function. A host name in `listen` is looked up here, so it may block once. NULL after logging why. */
struct server *server_open(const struct server_settings *settings);

/* The port it listens on. */
int server_port(const struct server *server);

/* Cuts all connections, stops and frees; `closed` (may be NULL) is called from the loop when nothing of it is left. */
void server_close(struct server *server, void (*closed)(void *user), void *user);

#endif
