/* sanitation: 智慧环卫. Sweepers, collection trucks, water trucks, bins, public toilets and transfer stations.
 * Ranges: NH3 and H2S the measuring ranges of electrochemical sensors (0 to 50 ppm, 0 to 100 ppm); load and weighings
 * by the largest vehicle that GB 1589-2016 admits on the road (49 t); the rest assumed from usual instruments. */
#include "hub/adapter.h"
#include "sanitation.pb-c.h"

static const struct metric metrics[] = {
    {1, "speed_km_h", "车速", "km/h", METRIC_GAUGE, 0, 120, 0, 0, 35},
    {2, "heading_deg", "航向", "deg", METRIC_GAUGE, 0, 360, 0, 0, 360},
    {3, "load_kg", "载重", "kg", METRIC_GAUGE, 0, 49000, 0, 500, 8000},
    {4, "fuel_percent", "油量（电量）", "%", METRIC_GAUGE, 0, 100, 0, 20, 95},
    {5, "mileage_km", "里程", "km", METRIC_COUNTER, 0, 1000000, 1000000, 0, 8},
    {6, "engine_on", "发动机启动", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {7, "sweeping_on", "清扫作业", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
    {8, "compacting_on", "压缩作业", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
    {9, "spraying_on", "洒水作业", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
    {10, "water_tank_percent", "水箱余量", "%", METRIC_GAUGE, 0, 100, 0, 10, 95},
    {11, "plate", "车牌", "", METRIC_TEXT, 0, 0, 0, 0, 0},
    {12, "fill_percent", "满溢度", "%", METRIC_GAUGE, 0, 100, 0, 10, 85},
    {13, "bin_temp_c", "箱内温度", "°C", METRIC_GAUGE, -40, 300, 0, 5, 38},
    {14, "bin_tilt_deg", "箱体倾斜", "deg", METRIC_GAUGE, 0, 180, 0, 0, 5},
    {15, "fire_alarm", "火警", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {16, "battery_percent", "电池电量", "%", METRIC_GAUGE, 0, 100, 0, 40, 100},
    {17, "nh3_mg_m3", "氨", "mg/m3", METRIC_GAUGE, 0, 35, 0, 0.02, 0.25},
    {18, "h2s_mg_m3", "硫化氢", "mg/m3", METRIC_GAUGE, 0, 140, 0, 0, 0.008},
    {19, "stalls_occupied", "占用厕位数", "1", METRIC_GAUGE, 0, 200, 0, 0, 6},
    {20, "stalls_total", "厕位总数", "1", METRIC_GAUGE, 0, 200, 0, 8, 8},
    {21, "visitors_total", "累计人次", "1", METRIC_COUNTER, 0, 100000000, 100000000, 0, 40},
    {22, "water_total_m3", "累计用水量", "m3", METRIC_COUNTER, 0, 100000, 100000, 0, 0.6},
    {23, "toilet_temp_c", "厕内温度", "°C", METRIC_GAUGE, -40, 60, 0, 8, 32},
    {24, "toilet_humidity_percent", "厕内湿度", "%", METRIC_GAUGE, 0, 100, 0, 40, 85},
    {25, "gross_kg", "毛重", "kg", METRIC_GAUGE, 0, 100000, 0, 12000, 18000},
    {26, "tare_kg", "皮重", "kg", METRIC_GAUGE, 0, 50000, 0, 8000, 9500},
    {27, "net_kg", "净重", "kg", METRIC_GAUGE, 0, 49000, 0, 3000, 8500},
    {28, "weighed_plate", "过磅车牌", "", METRIC_TEXT, 0, 0, 0, 0, 0},
    {29, "waste_kind", "垃圾类别", "enum", METRIC_STATE, 0, 4, 0, 0, 4},
    {30, "weighing_number", "磅单号", "", METRIC_TEXT, 0, 0, 0, 0, 0},
};

static const struct device_kind kinds[] = {
    {"sweeper", "清扫车", true, 900, 10, 25,
     (const char *const[]){"speed_km_h", "heading_deg", "fuel_percent", "mileage_km", "engine_on", "sweeping_on",
                           "spraying_on", "water_tank_percent", "plate", NULL}},
    {"collection_truck", "垃圾收运车", true, 900, 10, 30,
     (const char *const[]){"speed_km_h", "heading_deg", "load_kg", "fuel_percent", "mileage_km", "engine_on",
                           "compacting_on", "plate", NULL}},
    {"water_truck", "洒水车", true, 900, 10, 10,
     (const char *const[]){"speed_km_h", "heading_deg", "fuel_percent", "mileage_km", "engine_on", "spraying_on",
                           "water_tank_percent", "plate", NULL}},
    {"bin", "垃圾箱", false, 86400, 120, 120,
     (const char *const[]){"fill_percent", "bin_temp_c", "bin_tilt_deg", "fire_alarm", "battery_percent", NULL}},
    {"public_toilet", "公共厕所", false, 1800, 60, 25,
     (const char *const[]){"nh3_mg_m3", "h2s_mg_m3", "stalls_occupied", "stalls_total", "visitors_total",
                           "water_total_m3", "toilet_temp_c", "toilet_humidity_percent", NULL}},
    {"transfer_station", "垃圾转运站", false, 86400, 300, 4,
     (const char *const[]){"gross_kg", "tare_kg", "net_kg", "weighed_plate", "waste_kind", "weighing_number", NULL}},
};

const struct adapter adapter_sanitation = {
    .key = "sanitation",
    .name_zh = "智慧环卫",
    .record = &cityhub__v1__sanitation_record__descriptor,
    .metrics = metrics,
    .metric_count = ADAPTER_COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = ADAPTER_COUNT_OF(kinds),
};
