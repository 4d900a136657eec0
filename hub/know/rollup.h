/* rollup.h: what committed batches add to the hourly rollups, counted from the rows the hub has just stored: per device
 * and hour the numbers of readings, smallest, largest, exact sum, first and last by time. What is counted does not
 * depend on the order of the records. Filled as batches are committed, written every minute by jobs.c. What is not
 * counted here, for want of memory or because the hub was restarted, onemap.rollup_run() reads again. Does no I/O. */
#ifndef CITYHUB_ROLLUP_H
#define CITYHUB_ROLLUP_H

#include "hub/base/buffer.h"
#include "hub/decode/decode.h"
#include "hub/know/registry.h"

struct rollups;
struct rollups *rollups_new(void); /* NULL = out of memory */
void rollups_free(struct rollups *rollups);

/* Counts a record that is stored, and was not there before. Where there is no room for it, all that waits to be written
 * is given up: its batches, and the one at hand, are left to the database. */
void rollups_note(struct rollups *rollups, const struct device *device, const struct record *record);
/* All new records of these committed batches are counted: their ids, each as text with its NUL. `length` 0: there are
 * some whose ids are not known. */
enum { ROLLUPS_ID_BYTES = 37 };
void rollups_batch(struct rollups *rollups, const char *ids, size_t length);

/* Of so many devices the hub knows: the more, the less room is there for their hours. */
void rollups_room(struct rollups *rollups, size_t devices);
size_t rollups_bytes(const struct rollups *rollups); /* memory of what is counted and not being written */
bool rollups_full(const struct rollups *rollups);    /* it is to be written now, or there may be no room for more */
/* The most devices with so many metrics of which an hour each is counted before it is full. */
size_t rollups_kept(size_t metrics);

/* What is counted is to be written, and counting begins anew. Returns the number of device-hours. */
size_t rollups_send(struct rollups *rollups);
/* Appends the next piece of COPY of onemap.rollup_stage (binary, with header and trailer): rows of 32 KiB or so. False
 * = all of it was appended before. */
bool rollups_copy(struct rollups *rollups, struct buffer *copy);
extern const char rollups_copy_columns[];
/* Appends the arguments of onemap.rollup_run(): the batches that these rows are of, and those that it is to read; NULL
 * = all that wait, as at a start. */
void rollups_copy_batches(const struct rollups *rollups, struct buffer *out);
/* What became of it. If it is not known to be written, the next run reads those batches, unless they are written after
 * all. */
void rollups_written(struct rollups *rollups);
void rollups_unwritten(struct rollups *rollups);

#endif
