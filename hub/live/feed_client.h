/* feed_client.h: who listens to the feed: each with a filter and a position, told in turns. What a client does not take
 * is not kept for it: it is told what is then, so that a slow one lags and grows nothing. Does no I/O; time is handed
 * in, in milliseconds of a clock that only runs forwards. */
#ifndef CITYHUB_FEED_CLIENT_H
#define CITYHUB_FEED_CLIENT_H

#include <sys/types.h>

#include "hub/live/feed_filter.h"
#include "hub/live/feed_position.h"

enum {
    FEED_TURN_MS = 250,                       /* clients are told so often, */
    FEED_TURN_MS_MAX = 5000,                  /* and that seldom at the most when there is more than may be sent */
    FEED_HEARTBEAT_MS = 15000,                /* a sign of life, when there is nothing else */
    FEED_LINGER_MS = 120000,                  /* changes are kept so long after the last client has left */
    FEED_SHARED_BYTES_MAX = 32 * 1024 * 1024, /* of chunks kept for clients that come to them later */
};

struct feed_clients;
struct feed_client;

/* `bytes_s`: so many a second to all clients together: a turn waits until what was sent since the last one is within
 * it, so that things which change all the time are told less often instead of taking the machine from those that
 * report. `started`: the feed was started for the first client (see feed_start). It stops when nobody has listened for
 * FEED_LINGER_MS. NULL = out of memory. */
struct feed_clients *feed_clients_new(struct feed *feed, size_t most, uint64_t bytes_s, void (*started)(void *user),
                                      void *user);
void feed_clients_free(struct feed_clients *clients);

size_t feed_clients_count(const struct feed_clients *clients);
/* As many as there may be. */
bool feed_clients_full(const struct feed_clients *clients);

/* A new client. Takes the filter over. `resume`: what it has seen, NULL = nothing. `wake` is called when there is
 * something to pull after feed_client_pull returned 0, from feed_clients_turn. NULL = out of memory; the filter is
 * freed. */
struct feed_client *feed_client_add(struct feed_clients *clients, struct feed_filter *filter,
                                    const struct feed_position *resume, uint64_t now_ms, void (*wake)(void *user),
                                    void *user);
void feed_client_remove(struct feed_client *client, uint64_t now_ms);

/* Up to `size` bytes of what the client is to be sent; 0 = nothing now; -1 = memory is out: end it. */
ssize_t feed_client_pull(struct feed_client *client, char *room, size_t size, uint64_t now_ms);

/* While feed_clients_active: begins a turn, if one is due, and wakes the next few clients of the running one. Returns
 * in how many milliseconds it is to be called again. */
uint64_t feed_clients_turn(struct feed_clients *clients, uint64_t now_ms);
/* Somebody listens, or did a short time ago. */
bool feed_clients_active(const struct feed_clients *clients);

#endif
