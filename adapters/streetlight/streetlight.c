/* streetlight: 智慧路灯. Lamps with single-lamp controllers, and the cabinets that feed them (a lamp's parent_code).
 * Ranges: usual single-lamp controllers and three-phase meters on 220/380 V (voltage to 300 V per phase); energy by
 * meters with six digits; the rest assumed. */
#include "hub/adapter.h"
#include "streetlight.pb-c.h"

static const struct metric metrics[] = {
    {1, "lamp_on", "亮灯", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {2, "ordered_on", "应亮", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {3, "dimming_percent", "调光", "%", METRIC_GAUGE, 0, 100, 0, 50, 100},
    {4, "voltage_v", "电压（A相）", "V", METRIC_GAUGE, 0, 300, 0, 212, 232},
    {5, "current_a", "电流（A相）", "A", METRIC_GAUGE, 0, 400, 0, 0.3, 0.7},
    {6, "active_power_w", "有功功率", "W", METRIC_GAUGE, 0, 250000, 0, 60, 150},
    {7, "energy_kwh", "累计电量", "kWh", METRIC_COUNTER, 0, 1000000, 1000000, 0.06, 0.15},
    {8, "power_factor", "功率因数", "1", METRIC_GAUGE, -1, 1, 0, 0.9, 0.99},
    {9, "leakage_current_ma", "漏电流", "mA", METRIC_GAUGE, 0, 5000, 0, 0, 8},
    {10, "burning_hours_h", "累计亮灯时间", "h", METRIC_COUNTER, 0, 1000000, 1000000, 1, 1},
    {11, "pole_tilt_deg", "灯杆倾斜", "deg", METRIC_GAUGE, 0, 90, 0, 0, 1.5},
    {12, "lamp_temp_c", "灯具温度", "°C", METRIC_GAUGE, -50, 150, 0, 15, 65},
    {13, "cabinet_door_open", "箱门打开", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {14, "contactor_closed", "回路接触器吸合", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {15, "voltage_b_v", "电压（B相）", "V", METRIC_GAUGE, 0, 300, 0, 212, 232},
    {16, "voltage_c_v", "电压（C相）", "V", METRIC_GAUGE, 0, 300, 0, 212, 232},
    {17, "current_b_a", "电流（B相）", "A", METRIC_GAUGE, 0, 400, 0, 0.3, 0.7},
    {18, "current_c_a", "电流（C相）", "A", METRIC_GAUGE, 0, 400, 0, 0.3, 0.7},
    {19, "cabinet_temp_c", "箱内温度", "°C", METRIC_GAUGE, -50, 100, 0, 10, 45},
    {20, "cabinet_flooded", "箱内水浸", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {21, "illuminance_lx", "环境照度", "lx", METRIC_GAUGE, 0, 200000, 0, 0, 20},
    {22, "fault_code", "故障代码", "enum", METRIC_STATE, 0, 11, 0, 0, 0},
    {23, "fault_text", "故障描述", "", METRIC_TEXT, 0, 0, 0, 0, 0},
};

static const struct device_kind kinds[] = {
    {"lamp", "单灯", false, 3600, 60, 400,
     (const char *const[]){"lamp_on", "ordered_on", "dimming_percent", "voltage_v", "current_a", "active_power_w",
                           "energy_kwh", "power_factor", "leakage_current_ma", "burning_hours_h", "pole_tilt_deg",
                           "lamp_temp_c", "fault_code", "fault_text", NULL}},
    {"cabinet", "路灯控制箱", false, 1800, 30, 20,
     (const char *const[]){"voltage_v", "voltage_b_v", "voltage_c_v", "current_a", "current_b_a", "current_c_a",
                           "active_power_w", "energy_kwh", "power_factor", "leakage_current_ma", "cabinet_door_open",
                           "contactor_closed", "cabinet_temp_c", "cabinet_flooded", "illuminance_lx", "fault_code",
                           "fault_text", NULL}},
};

const struct adapter adapter_streetlight = {
    .key = "streetlight",
    .name_zh = "智慧路灯",
    .record = &cityhub__v1__streetlight_record__descriptor,
    .metrics = metrics,
    .metric_count = ADAPTER_COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = ADAPTER_COUNT_OF(kinds),
};
