/* jt808_build.c: frames to terminals. Must never write a 7e or 7d that is not escaped: terminals drop such a frame, and
 * with it the acknowledgement that they wait for. */
#include "hub/gateway/jt808_build.h"

#include <iconv.h>
#include <string.h>
#include <time.h>

#include "hub/base/error.h"

enum { TEXT_KIND_NOTICE = 1 }; /* 8300 of 2019: 1 notice, 2 service */

struct jt808_address jt808_address_of(const struct jt808_frame *frame) {
    struct jt808_address to = {.is_2019 = frame->is_2019, .version = frame->version};
    memcpy(to.phone, frame->phone, sizeof to.phone);
    return to;
}

/* ---- bodies and frames as they grow */

struct body {
    uint8_t bytes[JT808_BODY_MAX];
    size_t used;
    bool too_long;
};

/* A frame as it travels. */
struct wire {
    uint8_t *out;
    size_t used;
    uint8_t sum;
};

static void body_bytes(struct body *body, const void *bytes, size_t length) {
    if (length > sizeof body->bytes - body->used) {
        body->too_long = true;
        return;
    }
    memcpy(body->bytes + body->used, bytes, length);
    body->used += length;
}

static void body_number(struct body *body, uint32_t number, size_t width) {
    uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    body_bytes(body, bytes + 4 - width, width);
}

static void wire_byte(struct wire *wire, uint8_t byte) {
    wire->sum ^= byte;
    if (byte == 0x7e || byte == 0x7d) {
        wire->out[wire->used++] = 0x7d;
        byte = byte == 0x7e ? 2 : 1;
    }
    wire->out[wire->used++] = byte;
}

static void wire_number(struct wire *wire, uint16_t number) {
    wire_byte(wire, (uint8_t)(number >> 8));
    wire_byte(wire, (uint8_t)number);
}

static uint8_t half(char digit) {
    return (uint8_t)(digit <= '9' ? digit - '0' : (digit | ' ') - 'a' + 10);
}

int jt808_build(const struct jt808_address *to, uint16_t id, uint16_t serial, const uint8_t *body, size_t length,
                uint8_t out[static JT808_WIRE_MAX]) {
    struct wire wire = {.out = out};
    size_t digits = to->is_2019 ? 20 : 12;
    if (length > JT808_BODY_MAX || strlen(to->phone) != digits ||
        strspn(to->phone, "0123456789abcdefABCDEF") != digits) {
        return CH_EINVAL;
    }
    out[wire.used++] = 0x7e;
    wire_number(&wire, id);
    wire_number(&wire, (uint16_t)(length | (to->is_2019 ? 1U << 14 : 0)));
    if (to->is_2019) {
        wire_byte(&wire, to->version);
    }
    for (size_t i = 0; i < digits; i += 2) {
        wire_byte(&wire, (uint8_t)(half(to->phone[i]) << 4 | half(to->phone[i + 1])));
    }
    wire_number(&wire, serial);
    for (size_t i = 0; i < length; i++) {
        wire_byte(&wire, body[i]);
    }
    wire_byte(&wire, wire.sum);
    out[wire.used++] = 0x7e;
    return (int)wire.used;
}

static int finish(const struct jt808_address *to, uint16_t id, uint16_t serial, const struct body *body,
                  uint8_t out[static JT808_WIRE_MAX]) {
    return body->too_long ? CH_EINVAL : jt808_build(to, id, serial, body->bytes, body->used, out);
}

/* ---- messages */

int jt808_build_answer(const struct jt808_address *to, uint16_t serial, uint16_t answered_serial, uint16_t answered_id,
                       uint8_t result, uint8_t out[static JT808_WIRE_MAX]) {
    struct body body = {0};
    body_number(&body, answered_serial, 2);
    body_number(&body, answered_id, 2);
    body_number(&body, result, 1);
    return finish(to, JT808_GENERAL_ANSWER, serial, &body, out);
}

int jt808_build_registered(const struct jt808_address *to, uint16_t serial, uint16_t answered_serial, uint8_t result,
                           const char *token, uint8_t out[static JT808_WIRE_MAX]) {
    struct body body = {0};
    body_number(&body, answered_serial, 2);
    body_number(&body, result, 1);
    if (result == JT808_REGISTERED) {
        body_bytes(&body, token, strlen(token));
    }
    return finish(to, JT808_REGISTER_ANSWER, serial, &body, out);
}

static void body_list(struct body *body, const uint16_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        body_number(body, numbers[i], 2);
    }
}

int jt808_build_media(const struct jt808_address *to, uint16_t serial, uint32_t media_id, const uint16_t *missing,
                      size_t count, uint8_t out[static JT808_WIRE_MAX]) {
    enum { MOST = 125 };
    struct body body = {.too_long = count > MOST};
    body_number(&body, media_id, 4);
    if (count > 0) {
        body_number(&body, (uint32_t)count, 1);
        body_list(&body, missing, count);
    }
    return finish(to, JT808_MEDIA_ANSWER, serial, &body, out);
}

int jt808_build_ask_again(const struct jt808_address *to, uint16_t serial, uint16_t first_serial,
                          const uint16_t *missing, size_t count, uint8_t out[static JT808_WIRE_MAX]) {
    struct body body = {.too_long = count > UINT8_MAX};
    body_number(&body, first_serial, 2);
    body_number(&body, (uint32_t)count, to->is_2019 ? 2 : 1);
    body_list(&body, missing, count);
    return finish(to, JT808_ASK_AGAIN, serial, &body, out);
}

int jt808_build_time(const struct jt808_address *to, uint16_t serial, uint16_t question, int64_t utc_ms,
                     uint8_t out[static JT808_WIRE_MAX]) {
    struct body body = {0};
    struct tm now;
    time_t seconds = (time_t)(utc_ms / 1000);
    if (utc_ms < 0 || gmtime_r(&seconds, &now) == NULL || now.tm_year < 100 || now.tm_year > 199) {
        return CH_EINVAL;
    }
    const int parts[] = {now.tm_year - 100, now.tm_mon + 1, now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec};
    bool bcd = question != JT808_TIME; /* the trackers' own has the year in two bytes and no BCD */
    if (!bcd) {
        body_number(&body, (uint32_t)now.tm_year + 1900, 2);
    }
    for (size_t i = bcd ? 0 : 1; i < sizeof parts / sizeof *parts; i++) {
        body_number(&body, (uint32_t)(bcd ? parts[i] / 10 << 4 | parts[i] % 10 : parts[i]), 1);
    }
    return finish(to, bcd ? JT808_TIME_2019_ANSWER : JT808_TIME_ANSWER, serial, &body, out);
}

int jt808_build_text(const struct jt808_address *to, uint16_t serial, uint8_t flags, const char *text,
                     uint8_t out[static JT808_WIRE_MAX]) {
    struct body body = {0};
    char copy[JT808_BODY_MAX * 2], gbk[JT808_BODY_MAX];
    size_t left = strlen(text), room = sizeof gbk;
    if (left >= sizeof copy) {
        return CH_EINVAL;
    }
    memcpy(copy, text, left + 1); /* iconv wants bytes that it could change */
    char *in = copy, *end = gbk;
    iconv_t conversion = iconv_open("GBK", "UTF-8");
    bool converted = conversion != (iconv_t)-1 && iconv(conversion, &in, &left, &end, &room) == 0 && left == 0;
    if (conversion != (iconv_t)-1) {
        iconv_close(conversion);
    }
    if (!converted) {
        return CH_EINVAL;
    }
    body_number(&body, flags, 1);
    if (to->is_2019) {
        body_number(&body, TEXT_KIND_NOTICE, 1);
    }
    body_bytes(&body, gbk, (size_t)(end - gbk));
    return finish(to, JT808_TEXT, serial, &body, out);
}

int jt808_build_query_position(const struct jt808_address *to, uint16_t serial, uint8_t out[static JT808_WIRE_MAX]) {
    return jt808_build(to, JT808_QUERY_POSITION, serial, NULL, 0, out);
}

int jt808_build_set_parameters(const struct jt808_address *to, uint16_t serial,
                               const struct jt808_parameter *parameters, size_t count,
                               uint8_t out[static JT808_WIRE_MAX]) {
    struct body body = {.too_long = count == 0 || count > UINT8_MAX};
    body_number(&body, (uint32_t)count, 1);
    for (size_t i = 0; i < count; i++) {
        body_number(&body, parameters[i].id, 4);
        body_number(&body, parameters[i].length, 1);
        body_bytes(&body, parameters[i].value, parameters[i].length);
    }
    return finish(to, JT808_SET_PARAMETERS, serial, &body, out);
}

int jt808_build_query_parameters(const struct jt808_address *to, uint16_t serial, uint8_t out[static JT808_WIRE_MAX]) {
    return jt808_build(to, JT808_QUERY_PARAMETERS, serial, NULL, 0, out);
}
