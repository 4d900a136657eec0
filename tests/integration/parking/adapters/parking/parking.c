/* parking: 智慧停车. Gates of car parks, and patrols. Ranges assumed. */
#include "hub/adapter_table.h"
#include "parking.pb-c.h"

static const struct metric metrics[] = {
    GAUGE(1, "spaces_free", "空余车位", "1", 0, 20000),
    COUNTER(2, "entries_total", "累计进场车次", "1", 100000000),
    STATE(3, "barrier_up", "道闸抬起"),
    CHOICE(4, "passage", "进出", 1),
    TEXT(5, "plate", "车牌"),
    GAUGE(6, "speed_km_h", "车速", "km/h", 0, 160),
};

static const struct device_kind kinds[] = {
    {.key = "gate",
     .name_zh = "停车场出入口",
     .interval_s = 60,
     .offline_after_s = 3600,
     .metrics = SENDS("spaces_free", "entries_total", "barrier_up", "passage", "plate")},
    {.key = "patrol",
     .name_zh = "巡查车",
     .mobile = true,
     .interval_s = 10,
     .offline_after_s = 900,
     .metrics = SENDS("speed_km_h", "plate")},
};

const struct adapter adapter_parking = {
    .key = "parking",
    .name_zh = "智慧停车",
    .record = &cityhub__v1__parking_record__descriptor,
    .new_fields_from = 2100,
    .metrics = metrics,
    .metric_count = COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = COUNT_OF(kinds),
};
