/* attachment_sweep.h: takes away files of the folder of attachments that nothing refers to for a day: one folder of it
 * after the other, asking the database for each. */
#ifndef CITYHUB_ATTACHMENT_SWEEP_H
#define CITYHUB_ATTACHMENT_SWEEP_H

#include <uv.h>

#include "hub/base/config.h"
#include "hub/http/pool.h"

struct attachment_sweep;

/* `naming`: held while a file is taken away. NULL after logging why: then nothing is. */
struct attachment_sweep *attachment_sweep_open(uv_loop_t *loop, const struct config *config, struct pool *pool,
                                               uv_mutex_t *naming);
/* `sweep` may be NULL. */
void attachment_sweep_close(struct attachment_sweep *sweep, void (*closed)(void *user), void *user);

#endif
