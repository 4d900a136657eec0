/* figures.h: what a gateway counts, for /metrics and for its report to the hub. Counters only grow while it runs.
 * Belongs to the loop's thread. */
#ifndef CITYHUB_FIGURES_H
#define CITYHUB_FIGURES_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "hub/base/gateway_metrics.h"

/* What became of a frame: gateway_fates has the words. */
enum frame_fate {
    FRAME_STORED,   /* its data is committed, or kept in quarantine: it was acknowledged */
    FRAME_ANSWERED, /* has no data to store: heartbeat, registration, clock */
    FRAME_REFUSED,  /* its data could not be stored, and the device was told so */
    FRAME_UNSURE,   /* no receipt in time: not acknowledged, the device repeats it */
    FRAME_BROKEN,   /* is none: check value, length, form */
    FRAME_UNKNOWN,  /* of a terminal that the gateway does not know, or not with this secret */
    FRAME_FATES,
};

enum push_fate { PUSH_STORED, PUSH_REFUSED, PUSH_UNSURE, PUSH_FATES };

enum { FIGURES_PROTOCOLS = GATEWAY_PROTOCOLS };

struct figures {
    int64_t started_at_ms;
    int64_t connected; /* to the broker */
    int64_t terminals; /* in the list */
    int64_t pending;   /* refused ones that are remembered */
    int64_t waiting;   /* messages that are published and have no receipt of the hub yet */
    struct {
        const char *name; /* NULL = there is no such protocol */
        uint64_t frames[FRAME_FATES];
        uint64_t records;
        uint64_t accepted; /* connections */
        uint64_t refused;  /* connections beyond a bound */
        uint64_t closed;   /* by the gateway: silent, garbage, replaced by a newer one */
        uint64_t bytes;
        int64_t connections;
    } protocols[FIGURES_PROTOCOLS];
    uint64_t pushes[PUSH_FATES];
    uint64_t push_records;
    int64_t push_sessions;
    struct histogram acknowledged_s; /* from a frame's last byte to its acknowledgement */
    struct histogram pushed_s;       /* from a request's last byte to its answer */
};
extern struct figures figures;

/* As Prometheus reads it; from malloc. NULL = out of memory. */
char *figures_text(void);
/* The same as one JSON object, for the report. NULL = out of memory. */
cJSON *figures_json(void);

#endif
