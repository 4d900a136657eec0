/* outbox.h: sends what transactions left in onemap.outbox for the broker (receipts), each at least once: a row is
 * marked as sent when the broker has acknowledged it, and what was not marked is sent again after a restart. Has a
 * database session and a broker connection of its own; works on the loop and blocks nobody. */
#ifndef CITYHUB_OUTBOX_H
#define CITYHUB_OUTBOX_H

#include <uv.h>

#include "hub/base/config.h"

struct outbox;

/* Starts to connect and to send. `config` is borrowed until it is closed. NULL after logging why. */
struct outbox *outbox_open(uv_loop_t *loop, const struct config *config);

/* A transaction that wrote to the outbox has committed: looks soon. Without it rows are found within seconds. */
void outbox_poke(struct outbox *outbox);

/* Stops and frees; `closed` (may be NULL) is called from the loop when nothing of it is left. */
void outbox_close(struct outbox *outbox, void (*closed)(void *user), void *user);

#endif
