/* jt808.h: the frames of JT/T 808-2011, -2013 and -2019 (vehicle terminals): finds them in a stream of bytes and
 * divides them into header and body. Pure functions: no clock, no memory of their own, no I/O. Never believes a length
 * before the check byte agrees with it, and never lets a bad frame cost the one behind it.
 *
 * A frame is 7e, header and body and their XOR with 7d as 7d 01 and 7e as 7d 02, 7e. The header: id 2 bytes, attributes
 * 2 (bits 0 to 9 length of the body, 10 to 12 encryption, 13 sub-packets, 14 = 2019), from 2019 on a version byte,
 * phone in BCD (6 bytes, 2019: 10), serial 2, for a sub-packet its set's total 2 and its number 2. */
#ifndef CITYHUB_GATEWAY_JT808_H
#define CITYHUB_GATEWAY_JT808_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/gateway/protocol.h"

enum {
    JT808_WIRE_MAX = 4096,    /* bytes of a frame as it travels, with both 7e: the reader never waits for more */
    JT808_BODY_MAX = 1023,    /* bytes of a body: the length has ten bits */
    JT808_PHONE_MAX = 21,     /* digits of a phone and their end */
    JT808_PROBLEM_MAX = 200,  /* bytes of a reason with its end */
    JT808_POSITION_SIZE = 28, /* bytes of a position before its additional items */
};

/* Message ids. */
enum {
    JT808_ACK = 0x0001,             /* the terminal's general answer */
    JT808_HEARTBEAT = 0x0002,       /* answered by 8001 */
    JT808_LOGOUT = 0x0003,          /* 8001 */
    JT808_TIME_2019 = 0x0004,       /* 8004 */
    JT808_RESEND = 0x0005,          /* the terminal asks for sub-packets of ours */
    JT808_REGISTER = 0x0100,        /* 8100 */
    JT808_AUTHENTICATE = 0x0102,    /* 8001 */
    JT808_PARAMETERS = 0x0104,      /* to 8104: serial 2, count 1, then id 4, length 1, value each */
    JT808_TIME = 0x0109,            /* 8109: trackers' own, before there was 0004 */
    JT808_POSITION = 0x0200,        /* 8001 */
    JT808_POSITION_ANSWER = 0x0201, /* to 8201: serial 2, then as 0200 */
    JT808_BATCH = 0x0704,           /* 8001 */
    JT808_MEDIA_EVENT = 0x0800,     /* 8001 */
    JT808_MEDIA = 0x0801,           /* 8800 */
    JT808_GENERAL_ANSWER = 0x8001,
    JT808_ASK_AGAIN = 0x8003,
    JT808_TIME_2019_ANSWER = 0x8004,
    JT808_REGISTER_ANSWER = 0x8100,
    JT808_SET_PARAMETERS = 0x8103,
    JT808_QUERY_PARAMETERS = 0x8104,
    JT808_TIME_ANSWER = 0x8109,
    JT808_QUERY_POSITION = 0x8201,
    JT808_TEXT = 0x8300,
    JT808_MEDIA_ANSWER = 0x8800,
};

/* What the bytes that are buffered on a connection begin with. `ended` = no more will come (the end of a line or of a
 * connection): then READING_MORE is returned only for the beginning of a frame or for nothing at all. A 7e inside a
 * frame that a terminal forgot to escape is taken as data if only so length and check byte fit. Needs JT808_WIRE_MAX
 * bytes at the most. */
enum reading jt808_read(const uint8_t *bytes, size_t length, bool ended, struct reading_result *result);

enum jt808_standing {
    JT808_BAD,   /* not to be used and not to be answered */
    JT808_SAVED, /* length and check byte fit, but 7d or 7e was not escaped: use it as any other */
    JT808_GOOD,
};

struct jt808_frame {
    enum jt808_standing standing;
    char problem[JT808_PROBLEM_MAX]; /* unless JT808_GOOD: what is wrong, in words for people */
    bool has_header;                 /* false: nothing below is set */
    uint16_t id, attributes, serial;
    bool is_2019;
    uint8_t version;             /* 2019: its version byte */
    char phone[JT808_PHONE_MAX]; /* all 12 or 20 digits with leading zeros; hexadecimal if it is no BCD */
    bool phone_is_decimal;
    unsigned encryption;             /* 0 = none, 1 = RSA: the body cannot be read */
    bool is_packet;                  /* one of a set of sub-packets: the body is a piece */
    uint16_t packets, packet_number; /* 1 to `packets` where the terminal is right */
    size_t declared;                 /* length of the body as the header says it */
    uint8_t check, computed;         /* XOR as sent, as it must be */
    size_t length;                   /* of the body that is there */
    uint8_t body[JT808_WIRE_MAX];
};

/* Divides the bytes of one READING_FRAME. Whatever can be read of a bad frame is set too. */
void jt808_parse(const uint8_t *bytes, size_t length, struct jt808_frame *frame);

/* Whether a frame's body can be read by its id: it is used, whole and not encrypted. */
bool jt808_is_readable(const struct jt808_frame *frame);

/* Big-endian numbers. */
static inline uint16_t jt808_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}
static inline uint32_t jt808_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

#endif
