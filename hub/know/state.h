/* state.h: what the hub has seen of devices and onemap.device_state does not have yet: per changed device the newest
 * reading of each metric, the newest place, when it was last heard of. Filled as records are decoded, written every few
 * seconds by jobs.c. Does no I/O. */
#ifndef CITYHUB_STATE_H
#define CITYHUB_STATE_H

#include "hub/base/buffer.h"
#include "hub/decode/decode.h"
#include "hub/know/registry.h"

struct states;
struct states *states_new(void); /* NULL = out of memory */
void states_free(struct states *states);

/* Notes one record. Returns 0 or CH_EMEMORY. */
int states_note(struct states *states, struct device *device, const struct record *record, int64_t received_at_ms);
size_t states_dirty(const struct states *states);

/* Appends rows for COPY of pg_temp.device_state_stage (binary, with header and trailer) for up to `limit` devices that
 * the database knows, and sets them aside until states_written or states_unwritten says what became of them. Returns
 * their number. */
size_t states_copy(struct states *states, size_t limit, struct buffer *copy);
extern const char states_copy_columns[];
void states_written(struct states *states);
/* Back among the changed ones; newer readings noted meanwhile stay. */
void states_unwritten(struct states *states);

#endif
