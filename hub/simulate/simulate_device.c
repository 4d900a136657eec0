/* simulate_device.c: the devices of the synthetic county. Must never depend on anything but the seed and the tables. */
#include "hub/simulate/simulate_device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"

/* Kinds that are components (部件) after GB/T 30428.2, with class and subclass as in the county's catalogue. */
static const struct {
    const char *subsystem, *kind, *class_code;
} components[] = {
    {"municipal", "manhole", "0102"},        {"streetlight", "lamp", "0118"}, {"municipal", "bridge", "0208"},
    {"sanitation", "public_toilet", "0301"}, {"sanitation", "bin", "0305"},   {"landscaping", "tree_sensor", "0402"},
    {"landscaping", "soil_sensor", "0405"},
};

static const struct mover {
    const char *subsystem, *kind;
    enum motion_way way;
    double low_m_s, high_m_s;
} movers[] = {
    {"sanitation", "sweeper", MOTION_STREETS, 2, 3},
    {"sanitation", "water_truck", MOTION_STREETS, 4, 6},
    {"sanitation", "collection_truck", MOTION_STREETS, 6, 10},
    {"construction_waste", "truck", MOTION_HAUL, 8, 14},
    {"enforcement", "officer_terminal", MOTION_STREETS, 1, 1.6},
    {"enforcement", "vehicle", MOTION_STREETS, 6, 12},
    {"enforcement", "drone", MOTION_FLIGHT, 6, 11},
};
static const struct mover any_mover = {NULL, NULL, MOTION_STREETS, 4, 8}; /* another mobile kind */

void simulate_plate(uint64_t key, char plate[16]) {
    static const char marks[] = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789";
    bool electric = simulate_fixed(simulate_hash(key, 7)) < 0.3;
    int length = snprintf(plate, 16, "豫B%s", electric ? "D" : "");
    for (int i = 0; i < 5; i++) {
        /* Letters in the first two places only, as most plates have it. */
        double one = simulate_fixed(simulate_hash(key, 10 + (uint64_t)i));
        plate[length++] = i < 2 ? marks[(int)(one * 34)] : marks[24 + (int)(one * 10)];
    }
    plate[length] = '\0';
}

void simulate_person_name(uint64_t key, char name[32]) {
    static const char *const family[] = {"王", "李", "张", "刘", "陈", "杨", "赵", "黄",
                                         "周", "吴", "孙", "马", "朱", "胡", "郭"};
    static const char *const given[] = {"建国", "秀英", "志强", "海燕", "玉梅", "永胜", "晓东", "丽娟",
                                        "卫东", "春霞", "红旗", "素云", "国庆", "金凤", "小军", "艳丽"};
    const int families = (int)COUNT_OF(family);
    const int givens = (int)COUNT_OF(given);
    snprintf(name, 32, "%s%s", family[(int)(simulate_fixed(simulate_hash(key, 21)) * families)],
             given[(int)(simulate_fixed(simulate_hash(key, 22)) * givens)]);
}

/* Where a road has its edge: on the inner side of the roads that are the border. */
static double beside(double road, double limit, struct simulate_random *random) {
    double aside = simulate_unit(random) < 0.5 ? -12 : 12;
    return road + (road >= limit ? -12 : road <= -limit ? 12 : aside);
}

static struct place random_place(struct simulate_random *random) {
    struct place place = {simulate_between(random, -COUNTY_EAST_M, COUNTY_EAST_M),
                          simulate_between(random, -COUNTY_NORTH_M, COUNTY_NORTH_M)};
    struct place crossing = county_crossing(place);
    if (simulate_unit(random) < 0.5) {
        place.x = beside(crossing.x, COUNTY_EAST_M, random);
    } else {
        place.y = beside(crossing.y, COUNTY_NORTH_M, random);
    }
    return place;
}

/* Devices that belong to a site or yard stand there. */
static struct place own_place(const struct simulated_device *device, struct simulate_random *random) {
    const char *kind = device->kind->key;
    struct place place = random_place(random);
    if (strcmp(kind, "site_gate") == 0 || strcmp(kind, "site_monitor") == 0) {
        struct place site = county_site((device->number - 1) % COUNTY_SITES);
        place = (struct place){site.x + simulate_between(random, -55, 55), site.y + simulate_between(random, -55, 55)};
    } else if (strcmp(kind, "disposal_yard") == 0) {
        struct place yard = county_yard((device->number - 1) % COUNTY_YARDS);
        place = (struct place){yard.x + simulate_between(random, -80, 80), yard.y + simulate_between(random, -80, 80)};
    }
    return place;
}

static const struct mover *mover_of(const struct simulated_device *device) {
    for (size_t i = 0; i < COUNT_OF(movers); i++) {
        if (strcmp(movers[i].subsystem, device->adapter->key) == 0 && strcmp(movers[i].kind, device->kind->key) == 0) {
            return &movers[i];
        }
    }
    return &any_mover;
}

static void set_motion(struct simulated_device *device, struct simulate_random *random) {
    if (!device->kind->mobile) {
        return;
    }
    struct motion *motion = &device->motion;
    const struct mover *mover = mover_of(device);
    motion->way = mover->way;
    motion->speed_m_s = simulate_between(random, mover->low_m_s, mover->high_m_s);
    motion->random.state = simulate_hash(device->key, 5);
    motion->at = motion->corner = motion->target = county_crossing(device->place);
    motion->loaded = motion->way == MOTION_HAUL && simulate_unit(random) < 0.5;
    motion->site = simulate_below(random, COUNTY_SITES);
    motion->yard = simulate_below(random, COUNTY_YARDS);
    if (motion->way == MOTION_HAUL) {
        motion->target = motion->loaded ? county_yard(motion->yard) : county_site(motion->site);
    }
}

static void set_component(struct simulated_device *device) {
    for (size_t i = 0; i < COUNT_OF(components); i++) {
        if (strcmp(components[i].subsystem, device->adapter->key) == 0 &&
            strcmp(components[i].kind, device->kind->key) == 0) {
            snprintf(device->component_code, sizeof device->component_code, COUNTY_CODE "%s%06u",
                     components[i].class_code, (unsigned)device->number % 1000000U);
        }
    }
}

/* A lamp hangs on one cabinet, and stands in a row with the others of it. */
static void set_parent(const struct fleet *fleet, struct simulated_device *device) {
    if (strcmp(device->kind->key, "lamp") != 0) {
        return;
    }
    int first;
    int end;
    fleet_range(fleet, device->adapter, &first, &end);
    int cabinets = 0;
    while (first + cabinets < end && strcmp(fleet->devices[first + cabinets].kind->key, "cabinet") == 0) {
        cabinets++;
    }
    if (cabinets == 0) {
        return;
    }
    int rank = (device->number - 1) / cabinets;
    device->parent = first + (device->number - 1) % cabinets;
    struct place cabinet = fleet->devices[device->parent].place;
    struct place crossing = county_crossing(cabinet);
    int steps = rank / 2 + 1; /* poles stand 35 m apart on both sides of the cabinet */
    double along = 35.0 * (rank % 2 == 0 ? steps : -steps);
    bool on_vertical = fabs(cabinet.x - crossing.x) <= 12.5;
    device->place.x = on_vertical ? cabinet.x : fmin(fmax(cabinet.x + along, -COUNTY_EAST_M + 1), COUNTY_EAST_M - 1);
    device->place.y = on_vertical ? fmin(fmax(cabinet.y + along, -COUNTY_NORTH_M + 1), COUNTY_NORTH_M - 1) : cabinet.y;
}

static void make_device(struct fleet *fleet, uint64_t seed, const struct adapter *adapter,
                        const struct device_kind *kind, int number) {
    struct simulated_device *device = &fleet->devices[fleet->count];
    *device = (struct simulated_device){
        .adapter = adapter, .kind = kind, .figures = figures_of(adapter->key), .number = number, .parent = -1};
    device->key = simulate_hash(simulate_hash_text(simulate_hash_text(simulate_hash(seed, 1), adapter->key), kind->key),
                                (uint64_t)number);
    struct simulate_random random = {device->key};
    snprintf(device->code, sizeof device->code, "%.40s-%04d", kind->key, number);
    snprintf(device->name, sizeof device->name, "%.60s%d号", kind->name_zh, number);
    device->place = own_place(device, &random);
    set_motion(device, &random);
    set_component(device);
    if (device->motion.way == MOTION_HAUL || (kind->mobile && device->motion.speed_m_s > 2)) {
        simulate_plate(device->key, device->plate);
    }
    set_parent(fleet, device);
    fleet->count++;
}

static int adapter_devices(const struct adapter *adapter) {
    int count = 0;
    for (size_t i = 0; i < adapter->kind_count; i++) {
        count += figures_devices(figures_of(adapter->key), &adapter->kinds[i]);
    }
    return count;
}

static void make_kind(struct fleet *fleet, uint64_t seed, const struct adapter *adapter,
                      const struct device_kind *kind) {
    int count = figures_devices(figures_of(adapter->key), kind);
    for (int number = 1; number <= count; number++) {
        make_device(fleet, seed, adapter, kind, number);
    }
}

int fleet_make(struct fleet *fleet, uint64_t seed) {
    int total = 0;
    for (size_t i = 0; i < adapter_count; i++) {
        total += adapter_devices(adapters[i]);
    }
    *fleet = (struct fleet){.devices = calloc((size_t)total + 1, sizeof *fleet->devices)};
    if (fleet->devices == NULL) {
        return CH_EMEMORY;
    }
    for (size_t i = 0; i < adapter_count; i++) {
        /* Cabinets go first: an inventory names a parent before what hangs on it. */
        for (int pass = 0; pass < 2; pass++) {
            for (size_t k = 0; k < adapters[i]->kind_count; k++) {
                if ((strcmp(adapters[i]->kinds[k].key, "cabinet") == 0) == (pass == 0)) {
                    make_kind(fleet, seed, adapters[i], &adapters[i]->kinds[k]);
                }
            }
        }
    }
    return 0;
}

void fleet_free(struct fleet *fleet) {
    free(fleet->devices);
    *fleet = (struct fleet){0};
}

void fleet_range(const struct fleet *fleet, const struct adapter *adapter, int *first, int *end) {
    int i = 0;
    while (i < fleet->count && fleet->devices[i].adapter != adapter) {
        i++;
    }
    *first = i;
    while (i < fleet->count && fleet->devices[i].adapter == adapter) {
        i++;
    }
    *end = i;
}
