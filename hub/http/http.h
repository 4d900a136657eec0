/* http.h: the hub's HTTP server on the loop (libmicrohttpd's epoll descriptor in uv_poll, no threads). Routes are one
 * table in http.c. Must never block: what needs the database is answered from what is known already. */
#ifndef CITYHUB_HTTP_H
#define CITYHUB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "hub/base/config.h"

struct http;

/* What the server asks the hub. */
struct http_source {
    /* True if messages are being taken and stored; if not, `why` says in words what is missing. */
    bool (*ready)(void *user, char *why, size_t size);
    void *user;
};

/* Binds [http] listen:port (0 = any free port, written to the log). `config` and `source` are borrowed until
 * http_close. A host name in `listen` is looked up here, so it may block once. Returns NULL after logging why. */
struct http *http_open(uv_loop_t *loop, const struct config *config, const struct http_source *source);

/* The port it listens on. */
int http_port(const struct http *http);

/* Stops and frees; `closed` (may be NULL) is called from the loop when the last handle is closed. */
void http_close(struct http *http, void (*closed)(void *user), void *user);

#endif
