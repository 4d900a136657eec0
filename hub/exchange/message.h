/* message.h: a record of the ledger as its target wants it: names, types, forms and codes by the template. Pure but for
 * memory. */
#ifndef CITYHUB_EXCHANGE_MESSAGE_H
#define CITYHUB_EXCHANGE_MESSAGE_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "hub/exchange/platform.h"

enum { MESSAGE_PROBLEM_MAX = 256 };

/* A record as exchange_take gives it; texts are the caller's. */
struct outgoing {
    const char *number, *resource, *record, *version, *hash;
    const char *text; /* the content as the hash is of it */
    const cJSON *content;
};

/* The record's object. Returns NULL with the reason in `problem`: a field that must be there is not, a code that its
 * map does not have, a value that is not of the type. The caller deletes. */
cJSON *message_record(const struct platform *target, const struct outgoing *record,
                      char problem[static MESSAGE_PROBLEM_MAX]);

#endif
