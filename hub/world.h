/* world.h: what the hub holds in memory and all lanes share. Owns nothing: serve.c makes it and takes it down. */
#ifndef CITYHUB_WORLD_H
#define CITYHUB_WORLD_H

#include "hub/alarm.h"
#include "hub/config.h"
#include "hub/registry.h"
#include "hub/state.h"

struct world {
    const struct config *config;
    struct registry *registry;
    struct alarms *alarms;
    struct states *states;
};

#endif
