/* streetlight: 智慧路灯. Lamps with single-lamp controllers, and the cabinets that feed them (a lamp's parent_code).
 * Ranges: usual single-lamp controllers and three-phase meters on 220/380 V (voltage to 300 V per phase); energy by
 * meters with six digits; the rest assumed. */
#include "hub/adapter_table.h"
#include "streetlight.pb-c.h"

static const struct metric metrics[] = {
    STATE(1, "lamp_on", "亮灯"),
    STATE(2, "ordered_on", "应亮"),
    GAUGE(3, "dimming_percent", "调光", "%", 0, 100),
    GAUGE(4, "voltage_v", "电压（A相）", "V", 0, 300),
    GAUGE(5, "current_a", "电流（A相）", "A", 0, 400),
    GAUGE(6, "active_power_w", "有功功率", "W", 0, 250000),
    COUNTER(7, "energy_kwh", "累计电量", "kWh", 1000000),
    GAUGE(8, "power_factor", "功率因数", "1", -1, 1),
    GAUGE(9, "leakage_current_ma", "漏电流", "mA", 0, 5000),
    COUNTER(10, "burning_hours_h", "累计亮灯时间", "h", 1000000),
    GAUGE(11, "pole_tilt_deg", "灯杆倾斜", "deg", 0, 90),
    GAUGE(12, "lamp_temp_c", "灯具温度", "°C", -50, 150),
    STATE(13, "cabinet_door_open", "箱门打开"),
    STATE(14, "contactor_closed", "回路接触器吸合"),
    GAUGE(15, "voltage_b_v", "电压（B相）", "V", 0, 300),
    GAUGE(16, "voltage_c_v", "电压（C相）", "V", 0, 300),
    GAUGE(17, "current_b_a", "电流（B相）", "A", 0, 400),
    GAUGE(18, "current_c_a", "电流（C相）", "A", 0, 400),
    GAUGE(19, "cabinet_temp_c", "箱内温度", "°C", -50, 100),
    STATE(20, "cabinet_flooded", "箱内水浸"),
    GAUGE(21, "illuminance_lx", "环境照度", "lx", 0, 200000),
    CHOICE(22, "fault_code", "故障代码", 11),
    TEXT(23, "fault_text", "故障描述"),
};

static const struct device_kind kinds[] = {
    {.key = "lamp",
     .name_zh = "单灯",
     .interval_s = 60,
     .offline_after_s = 3600,
     .metrics = SENDS("lamp_on", "ordered_on", "dimming_percent", "voltage_v", "current_a", "active_power_w",
                      "energy_kwh", "power_factor", "leakage_current_ma", "burning_hours_h", "pole_tilt_deg",
                      "lamp_temp_c", "fault_code", "fault_text")},
    {.key = "cabinet",
     .name_zh = "路灯控制箱",
     .interval_s = 30,
     .offline_after_s = 1800,
     .metrics =
         SENDS("voltage_v", "voltage_b_v", "voltage_c_v", "current_a", "current_b_a", "current_c_a", "active_power_w",
               "energy_kwh", "power_factor", "leakage_current_ma", "cabinet_door_open", "contactor_closed",
               "cabinet_temp_c", "cabinet_flooded", "illuminance_lx", "fault_code", "fault_text")},
};

const struct adapter adapter_streetlight = {
    .key = "streetlight",
    .name_zh = "智慧路灯",
    .record = &cityhub__v1__streetlight_record__descriptor,
    .new_fields_from = 1900,
    .metrics = metrics,
    .metric_count = COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = COUNT_OF(kinds),
};
