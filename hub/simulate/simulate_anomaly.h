/* simulate_anomaly.h: what now and then goes wrong in the synthetic county, so that alarms open and close again. */
#ifndef CITYHUB_SIMULATE_ANOMALY_H
#define CITYHUB_SIMULATE_ANOMALY_H

#include "hub/simulate/simulate_device.h"

/* While it lasts, the device's records have `value` for `metric`, and the text, if it has a fault_text. */
struct anomaly {
    const char *subsystem, *kind, *metric;
    double value;
    int lasts_s;               /* longer than the duration of the alarm rule that it is meant for */
    const char *text_zh;       /* what a person would say */
    const char *category_code; /* subclass of the case catalogue that a vendor would report, NULL = none */
};

/* All that may happen. */
extern const struct anomaly anomaly_table[];
extern const int anomaly_count;

enum { ANOMALY_REPORT_S = 10 }; /* a device in trouble reports so often */

/* Lets the anomalies of `fleet` begin and end: about one begins every `every_s` seconds (0 = none). The devices
 * concerned report at once. `*next_ms` is the time of the next beginning, 0 at first. Returns how many are there now.
 */
int anomaly_advance(struct fleet *fleet, struct simulate_random *random, int every_s, int64_t *next_ms, int64_t now_ms);

#endif
