/* municipal: 智慧市政. Manholes, road ponding, drainage pumping stations and bridges.
 * Ranges: gases by usual catalytic and electrochemical sensors (CH4 0 to 100 %LEL, H2S 0 to 100 ppm, CO 0 to 1000 ppm);
 * bridges by usual strain gauges (+-3000 microstrain) and accelerometers (+-2 g); the rest assumed. */
#include "hub/adapter_table.h"
#include "municipal.pb-c.h"

static const struct metric metrics[] = {
    STATE(1, "cover_open", "井盖打开"),
    GAUGE(2, "cover_tilt_deg", "井盖倾角", "deg", 0, 180),
    GAUGE(3, "water_level_m", "井内水位", "m", 0, 30),
    GAUGE(4, "ch4_percent_lel", "甲烷", "%LEL", 0, 100),
    GAUGE(5, "h2s_mg_m3", "硫化氢", "mg/m3", 0, 140),
    GAUGE(6, "co_mg_m3", "一氧化碳", "mg/m3", 0, 1150),
    GAUGE(7, "o2_percent", "氧气", "%VOL", 0, 30),
    GAUGE(8, "battery_percent", "电池电量", "%", 0, 100),
    GAUGE(9, "signal_dbm", "信号强度", "dBm", -150, 0),
    GAUGE(10, "ponding_depth_cm", "道路积水深度", "cm", 0, 500),
    GAUGE(11, "rain_mm_h", "雨强", "mm/h", 0, 400),
    STATE(12, "pump_running", "水泵运行"),
    GAUGE(13, "pumps_running", "运行水泵台数", "1", 0, 50),
    GAUGE(14, "pump_flow_m3_h", "抽排流量", "m3/h", 0, 100000),
    GAUGE(15, "sump_level_m", "前池水位", "m", 0, 30),
    GAUGE(16, "outlet_level_m", "出水水位", "m", 0, 30),
    COUNTER(17, "discharge_total_m3", "累计抽排量", "m3", 1000000000),
    COUNTER(18, "energy_kwh", "累计电量", "kWh", 1000000),
    GAUGE(19, "pump_current_a", "水泵电流", "A", 0, 2000),
    STATE(20, "pump_fault", "水泵故障"),
    STATE(21, "power_lost", "市电中断"),
    GAUGE(22, "strain_microstrain", "应变", "ue", -3000, 3000),
    GAUGE(23, "displacement_mm", "挠度", "mm", -500, 500),
    GAUGE(24, "vibration_m_s2", "竖向振动加速度", "m/s2", 0, 20),
    GAUGE(25, "bearing_tilt_deg", "墩柱倾斜", "deg", 0, 90),
    GAUGE(26, "crack_width_mm", "裂缝宽度", "mm", 0, 50),
    GAUGE(27, "structure_temp_c", "结构温度", "°C", -50, 90),
    GAUGE(28, "vehicle_load_t", "过桥车重", "t", 0, 300),
    TEXT(29, "fault_text", "故障描述"),
};

static const struct device_kind kinds[] = {
    {.key = "manhole",
     .name_zh = "智能井盖",
     .interval_s = 120,
     .offline_after_s = 90000,
     .metrics = SENDS("cover_open", "cover_tilt_deg", "water_level_m", "ch4_percent_lel", "h2s_mg_m3", "co_mg_m3",
                      "o2_percent", "battery_percent", "signal_dbm", "fault_text")},
    {.key = "ponding_sensor",
     .name_zh = "道路积水监测点",
     .interval_s = 60,
     .offline_after_s = 7200,
     .metrics = SENDS("ponding_depth_cm", "rain_mm_h", "battery_percent", "signal_dbm", "fault_text")},
    {.key = "pump_station",
     .name_zh = "排水泵站",
     .interval_s = 30,
     .offline_after_s = 900,
     .metrics = SENDS("pump_running", "pumps_running", "pump_flow_m3_h", "sump_level_m", "outlet_level_m",
                      "discharge_total_m3", "energy_kwh", "pump_current_a", "pump_fault", "power_lost", "fault_text")},
    {.key = "bridge",
     .name_zh = "桥梁监测点",
     .interval_s = 20,
     .offline_after_s = 1800,
     .metrics = SENDS("strain_microstrain", "displacement_mm", "vibration_m_s2", "bearing_tilt_deg", "crack_width_mm",
                      "structure_temp_c", "vehicle_load_t", "fault_text")},
};

const struct adapter adapter_municipal = {
    .key = "municipal",
    .name_zh = "智慧市政",
    .record = &cityhub__v1__municipal_record__descriptor,
    .new_fields_from = 1700,
    .metrics = metrics,
    .metric_count = COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = COUNT_OF(kinds),
};
