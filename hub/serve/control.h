/* control.h: what the hub must know before it may take messages, and must hear of while it runs: the catalogue fits,
 * vendors, devices, rules, the broker sessions of earlier configurations. One database connection that listens. */
#ifndef CITYHUB_CONTROL_H
#define CITYHUB_CONTROL_H

#include <uv.h>

#include "hub/ingest/intake.h"

struct control;

struct control_handlers {
    /* Everything is loaded for the first time. `strays`: client ids and subsystems of sessions that are in onemap.lane
     * and not configured any more, as rows. */
    void (*loaded)(void *user, const PGresult *strays);
    /* The database does not fit this build (logged): the hub must end. */
    void (*refused)(void *user);
    void *user;
};

/* NULL after logging why. `world` holds registry and alarms, to be filled. */
struct control *control_open(uv_loop_t *loop, const struct world *world, const struct control_handlers *handlers);
bool control_connected(const struct control *control);
/* The session of this client id has been drained and ended. Its text is copied. */
void control_forget_lane(struct control *control, const char *client_id);
void control_close(struct control *control, void (*closed)(void *user), void *user);

#endif
