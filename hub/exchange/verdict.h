/* verdict.h: what a target's answer means for each record that was sent. Pure but for memory. */
#ifndef CITYHUB_EXCHANGE_VERDICT_H
#define CITYHUB_EXCHANGE_VERDICT_H

#include <cjson/cJSON.h>

#include "hub/exchange/platform.h"
#include "hub/exchange/transport.h"

/* Of the message as a whole. */
enum verdict {
    VERDICT_RECORDS, /* each record has its own, in `outcomes` */
    VERDICT_REFUSED, /* not as it is: of a batch, each record is to be tried alone */
    VERDICT_AWAY,    /* the target is not there, busy, or lets nobody in: all again, and later */
};

/* Judges the reply to a message with these numbers (texts). `outcomes` gets {number, outcome, answer, receipt_number} a
 * record, and stays empty for VERDICT_AWAY. `reason` (TRANSPORT_PROBLEM_MAX bytes) says why, for the two others. */
enum verdict verdict_judge(const struct platform *target, const struct reply *reply, const char *const *numbers,
                           size_t count, cJSON *outcomes, char *reason);

#endif
