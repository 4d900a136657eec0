/* simulate_value.c: everyday values. A counter is a function of the time alone, so that a simulator that starts again
 * goes on where it was. Must never know a subsystem: what belongs together is in simulate_rules.c. */
#include "hub/simulate/simulate_value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/simulate/simulate_anomaly.h"

static const int64_t local_ms = 8 * 3600000LL;         /* Asia/Shanghai has had no daylight saving time since 1991 */
static const int64_t counters_from_ms = 1735660800000; /* 2025-01-01 00:00 there */

/* The course of the day of a quantity. */
enum course { COURSE_FLAT, COURSE_AFTERNOON, COURSE_DAYLIGHT, COURSE_TWO_PEAKS, COURSE_MORNING };

/* The first word that is found in a metric's key decides. */
static const struct {
    const char *word;
    enum course course;
} courses[] = {
    {"battery", COURSE_FLAT},        {"signal", COURSE_FLAT},          {"tank_percent", COURSE_FLAT},
    {"fuel", COURSE_FLAT},           {"illuminance", COURSE_DAYLIGHT}, {"humidity", COURSE_MORNING},
    {"air_temp", COURSE_AFTERNOON},  {"temp_c", COURSE_AFTERNOON},     {"wind_speed", COURSE_AFTERNOON},
    {"noise_dba", COURSE_TWO_PEAKS}, {"flow", COURSE_TWO_PEAKS},       {"pm", COURSE_TWO_PEAKS},
    {"tsp", COURSE_TWO_PEAKS},       {"stalls", COURSE_TWO_PEAKS},     {"vibration", COURSE_TWO_PEAKS},
    {"visitors", COURSE_TWO_PEAKS},  {"pressure", COURSE_MORNING},
};

double simulate_hour(int64_t at_ms) {
    return (double)((at_ms + local_ms) % 86400000) / 3600000;
}

static enum course course_of(const char *key) {
    for (size_t i = 0; i < COUNT_OF(courses); i++) {
        if (strstr(key, courses[i].word) != NULL) {
            return courses[i].course;
        }
    }
    return COURSE_FLAT;
}

/* -1 to 1. */
static double course_at(enum course course, double hour) {
    switch (course) {
    case COURSE_AFTERNOON:
        return cos((hour - 15) * M_PI / 12);
    case COURSE_MORNING:
        return -cos((hour - 16) * M_PI / 12);
    case COURSE_DAYLIGHT:
        return hour > 6 && hour < 18.5 ? 2 * sin((hour - 6) * M_PI / 12.5) - 1 : -1;
    case COURSE_TWO_PEAKS:
        return fmax(exp(-pow((hour - 8) / 2.2, 2)), exp(-pow((hour - 18.5) / 2.5, 2))) * 1.6 - 0.8;
    case COURSE_FLAT:
        break;
    }
    return 0;
}

static double gauge(struct figures_range range, uint64_t key, double hour, int64_t at_ms) {
    double own = 0.3 * (simulate_fixed(key) - 0.5);
    double slow = 0.18 * simulate_noise(key, (double)at_ms / 1500000);
    double quick = 0.04 * simulate_noise(key + 1, (double)at_ms / 15000);
    enum course course = course_of(range.metric);
    double share = 0.5 + own + slow + quick + 0.28 * course_at(course, hour);
    if (course == COURSE_DAYLIGHT) {
        share = (course_at(course, hour) + 1) / 2 * (0.85 + slow / 2);
    }
    share = fmin(fmax(share, 0), 1);
    return range.low + (range.high - range.low) * share;
}

/* Grows by the range an hour: more in the evening than in the morning, never backwards. */
static double counter(struct figures_range range, double rollover, uint64_t key, int64_t at_ms) {
    double hours = (double)(at_ms - counters_from_ms) / 3600000;
    double rate = range.low + (range.high - range.low) * (0.2 + 0.6 * simulate_fixed(key));
    double turns = 2 * M_PI / 24;
    double total = rate * (1000 + 9000 * simulate_fixed(key + 2) + hours + 0.5 / turns * sin((hours - 18) * turns));
    return rollover > 0 ? fmod(total, rollover) : total;
}

static double state(struct figures_range range, uint64_t key, int64_t at_ms) {
    if (range.low >= range.high) {
        return range.low;
    }
    double share = 0.5 + 0.5 * simulate_noise(key, (double)at_ms / 600000);
    double steps = range.high - range.low + 1;
    return range.low + fmin(floor(share * steps), steps - 1);
}

static void read_metric(struct readings *readings, const char *name) {
    const struct metric *metric = adapter_metric(readings->device->adapter, name);
    if (metric == NULL) {
        return;
    }
    uint64_t key = simulate_hash(readings->device->key, 100 + (uint64_t)metric->ordinal);
    struct figures_range range = figures_range(readings->device->figures, metric);
    double *value = &readings->values[metric->ordinal - 1];
    readings->has[metric->ordinal - 1] = true;
    switch (metric->kind) {
    case METRIC_GAUGE:
        *value = gauge(range, key, readings->hour, readings->at_ms);
        break;
    case METRIC_COUNTER:
        *value = counter(range, metric->rollover, key, readings->at_ms);
        break;
    case METRIC_STATE:
        *value = state(range, key, readings->at_ms);
        break;
    case METRIC_TEXT: /* filled in by readings_agree, or left out */
        break;
    }
}

/* What is wrong stands above what is usual. */
static void apply_anomaly(struct readings *readings) {
    const struct anomaly *anomaly = readings->device->anomaly;
    if (anomaly == NULL) {
        return;
    }
    const struct metric *metric = adapter_metric(readings->device->adapter, anomaly->metric);
    if (metric == NULL) {
        return;
    }
    double wobble = simulate_noise(readings->device->key, (double)readings->at_ms / 10000);
    readings->has[metric->ordinal - 1] = true;
    readings->values[metric->ordinal - 1] = anomaly->value * (metric->kind == METRIC_GAUGE ? 1 + 0.01 * wobble : 1);
    char *text = readings_text(readings, "fault_text");
    if (text != NULL) {
        snprintf(text, READING_TEXT, "%s", anomaly->text_zh);
    }
}

/* Instruments give a few digits, not seventeen. */
static double rounded(double value) {
    double size = fabs(value);
    double steps = size >= 1000 ? 10 : size >= 10 ? 100 : 1000;
    return round(value * steps) / steps;
}

static void add_reading(cJSON *record, const struct adapter *adapter, const struct readings *readings, size_t index) {
    const struct metric *metric = &adapter->metrics[index];
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(adapter->record, metric->key);
    double value = readings->values[index];
    if (!readings->has[index] || field == NULL) {
        return;
    }
    if (metric->kind == METRIC_TEXT) {
        if (readings->texts[index][0] != '\0') {
            cJSON_AddStringToObject(record, metric->key, readings->texts[index]);
        }
    } else if (field->type == PROTOBUF_C_TYPE_BOOL) {
        cJSON_AddBoolToObject(record, metric->key, value >= 0.5);
    } else if (field->type == PROTOBUF_C_TYPE_ENUM) {
        const ProtobufCEnumValue *named = protobuf_c_enum_descriptor_get_value(field->descriptor, (int)value);
        if (named != NULL) {
            cJSON_AddStringToObject(record, metric->key, named->name);
        }
    } else if (field->type == PROTOBUF_C_TYPE_DOUBLE) {
        cJSON_AddNumberToObject(record, metric->key, rounded(value));
    } else {
        cJSON_AddNumberToObject(record, metric->key, floor(value));
    }
}

cJSON *simulate_position(struct place place, enum coordinate_system system) {
    static const char *const names[] = {"WGS84", "CGCS2000", "GCJ02", "BD09"};
    double lon;
    double lat;
    county_position(place, &lon, &lat);
    if (coordinate_from_wgs84(system, &lon, &lat) != 0) {
        return NULL;
    }
    cJSON *position = cJSON_CreateObject();
    cJSON_AddNumberToObject(position, "lon", round(lon * 1e7) / 1e7);
    cJSON_AddNumberToObject(position, "lat", round(lat * 1e7) / 1e7);
    cJSON_AddStringToObject(position, "system", names[system]);
    return position;
}

/* Where a receiver of satellites believes it is: a few metres off. */
static struct place measured(const struct simulated_device *device, int64_t at_ms) {
    struct place place = device->motion.at;
    place.x += 3 * simulate_noise(device->key + 3, (double)at_ms / 8000);
    place.y += 3 * simulate_noise(device->key + 4, (double)at_ms / 8000);
    return place;
}

cJSON *simulate_record(const struct simulated_device *device, enum coordinate_system system, int64_t at_ms) {
    struct readings readings = {.device = device, .at_ms = at_ms, .hour = simulate_hour(at_ms)};
    cJSON *record = cJSON_CreateObject();
    if (record == NULL) {
        return NULL;
    }
    for (const char *const *metric = device->kind->metrics; *metric != NULL; metric++) {
        read_metric(&readings, *metric);
    }
    readings_agree(&readings);
    apply_anomaly(&readings);
    cJSON_AddStringToObject(record, "device_code", device->code);
    cJSON_AddNumberToObject(record, "observed_at_ms", (double)at_ms);
    if (device->kind->mobile) {
        cJSON_AddItemToObject(record, "position", simulate_position(measured(device, at_ms), system));
    }
    for (size_t i = 0; i < device->adapter->metric_count; i++) {
        add_reading(record, device->adapter, &readings, i);
    }
    return record;
}
