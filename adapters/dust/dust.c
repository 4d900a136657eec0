/* dust: 扬尘管控. Monitors of dust, noise and weather at construction sites and roads.
 * Ranges: the measuring ranges that HJ 653-2021 (PM10, PM2.5) and usual site instruments have; else assumed. */
#include "dust.pb-c.h"
#include "hub/adapter_table.h"

static const struct metric metrics[] = {
    GAUGE(1, "pm25_ug_m3", "PM2.5", "ug/m3", 0, 1000),
    GAUGE(2, "pm10_ug_m3", "PM10", "ug/m3", 0, 2000),
    GAUGE(3, "tsp_ug_m3", "总悬浮颗粒物", "ug/m3", 0, 10000),
    GAUGE(4, "noise_dba", "噪声", "dB(A)", 20, 140),
    GAUGE(5, "wind_speed_m_s", "风速", "m/s", 0, 60),
    GAUGE(6, "wind_direction_deg", "风向", "deg", 0, 360),
    GAUGE(7, "air_temp_c", "气温", "°C", -50, 60),
    GAUGE(8, "humidity_percent", "相对湿度", "%", 0, 100),
    GAUGE(9, "pressure_kpa", "气压", "kPa", 50, 110),
    STATE(10, "spraying_on", "喷淋开启"),
};

static const struct device_kind kinds[] = {
    {.key = "site_monitor",
     .name_zh = "工地扬尘监测仪",
     .interval_s = 20,
     .offline_after_s = 900,
     .metrics = SENDS("pm25_ug_m3", "pm10_ug_m3", "tsp_ug_m3", "noise_dba", "wind_speed_m_s", "wind_direction_deg",
                      "air_temp_c", "humidity_percent", "pressure_kpa", "spraying_on")},
    {.key = "road_monitor",
     .name_zh = "道路扬尘监测仪",
     .interval_s = 30,
     .offline_after_s = 900,
     .metrics = SENDS("pm25_ug_m3", "pm10_ug_m3", "tsp_ug_m3", "noise_dba", "air_temp_c", "humidity_percent")},
};

const struct adapter adapter_dust = {
    .key = "dust",
    .name_zh = "扬尘管控",
    .record = &cityhub__v1__dust_record__descriptor,
    .new_fields_from = 1100,
    .metrics = metrics,
    .metric_count = COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = COUNT_OF(kinds),
};
