/* conformity.h: what a slice adds to what vendors sent on the day (onemap.vendor_intake): messages, records, what
 * became of them, what was found. Does no I/O. */
#ifndef CITYHUB_CONFORMITY_H
#define CITYHUB_CONFORMITY_H

#include "hub/store/slice.h"

/* What was found in one of the batch's messages, as JSON objects with commas between: {fate, code, field, n, example}.
 */
void conformity_findings(struct buffer *out, const struct batch *batch, const struct batch_message *message);

/* The statement without its end; false: the slice adds nothing. Documents add theirs themselves (message_store). What
 * became of the slice's rows is known by now. */
bool conformity_append(struct buffer *sql, const struct slice *slice);

#endif
