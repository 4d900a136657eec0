/* jobs.h: what the hub does now and then beside messages: device states, partitions, rollups, silence, sweeps,
 * retention, gauges. SQL does the work; this paces it, on two connections of its own. */
#ifndef CITYHUB_JOBS_H
#define CITYHUB_JOBS_H

#include <uv.h>

#include "hub/know/world.h"

struct jobs;

struct gateways;

struct jobs_handlers {
    /* Since when (UTC epoch ms) every lane has been listening without a break; 0 = not now. */
    int64_t (*listening_since_ms)(void *user);
    void (*partitions_dropped)(void *user);
    struct gateways *gateways; /* whose reports are to be stored; NULL = none */
    void *user;
};

/* NULL after logging why. */
struct jobs *jobs_open(uv_loop_t *loop, const struct world *world, const struct jobs_handlers *handlers);
void jobs_close(struct jobs *jobs, void (*closed)(void *user), void *user);

#endif
