/* commit.h: what a committed batch means for what the hub holds in memory: alarm conditions are settled, states and
 * rollups learn of what was stored and of nothing else. Does no I/O. */
#ifndef CITYHUB_COMMIT_H
#define CITYHUB_COMMIT_H

#include "hub/know/world.h"
#include "hub/store/batch.h"

/* Returns true if the database refused a message of the batch: what alarms made of it is not there, so conditions are
 * to be read anew. Where memory is out the batch is not called stated, and the next start catches up with it. */
bool commit_take(const struct world *world, const struct batch *batch);

#endif
