/* world.h: what the hub holds in memory and all lanes share. Owns nothing: serve.c makes it and takes it down. */
#ifndef CITYHUB_WORLD_H
#define CITYHUB_WORLD_H

#include "hub/base/config.h"
#include "hub/know/alarm.h"
#include "hub/know/days.h"
#include "hub/know/plausible.h"
#include "hub/know/registry.h"
#include "hub/know/rollup.h"
#include "hub/know/state.h"

struct feed;
struct points;

struct world {
    const struct config *config;
    struct registry *registry;
    struct alarms *alarms;
    struct states *states;
    struct rollups *rollups;
    struct plausible *plausible;
    struct days *days;     /* with what is on its way to be made */
    struct feed *feed;     /* told of what is committed */
    struct points *points; /* the map's (hub/live); NULL = nobody looks at a map */
};

#endif
