/* simulate_reading.c: the readings of one record under way, see simulate_reading.h. Makes no value up itself. */
#include "hub/simulate/simulate_reading.h"

#include <math.h>
#include <string.h>

double *readings_find(struct readings *readings, const char *key) {
    const struct metric *metric = adapter_metric(readings->device->adapter, key);
    return metric != NULL && readings->has[metric->ordinal - 1] ? &readings->values[metric->ordinal - 1] : NULL;
}

char *readings_text(struct readings *readings, const char *key) {
    const struct metric *metric = adapter_metric(readings->device->adapter, key);
    return metric != NULL && readings->has[metric->ordinal - 1] && metric->kind == METRIC_TEXT
               ? readings->texts[metric->ordinal - 1]
               : NULL;
}

void readings_drop(struct readings *readings, const char *key) {
    const struct metric *metric = adapter_metric(readings->device->adapter, key);
    if (metric != NULL) {
        readings->has[metric->ordinal - 1] = false;
    }
}

bool simulate_lit(double hour) {
    return hour >= 18 || hour < 6;
}

double simulate_lit_hours(double days) {
    double day = floor(days);
    double hour = (days - day) * 24;
    return day * 12 + fmin(hour, 6) + fmax(hour - 18, 0);
}
