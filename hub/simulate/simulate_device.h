/* simulate_device.h: the devices of the synthetic county: kinds by the adapters' tables, their number by
 * simulate_figures.h; codes, places, plates. */
#ifndef CITYHUB_SIMULATE_DEVICE_H
#define CITYHUB_SIMULATE_DEVICE_H

#include <stdint.h>

#include "hub/adapter.h"
#include "hub/simulate/simulate_county.h"
#include "hub/simulate/simulate_figures.h"
#include "hub/simulate/simulate_random.h"

struct anomaly;

/* How a device moves. */
enum motion_way {
    MOTION_NONE,
    MOTION_STREETS, /* from crossing to crossing along the roads */
    MOTION_HAUL,    /* from a construction site to a disposal yard and back */
    MOTION_FLIGHT,  /* straight */
};

struct motion {
    enum motion_way way;
    double speed_m_s;                /* when under way */
    struct place at, corner, target; /* corner: the next one on the way, gone to straight */
    double heading_deg;
    int64_t moved_ms; /* up to when it has been moved; 0 = not yet */
    int64_t rest_until_ms;
    bool loaded;    /* MOTION_HAUL: it goes to a yard */
    bool unloading; /* it stands in the yard with its bed up */
    int site, yard;
    struct simulate_random random;
};

struct simulated_device {
    const struct adapter *adapter;
    const struct device_kind *kind;
    const struct figures *figures; /* of its subsystem, NULL = plain ones */
    int number;                    /* within its kind, from 1 */
    int parent;                    /* index of the device it hangs on, -1 = none */
    uint64_t key;
    char code[64];
    char name[96];
    char component_code[17]; /* empty = it is no component after GB/T 30428.2 */
    char plate[16];          /* empty = it has none */
    struct place place;
    struct motion motion;
    bool by_gateway;               /* a terminal sends its records: simulate_terminal.h */
    int64_t due_ms;                /* time of its next record, UTC epoch milliseconds */
    int64_t observed_ms;           /* time of its last record, 0 = none yet */
    const struct anomaly *anomaly; /* what is wrong with it now, NULL = nothing */
    int64_t anomaly_until_ms;
};

struct fleet {
    struct simulated_device *devices;
    int count;
};

/* Makes the devices of all adapters. Returns 0 or CH_EMEMORY. */
int fleet_make(struct fleet *fleet, uint64_t seed);
void fleet_free(struct fleet *fleet);

/* The device's index range within one adapter is contiguous: first and one past the last. */
void fleet_range(const struct fleet *fleet, const struct adapter *adapter, int *first, int *end);

/* A plate of the county's prefecture, 豫B (Kaifeng), or its new-energy form. */
void simulate_plate(uint64_t key, char plate[16]);
/* A person's name, from common family and given names. */
void simulate_person_name(uint64_t key, char name[32]);

/* Moves the device up to `now_ms`; where it is now is motion.at. */
void motion_advance(struct simulated_device *device, int64_t now_ms);
/* Metres per second at this moment. */
double motion_speed(const struct simulated_device *device, int64_t now_ms);

#endif
