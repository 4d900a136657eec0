/* landscaping: 智慧园林. Soil, weather, irrigation, old trees and pest traps of parks and green belts.
 * Ranges: usual soil probes (FDR, 0 to 100 % volumetric), weather instruments of automatic stations, water meters with
 * five digits; rain gauges with a 16-bit pulse counter of 0.2 mm (65536 x 0.2 = 13107.2 mm); the rest assumed. */
#include "hub/adapter_table.h"
#include "landscaping.pb-c.h"

static const struct metric metrics[] = {
    GAUGE(1, "soil_moisture_percent", "土壤体积含水率", "%", 0, 100),
    GAUGE(2, "soil_temp_c", "土壤温度", "°C", -40, 80),
    GAUGE(3, "soil_conductivity_us_cm", "土壤电导率", "uS/cm", 0, 20000),
    GAUGE(4, "soil_ph", "土壤酸碱度", "1", 0, 14),
    GAUGE(5, "air_temp_c", "气温", "°C", -50, 60),
    GAUGE(6, "humidity_percent", "相对湿度", "%", 0, 100),
    GAUGE(7, "illuminance_lx", "光照度", "lx", 0, 200000),
    GAUGE(8, "rain_mm", "时段降雨量", "mm", 0, 100),
    COUNTER(9, "rain_total_mm", "累计降雨量", "mm", 13107.2),
    GAUGE(10, "wind_speed_m_s", "风速", "m/s", 0, 60),
    GAUGE(11, "wind_direction_deg", "风向", "deg", 0, 360),
    GAUGE(12, "pressure_kpa", "气压", "kPa", 50, 110),
    STATE(13, "valve_open", "灌溉阀开启"),
    GAUGE(14, "irrigation_flow_m3_h", "灌溉流量", "m3/h", 0, 1000),
    COUNTER(15, "water_total_m3", "累计用水量", "m3", 100000),
    GAUGE(16, "pipe_pressure_kpa", "管网压力", "kPa", 0, 2500),
    GAUGE(17, "tree_tilt_deg", "树体倾斜", "deg", 0, 90),
    GAUGE(18, "pests_caught", "时段虫口数", "1", 0, 100000),
    GAUGE(19, "battery_percent", "电池电量", "%", 0, 100),
    TEXT(20, "fault_text", "故障描述"),
};

static const struct device_kind kinds[] = {
    {.key = "soil_sensor",
     .name_zh = "土壤墒情监测点",
     .interval_s = 120,
     .offline_after_s = 14400,
     .metrics = SENDS("soil_moisture_percent", "soil_temp_c", "soil_conductivity_us_cm", "soil_ph", "battery_percent",
                      "fault_text")},
    {.key = "weather_station",
     .name_zh = "园林气象站",
     .interval_s = 60,
     .offline_after_s = 3600,
     .metrics = SENDS("air_temp_c", "humidity_percent", "illuminance_lx", "rain_mm", "rain_total_mm", "wind_speed_m_s",
                      "wind_direction_deg", "pressure_kpa", "battery_percent", "fault_text")},
    {.key = "irrigation_valve",
     .name_zh = "灌溉阀控器",
     .interval_s = 60,
     .offline_after_s = 7200,
     .metrics = SENDS("valve_open", "irrigation_flow_m3_h", "water_total_m3", "pipe_pressure_kpa", "battery_percent",
                      "fault_text")},
    {.key = "tree_sensor",
     .name_zh = "古树名木监测点",
     .interval_s = 300,
     .offline_after_s = 90000,
     .metrics = SENDS("tree_tilt_deg", "soil_moisture_percent", "battery_percent", "fault_text")},
    {.key = "pest_trap",
     .name_zh = "虫情测报灯",
     .interval_s = 300,
     .offline_after_s = 90000,
     .metrics = SENDS("pests_caught", "air_temp_c", "humidity_percent", "battery_percent", "fault_text")},
};

const struct adapter adapter_landscaping = {
    .key = "landscaping",
    .name_zh = "智慧园林",
    .record = &cityhub__v1__landscaping_record__descriptor,
    .new_fields_from = 1600,
    .metrics = metrics,
    .metric_count = COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = COUNT_OF(kinds),
};
