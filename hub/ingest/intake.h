/* intake.h: one message from the broker into a lane's batch: topic, vendor, decoding, devices, rows, alarms, states.
 * Whatever comes, the batch holds afterwards either its records or the reason why not. Does no I/O. */
#ifndef CITYHUB_INTAKE_H
#define CITYHUB_INTAKE_H

#include <stdbool.h>

#include "hub/know/world.h"
#include "hub/store/batch.h"

struct intake;
/* One a lane, as it holds a decoder. NULL = out of memory. */
struct intake *intake_new(const struct world *world, const struct adapter *adapter);
void intake_free(struct intake *intake);

/* A message as it came. `name`: the MQTT correlation data, NULL = none. */
struct intake_message {
    const char *topic;
    const void *payload;
    size_t length;
    const void *name;
    size_t name_length;
    int64_t received_at_ms;    /* UTC epoch */
    int64_t first_received_ms; /* a replayed one: when it came first; 0 = now */
    bool wants_receipt;        /* whatever its vendor's setting is */
    uint16_t identifier;       /* the packet's; 0 = it cannot be delivered again */
    unsigned char sha256[BATCH_SHA256_BYTES];
    uint64_t key; /* of topic, name and content */
};
/* Sets sha256 and key, before the message is taken. Returns 0 or CH_EMEMORY. */
int intake_digest(struct intake *intake, struct intake_message *message);
/* Adds the message to the batch. Returns 0, or CH_EMEMORY: then nothing of it is in the batch, and it may come again as
 * if it had never been here. */
int intake_take(struct intake *intake, struct batch *batch, const struct intake_message *message);

#endif
