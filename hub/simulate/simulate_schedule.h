/* simulate_schedule.h: what a simulated vendor sends next: first its inventory and its staff, then telemetry, work and
 * cases, on and on. */
#ifndef CITYHUB_SIMULATE_SCHEDULE_H
#define CITYHUB_SIMULATE_SCHEDULE_H

#include "hub/simulate/simulate_vendor.h"

struct schedule {
    struct fleet *fleet;
    struct simulate_random random;
    double speed;        /* devices report so many times as often as their kind does */
    bool inventory_only; /* nothing after the staff */
};

/* Chooses coordinate systems and the vendors that speak JSON, and spreads the devices' first records over some seconds.
 */
void schedule_vendor(struct simulated_vendor *vendor);
void schedule_devices(struct schedule *schedule, int64_t now_ms);

/* How long after a record the device's next one is due. */
int64_t schedule_interval_ms(const struct schedule *schedule, const struct simulated_device *device);

/* Records a second that the fleet sends at speed 1. */
double schedule_rate(const struct fleet *fleet);

/* Sends what is due, as far as the vendor has room. True when a vendor that sends its inventory only is done. */
bool schedule_advance(struct schedule *schedule, struct simulated_vendor *vendor, int64_t now_ms);

#endif
