/* simulate_figures.h: how large the synthetic county is and what its devices measure on an ordinary day: one table a
 * subsystem, by the keys of its adapter. A subsystem without a table is played with plain figures, so that one that is
 * new needs nothing here. */
#ifndef CITYHUB_SIMULATE_FIGURES_H
#define CITYHUB_SIMULATE_FIGURES_H

#include "hub/adapter.h"

enum { FIGURES_DEVICES_PLAIN = 5 /* devices of each kind of a subsystem without a table */ };

/* An everyday range in the metric's unit; of a counter: its growth in an hour. */
struct figures_range {
    const char *metric; /* NULL ends the list */
    double low, high;
};

/* How many devices of a kind there are. */
struct figures_devices {
    const char *kind; /* NULL ends the list */
    int count;
};

struct figures {
    const char *subsystem;
    const struct figures_range *ranges;
    const struct figures_devices *devices;
};

/* A subsystem's table, NULL = it has none. */
const struct figures *figures_of(const char *subsystem);

/* The everyday range of a metric that is not a text. Where there is no row, or `figures` is NULL, it is a plain one
 * within the physical range: the middle fifth; of a counter up to a millionth of its roll-over an hour; of a state the
 * lowest. */
struct figures_range figures_range(const struct figures *figures, const struct metric *metric);

/* How many devices of a kind there are; FIGURES_DEVICES_PLAIN where there is no row. */
int figures_devices(const struct figures *figures, const struct device_kind *kind);

#endif
