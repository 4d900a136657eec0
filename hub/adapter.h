/* adapter.h: what a subsystem tells the hub about itself. An adapter is data: tables of metrics and of kinds of device,
 * bound to a protobuf message and written in the words of adapter_table.h. */
#ifndef CITYHUB_ADAPTER_H
#define CITYHUB_ADAPTER_H

#include <math.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/base/count.h"

enum {
    ADAPTER_METRICS_MAX = 63, /* ordinals 1 to 63: one bit of observation.quality each */
};

enum metric_kind {
    METRIC_GAUGE,   /* 瞬时值: may be averaged */
    METRIC_COUNTER, /* 累计值: only grows, but for roll-over and meter replacement */
    METRIC_STATE,   /* 状态: a bool (0, 1) or an enum's number */
    METRIC_TEXT,    /* text such as a plate: kept in observation.attributes, has no reading */
};

/* One metric. The protobuf and JSON field has the same name as `key`; the unit is in the name unless it is the SI one.
 * Ordinals start at 1, have no gaps, and never change their meaning: new metrics go to the end. */
struct metric {
    int ordinal;
    const char *key;
    const char *name_zh;
    const char *unit; /* "1" for a pure number, "0/1" for a bool, "enum" for an enum's number, "" for text */
    enum metric_kind kind;
    double min, max; /* physical range of the instrument or the quantity; outside = quality flag, value kept */
    double rollover; /* METRIC_COUNTER: the counter starts again from 0 here; 0 = never */
};

/* A kind of device. `metrics` lists the keys that such a device sends, NULL at the end. */
struct device_kind {
    const char *key;
    const char *name_zh;
    bool mobile;         /* its records carry positions that become track points */
    int offline_after_s; /* no record for so long = offline; 10 to 604800 */
    int interval_s;      /* usual reporting interval, which the guide tells; 1 to 86400 */
    const char *const *metrics;
};

/* A check in SQL: called in the batch's own transaction for each record in which the state `metric` is not 0,
 * as onemap.<function>(rows jsonb) with rows [{"device_id", "observed_at_ms", "lon", "lat"}]. For what asks the map. */
struct adapter_check {
    const char *metric;
    const char *function;
};

struct adapter {
    const char *key; /* subsystem key, the one in topics, tables and folders */
    const char *name_zh;
    const ProtobufCMessageDescriptor *record; /* the descriptor of <Subsystem>Record */
    /* Fields that the record gets from now on have numbers from here, a hundred that no other subsystem has (1000, 1100
     * ...), so that a message on another subsystem's topic is known by them. 0 = it never gets any. */
    uint32_t new_fields_from;
    const struct metric *metrics;
    size_t metric_count; /* 1 to ADAPTER_METRICS_MAX */
    const struct device_kind *kinds;
    size_t kind_count;
    const struct adapter_check *checks;
    size_t check_count;
};

/* The generated table of all adapters (CMake writes it from the folders of adapters/). */
extern const struct adapter *const adapters[];
extern const size_t adapter_count;

/* The adapter of a subsystem, NULL = there is no such subsystem. */
const struct adapter *adapter_find(const char *key);
/* The place in adapters[] of one of them. */
size_t adapter_index(const struct adapter *adapter);
/* The metric of that key, NULL = the adapter has none. */
const struct metric *adapter_metric(const struct adapter *adapter, const char *key);
/* The place in its kinds of the kind with that key, -1 = it has none. */
int adapter_kind(const struct adapter *adapter, const char *key);

#endif
