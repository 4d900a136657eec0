/* simulate_frame.c: see simulate_frame.h. Must never send a value in another unit than the dialects of
 * config/gateway/hj212/dust.json and config/gateway/jt808/construction_waste.json have it. */
#include "hub/simulate/simulate_frame.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hub/base/count.h"
#include "hub/base/member.h"
#include "hub/gateway/hj212.h"
#include "hub/gateway/jt808_body.h"
#include "hub/gateway/jt808_build.h"

enum { LOCAL_S = 8 * 3600 /* a terminal's clock is China's */ };

static const struct {
    const char *code, *metric;
} factors[] = {
    {"a34004", "pm25_ug_m3"},   {"a34002", "pm10_ug_m3"},     {"a34001", "tsp_ug_m3"},
    {"a50001", "noise_dba"},    {"a01001", "air_temp_c"},     {"a01002", "humidity_percent"},
    {"a01006", "pressure_kpa"}, {"a01007", "wind_speed_m_s"}, {"a01008", "wind_direction_deg"},
};

static struct tm local_time(int64_t at_ms) {
    time_t seconds = (time_t)(at_ms / 1000 + LOCAL_S);
    struct tm local;
    gmtime_r(&seconds, &local);
    return local;
}

void simulate_qn(int64_t at_ms, char qn[static SIMULATE_QN_SIZE]) {
    char text[32];
    struct tm local = local_time(at_ms);
    size_t length = strftime(text, sizeof text, "%Y%m%d%H%M%S", &local);
    snprintf(text + length, sizeof text - length, "%03d", (int)(at_ms % 1000));
    snprintf(qn, SIMULATE_QN_SIZE, "%.17s", text);
}

size_t simulate_hj212(const cJSON *record, const char *identity, const char *qn, int64_t at_ms,
                      uint8_t out[static SIMULATE_FRAME_MAX]) {
    char items[HJ212_SEGMENT_MAX];
    char segment[HJ212_SEGMENT_MAX + 256];
    char moment[16];
    struct tm local = local_time(at_ms);
    strftime(moment, sizeof moment, "%Y%m%d%H%M%S", &local);
    size_t used = 0;
    for (size_t i = 0; i < COUNT_OF(factors); i++) {
        const cJSON *value = member_get(record, factors[i].metric);
        if (cJSON_IsNumber(value)) {
            used += (size_t)snprintf(items + used, sizeof items - used, ";%s-Rtd=%.6g,%s-Flag=N", factors[i].code,
                                     value->valuedouble, factors[i].code);
        }
    }
    if (used == 0) {
        return 0;
    }
    int length = snprintf(segment, sizeof segment, "QN=%s;ST=39;CN=2011;MN=%s;Flag=5;CP=&&DataTime=%s%s&&", qn,
                          identity, moment, items);
    return (size_t)snprintf((char *)out, SIMULATE_FRAME_MAX, "##%04d%s%04X\r\n", length, segment,
                            (unsigned)hj212_crc(HJ212_CRC_STANDARD, segment, (size_t)length));
}

static struct jt808_address address_of(const char *identity) {
    struct jt808_address address = {.is_2019 = false};
    snprintf(address.phone, sizeof address.phone, "%.12s", identity);
    return address;
}

static size_t built(int length) {
    return length < 0 ? 0 : (size_t)length;
}

size_t simulate_jt808_hello(const char *identity, uint16_t serial, uint8_t out[static SIMULATE_FRAME_MAX]) {
    const struct jt808_address address = address_of(identity);
    return built(jt808_build(&address, JT808_AUTHENTICATE, serial, (const uint8_t *)identity, strlen(identity), out));
}

/* ---- a position's body ---- */

static uint8_t *put_number(uint8_t *at, double value, size_t width) {
    uint32_t number = (uint32_t)lround(fmin(fmax(value, 0), width == 2 ? UINT16_MAX : UINT32_MAX));
    for (size_t i = width; i-- > 0;) {
        *at++ = (uint8_t)(number >> (8 * i));
    }
    return at;
}

static uint8_t *put_decimal(uint8_t *at, int two_digits) {
    *at = (uint8_t)(two_digits / 10 << 4 | two_digits % 10);
    return at + 1;
}

/* Bits 8 and 9: empty, half full, full. */
static unsigned status_of(const cJSON *record) {
    double load = member_number(record, "load_percent", 0);
    unsigned loaded = load < 25 ? 0 : load < 75 ? 1 : 3;
    bool engine = cJSON_IsTrue(member_get(record, "engine_on"));
    return JT808_STATUS_FIX | (engine ? JT808_STATUS_ACC : 0U) | loaded << 8;
}

size_t simulate_jt808(const cJSON *record, const char *identity, uint16_t serial, int64_t at_ms,
                      uint8_t out[static SIMULATE_FRAME_MAX]) {
    uint8_t body[JT808_POSITION_SIZE + 6];
    const cJSON *position = member_get(record, "position");
    const struct jt808_address address = address_of(identity);
    struct tm local = local_time(at_ms);
    if (position == NULL) {
        return 0;
    }
    uint8_t *at = put_number(body, 0, 4); /* no alarm */
    at = put_number(at, status_of(record), 4);
    at = put_number(at, member_number(position, "lat", 0) * 1e6, 4);
    at = put_number(at, member_number(position, "lon", 0) * 1e6, 4);
    at = put_number(at, 60, 2); /* metres above the sea, in all of the county */
    at = put_number(at, member_number(record, "speed_km_h", 0) * 10, 2);
    at = put_number(at, fmod(member_number(record, "heading_deg", 0), 360), 2);
    at = put_decimal(at, local.tm_year % 100);
    at = put_decimal(at, local.tm_mon + 1);
    at = put_decimal(at, local.tm_mday);
    at = put_decimal(at, local.tm_hour);
    at = put_decimal(at, local.tm_min);
    at = put_decimal(at, local.tm_sec);
    *at++ = 0x01; /* the mileage, in tenths of a kilometre */
    *at++ = 4;
    at = put_number(at, member_number(record, "mileage_km", 0) * 10, 4);
    return built(jt808_build(&address, JT808_POSITION, serial, body, (size_t)(at - body), out));
}
