/* simulate_reading.h: the readings of one record under way, by the metrics' keys; and what the hour means for lamps. */
#ifndef CITYHUB_SIMULATE_READING_H
#define CITYHUB_SIMULATE_READING_H

#include "hub/simulate/simulate_device.h"

enum { READING_TEXT = 96 };

/* One record under way: index = ordinal - 1 of the adapter's metrics. */
struct readings {
    const struct simulated_device *device;
    int64_t at_ms;
    double hour; /* local hour of the day, 0 to 24 */
    bool has[ADAPTER_METRICS_MAX];
    double values[ADAPTER_METRICS_MAX];
    char texts[ADAPTER_METRICS_MAX][READING_TEXT];
};

/* The reading of a metric, NULL if the device has none. */
double *readings_find(struct readings *readings, const char *key);
char *readings_text(struct readings *readings, const char *key);
void readings_drop(struct readings *readings, const char *key);

/* Makes what belongs together agree: a lamp that is off draws no power. (simulate_rules.c) */
void readings_agree(struct readings *readings);

/* Whether the lamps are on at this local hour, and the hours that they have been on since the day `days` = 0 began. */
bool simulate_lit(double hour);
double simulate_lit_hours(double days);

#endif
