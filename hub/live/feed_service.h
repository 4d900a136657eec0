/* feed_service.h: the feed with its clients in the loop: who listens is told four times a second. */
#ifndef CITYHUB_FEED_SERVICE_H
#define CITYHUB_FEED_SERVICE_H

#include <uv.h>

#include "hub/know/world.h"
#include "hub/live/feed_client.h"

struct feed_service;

/* On the world's feed and states, with [http] streams clients at the most. NULL after logging why. */
struct feed_service *feed_service_open(uv_loop_t *loop, const struct world *world);
/* Its clients have been removed before. `closed` (may be NULL) is called from the loop when nothing is left of it. */
void feed_service_close(struct feed_service *service, void (*closed)(void *user), void *user);

bool feed_service_full(const struct feed_service *service);

/* A client, see feed_client_add. `snapshot` is PostgreSQL's of before the client knows its position. */
struct feed_client *feed_service_add(struct feed_service *service, struct feed_filter *filter,
                                     const struct feed_position *resume, const char *snapshot, size_t snapshot_length,
                                     void (*wake)(void *user), void *user);
void feed_service_remove(struct feed_service *service, struct feed_client *client);
ssize_t feed_service_pull(struct feed_service *service, struct feed_client *client, char *room, size_t size);

#endif
