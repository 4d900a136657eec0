/* point_load.h: keeps the points in memory like the database: reads them at the start, page by page, and what others
 * than the hub's lanes change when PostgreSQL notifies of it. One database connection that listens. */
#ifndef CITYHUB_POINT_LOAD_H
#define CITYHUB_POINT_LOAD_H

#include <uv.h>

#include "hub/base/config.h"
#include "hub/live/tiles.h"

struct point_load;

/* NULL after logging that memory is out. `tiles` is borrowed until it is closed. */
struct point_load *point_load_open(uv_loop_t *loop, const struct config *config, struct tiles *tiles);
void point_load_close(struct point_load *load, void (*closed)(void *user), void *user);

#endif
