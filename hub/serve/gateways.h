/* gateways.h: what gateways report over the broker, and the list of terminals that each is answered with. Their reports
 * are asked for and answered by one of the jobs. */
#ifndef CITYHUB_GATEWAYS_H
#define CITYHUB_GATEWAYS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <uv.h>

#include "hub/base/buffer.h"
#include "hub/base/config.h"

struct gateways;

/* NULL after logging why. */
struct gateways *gateways_open(uv_loop_t *loop, const struct config *config);
/* After the jobs, which use it; takes a struct gateways *. */
void gateways_close(void *gateways);

/* Whether there are reports to be stored. */
bool gateways_due(const struct gateways *gateways);
/* The statements for some of them; false = there are none. Then what they answer, and that they have ended: `committed`
 * or not. */
bool gateways_sql(struct gateways *gateways, struct buffer *sql);
void gateways_take(struct gateways *gateways, int statement, const PGresult *result);
void gateways_end(struct gateways *gateways, bool committed);

#endif
