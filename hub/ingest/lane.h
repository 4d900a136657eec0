/* lane.h: one persistent MQTT session of a subsystem: reads messages into a batch, hands it to the writer, and only
 * when it is committed writes the acknowledgements and reads on. A slow or poisoned subsystem holds up no other. */
#ifndef CITYHUB_LANE_H
#define CITYHUB_LANE_H

#include <uv.h>

#include "hub/base/text.h"
#include "hub/ingest/intake.h"
#include "hub/store/writer.h"

struct lane;

struct lane_settings {
    uv_loop_t *loop;
    const struct world *world;
    struct writer *writer;
    const struct adapter *adapter;
    /* "<subsystem>-<number>": its name in metrics and, after the instance's, in log lines. These three are copied. */
    const char *label;
    /* Of its session. Whoever knows it can end the session, and take a share of the messages who knows the secret:
     * never logged, nor told. */
    const char *client_id, *secret;
    int of; /* lanes of this subsystem: more than one share a subscription */
    /* Its session is made at once, but it reads nothing before lane_go_on: what a session of an earlier configuration
     * still holds is older, and comes first. */
    bool waits;
    /* A lane of an earlier configuration: takes what its session still holds, ends the session, then calls `drained`.
     */
    bool draining;
    void (*drained)(void *user, const char *client_id);
    /* The database has refused a message, now in quarantine: what alarms made of it is not there. NULL = ignore. */
    void (*refused)(void *user);
    /* What a hub of this name has committed last and may be delivered again: rows of the loader's, NULL = nothing. */
    const PGresult *deliveries;
    void *user;
};

/* Starts connecting. NULL after logging why. */
struct lane *lane_open(const struct lane_settings *settings);
const char *lane_client_id(const struct lane *lane); /* to be found in onemap.lane; not for people */
const char *lane_name(const struct lane *lane);
const struct adapter *lane_adapter(const struct lane *lane);
void lane_go_on(struct lane *lane);
bool lane_connected(const struct lane *lane);
/* Why it is not: the broker is away, or what it has read is not stored yet. */
void lane_trouble(const struct lane *lane, struct words *why);

/* Reads no more; what it has read is stored and acknowledged. lane_idle: that is done. */
void lane_stop(struct lane *lane);
bool lane_idle(const struct lane *lane);

/* Ends; what is not committed is not acknowledged and comes again. The writer must have been closed before. */
void lane_close(struct lane *lane, void (*closed)(void *user), void *user);

#endif
