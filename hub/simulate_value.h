/* simulate_value.h: what a device of the synthetic county measures at a moment: everyday values by the adapters'
 * tables, with the course of the day, noise, counters that only grow, and states and texts that go together. */
#ifndef CITYHUB_SIMULATE_VALUE_H
#define CITYHUB_SIMULATE_VALUE_H

#include <cjson/cJSON.h>

#include "hub/coordinate.h"
#include "hub/simulate_device.h"

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

/* The record of a device at `at_ms` (UTC epoch milliseconds), which has been moved up to then. NULL = out of memory.
 * The caller frees. */
cJSON *simulate_record(const struct simulated_device *device, enum coordinate_system system, int64_t at_ms);

/* {lon, lat, system} of a place in a coordinate system. */
cJSON *simulate_position(struct place place, enum coordinate_system system);

/* The local hour of the day. */
double simulate_hour(int64_t at_ms);

#endif
