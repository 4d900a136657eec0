/* fault.h: whose fault it is that a slice could not be stored: the server's bad moment, or a message's, and what its
 * vendor is told then. Does no I/O. */
#ifndef CITYHUB_FAULT_H
#define CITYHUB_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/link/postgres.h"
#include "hub/store/slice.h"

/* Of one slice. Nothing is suspected of one that is all zeros. */
struct suspicion {
    int failures, patience;        /* in a row, of one kind that may be either's (postgres_error_patience) */
    bool refused;                  /* the slice's one message was refused for them ... */
    struct batch_message innocent; /* ... and was this before */
};

/* Such a failure once more. True: something that the slice holds is at fault; if it is one message, that is to be
 * refused. If then not even that can be stored it was the server, and the message is made as it was. */
bool fault_suspect(struct suspicion *suspicion, struct slice *slice, const struct postgres_error *error);

/* Why the database does not have a message, for its vendor. */
void fault_reason(const struct postgres_error *error, int64_t statement_timeout_s, char *reason, size_t size);

#endif
