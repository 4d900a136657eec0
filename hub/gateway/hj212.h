/* hj212.h: HJ 212-2017, -2005 and -2025, by which environment monitors (dust, stacks, water) report over TCP. Pure:
 * bytes and a caller's struct in, struct, bytes and JSON out; no I/O, no clock, no state, nothing allocated but what
 * cJSON allocates.
 *
 * A frame is ## + 4 digits (length of the segment) + segment + 4 hexadecimal digits (check value of the segment) + CR
 * LF. The segment is header fields, then CP=&& items &&. What devices make of that is told in docs/gateway.md. */
#ifndef CITYHUB_GATEWAY_HJ212_H
#define CITYHUB_GATEWAY_HJ212_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/gateway/protocol.h"

enum {
    HJ212_FRAME_MAX = 8192,   /* bytes of a frame with its line end; the standard's 1024 loses real data */
    HJ212_SEGMENT_MAX = 1024, /* bytes of a segment by the standard (6.3.1) */
    HJ212_ITEMS_MAX = 1024,   /* items of a frame; what is beyond is told and left out */
    HJ212_ANSWER_MAX = 512,   /* bytes that every answer and command fits into */
    HJ212_KEY_BYTES = 16,     /* of SM4 */
    HJ212_REASON_MAX = 400,   /* bytes of a reason, with its end */
};

/* ---- check values */

enum hj212_crc {
    HJ212_CRC_STANDARD, /* HJ 212-2017, annex A: the low byte is dropped at every step */
    HJ212_CRC_MODBUS,   /* CRC-16/MODBUS, as Shanghai's dust firmware has it */
    HJ212_CRC_SWAPPED,  /* the same with its two bytes swapped */
    HJ212_CRC_OFF,      /* of a terminal: nothing is checked; of a frame: none of these fits */
};

/* "standard", "modbus", "modbus-swapped", "off": index = enum hj212_crc. */
extern const char *const hj212_crc_words[HJ212_CRC_OFF + 1];

/* The check value of one kind; of HJ212_CRC_OFF the standard's. */
uint16_t hj212_crc(enum hj212_crc kind, const char *bytes, size_t length);

/* Whether the standard's check can give the value at all: it has 256 of the 65536. */
bool hj212_crc_possible(uint16_t value);

/* ---- reading from a connection */

/* Says what the first of `length` buffered bytes are; see protocol.h. `ended`: no more will come, so what is there is
 * all. A declared length is believed only where it ends a frame whose check value fits, and never across the beginning
 * of another frame. Never needs more than HJ212_FRAME_MAX bytes. READING_SKIP with `why` NULL passes over line ends. */
enum reading hj212_read(const char *bytes, size_t length, bool ended, struct reading_result *result);

/* ---- a frame */

/* What is wrong with a frame, one bit each, in the order in which it is told. */
enum hj212_fault {
    HJ212_LENGTH_WRONG = 1 << 0,
    HJ212_CRC_WRONG = 1 << 1,     /* none of the known check values fits */
    HJ212_CRC_FOREIGN = 1 << 2,   /* not the standard's; `crc` says which */
    HJ212_CRC_MISSING = 1 << 3,   /* a vendor's own frame, or one without its end */
    HJ212_LOCKED = 1 << 4,        /* encrypted, and no key or not this one */
    HJ212_TOO_LONG = 1 << 5,      /* longer than HJ212_SEGMENT_MAX; all of it is there */
    HJ212_PIECE_UNNAMED = 1 << 6, /* Flag says split, but no PNUM or PNO */
    HJ212_NO_IDENTITY = 1 << 7,   /* MN missing, empty or null */
    HJ212_NO_SYSTEM = 1 << 8,     /* ST likewise */
    HJ212_NO_COMMAND = 1 << 9,    /* CN likewise */
    HJ212_GBK = 1 << 10,          /* text is GBK; it was converted */
    HJ212_BAD_TEXT = 1 << 11,     /* text is neither; '?' stands for each byte that is none */
    HJ212_TOO_MANY = 1 << 12,     /* more than HJ212_ITEMS_MAX items */
    HJ212_NO_FRAME = 1 << 13,     /* not even ## and a length */
};

/* What is not as the standard wants it and harms nothing, one bit each. */
enum hj212_oddity {
    HJ212_LOWER_CRC = 1 << 0,
    HJ212_NO_QN = 1 << 1,
    HJ212_NO_FLAG = 1 << 2,
    HJ212_QN_LENGTH = 1 << 3,   /* not 17 digits */
    HJ212_TIME_LENGTH = 1 << 4, /* DataTime has not 14 characters */
    HJ212_TRAILING_SEMICOLON = 1 << 5,
    HJ212_LINE_FEED_ONLY = 1 << 6,
    HJ212_NO_LINE_END = 1 << 7,
    HJ212_PIECE_UNMARKED = 1 << 8, /* PNUM and PNO, but Flag does not say split */
    HJ212_NO_VALUE = 1 << 9,       /* an item without = */
    HJ212_NO_CONTENT = 1 << 10,    /* no CP=&& ... && */
    HJ212_FLAG_UNREADABLE = 1 << 11,
};

struct hj212_item {
    const char *name, *value; /* without blanks around them; `value` NULL = there is no =, all of it is the name */
};

enum hj212_encryption { HJ212_PLAIN, HJ212_DECRYPTED, HJ212_ENCRYPTED };

/* One frame. Its texts point into itself: it must not be copied, and they hold until it is parsed into again. */
struct hj212_frame {
    unsigned faults, oddities; /* bits of the enums above */
    int declared;              /* the length field */
    size_t actual;             /* bytes of the segment; of the plaintext, if it came encrypted */
    char crc_sent[5];          /* as it came; "" = there is none */
    uint16_t crc_calculated;   /* the standard's */
    enum hj212_crc crc;        /* which one fits */
    enum hj212_encryption encryption;
    /* Header fields as they came, NULL = not there. `pw` is a password: it is never shown. */
    const char *qn, *st, *cn, *pw, *mn, *flag, *pnum, *pno;
    int command;                  /* CN as a number, 0 = it is none */
    int version;                  /* 2005, 2017 or 2025, by Flag; 0 = a later one */
    bool has_flag;                /* Flag is there and a number */
    bool ack, split;              /* its bits 0 and 1 */
    bool resent;                  /* RF=1: sent again or afterwards (2025) */
    int piece, pieces;            /* PNO and PNUM as numbers, 0 = none */
    struct hj212_item others[16]; /* header fields that are none of these */
    size_t other_count;
    struct hj212_item items[HJ212_ITEMS_MAX]; /* of CP, in their order */
    size_t item_count;
    char text[HJ212_FRAME_MAX * 2]; /* the segment, UTF-8, cut into the texts above */
};

/* Parses what hj212_read called a frame, or any bytes. `key` is the terminal's SM4 key, NULL = it has none. Whatever
 * the bytes are, `frame` is filled with what can be made out, and its faults say the rest. */
void hj212_parse(const char *bytes, size_t length, const uint8_t key[HJ212_KEY_BYTES], struct hj212_frame *frame);

/* What is wrong with it, in words, "" if nothing is. Returns `reason`. */
const char *hj212_why(const struct hj212_frame *frame, char reason[static HJ212_REASON_MAX]);
/* What is odd about it, likewise. */
const char *hj212_note(const struct hj212_frame *frame, char reason[static HJ212_REASON_MAX]);

/* Why a frame of a terminal with this setting must not be used: its check value or its length is wrong, its text cannot
 * be read, or it does not say who sent what. In `reason`; NULL = it may be used. */
const char *hj212_refusal(const struct hj212_frame *frame, enum hj212_crc wanted, char reason[static HJ212_REASON_MAX]);

/* The value of the first item of this name that has one, whatever the case of its letters; NULL = there is none. */
const char *hj212_value(const struct hj212_frame *frame, const char *name);

/* Reads a time as devices write it: YYYYMMDDhhmmss, and up to 4 more digits of a fraction; 13 digits are milliseconds
 * since 1970 (UTC). What follows the digits (CST) is passed over. `offset_s`: the device's clock is ahead of UTC by so
 * much (28800 in China). Returns 0, or CH_EINVAL if it is no time. */
int hj212_time(const char *text, int offset_s, int64_t *ms);

/* ---- answers and commands: what to send to the device, ready for the wire. All return the bytes written to `out`, 0 =
 * nothing is to be sent. `crc` is the terminal's. */

/* What the device waits for after its frame is stored: 9014, or 9013 after a notice, or nothing. Never answers an
 * answer (9011 to 9014), whatever its Flag says. */
size_t hj212_answer(const struct hj212_frame *frame, enum hj212_crc crc, char out[static HJ212_ANSWER_MAX]);

enum hj212_return {
    HJ212_READY = 1,
    HJ212_REFUSED = 2,
    HJ212_WRONG_PW = 3,
    HJ212_WRONG_MN = 4,
    HJ212_WRONG_ST = 5,
    HJ212_WRONG_FLAG = 6,
    HJ212_WRONG_QN = 7,
    HJ212_WRONG_CN = 8,
    HJ212_WRONG_CRC = 9,
    HJ212_UNKNOWN = 100,
};

/* 9011 with QnRtn: that a frame is refused, and why. Nothing for answers, and for frames that want none. */
size_t hj212_refuse(const struct hj212_frame *frame, enum hj212_return why, enum hj212_crc crc,
                    char out[static HJ212_ANSWER_MAX]);

/* Whom a command goes to, as the terminal's own frames say it. */
struct hj212_peer {
    const char *st, *pw, *mn;
    int version;  /* 2005, 2017 or 2025 */
    int offset_s; /* as in hj212_time */
    enum hj212_crc crc;
};

/* Any request, whose content is the caller's to write well. `now_ms` makes the QN. */
size_t hj212_request(const struct hj212_peer *peer, int command, const char *content, int64_t now_ms,
                     char out[static HJ212_ANSWER_MAX]);

/* 1012: sets the device's clock to `now_ms`; follows the answer to 1013. `pollutant` is the PolId of the 1013, or NULL.
 * `now_ms` also makes the QN. */
size_t hj212_set_clock(const struct hj212_peer *peer, const char *pollutant, int64_t now_ms,
                       char out[static HJ212_ANSWER_MAX]);

/* Of a terminal: the key that it encrypts with now, and the one that it is to have (16 of A-Z, a-z, 0-9), made at. */
struct hj212_keys {
    const uint8_t *now, *next; /* HJ212_KEY_BYTES each */
    int64_t made_ms;
};

/* 1014 (2025): gives the device its next key, encrypted with the one that it has. A standard's block being 16 bytes and
 * what is left of one plain, the key's last characters travel as they are: the others are secret enough. `out` is not
 * to be kept. */
size_t hj212_new_key(const struct hj212_peer *peer, const struct hj212_keys *keys, int64_t now_ms,
                     char out[static HJ212_ANSWER_MAX]);

/* 2051 (minutes), 2061 (hours), 2031 (days) or 2011: asks for what the device has stored from `begin_ms` to `end_ms`.
 */
size_t hj212_fetch(const struct hj212_peer *peer, int command, int64_t begin_ms, int64_t end_ms, int64_t now_ms,
                   char out[static HJ212_ANSWER_MAX]);

/* ---- for people: see decode_line_function. Encrypted frames are read with the key of the standard's examples. */
int hj212_decode_line(const char *line, size_t length, cJSON *out);

#endif
