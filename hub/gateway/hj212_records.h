/* hj212_records.h: the data of HJ 212 as records in the form in which a vendor publishes them as JSON (docs/vendor.md),
 * so that the hub needs to know nothing of the protocol. Pure. Must never make an instant value of a mean, nor a
 * reading of a value whose flag forbids it. */
#ifndef CITYHUB_GATEWAY_HJ212_RECORDS_H
#define CITYHUB_GATEWAY_HJ212_RECORDS_H

#include <cjson/cJSON.h>

#include "hub/gateway/hj212.h"
#include "hub/gateway/hj212_dialect.h"

/* Whose frames these are. */
struct hj212_origin {
    const struct hj212_dialect *dialect;
    const char *device_code;
    int offset_minutes; /* the device's clock ahead of UTC; 480 = Beijing, as the standard wants it */
};

struct hj212_outcome {
    unsigned readings, intervals; /* records that were made */
    unsigned left_over;           /* items that no factor of the dialect takes, or that are no numbers */
    char first_left_over[64];     /* the first one's name */
    char problem[160];            /* why no record could be made */
};

/* Adds the records of a frame that is not refused: of instant values one to the array `telemetry`; of minimum, mean,
 * maximum and total one to the array `intervals` (kind `interval`), and there, as an interval of 0 seconds, also one of
 * the instant values whose flag forbids to use them. Items that no factor takes are kept as they came, in `others` of a
 * record of `intervals`, and so is all of a frame of states, logs and the like (2021, 3020). A frame that says nothing
 * (heartbeats, answers), or of which no factor takes anything, makes none. `outcome` is set. Returns 0, CH_EINVAL
 * (DataTime is missing or no time: `outcome->problem`), or CH_EMEMORY. */
int hj212_records(const struct hj212_frame *frame, const struct hj212_origin *origin, cJSON *telemetry,
                  cJSON *intervals, struct hj212_outcome *outcome);

#endif
