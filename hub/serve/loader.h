/* loader.h: what the hub must know before it may take messages, and must hear of while it runs: the catalogue fits,
 * vendors, devices, rules, the broker sessions of earlier configurations. One database connection that listens. */
#ifndef CITYHUB_LOADER_H
#define CITYHUB_LOADER_H

#include <uv.h>

#include "hub/ingest/intake.h"

struct loader;

/* Client ids and secrets are nobody's business: whoever knows them can end the session. They are never logged. */
enum loader_lane { LANE_CLIENT_ID, LANE_SUBSYSTEM, LANE_NUMBER, LANE_SECRET, LANE_WANTED };

struct loader_handlers {
    /* Everything is loaded for the first time. `lanes`: the sessions to open, as onemap.lanes_open() returns them (the
     * columns of enum loader_lane); the loader's. */
    void (*loaded)(void *user, const PGresult *lanes);
    /* The database does not fit this build (logged): the hub must end. */
    void (*refused)(void *user);
    void *user;
};

/* NULL after logging why. `world` holds registry and alarms, to be filled. */
struct loader *loader_open(uv_loop_t *loop, const struct world *world, const struct loader_handlers *handlers);
/* What a hub of this name has committed last, rows for lane_settings; from `loaded` on, until all lanes have taken
 * them. */
const PGresult *loader_deliveries(const struct loader *loader);
void loader_deliveries_taken(struct loader *loader);
/* Days may have lost their partitions, or got some. */
void loader_days_due(struct loader *loader);
/* What alarms hold to be true may be no more: rules and conditions are read anew. */
void loader_conditions_due(struct loader *loader);
bool loader_connected(const struct loader *loader);
/* The session of this client id, one of the strays, has been drained and ended: its row in onemap.lane goes, now or as
 * soon as the database is there. */
void loader_forget_lane(struct loader *loader, const char *client_id);
void loader_close(struct loader *loader, void (*closed)(void *user), void *user);

#endif
