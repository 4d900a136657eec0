/* jt808_records.h: positions of JT/T 808 as records of telemetry, in the form in which a vendor publishes them as JSON
 * (docs/vendor.md), so that the hub needs to know nothing of the protocol. Pure but for what the caller keeps of a
 * terminal. Never moves a place and never makes one up: where there was no fix, or a place can't be, that is said
 * beside it. */
#ifndef CITYHUB_GATEWAY_JT808_RECORDS_H
#define CITYHUB_GATEWAY_JT808_RECORDS_H

#include <cjson/cJSON.h>

#include "hub/gateway/jt808_dialect.h"

/* Where a terminal was: the caller keeps one a terminal, zeroed at first. */
struct jt808_track {
    bool known;
    double lat, lon;
    int64_t ms;
    unsigned agreeing; /* places in a row that are jumps from that one, but not from each other: */
    double new_lat, new_lon;
    int64_t new_ms;
};

/* Whose positions these are. */
struct jt808_origin {
    const struct jt808_dialect *dialect;
    const char *device_code;
    bool is_2019;       /* by the frame's header */
    int offset_minutes; /* the terminal's clock ahead of UTC; 480 = Beijing, as the standard wants it */
};

struct jt808_outcome {
    unsigned records, no_fix, jumps; /* records that were made; among them those whose place is marked */
    unsigned left_over;              /* items and words that no field takes */
    unsigned refused;                /* positions of which no record can be made: no time, too short */
    char problem[JT808_PROBLEM_MAX]; /* of the first of them, or of a place that can't be */
};

/* Where to: arrays, and what became of it. */
struct jt808_out {
    cJSON *records;   /* of kind telemetry */
    cJSON *intervals; /* of kind interval, of 0 seconds: what no field of the dialect takes, as `others` */
    struct jt808_outcome *outcome;
};

/* Adds the records of the body of 0200, 0201 or 0704. The outcome is set. Returns 0, CH_EINVAL
 * (there is no position in the body: `outcome->problem`), or CH_EMEMORY. */
int jt808_records(uint16_t id, const uint8_t *body, size_t length, const struct jt808_origin *origin,
                  struct jt808_track *track, const struct jt808_out *out);

#endif
