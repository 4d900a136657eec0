/* simulate_document.h: what the county's vendors send beside telemetry: devices, people and vehicles, work orders,
 * cases. Each function returns an array of records with the field names of common.proto, or NULL = out of memory; the
 * caller frees. */
#ifndef CITYHUB_SIMULATE_DOCUMENT_H
#define CITYHUB_SIMULATE_DOCUMENT_H

#include <cjson/cJSON.h>

#include "hub/decode/coordinate.h"
#include "hub/simulate/simulate_device.h"

/* What all of them need: whose they are, and when they are said. */
struct document_source {
    const struct fleet *fleet;
    const struct adapter *adapter;
    enum coordinate_system system;
    struct simulate_random *random;
    int64_t now_ms;
};

/* The devices that others hang on (`parents`), or all others. */
cJSON *simulate_inventory(const struct document_source *source, bool parents);

/* All people and vehicles on duty. An empty array for a subsystem that names none. */
cJSON *simulate_staff(const struct document_source *source);

enum { WORK_PLANNED, WORK_STARTED, WORK_FINISHED };

/* The work orders that a vendor has in hand: one begins, one ends at a call, so that there always are some of each
 * state. `number` counts the orders of this run. Empty for a subsystem without work orders. */
struct work_book {
    struct {
        char code[48];
        int state, task;
        int person;
        int64_t planned_ms, started_ms;
        struct place place;
    } orders[8];
    int count, number;
};
cJSON *simulate_work(const struct document_source *source, struct work_book *book);

/* One problem that the subsystem reports about one of its devices; empty for a subsystem that reports none. */
cJSON *simulate_case(const struct document_source *source);

#endif
