/* municipal: 智慧市政. Manholes, road ponding, drainage pumping stations and bridges.
 * Ranges: gases by usual catalytic and electrochemical sensors (CH4 0 to 100 %LEL, H2S 0 to 100 ppm, CO 0 to 1000 ppm);
 * bridges by usual strain gauges (+-3000 microstrain) and accelerometers (+-2 g); the rest assumed. */
#include "hub/adapter.h"
#include "municipal.pb-c.h"

static const struct metric metrics[] = {
    {1, "cover_open", "井盖打开", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {2, "cover_tilt_deg", "井盖倾角", "deg", METRIC_GAUGE, 0, 180, 0, 0, 3},
    {3, "water_level_m", "井内水位", "m", METRIC_GAUGE, 0, 30, 0, 0.1, 0.9},
    {4, "ch4_percent_lel", "甲烷", "%LEL", METRIC_GAUGE, 0, 100, 0, 0, 3},
    {5, "h2s_mg_m3", "硫化氢", "mg/m3", METRIC_GAUGE, 0, 140, 0, 0, 3},
    {6, "co_mg_m3", "一氧化碳", "mg/m3", METRIC_GAUGE, 0, 1150, 0, 0, 6},
    {7, "o2_percent", "氧气", "%VOL", METRIC_GAUGE, 0, 30, 0, 20.2, 20.9},
    {8, "battery_percent", "电池电量", "%", METRIC_GAUGE, 0, 100, 0, 40, 100},
    {9, "signal_dbm", "信号强度", "dBm", METRIC_GAUGE, -150, 0, 0, -105, -75},
    {10, "ponding_depth_cm", "道路积水深度", "cm", METRIC_GAUGE, 0, 500, 0, 0, 3},
    {11, "rain_mm_h", "雨强", "mm/h", METRIC_GAUGE, 0, 400, 0, 0, 2},
    {12, "pump_running", "水泵运行", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
    {13, "pumps_running", "运行水泵台数", "1", METRIC_GAUGE, 0, 50, 0, 0, 3},
    {14, "pump_flow_m3_h", "抽排流量", "m3/h", METRIC_GAUGE, 0, 100000, 0, 0, 1800},
    {15, "sump_level_m", "前池水位", "m", METRIC_GAUGE, 0, 30, 0, 0.8, 2.6},
    {16, "outlet_level_m", "出水水位", "m", METRIC_GAUGE, 0, 30, 0, 0.5, 2},
    {17, "discharge_total_m3", "累计抽排量", "m3", METRIC_COUNTER, 0, 1000000000, 1000000000, 0, 1200},
    {18, "energy_kwh", "累计电量", "kWh", METRIC_COUNTER, 0, 1000000, 1000000, 0, 90},
    {19, "pump_current_a", "水泵电流", "A", METRIC_GAUGE, 0, 2000, 0, 0, 160},
    {20, "pump_fault", "水泵故障", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {21, "power_lost", "市电中断", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {22, "strain_microstrain", "应变", "ue", METRIC_GAUGE, -3000, 3000, 0, -60, 90},
    {23, "displacement_mm", "挠度", "mm", METRIC_GAUGE, -500, 500, 0, 0, 8},
    {24, "vibration_m_s2", "竖向振动加速度", "m/s2", METRIC_GAUGE, 0, 20, 0, 0.01, 0.25},
    {25, "bearing_tilt_deg", "墩柱倾斜", "deg", METRIC_GAUGE, 0, 90, 0, 0, 0.1},
    {26, "crack_width_mm", "裂缝宽度", "mm", METRIC_GAUGE, 0, 50, 0, 0, 0.12},
    {27, "structure_temp_c", "结构温度", "°C", METRIC_GAUGE, -50, 90, 0, 2, 40},
    {28, "vehicle_load_t", "过桥车重", "t", METRIC_GAUGE, 0, 300, 0, 1.5, 30},
    {29, "fault_text", "故障描述", "", METRIC_TEXT, 0, 0, 0, 0, 0},
};

static const struct device_kind kinds[] = {
    {"manhole", "智能井盖", false, 90000, 120, 150,
     (const char *const[]){"cover_open", "cover_tilt_deg", "water_level_m", "ch4_percent_lel", "h2s_mg_m3", "co_mg_m3",
                           "o2_percent", "battery_percent", "signal_dbm", "fault_text", NULL}},
    {"ponding_sensor", "道路积水监测点", false, 7200, 60, 30,
     (const char *const[]){"ponding_depth_cm", "rain_mm_h", "battery_percent", "signal_dbm", "fault_text", NULL}},
    {"pump_station", "排水泵站", false, 900, 30, 12,
     (const char *const[]){"pump_running", "pumps_running", "pump_flow_m3_h", "sump_level_m", "outlet_level_m",
                           "discharge_total_m3", "energy_kwh", "pump_current_a", "pump_fault", "power_lost",
                           "fault_text", NULL}},
    {"bridge", "桥梁监测点", false, 1800, 20, 8,
     (const char *const[]){"strain_microstrain", "displacement_mm", "vibration_m_s2", "bearing_tilt_deg",
                           "crack_width_mm", "structure_temp_c", "vehicle_load_t", "fault_text", NULL}},
};

const struct adapter adapter_municipal = {
    .key = "municipal",
    .name_zh = "智慧市政",
    .record = &cityhub__v1__municipal_record__descriptor,
    .metrics = metrics,
    .metric_count = ADAPTER_COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = ADAPTER_COUNT_OF(kinds),
};
