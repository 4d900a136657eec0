/* delivery.h: which messages of a lane are committed and may come again all the same: the broker delivers anew what it
 * holds no acknowledgement for, when a session goes on. It does so under the same packet identifier, so identifier and
 * content together tell a redelivery from a vendor that publishes the same content once more. Does no I/O; needs no
 * memory after deliveries_new. */
#ifndef CITYHUB_DELIVERY_H
#define CITYHUB_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/store/batch.h"

struct deliveries;

/* `most`: messages that the broker may have delivered and not have acknowledged. NULL = out of memory. */
struct deliveries *deliveries_new(size_t most);
void deliveries_free(struct deliveries *deliveries);

/* Of a hub that ran before: a row of onemap.delivery (its stamp, its messages in the form of deliveries_packed), the
 * oldest first. */
void deliveries_take(struct deliveries *deliveries, int64_t stamp_us, const void *packed, size_t length);
/* The batch is committed. */
void deliveries_committed(struct deliveries *deliveries, const struct batch *batch);
/* The stamp of the oldest commit that is remembered: what the database has from before may go. INT64_MIN = nothing may
 * go yet. */
int64_t deliveries_oldest_us(const struct deliveries *deliveries);

/* A session goes on: what is committed, and what the lane holds in these batches, may come again now. With a new
 * session (`resumed` false) nothing does. */
void deliveries_connected(struct deliveries *deliveries, bool resumed);
void deliveries_held(struct deliveries *deliveries, const struct batch *batch);
void deliveries_held_message(struct deliveries *deliveries, uint64_t key, uint16_t identifier);
/* A message has come. True = it is a redelivery of one that is committed, or is held to be. To be asked once of each
 * message, in their order. `by_identifier` false: the broker gives new identifiers when it delivers again; then content
 * alone tells, for as long as redeliveries are due. */
bool deliveries_met(struct deliveries *deliveries, uint64_t key, uint16_t identifier, bool by_identifier);

#endif
