/* construction_waste: 渣土管理. Trucks with on-board terminals (智能车载系统), site gates and disposal yards (消纳场).
 * Ranges: the largest vehicle that GB 1589-2016 admits on the road has 49 t, and overloaded ones are to be seen, so
 * payloads to 100 t; the rest assumed. */
#include "construction_waste.pb-c.h"
#include "hub/adapter.h"

static const struct metric metrics[] = {
    {1, "speed_km_h", "车速", "km/h", METRIC_GAUGE, 0, 160, 0, 0, 50},
    {2, "heading_deg", "航向", "deg", METRIC_GAUGE, 0, 360, 0, 0, 360},
    {3, "load_kg", "载重", "kg", METRIC_GAUGE, 0, 100000, 0, 0, 17000},
    {4, "load_percent", "载重率", "%", METRIC_GAUGE, 0, 500, 0, 0, 98},
    {5, "cover_closed", "顶盖密闭", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {6, "bed_lifted", "货厢举升", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {7, "mileage_km", "里程", "km", METRIC_COUNTER, 0, 1000000, 1000000, 0, 25},
    {8, "engine_on", "发动机启动", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {9, "fuel_percent", "油量（电量）", "%", METRIC_GAUGE, 0, 100, 0, 20, 95},
    {10, "plate", "车牌", "", METRIC_TEXT, 0, 0, 0, 0, 0},
    {11, "permit_number", "核准证号", "", METRIC_TEXT, 0, 0, 0, 0, 0},
    {12, "driver_name", "驾驶员", "", METRIC_TEXT, 0, 0, 0, 0, 0},
    {13, "passage_plate", "过车车牌", "", METRIC_TEXT, 0, 0, 0, 0, 0},
    {14, "passage", "进出场", "enum", METRIC_STATE, 0, 1, 0, 0, 1},
    {15, "washed", "冲洗", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {16, "passage_loaded", "过车载货", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
    {17, "passage_covered", "过车密闭", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {18, "wash_seconds", "冲洗时长", "s", METRIC_GAUGE, 0, 3600, 0, 60, 240},
    {19, "yard_volume_m3", "消纳场堆存量", "m3", METRIC_GAUGE, 0, 100000000, 0, 180000, 220000},
    {20, "yard_free_m3", "消纳场剩余库容", "m3", METRIC_GAUGE, 0, 100000000, 0, 80000, 120000},
    {21, "received_total_m3", "累计消纳量", "m3", METRIC_COUNTER, 0, 1000000000, 1000000000, 20, 90},
    {22, "received_total_t", "累计过磅量", "t", METRIC_COUNTER, 0, 1000000000, 1000000000, 35, 160},
    {23, "trucks_inside", "场内车辆数", "1", METRIC_GAUGE, 0, 1000, 0, 0, 8},
    {24, "fault_text", "故障描述", "", METRIC_TEXT, 0, 0, 0, 0, 0},
};

static const struct device_kind kinds[] = {
    {"truck", "渣土车", true, 900, 10, 60,
     (const char *const[]){"speed_km_h", "heading_deg", "load_kg", "load_percent", "cover_closed", "bed_lifted",
                           "mileage_km", "engine_on", "fuel_percent", "plate", "permit_number", "driver_name",
                           "fault_text", NULL}},
    {"site_gate", "工地出入口", false, 86400, 120, 25,
     (const char *const[]){"passage_plate", "passage", "washed", "passage_loaded", "passage_covered", "wash_seconds",
                           "fault_text", NULL}},
    {"disposal_yard", "消纳场", false, 86400, 300, 5,
     (const char *const[]){"yard_volume_m3", "yard_free_m3", "received_total_m3", "received_total_t", "trucks_inside",
                           "fault_text", NULL}},
};

static const struct adapter_check checks[] = {
    {"bed_lifted", "construction_waste_dumping_check"},
};

const struct adapter adapter_construction_waste = {
    .key = "construction_waste",
    .name_zh = "渣土管理",
    .record = &cityhub__v1__construction_waste_record__descriptor,
    .metrics = metrics,
    .metric_count = ADAPTER_COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = ADAPTER_COUNT_OF(kinds),
    .checks = checks,
    .check_count = ADAPTER_COUNT_OF(checks),
};
