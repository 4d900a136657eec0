/* simulate_prepare.h: sets the synthetic county up in the database: `cityhub simulate --prepare`. */
#ifndef CITYHUB_SIMULATE_PREPARE_H
#define CITYHUB_SIMULATE_PREPARE_H

#include <libpq-fe.h>

#include "hub/base/config.h"

/* Refuses a database without the simulator's SQL, which `cityhub migrate --simulation` brings. Returns 0, CH_EINVAL or
 * CH_EDATABASE, told. */
int simulate_require(PGconn *connection);

/* Street offices, grid cells, zones and the vendor `vendor` of all subsystems, and `demo` of dust for those who want to
 * try. A second time changes nothing. Returns 0 or a negative code, told; a county with real grid cells is refused. */
int simulate_prepare(const struct config *config, const char *vendor);

#endif
