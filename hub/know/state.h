/* state.h: what the hub has stored of devices and onemap.device_state does not have yet: per changed device the newest
 * reading of each metric, the newest place, when it was last heard of. Filled as batches are committed, written every
 * few seconds by jobs.c. Does no I/O. */
#ifndef CITYHUB_STATE_H
#define CITYHUB_STATE_H

#include "hub/base/buffer.h"
#include "hub/decode/decode.h"
#include "hub/know/registry.h"

struct states;
struct states *states_new(void); /* NULL = out of memory */
void states_free(struct states *states);

/* Notes one record; a place outside the county is no place. Returns 0 or CH_EMEMORY. */
int states_note(struct states *states, struct device *device, const struct record *record, int64_t received_at_ms);
/* All records of these committed batches are noted: their ids, each as text with its NUL. Returns 0 or CH_EMEMORY. */
enum { STATES_ID_BYTES = 37 };
int states_batches(struct states *states, const char *ids, size_t length);
/* What was noted up to now is up to `position` of what counts changes; and up to where device_state has all. Positions
 * grow. */
void states_position(struct states *states, uint64_t position);
uint64_t states_position_written(const struct states *states);
/* Calls `note` with all that device_state does not have yet, a record a reading. */
void states_each(const struct states *states,
                 void (*note)(void *user, struct device *device, const struct record *record, int64_t received_at_ms),
                 void *user);
size_t states_dirty(const struct states *states);
bool states_due(const struct states *states); /* there is something to write, be it that a batch is stated */

/* Sets up to `limit` devices aside until states_written or states_unwritten says what became of them. Returns their
 * number. Devices go in rounds: all that were changed when a round began, before those that changed meanwhile. */
size_t states_set_aside(struct states *states, size_t limit);
/* Appends the next piece of their rows for COPY of pg_temp.device_state_stage (binary, with header and trailer). False:
 * all were appended before. */
bool states_copy(struct states *states, struct buffer *copy);
extern const char states_copy_columns[];
/* Appends the ids of the batches that device_state has once what is set aside is written, in the form of an array
 * literal of uuid: those noted before the round, if nothing of it is left. */
void states_copy_batches(const struct states *states, struct buffer *out);
void states_written(struct states *states);
/* Back among the changed ones, and the round is over; newer readings noted meanwhile stay. */
void states_unwritten(struct states *states);

#endif
