/* connection.h: devices' TCP connections, one machine for all protocols: it accepts, bounds, buffers and closes; what
 * the bytes mean is a protocol's row (speech.h). Nothing that a device said is dropped for want of room: it is not read
 * until there is room. Belongs to the loop's thread. */
#ifndef CITYHUB_CONNECTION_H
#define CITYHUB_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "hub/base/buffer.h"
#include "hub/base/config.h"
#include "hub/gateway/figures.h"
#include "hub/gateway/terminal.h"

struct connection;
struct connections;
struct bundles;
struct dialects;
struct speech;
struct upstream;

struct connections_parts {
    uv_loop_t *loop;
    const struct config *config;
    struct upstream *upstream;
    struct bundles *bundles;
    struct dialects *dialects;
};

/* Binds the ports of [gateway]. NULL after logging why. */
struct connections *connections_open(const struct connections_parts *parts);
void connections_close(struct connections *connections, void (*closed)(void *user), void *user);

/* The list of terminals is another: those whose right has ended are closed. */
void connections_settle(struct connections *connections);

/* What the hub says to terminals: [{"protocol", "identity", ...}]; those that are not here now are not told. */
void connections_tell(struct connections *connections, const cJSON *list);

/* ---- for protocols ---- */

/* The terminal of that identity. NULL: it is in no list; `frame` is remembered, or counted only, as [gateway] unknown
 * says, and the frame is over. */
const struct terminal *connection_caller(struct connection *connection, const char *identity, const void *frame,
                                         size_t length);

/* The terminal of the list is taken nothing of, for this reason of onemap.terminal_refusals: the hub is told. */
void connection_refused(struct connection *connection, const struct terminal *terminal, const char *reason);

/* The terminal has shown that it is the one: an older connection of it is closed. */
void connection_claim(struct connection *connection, const char *identity);

/* It sent a good frame: its silence begins anew. */
void connection_heard(struct connection *connection);

/* A frame is over. */
void connection_count(struct connection *connection, enum frame_fate fate);

/* Sends to the device, whole or, if it does not read, closes. */
void connection_send(struct connection *connection, const void *bytes, size_t length);

/* Ends it, after this frame. `why`, a word, is logged. */
void connection_end(struct connection *connection, const char *why);

/* What the protocol keeps of the connection: its own struct, released by its row at the end. */
void **connection_state(struct connection *connection);
const struct connections_parts *connection_parts(const struct connection *connection);

/* A frame whose data is to be stored. */
struct holding;
/* Begins; NULL = memory is out: the device repeats it. */
struct holding *holding_new(struct connection *connection);
/* What the device is sent when all is stored, and when it could not be; nothing of both where it is not known. */
struct buffer *holding_stored(struct holding *holding);
struct buffer *holding_refused(struct holding *holding);
/* Records for the hub, see bundle_put. */
int holding_put(struct holding *holding, const struct terminal *terminal, const char *kind, const cJSON *records);
/* A letter for the hub, see upstream_letter. */
int holding_letter(struct holding *holding, cJSON *letter);
/* All was put; `holding` is not the caller's any more. `whole` false: something could not be put, so that it is not
 * acknowledged. */
void holding_seal(struct holding *holding, bool whole);

#endif
