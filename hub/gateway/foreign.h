/* foreign.h: vendors' own topics at the broker (厂商自有主题): JSON of foreign platforms that is published there is
 * read by a mapping, as over HTTP, and acknowledged to the broker when the hub has committed it. One session a topic,
 * which the broker keeps while the gateway is away; one for all devices that log in at the broker by a token. Belongs
 * to the loop's thread. */
#ifndef CITYHUB_FOREIGN_H
#define CITYHUB_FOREIGN_H

#include "hub/gateway/json_push.h"

struct foreign;

/* Opens the sessions of [gateway] foreign_topics. NULL after logging why. The desk and the parts are borrowed. */
struct foreign *foreign_open(const struct connections_parts *parts, struct json_desk *desk);
void foreign_close(struct foreign *foreign, void (*closed)(void *user), void *user);

#endif
