/* simulate_anomaly.c: the table of what goes wrong, and when. Values lie beyond the limits of the shipped alarm rules
 * (adapters' .sql files); nothing here decides whether an alarm is raised: the hub does. */
#include "hub/simulate/simulate_anomaly.h"
#include "hub/base/count.h"

#include <string.h>

const struct anomaly anomaly_table[] = {
    {"sanitation", "bin", "fire_alarm", 1, 60, "垃圾箱冒烟起火", "20117"},
    {"sanitation", "bin", "bin_temp_c", 86, 110, "垃圾箱温度过高", NULL},
    {"streetlight", "lamp", "leakage_current_ma", 64, 70, "灯杆漏电", "10118"},
    {"streetlight", "cabinet", "cabinet_door_open", 1, 120, "控制箱门被打开", NULL},
    {"streetlight", "cabinet", "cabinet_flooded", 1, 60, "控制箱进水", NULL},
    {"municipal", "manhole", "cover_open", 1, 80, "井盖被打开", "10102"},
    {"municipal", "manhole", "ch4_percent_lel", 32, 60, "井内甲烷浓度高", NULL},
    {"municipal", "ponding_sensor", "ponding_depth_cm", 31, 130, "路面积水", "20406"},
    {"municipal", "pump_station", "power_lost", 1, 80, "泵站停电", NULL},
    {"municipal", "pump_station", "pump_fault", 1, 110, "水泵过载跳闸", NULL},
    {"municipal", "bridge", "strain_microstrain", 340, 50, "桥梁应变超限", "10208"},
    {"municipal", "bridge", "vehicle_load_t", 61, 40, "超重车辆过桥", NULL},
    {"landscaping", "weather_station", "wind_speed_m_s", 19, 120, "瞬时大风", NULL},
    {"landscaping", "pest_trap", "pests_caught", 140, 60, "虫口数偏高", NULL},
    {"construction_waste", "truck", "bed_lifted", 1, 40, "车厢在消纳场外举升", "20103"},
    {"construction_waste", "truck", "speed_km_h", 78, 60, "渣土车超速", NULL},
    {"construction_waste", "truck", "cover_closed", 0, 80, "顶盖未密闭", NULL},
    {"construction_waste", "site_gate", "washed", 0, 30, "车辆未冲洗出场", "20104"},
    {"dust", "site_monitor", "tsp_ug_m3", 980, 420, "土方作业未湿法降尘", "20302"},
    {"dust", "road_monitor", "noise_dba", 86, 60, "道路噪声高", NULL},
    {"gas", "regulator_station", "leak_percent_lel", 34, 90, "调压箱内检出可燃气体", NULL},
    {"gas", "leak_detector", "leak_percent_lel", 26, 90, "用户报警器报警", NULL},
    {"gas", "valve_well", "cover_open", 1, 90, "阀井盖打开", NULL},
    {"gas", "regulator_station", "door_open", 1, 90, "调压箱门打开", NULL},
    {"heating", "substation", "pump_fault", 1, 110, "循环泵故障", NULL},
    {"heating", "substation", "flooded", 1, 80, "换热站地面进水", NULL},
    {"heating", "heat_source", "power_lost", 1, 80, "热源厂外电中断", NULL},
    {"water", "pump_station", "flooded", 1, 90, "泵房进水", NULL},
    {"water", "hydrant", "hydrant_open", 1, 100, "消火栓非正常出水", NULL},
    {"water", "quality_point", "turbidity_ntu", 2.4, 180, "浑浊度超标", NULL},
    {"water", "pump_station", "power_lost", 1, 80, "泵房停电", NULL},
    {"incineration", "furnace_line", "co_mg_m3", 165, 120, "燃烧不稳", NULL},
    {"incineration", "furnace_line", "furnace_temp_middle_c", 815, 120, "炉膛温度偏低", NULL},
    {"enforcement", "officer_terminal", "sos", 1, 50, "执法人员求助", NULL},
    {"enforcement", "camera", "camera_blocked", 1, 120, "镜头被遮挡", NULL},
};

const int anomaly_count = (int)COUNT_OF(anomaly_table);

enum { FIRST_BURST = 4 }; /* so many begin together at the start: a newcomer shall not wait for the first */

static bool fits(const struct simulated_device *device, const struct anomaly *anomaly) {
    return device->anomaly == NULL && strcmp(device->adapter->key, anomaly->subsystem) == 0 &&
           strcmp(device->kind->key, anomaly->kind) == 0;
}

static void begin_one(struct fleet *fleet, struct simulate_random *random, int64_t now_ms) {
    const struct anomaly *anomaly = &anomaly_table[simulate_below(random, anomaly_count)];
    int fitting = 0;
    for (int i = 0; i < fleet->count; i++) {
        fitting += fits(&fleet->devices[i], anomaly) ? 1 : 0;
    }
    int chosen = fitting == 0 ? -1 : simulate_below(random, fitting);
    for (int i = 0; i < fleet->count && chosen >= 0; i++) {
        struct simulated_device *device = &fleet->devices[i];
        if (fits(device, anomaly) && chosen-- == 0) {
            device->anomaly = anomaly;
            device->anomaly_until_ms = now_ms + (int64_t)anomaly->lasts_s * 1000;
            device->due_ms = device->due_ms < now_ms ? device->due_ms : now_ms;
        }
    }
}

int anomaly_advance(struct fleet *fleet, struct simulate_random *random, int every_s, int64_t *next_ms,
                    int64_t now_ms) {
    int open = 0;
    for (int i = 0; i < fleet->count; i++) {
        struct simulated_device *device = &fleet->devices[i];
        if (device->anomaly != NULL && device->anomaly_until_ms <= now_ms) {
            device->anomaly = NULL;
            device->due_ms = device->due_ms < now_ms ? device->due_ms : now_ms; /* says that all is well again */
        }
        open += device->anomaly != NULL ? 1 : 0;
    }
    if (every_s <= 0 || now_ms < *next_ms) {
        return open;
    }
    int begin = *next_ms == 0 ? FIRST_BURST : 1;
    *next_ms = now_ms + (int64_t)(simulate_between(random, 0.5, 1.5) * every_s * 1000);
    for (int i = 0; i < begin; i++) {
        begin_one(fleet, random, now_ms);
    }
    return open + begin;
}
