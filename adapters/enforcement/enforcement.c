/* enforcement: 综合执法. Officers' terminals with body cameras (执法记录仪), patrol vehicles, drones and fixed cameras.
 * Ranges: drones to 120 m above ground, up to which light ones fly without permission (无人驾驶航空器飞行管理暂行条例,
 * 2024, 适飞空域), with room above it; counters with seven digits; the rest assumed. */
#include "enforcement.pb-c.h"
#include "hub/adapter.h"

static const struct metric metrics[] = {
    {1, "on_duty", "在岗", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {2, "recording_on", "执法记录仪录像", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
    {3, "streaming_on", "视频回传", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
    {4, "sos", "一键求助", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {5, "battery_percent", "电池电量", "%", METRIC_GAUGE, 0, 100, 0, 35, 100},
    {6, "storage_free_percent", "剩余存储", "%", METRIC_GAUGE, 0, 100, 0, 25, 90},
    {7, "officer_number", "执法证号", "", METRIC_TEXT, 0, 0, 0, 0, 0},
    {8, "checks_total", "累计检查次数", "1", METRIC_COUNTER, 0, 10000000, 10000000, 1, 4},
    {9, "warnings_total", "累计警告劝导次数", "1", METRIC_COUNTER, 0, 10000000, 10000000, 0, 2},
    {10, "orders_total", "累计责令改正数", "1", METRIC_COUNTER, 0, 10000000, 10000000, 0, 1},
    {11, "tickets_total", "累计处罚决定数", "1", METRIC_COUNTER, 0, 10000000, 10000000, 0, 1},
    {12, "seizures_total", "累计暂扣数", "1", METRIC_COUNTER, 0, 10000000, 10000000, 0, 0},
    {13, "speed_km_h", "速度", "km/h", METRIC_GAUGE, 0, 160, 0, 0, 40},
    {14, "heading_deg", "航向", "deg", METRIC_GAUGE, 0, 360, 0, 0, 360},
    {15, "mileage_km", "里程", "km", METRIC_COUNTER, 0, 1000000, 1000000, 5, 25},
    {16, "engine_on", "发动机启动", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {17, "plate", "车牌", "", METRIC_TEXT, 0, 0, 0, 0, 0},
    {18, "altitude_m", "飞行高度", "m", METRIC_GAUGE, -100, 1000, 0, 60, 110},
    {19, "camera_online", "视频在线", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {20, "camera_blocked", "视频遮挡", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {21, "events_total", "累计识别事件数", "1", METRIC_COUNTER, 0, 10000000, 10000000, 0, 6},
    {22, "disk_free_percent", "剩余磁盘", "%", METRIC_GAUGE, 0, 100, 0, 20, 60},
    {23, "fault_text", "故障描述", "", METRIC_TEXT, 0, 0, 0, 0, 0},
};

static const struct device_kind kinds[] = {
    {"officer_terminal", "执法终端（记录仪）", true, 900, 15, 60,
     (const char *const[]){"on_duty", "recording_on", "streaming_on", "sos", "battery_percent", "storage_free_percent",
                           "officer_number", "checks_total", "warnings_total", "orders_total", "tickets_total",
                           "seizures_total", "fault_text", NULL}},
    {"vehicle", "执法车", true, 900, 10, 12,
     (const char *const[]){"on_duty", "streaming_on", "speed_km_h", "heading_deg", "mileage_km", "engine_on", "plate",
                           "fault_text", NULL}},
    {"drone", "执法无人机", true, 86400, 10, 2,
     (const char *const[]){"streaming_on", "battery_percent", "speed_km_h", "heading_deg", "altitude_m", "fault_text",
                           NULL}},
    {"camera", "固定视频点", false, 1800, 60, 30,
     (const char *const[]){"camera_online", "camera_blocked", "events_total", "disk_free_percent", "fault_text", NULL}},
};

const struct adapter adapter_enforcement = {
    .key = "enforcement",
    .name_zh = "综合执法",
    .record = &cityhub__v1__enforcement_record__descriptor,
    .metrics = metrics,
    .metric_count = ADAPTER_COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = ADAPTER_COUNT_OF(kinds),
};
