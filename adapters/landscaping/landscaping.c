/* landscaping: 智慧园林. Soil, weather, irrigation, old trees and pest traps of parks and green belts.
 * Ranges: usual soil probes (FDR, 0 to 100 % volumetric), weather instruments of automatic stations, water meters with
 * five digits; rain gauges with a 16-bit pulse counter of 0.2 mm (65536 x 0.2 = 13107.2 mm); the rest assumed. */
#include "hub/adapter.h"
#include "landscaping.pb-c.h"

static const struct metric metrics[] = {
    {1, "soil_moisture_percent", "土壤体积含水率", "%", METRIC_GAUGE, 0, 100, 0, 16, 32},
    {2, "soil_temp_c", "土壤温度", "°C", METRIC_GAUGE, -40, 80, 0, 6, 26},
    {3, "soil_conductivity_us_cm", "土壤电导率", "uS/cm", METRIC_GAUGE, 0, 20000, 0, 200, 900},
    {4, "soil_ph", "土壤酸碱度", "1", METRIC_GAUGE, 0, 14, 0, 7, 8.3},
    {5, "air_temp_c", "气温", "°C", METRIC_GAUGE, -50, 60, 0, 2, 33},
    {6, "humidity_percent", "相对湿度", "%", METRIC_GAUGE, 0, 100, 0, 30, 85},
    {7, "illuminance_lx", "光照度", "lx", METRIC_GAUGE, 0, 200000, 0, 0, 60000},
    {8, "rain_mm", "时段降雨量", "mm", METRIC_GAUGE, 0, 100, 0, 0, 0.2},
    {9, "rain_total_mm", "累计降雨量", "mm", METRIC_COUNTER, 0, 13107.2, 13107.2, 0, 0.4},
    {10, "wind_speed_m_s", "风速", "m/s", METRIC_GAUGE, 0, 60, 0, 0.2, 6},
    {11, "wind_direction_deg", "风向", "deg", METRIC_GAUGE, 0, 360, 0, 0, 360},
    {12, "pressure_kpa", "气压", "kPa", METRIC_GAUGE, 50, 110, 0, 99, 103},
    {13, "valve_open", "灌溉阀开启", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
    {14, "irrigation_flow_m3_h", "灌溉流量", "m3/h", METRIC_GAUGE, 0, 1000, 0, 0, 12},
    {15, "water_total_m3", "累计用水量", "m3", METRIC_COUNTER, 0, 100000, 100000, 0, 6},
    {16, "pipe_pressure_kpa", "管网压力", "kPa", METRIC_GAUGE, 0, 2500, 0, 180, 350},
    {17, "tree_tilt_deg", "树体倾斜", "deg", METRIC_GAUGE, 0, 90, 0, 0, 2},
    {18, "pests_caught", "时段虫口数", "1", METRIC_GAUGE, 0, 100000, 0, 0, 12},
    {19, "battery_percent", "电池电量", "%", METRIC_GAUGE, 0, 100, 0, 40, 100},
    {20, "fault_text", "故障描述", "", METRIC_TEXT, 0, 0, 0, 0, 0},
};

static const struct device_kind kinds[] = {
    {"soil_sensor", "土壤墒情监测点", false, 14400, 120, 80,
     (const char *const[]){"soil_moisture_percent", "soil_temp_c", "soil_conductivity_us_cm", "soil_ph",
                           "battery_percent", "fault_text", NULL}},
    {"weather_station", "园林气象站", false, 3600, 60, 6,
     (const char *const[]){"air_temp_c", "humidity_percent", "illuminance_lx", "rain_mm", "rain_total_mm",
                           "wind_speed_m_s", "wind_direction_deg", "pressure_kpa", "battery_percent", "fault_text",
                           NULL}},
    {"irrigation_valve", "灌溉阀控器", false, 7200, 60, 40,
     (const char *const[]){"valve_open", "irrigation_flow_m3_h", "water_total_m3", "pipe_pressure_kpa",
                           "battery_percent", "fault_text", NULL}},
    {"tree_sensor", "古树名木监测点", false, 90000, 300, 25,
     (const char *const[]){"tree_tilt_deg", "soil_moisture_percent", "battery_percent", "fault_text", NULL}},
    {"pest_trap", "虫情测报灯", false, 90000, 300, 5,
     (const char *const[]){"pests_caught", "air_temp_c", "humidity_percent", "battery_percent", "fault_text", NULL}},
};

const struct adapter adapter_landscaping = {
    .key = "landscaping",
    .name_zh = "智慧园林",
    .record = &cityhub__v1__landscaping_record__descriptor,
    .metrics = metrics,
    .metric_count = ADAPTER_COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = ADAPTER_COUNT_OF(kinds),
};
