/* bench_tiles.h: how many vector tiles a second the hub gives to clients of this machine that keep asking. */
#ifndef CITYHUB_BENCH_TILES_H
#define CITYHUB_BENCH_TILES_H

#include <libpq-fe.h>
#include <stdint.h>

#include "hub/base/config.h"

enum { BENCH_CLIENTS = 8, BENCH_TILES = 9 };

/* Warm tiles of devices around the point (degrees, WGS 84; there must be devices with a place), with a token of its own
 * that ends with it. Waits until the hub shows the point's. 0, or CH_E* after telling why. */
int bench_tiles_run(const struct config *config, PGconn *connection, double lon, double lat, int64_t run_ms,
                    double *tiles_s);

#endif
