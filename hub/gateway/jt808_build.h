/* jt808_build.h: answers and commands of JT/T 808 to a terminal, as they travel: escaped, the check byte too, between
 * 7e. Pure functions into the caller's buffer of JT808_WIRE_MAX bytes. All return the number of bytes, or CH_EINVAL:
 * the body would have more than 1,023 bytes, or what is named at the function. `serial` is the platform's own running
 * number. */
#ifndef CITYHUB_GATEWAY_JT808_BUILD_H
#define CITYHUB_GATEWAY_JT808_BUILD_H

#include "hub/gateway/jt808.h"

/* To whom, in the form of the terminal's own frames. */
struct jt808_address {
    bool is_2019;
    uint8_t version;
    char phone[JT808_PHONE_MAX]; /* 12 or (2019) 20 hexadecimal digits, as jt808_parse has them */
};
struct jt808_address jt808_address_of(const struct jt808_frame *frame);

enum { JT808_DONE = 0, JT808_FAILED = 1, JT808_WRONG = 2, JT808_UNSUPPORTED = 3 }; /* results of 8001 */
enum {
    JT808_REGISTERED = 0,
    JT808_NO_SUCH_VEHICLE = 2,
    JT808_NO_SUCH_TERMINAL = 4
}; /* results of 8100; 1 and 3: there already */

/* Any message. */
int jt808_build(const struct jt808_address *to, uint16_t id, uint16_t serial, const uint8_t *body, size_t length,
                uint8_t out[static JT808_WIRE_MAX]);

/* 8001, to any message but 0001, 0100 and 0801. */
int jt808_build_answer(const struct jt808_address *to, uint16_t serial, uint16_t answered_serial, uint16_t answered_id,
                       uint8_t result, uint8_t out[static JT808_WIRE_MAX]);
/* 8100. `token` (ASCII) only with JT808_REGISTERED. */
int jt808_build_registered(const struct jt808_address *to, uint16_t serial, uint16_t answered_serial, uint8_t result,
                           const char *token, uint8_t out[static JT808_WIRE_MAX]);
/* 8800: the medium is complete (`count` 0), or these of its sub-packets are missing (at most 125). */
int jt808_build_media(const struct jt808_address *to, uint16_t serial, uint32_t media_id, const uint16_t *missing,
                      size_t count, uint8_t out[static JT808_WIRE_MAX]);
/* 8003: send sub-packets again (at most 255), of the message whose first one had `first_serial`. */
int jt808_build_ask_again(const struct jt808_address *to, uint16_t serial, uint16_t first_serial,
                          const uint16_t *missing, size_t count, uint8_t out[static JT808_WIRE_MAX]);
/* 8004 or 8109, by the question's id: the time in UTC. CH_EINVAL for a time before 2000 or after 2099. */
int jt808_build_time(const struct jt808_address *to, uint16_t serial, uint16_t question, int64_t utc_ms,
                     uint8_t out[static JT808_WIRE_MAX]);
/* 8300: text for the driver, UTF-8 here, GBK there. `flags`: bit 0 urgent, 2 on the screen, 3 read aloud, 4 on the
 * advertising screen. CH_EINVAL also for text that GBK has not. */
int jt808_build_text(const struct jt808_address *to, uint16_t serial, uint8_t flags, const char *text,
                     uint8_t out[static JT808_WIRE_MAX]);
/* 8201: where are you; answered by 0201. */
int jt808_build_query_position(const struct jt808_address *to, uint16_t serial, uint8_t out[static JT808_WIRE_MAX]);

struct jt808_parameter {
    uint32_t id; /* e.g. 0x0029: seconds between positions, 4 bytes */
    uint8_t length;
    const uint8_t *value;
};
/* 8103: sets parameters, 1 to 255 of them. */
int jt808_build_set_parameters(const struct jt808_address *to, uint16_t serial,
                               const struct jt808_parameter *parameters, size_t count,
                               uint8_t out[static JT808_WIRE_MAX]);
/* 8104: tell all parameters; answered by 0104. */
int jt808_build_query_parameters(const struct jt808_address *to, uint16_t serial, uint8_t out[static JT808_WIRE_MAX]);

#endif
