/* dust: 扬尘管控. Monitors of dust, noise and weather at construction sites and roads.
 * Ranges: the measuring ranges that HJ 653-2021 (PM10, PM2.5) and usual site instruments have; else assumed. */
#include "dust.pb-c.h"
#include "hub/adapter.h"

static const struct metric metrics[] = {
    {1, "pm25_ug_m3", "PM2.5", "ug/m3", METRIC_GAUGE, 0, 1000, 0, 20, 90},
    {2, "pm10_ug_m3", "PM10", "ug/m3", METRIC_GAUGE, 0, 2000, 0, 40, 180},
    {3, "tsp_ug_m3", "总悬浮颗粒物", "ug/m3", METRIC_GAUGE, 0, 10000, 0, 80, 320},
    {4, "noise_dba", "噪声", "dB(A)", METRIC_GAUGE, 20, 140, 0, 45, 68},
    {5, "wind_speed_m_s", "风速", "m/s", METRIC_GAUGE, 0, 60, 0, 0.2, 6},
    {6, "wind_direction_deg", "风向", "deg", METRIC_GAUGE, 0, 360, 0, 0, 360},
    {7, "air_temp_c", "气温", "°C", METRIC_GAUGE, -50, 60, 0, 2, 33},
    {8, "humidity_percent", "相对湿度", "%", METRIC_GAUGE, 0, 100, 0, 30, 85},
    {9, "pressure_kpa", "气压", "kPa", METRIC_GAUGE, 50, 110, 0, 99, 103},
    {10, "spraying_on", "喷淋开启", "0/1", METRIC_STATE, 0, 1, 0, 0, 1},
};

static const struct device_kind kinds[] = {
    {"site_monitor", "工地扬尘监测仪", false, 900, 20, 120,
     (const char *const[]){"pm25_ug_m3", "pm10_ug_m3", "tsp_ug_m3", "noise_dba", "wind_speed_m_s", "wind_direction_deg",
                           "air_temp_c", "humidity_percent", "pressure_kpa", "spraying_on", NULL}},
    {"road_monitor", "道路扬尘监测仪", false, 900, 30, 40,
     (const char *const[]){"pm25_ug_m3", "pm10_ug_m3", "tsp_ug_m3", "noise_dba", "air_temp_c", "humidity_percent",
                           NULL}},
};

const struct adapter adapter_dust = {
    .key = "dust",
    .name_zh = "扬尘管控",
    .record = &cityhub__v1__dust_record__descriptor,
    .metrics = metrics,
    .metric_count = ADAPTER_COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = ADAPTER_COUNT_OF(kinds),
};
