/* gateway_metrics.h: how the gateways are, by their last reports (hub/serve/gateways.c): for /metrics and
 * /api/v1/status. Belongs to the loop's thread. The words and bounds are those of the gateways' own figures. */
#ifndef CITYHUB_GATEWAY_METRICS_H
#define CITYHUB_GATEWAY_METRICS_H

#include "hub/base/buffer.h"
#include "hub/base/metrics.h"

enum {
    GATEWAY_METRICS_MAX = 64,
    GATEWAY_NAME_MAX = 41, /* with its end */
    GATEWAY_PROTOCOLS = 2,
    GATEWAY_FATES = 6,
    GATEWAY_PUSH_FATES = 3,
    GATEWAY_BOUNDS = 12,
    GATEWAY_SILENT_MS = 15000, /* a report is due every 3 seconds */
};

extern const char *const gateway_protocols[GATEWAY_PROTOCOLS];
extern const char *const gateway_fates[GATEWAY_FATES];           /* what became of frames */
extern const char *const gateway_push_fates[GATEWAY_PUSH_FATES]; /* of HTTP pushes */
extern const double gateway_second_bounds[GATEWAY_BOUNDS];       /* of the histograms of seconds */

struct gateway_metrics {
    char name[GATEWAY_NAME_MAX];
    int64_t reported_at_ms; /* UTC */
    int64_t terminals;      /* in its list */
    int64_t pending;        /* unknown terminals that have called */
    int64_t waiting;        /* messages without a receipt yet */
    struct {
        uint64_t frames[GATEWAY_FATES];
        uint64_t records;
        int64_t connections;
    } protocols[GATEWAY_PROTOCOLS];
    uint64_t pushes[GATEWAY_PUSH_FATES];
    struct histogram acknowledged_s; /* from a frame's last byte to its acknowledgement; without bounds: not reported */
};

/* The place of the gateway, a new one's zero; NULL if the name is no word of [A-Za-z0-9_.-] or there are too many. */
struct gateway_metrics *gateway_metrics_of(const char *name);
size_t gateway_metrics_count(void);
const struct gateway_metrics *gateway_metrics_at(size_t index);
void gateway_metrics_free(void);

/* Within how many seconds (a bound) 99 of 100 frames were acknowledged since the gateway's start; NAN = not known. */
double gateway_metrics_p99_s(const struct gateway_metrics *gateway);
/* Seconds since its last report, 0 or more. */
double gateway_metrics_age_s(const struct gateway_metrics *gateway);

/* Adds the families, without any gateway nothing. */
void gateway_metrics_text(struct buffer *text);

#endif
