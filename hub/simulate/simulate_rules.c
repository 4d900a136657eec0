/* simulate_rules.c: which readings of a record belong together, subsystem by subsystem: a lamp that is off draws no
 * power, a truck is loaded on its way to the yard. Must never make what is wrong: that is simulate_anomaly.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/simulate/simulate_reading.h"

static void set(struct readings *readings, const char *key, double value) {
    double *reading = readings_find(readings, key);
    if (reading != NULL) {
        *reading = value;
    }
}

static double get(struct readings *readings, const char *key, double otherwise) {
    const double *reading = readings_find(readings, key);
    return reading == NULL ? otherwise : *reading;
}

static void scale(struct readings *readings, const char *key, double factor) {
    double *reading = readings_find(readings, key);
    if (reading != NULL) {
        *reading *= factor;
    }
}

static void write_text(struct readings *readings, const char *key, const char *value) {
    char *text = readings_text(readings, key);
    if (text != NULL) {
        snprintf(text, READING_TEXT, "%s", value);
    }
}

/* A number that is another one in every `every_s` seconds, but the same for records close together. */
static uint64_t changing(const struct readings *readings, int every_s) {
    return simulate_hash(readings->device->key, (uint64_t)(readings->at_ms / 1000 / every_s));
}

static void vehicles(struct readings *readings) {
    const struct simulated_device *device = readings->device;
    double speed = 3.6 * motion_speed(device, readings->at_ms);
    set(readings, "speed_km_h", speed);
    set(readings, "heading_deg", device->motion.heading_deg);
    set(readings, "engine_on", 1);
    write_text(readings, "plate", device->plate);
}

static void sanitation(struct readings *readings) {
    char plate[16];
    bool moving = motion_speed(readings->device, readings->at_ms) > 0;
    set(readings, "sweeping_on", moving ? 1 : 0);
    set(readings, "spraying_on", moving && readings->hour > 5 && readings->hour < 22 ? 1 : 0);
    set(readings, "compacting_on", moving ? 0 : 1);
    /* A bin fills in the course of a day and is emptied at its own hour. */
    double emptied = 24 * simulate_fixed(readings->device->key);
    set(readings, "fill_percent", 4 + 78 * fmod(readings->hour - emptied + 24, 24) / 24);
    set(readings, "net_kg", get(readings, "gross_kg", 0) - get(readings, "tare_kg", 0));
    uint64_t weighing = changing(readings, 300);
    simulate_plate(weighing % 30, plate);
    write_text(readings, "weighed_plate", plate);
    char *number = readings_text(readings, "weighing_number");
    if (number != NULL) {
        snprintf(number, READING_TEXT, "ZZ%d-%lld", readings->device->number, (long long)(readings->at_ms / 1000));
    }
}

static void streetlight(struct readings *readings) {
    bool lit = simulate_lit(readings->hour);
    bool cabinet = readings_find(readings, "contactor_closed") != NULL;
    double days = (double)(readings->at_ms + 8 * 3600000LL) / 86400000 - 20089; /* 2025-01-01 */
    double hours = 500 * (1 + floor(10 * simulate_fixed(readings->device->key))) + simulate_lit_hours(days);
    double watts = get(readings, "active_power_w", 0) * (cabinet ? 20 : 1);
    set(readings, "lamp_on", lit ? 1 : 0);
    set(readings, "ordered_on", lit ? 1 : 0);
    set(readings, "contactor_closed", lit ? 1 : 0);
    set(readings, "burning_hours_h", hours);
    set(readings, "energy_kwh",
        hours * (cabinet ? 2.0 : 0.1) * (0.8 + 0.4 * simulate_fixed(readings->device->key + 1)));
    set(readings, "active_power_w", lit ? watts : 0);
    set(readings, "illuminance_lx", lit ? 4 : 9000 * fmax(0.01, sin((readings->hour - 6) * M_PI / 12)));
    const char *const currents[] = {"current_a", "current_b_a", "current_c_a"};
    for (size_t i = 0; i < COUNT_OF(currents); i++) {
        scale(readings, currents[i], lit ? (cabinet ? 7 : 1) : 0);
    }
    if (!lit) {
        set(readings, "dimming_percent", 0);
        set(readings, "power_factor", 0);
        set(readings, "lamp_temp_c", 16);
    }
}

static void dust(struct readings *readings) {
    double fine = get(readings, "pm25_ug_m3", 0);
    double coarse = fmax(get(readings, "pm10_ug_m3", 0), fine * 1.3);
    set(readings, "pm10_ug_m3", coarse);
    set(readings, "tsp_ug_m3", fmax(get(readings, "tsp_ug_m3", 0), coarse * 1.5));
    if (readings->hour >= 22 || readings->hour < 6) {
        set(readings, "noise_dba", 44 + 6 * simulate_fixed(changing(readings, 60))); /* the site is quiet at night */
    }
}

static void pumps(struct readings *readings) {
    static const char *const moved[] = {"pump_flow_m3_h", "pump_current_a", "pumps_running", "pump_frequency_hz"};
    double running = get(readings, "pump_running", 1);
    for (size_t i = 0; i < COUNT_OF(moved) && running < 0.5; i++) {
        set(readings, moved[i], 0);
    }
    if (running >= 0.5) {
        set(readings, "pumps_running", fmax(1, round(get(readings, "pumps_running", 1))));
    }
}

static void landscaping(struct readings *readings) {
    bool watering = get(readings, "valve_open", 0) >= 0.5;
    if (!watering) {
        set(readings, "irrigation_flow_m3_h", 0);
    }
}

static void gate(struct readings *readings) {
    char plate[16];
    uint64_t passage = changing(readings, 30);
    bool leaves = passage % 2 == 1;
    simulate_plate(passage % 60, plate);
    write_text(readings, "passage_plate", plate);
    set(readings, "passage", leaves ? 1 : 0);
    set(readings, "passage_loaded", leaves ? 1 : 0);
    if (!leaves) {
        /* Only trucks that leave are washed, and only loaded ones must be covered. */
        readings_drop(readings, "washed");
        readings_drop(readings, "wash_seconds");
        readings_drop(readings, "passage_covered");
    }
}

static void construction_waste(struct readings *readings) {
    const struct simulated_device *device = readings->device;
    const struct motion *motion = &device->motion;
    bool loaded = motion->loaded;
    if (motion->way == MOTION_HAUL) {
        double percent = loaded ? 78 + 18 * simulate_fixed(device->key + 9) : 0;
        set(readings, "load_percent", percent);
        set(readings, "load_kg", percent * 160);
        set(readings, "bed_lifted", motion->unloading ? 1 : 0);
        set(readings, "cover_closed", motion->unloading ? 0 : 1);
        char *permit = readings_text(readings, "permit_number");
        if (permit != NULL) {
            snprintf(permit, READING_TEXT, "杞渣运准字〔2026〕第%04d号", device->number);
        }
        char name[32];
        simulate_person_name(device->key, name);
        write_text(readings, "driver_name", name);
    }
    if (readings_find(readings, "passage") != NULL) {
        gate(readings);
    }
}

static void incineration(struct readings *readings) {
    char plate[16];
    simulate_plate(changing(readings, 120) % 30, plate);
    write_text(readings, "weighed_plate", plate);
}

static void enforcement(struct readings *readings) {
    const struct simulated_device *device = readings->device;
    char *number = readings_text(readings, "officer_number");
    bool duty = readings->hour >= 7 && readings->hour < 22;
    if (number != NULL) {
        snprintf(number, READING_TEXT, "16" COUNTY_CODE "%03d", device->number);
    }
    set(readings, "on_duty", duty || device->number % 4 == 0 ? 1 : 0);
}

void readings_agree(struct readings *readings) {
    static const struct {
        const char *subsystem;
        void (*rule)(struct readings *readings);
    } rules[] = {
        {"sanitation", sanitation},
        {"streetlight", streetlight},
        {"dust", dust},
        {"municipal", pumps},
        {"heating", pumps},
        {"water", pumps},
        {"landscaping", landscaping},
        {"construction_waste", construction_waste},
        {"incineration", incineration},
        {"enforcement", enforcement},
    };
    if (readings->device->motion.way != MOTION_NONE) {
        vehicles(readings);
    }
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        if (strcmp(rules[i].subsystem, readings->device->adapter->key) == 0) {
            rules[i].rule(readings);
        }
    }
}
