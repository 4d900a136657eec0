/* bundle.h: what frames said, on its way to the hub: many frames' records travel in one message of their subsystem,
 * vendor and kind, and each frame is told what became of it when the hub's receipt is there. Belongs to the loop's
 * thread. */
#ifndef CITYHUB_BUNDLE_H
#define CITYHUB_BUNDLE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "hub/base/config.h"

struct bundles;
struct upstream;

enum parcel_end {
    PARCEL_STORED,  /* all of it is committed, or kept in quarantine */
    PARCEL_REFUSED, /* part of it could not be stored nor kept: the broker or the hub refused its message */
    PARCEL_UNSURE,  /* no receipt in time */
};

/* One frame's data; a member of who waits for it, which must stay until `ended`: that comes once, when all that was put
 * for it has ended, and not before parcel_seal. */
struct parcel {
    void (*ended)(struct parcel *parcel, enum parcel_end end);
    unsigned parts; /* messages that it is in, and one until it is sealed */
    enum parcel_end worst;
};
void parcel_begin(struct parcel *parcel, void (*ended)(struct parcel *parcel, enum parcel_end end));
void parcel_seal(struct parcel *parcel);
/* One of its parts, which whoever holds it has counted in `parts`, has ended. */
void parcel_part_end(struct parcel *parcel, enum parcel_end end);

/* NULL after logging that memory is out. `upstream` is borrowed. */
struct bundles *bundles_open(uv_loop_t *loop, const struct config *config, struct upstream *upstream);
void bundles_close(struct bundles *bundles, void (*closed)(void *user), void *user);

/* Puts the records of an array into the next message of this subsystem, vendor and kind. 0, or CH_EMEMORY: nothing was
 * put. */
int bundle_put(struct bundles *bundles, const char *subsystem, const char *vendor, const char *kind,
               const cJSON *records, struct parcel *parcel);

/* The messages can be published now, or not yet. */
void bundles_wake(struct bundles *bundles);

/* Whether as much waits as may: nobody reads on then. */
bool bundles_full(const struct bundles *bundles);

#endif
