/* simulate_document.c: inventory, staff and cases of the synthetic county. Names are made up. */
#include "hub/simulate/simulate_document.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/member.h"
#include "hub/simulate/simulate_value.h"

static bool is_parent(const struct simulated_device *device) {
    return strcmp(device->kind->key, "cabinet") == 0;
}

static void add_attribute(cJSON *record, const char *key, const char *value) {
    cJSON *list = member_get(record, "attributes");
    if (list == NULL) {
        list = cJSON_AddArrayToObject(record, "attributes");
    }
    cJSON *attribute = cJSON_CreateObject();
    cJSON_AddStringToObject(attribute, "key", key);
    cJSON_AddStringToObject(attribute, "value", value);
    cJSON_AddItemToArray(list, attribute);
}

static cJSON *inventory_record(const struct document_source *source, const struct simulated_device *device) {
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "device_code", device->code);
    cJSON_AddStringToObject(record, "kind", device->kind->key);
    cJSON_AddStringToObject(record, "name", device->name);
    if (device->component_code[0] != '\0') {
        cJSON_AddStringToObject(record, "component_code", device->component_code);
    }
    cJSON_AddStringToObject(record, "department_code", county_street(device->place)->department_code);
    if (device->parent >= 0) {
        cJSON_AddStringToObject(record, "parent_code", source->fleet->devices[device->parent].code);
    }
    cJSON_AddItemToObject(record, "position", simulate_position(device->place, source->system));
    add_attribute(record, "simulated", "true");
    if (device->plate[0] != '\0') {
        add_attribute(record, "plate", device->plate);
    }
    return record;
}

cJSON *simulate_inventory(const struct document_source *source, bool parents) {
    cJSON *records = cJSON_CreateArray();
    int first;
    int end;
    fleet_range(source->fleet, source->adapter, &first, &end);
    for (int i = first; i < end && records != NULL; i++) {
        const struct simulated_device *device = &source->fleet->devices[i];
        if (is_parent(device) == parents) {
            cJSON_AddItemToArray(records, inventory_record(source, device));
        }
    }
    return records;
}

/* People without a terminal of their own: how many, and what they do. */
static const struct crew {
    const char *subsystem, *role;
    int count;
} crews[] = {
    {"sanitation", "清扫工", 24},     {"landscaping", "绿化养护工", 12}, {"municipal", "管网巡查员", 8},
    {"streetlight", "路灯维修工", 6}, {"gas", "管线巡检员", 8},          {"water", "抢修工", 6},
    {"heating", "运行工", 6},         {"incineration", "值班员", 4},
};

static cJSON *staff_record(const struct document_source *source, const char *kind, const char *code, const char *name,
                           const char *role, struct place place) {
    cJSON *record = cJSON_CreateObject();
    double hour = simulate_hour(source->now_ms);
    /* Most are there by day; who is not, is the same person until the hour is over. */
    uint64_t shift = simulate_hash(simulate_hash_text(7, code), (uint64_t)(source->now_ms / 3600000));
    bool duty = simulate_fixed(shift) < (hour >= 6 && hour < 20 ? 0.92 : 0.35);
    cJSON_AddStringToObject(record, "kind", kind);
    cJSON_AddStringToObject(record, "code", code);
    cJSON_AddStringToObject(record, "name", name);
    cJSON_AddStringToObject(record, "role", role);
    cJSON_AddStringToObject(record, "department_code", county_street(place)->department_code);
    cJSON_AddBoolToObject(record, "on_duty", duty);
    cJSON_AddNumberToObject(record, "observed_at_ms", (double)source->now_ms);
    cJSON_AddItemToObject(record, "position", simulate_position(place, source->system));
    return record;
}

static void add_mobile_staff(const struct document_source *source, const struct simulated_device *device,
                             cJSON *records) {
    char code[80];
    char name[32];
    bool vehicle = device->plate[0] != '\0';
    if (!device->kind->mobile || device->motion.way == MOTION_FLIGHT) {
        return;
    }
    snprintf(code, sizeof code, "%s-%s", vehicle ? "V" : "P", device->code);
    simulate_person_name(device->key, name);
    cJSON *record = staff_record(source, vehicle ? "VEHICLE" : "PERSON", code, vehicle ? device->name : name,
                                 vehicle ? device->kind->name_zh : "执法队员", device->motion.at);
    cJSON_AddStringToObject(record, "device_code", device->code);
    if (vehicle) {
        cJSON_AddStringToObject(record, "plate", device->plate);
    }
    cJSON_AddItemToArray(records, record);
}

/* A crew's people walk about a place of their own. */
static void add_crew(const struct document_source *source, const struct crew *crew, cJSON *records) {
    for (int i = 1; i <= crew->count; i++) {
        char code[64];
        char name[32];
        snprintf(code, sizeof code, "P-%.40s-%03d", crew->subsystem, i);
        uint64_t key = simulate_hash_text(11, code);
        double when = (double)source->now_ms / 900000;
        struct place place = {(2 * simulate_fixed(key) - 1) * (COUNTY_EAST_M - 300) + 250 * simulate_noise(key, when),
                              (2 * simulate_fixed(key + 1) - 1) * (COUNTY_NORTH_M - 300) +
                                  250 * simulate_noise(key + 1, when)};
        simulate_person_name(key, name);
        cJSON_AddItemToArray(records, staff_record(source, "PERSON", code, name, crew->role, place));
    }
}

cJSON *simulate_staff(const struct document_source *source) {
    cJSON *records = cJSON_CreateArray();
    int first;
    int end;
    fleet_range(source->fleet, source->adapter, &first, &end);
    for (int i = first; i < end && records != NULL; i++) {
        add_mobile_staff(source, &source->fleet->devices[i], records);
    }
    for (size_t i = 0; i < COUNT_OF(crews) && records != NULL; i++) {
        if (strcmp(crews[i].subsystem, source->adapter->key) == 0) {
            add_crew(source, &crews[i], records);
        }
    }
    return records;
}

/* What subsystems report as cases, by subclasses of the case catalogue. */
static const struct {
    const char *subsystem, *kind, *category_code, *title, *severity;
} reports[] = {
    {"sanitation", "bin", "10305", "垃圾箱满溢未清运", "minor"},
    {"sanitation", "public_toilet", "10301", "公共厕所设施损坏", "minor"},
    {"municipal", "manhole", "10102", "井盖破损", "major"},
    {"municipal", "ponding_sensor", "20406", "道路积水", "major"},
    {"streetlight", "lamp", "10118", "路灯不亮", "minor"},
    {"landscaping", "tree_sensor", "10402", "古树倾斜需支撑", "major"},
    {"construction_waste", "site_gate", "20104", "工地车辆带泥上路", "minor"},
    {"dust", "site_monitor", "20302", "工地裸土未覆盖", "minor"},
};

static const struct simulated_device *any_device(const struct document_source *source, const char *kind) {
    int first;
    int end;
    int fitting = 0;
    fleet_range(source->fleet, source->adapter, &first, &end);
    for (int i = first; i < end; i++) {
        fitting += strcmp(source->fleet->devices[i].kind->key, kind) == 0 ? 1 : 0;
    }
    int chosen = fitting == 0 ? -1 : simulate_below(source->random, fitting);
    for (int i = first; i < end; i++) {
        if (strcmp(source->fleet->devices[i].kind->key, kind) == 0 && chosen-- == 0) {
            return &source->fleet->devices[i];
        }
    }
    return NULL;
}

static cJSON *case_record(const struct document_source *source, size_t report) {
    char code[64];
    char description[192];
    const struct simulated_device *device = any_device(source, reports[report].kind);
    if (device == NULL) {
        return NULL;
    }
    cJSON *record = cJSON_CreateObject();
    snprintf(code, sizeof code, "C-%lld-%.20s", (long long)source->now_ms, reports[report].kind);
    snprintf(description, sizeof description, "%s，%s（模拟）", device->name, reports[report].title);
    cJSON_AddStringToObject(record, "case_code", code);
    cJSON_AddNumberToObject(record, "occurred_at_ms", (double)source->now_ms);
    cJSON_AddStringToObject(record, "category_code", reports[report].category_code);
    cJSON_AddStringToObject(record, "title", reports[report].title);
    cJSON_AddStringToObject(record, "description", description);
    cJSON_AddStringToObject(record, "device_code", device->code);
    cJSON_AddStringToObject(record, "severity", reports[report].severity);
    cJSON_AddItemToObject(record, "position", simulate_position(device->place, source->system));
    return record;
}

cJSON *simulate_case(const struct document_source *source) {
    cJSON *records = cJSON_CreateArray();
    size_t own[COUNT_OF(reports)];
    int count = 0;
    for (size_t i = 0; i < COUNT_OF(reports); i++) {
        if (strcmp(reports[i].subsystem, source->adapter->key) == 0) {
            own[count++] = i;
        }
    }
    cJSON *record = count == 0 ? NULL : case_record(source, own[simulate_below(source->random, count)]);
    if (record != NULL) {
        cJSON_AddItemToArray(records, record);
    }
    return records;
}
