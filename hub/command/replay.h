/* replay.h: publishes stored messages once more, as the hub, and says of each whether the broker took it. Blocking: for
 * commands. */
#ifndef CITYHUB_REPLAY_H
#define CITYHUB_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "hub/base/config.h"

struct replay;

/* Which message: its row in quarantine, and how many times it had come when it was read. */
struct replay_message {
    int64_t id, times;
};

/* What became of one message: `problem` NULL = the broker acknowledged it and has a receiver for it. */
typedef void replay_outcome(void *user, const struct replay_message *message, const char *problem);

/* Connects to the configuration's broker with the hub's login. Returns NULL after telling why. */
struct replay *replay_open(const struct config *config, replay_outcome *outcome, void *user);

/* Publishes with QoS 1 and, with MQTT 5, the user properties `cityhub-replay: <id>` and `cityhub-received-ms:
 * <received_ms>`, by which the hub knows that later corrections are newer; with MQTT 3.1.1, which has no properties,
 * the topic says it (topic_put_first_received). Waits while too much is unacknowledged; outcomes of earlier messages
 * are told meanwhile. Returns 0, or CH_EBROKER after telling why (the connection is lost, or no acknowledgement came in
 * time): then nothing more can be sent. */
int replay_send(struct replay *replay, struct replay_message message, const char *received_ms, const char *topic,
                const void *payload, size_t length);

/* Waits until every message has its outcome. Returns as replay_send. */
int replay_finish(struct replay *replay);

void replay_close(struct replay *replay);

#endif
