/* simulate_value.h: what a device of the synthetic county measures at a moment: everyday values by simulate_figures.h,
 * with the course of the day, noise, counters that only grow, and states and texts that go together. */
#ifndef CITYHUB_SIMULATE_VALUE_H
#define CITYHUB_SIMULATE_VALUE_H

#include <cjson/cJSON.h>

#include "hub/decode/coordinate.h"
#include "hub/simulate/simulate_reading.h"

/* The record of a device at `at_ms` (UTC epoch milliseconds), which has been moved up to then. NULL = out of memory.
 * The caller frees. */
cJSON *simulate_record(const struct simulated_device *device, enum coordinate_system system, int64_t at_ms);

/* {lon, lat, system} of a place in a coordinate system. */
cJSON *simulate_position(struct place place, enum coordinate_system system);

/* The local hour of the day. */
double simulate_hour(int64_t at_ms);

#endif
