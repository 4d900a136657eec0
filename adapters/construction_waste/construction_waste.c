/* construction_waste: 渣土管理. Trucks with on-board terminals (智能车载系统), site gates and disposal yards (消纳场).
 * Ranges: the largest vehicle that GB 1589-2016 admits on the road has 49 t, and overloaded ones are to be seen, so
 * payloads to 100 t; the rest assumed. */
#include "construction_waste.pb-c.h"
#include "hub/adapter_table.h"

static const struct metric metrics[] = {
    GAUGE(1, "speed_km_h", "车速", "km/h", 0, 160),
    GAUGE(2, "heading_deg", "航向", "deg", 0, 360),
    GAUGE(3, "load_kg", "载重", "kg", 0, 100000),
    GAUGE(4, "load_percent", "载重率", "%", 0, 500),
    STATE(5, "cover_closed", "顶盖密闭"),
    STATE(6, "bed_lifted", "货厢举升"),
    COUNTER(7, "mileage_km", "里程", "km", 1000000),
    STATE(8, "engine_on", "发动机启动"),
    GAUGE(9, "fuel_percent", "油量（电量）", "%", 0, 100),
    TEXT(10, "plate", "车牌"),
    TEXT(11, "permit_number", "核准证号"),
    TEXT(12, "driver_name", "驾驶员"),
    TEXT(13, "passage_plate", "过车车牌"),
    CHOICE(14, "passage", "进出场", 1),
    STATE(15, "washed", "冲洗"),
    STATE(16, "passage_loaded", "过车载货"),
    STATE(17, "passage_covered", "过车密闭"),
    GAUGE(18, "wash_seconds", "冲洗时长", "s", 0, 3600),
    GAUGE(19, "yard_volume_m3", "消纳场堆存量", "m3", 0, 100000000),
    GAUGE(20, "yard_free_m3", "消纳场剩余库容", "m3", 0, 100000000),
    COUNTER(21, "received_total_m3", "累计消纳量", "m3", 1000000000),
    COUNTER(22, "received_total_t", "累计过磅量", "t", 1000000000),
    GAUGE(23, "trucks_inside", "场内车辆数", "1", 0, 1000),
    TEXT(24, "fault_text", "故障描述"),
};

static const struct device_kind kinds[] = {
    {.key = "truck",
     .name_zh = "渣土车",
     .mobile = true,
     .interval_s = 10,
     .offline_after_s = 900,
     .metrics =
         SENDS("speed_km_h", "heading_deg", "load_kg", "load_percent", "cover_closed", "bed_lifted", "mileage_km",
               "engine_on", "fuel_percent", "plate", "permit_number", "driver_name", "fault_text")},
    {.key = "site_gate",
     .name_zh = "工地出入口",
     .interval_s = 120,
     .offline_after_s = 86400,
     .metrics = SENDS("passage_plate", "passage", "washed", "passage_loaded", "passage_covered", "wash_seconds",
                      "fault_text")},
    {.key = "disposal_yard",
     .name_zh = "消纳场",
     .interval_s = 300,
     .offline_after_s = 86400,
     .metrics = SENDS("yard_volume_m3", "yard_free_m3", "received_total_m3", "received_total_t", "trucks_inside",
                      "fault_text")},
};

static const struct adapter_check checks[] = {
    {.metric = "bed_lifted", .function = "construction_waste_dumping_check"},
};

const struct adapter adapter_construction_waste = {
    .key = "construction_waste",
    .name_zh = "渣土管理",
    .record = &cityhub__v1__construction_waste_record__descriptor,
    .new_fields_from = 1000,
    .metrics = metrics,
    .metric_count = COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = COUNT_OF(kinds),
    .checks = checks,
    .check_count = COUNT_OF(checks),
};
