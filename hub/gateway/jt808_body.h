/* jt808_body.h: what is in the bodies of JT/T 808 messages that terminals send: registration, authentication, positions
 * with their additional items, batches of positions, answers, media. Pure functions over a body that jt808_parse has
 * divided; what points into it is good as long as the frame is. An item counts by its own length, never by what its id
 * is known for: one that is wrong costs itself. */
#ifndef CITYHUB_GATEWAY_JT808_BODY_H
#define CITYHUB_GATEWAY_JT808_BODY_H

#include "hub/gateway/jt808.h"

enum {
    JT808_TEXT_MAX = 1024 * 4, /* bytes of a body's text as UTF-8 with its end */
    JT808_FIELD_MAX = 160,     /* bytes of a registration's field as UTF-8 with its end */
};

/* A text field, GBK, as UTF-8 without NULs and blanks around it. What is no GBK, and control characters, become \xNN:
 * nothing is ever lost or refused. Cut to whole characters if `size` is too small. */
void jt808_text(const uint8_t *bytes, size_t length, char *text, size_t size);

/* ---- 0100, 0102, 0001 */

struct jt808_registration {
    uint16_t province, city; /* GB/T 2260: the first two digits, the other four */
    char maker[JT808_FIELD_MAX], model[JT808_FIELD_MAX], terminal_id[JT808_FIELD_MAX];
    uint8_t plate_color; /* 0 = no plate yet: `plate` is the vehicle's identification number */
    char plate[JT808_TEXT_MAX];
};
/* 2011 and 2013 are told apart by the length, and by where the colour is; of the flag of 2019 only a body that is long
 * enough counts. Returns 0, or CH_EINVAL: too short. */
int jt808_registration(const struct jt808_frame *frame, struct jt808_registration *registration);

struct jt808_authentication {
    char token[JT808_TEXT_MAX];
    char imei[JT808_FIELD_MAX], software[JT808_FIELD_MAX]; /* 2019; else empty */
};
void jt808_authentication(const struct jt808_frame *frame, struct jt808_authentication *authentication);

struct jt808_answer { /* the terminal's 0001, or an 8001 */
    uint16_t serial, id;
    uint8_t result; /* 0 done, 1 failed, 2 wrong, 3 unsupported, 4 alarm confirmed */
};
/* Returns 0, or CH_EINVAL: too short. */
int jt808_answer(const struct jt808_frame *frame, struct jt808_answer *answer);

/* ---- positions */

struct jt808_position {
    uint32_t alarm, status;
    uint32_t raw_lat, raw_lon; /* 1e-6 degrees, without sign: bits 2 (south) and 3 (west) of the status have it */
    int16_t altitude_m;
    uint16_t speed;     /* 0.1 km/h */
    uint16_t direction; /* degrees, clockwise from north */
    uint8_t time[6];    /* BCD, YYMMDDhhmmss of the terminal's clock */
    const uint8_t *items;
    size_t items_length;
};
enum { JT808_STATUS_ACC = 1 << 0, JT808_STATUS_FIX = 1 << 1, JT808_STATUS_SOUTH = 1 << 2, JT808_STATUS_WEST = 1 << 3 };
/* Bits that no edition gives a meaning to are makers' own: 23 to 31, and before 2019, when it became the vehicle's
 * moving (行驶状态), 22 too. */
static inline uint32_t jt808_status_reserved(bool is_2019) {
    return is_2019 ? UINT32_C(0xff800000) : UINT32_C(0xffc00000);
}

/* Returns 0, or CH_EINVAL: shorter than 28 bytes. */
int jt808_position(const uint8_t *body, size_t length, struct jt808_position *position);

/* Degrees with their sign. A terminal that sends a negative number in two's complement is understood. */
double jt808_lat(const struct jt808_position *position);
double jt808_lon(const struct jt808_position *position);

/* UTC epoch milliseconds of a time in BCD, by a clock that is `offset_minutes` ahead of UTC (480 = Beijing). Returns 0,
 * or CH_EINVAL if it is no time. */
int jt808_time_ms(const uint8_t time[static 6], int offset_minutes, int64_t *ms);

struct jt808_item {
    uint8_t id;
    size_t length; /* as it says */
    size_t have;   /* bytes that are there: fewer only of the last one */
    const uint8_t *bytes;
};
/* The next of the additional items from `*at` on, which it moves. Returns true for one, whole or not; false at the end.
 */
bool jt808_item_next(const struct jt808_position *position, size_t *at, struct jt808_item *item);

/* 0704: count 2, kind 1 (0 now, 1 from a blind area), then length 2 and a position each. */
struct jt808_batch {
    uint16_t count;
    uint8_t kind;
    const uint8_t *at, *end;
};
/* Returns 0, or CH_EINVAL: too short. */
int jt808_batch(const uint8_t *body, size_t length, struct jt808_batch *batch);
/* The next position's bytes, fewer than its length says if the body ends before. False at the end. */
bool jt808_batch_next(struct jt808_batch *batch, const uint8_t **body, size_t *length);

/* ---- 0800, 0801 */

struct jt808_media {
    uint32_t id;
    uint8_t kind;   /* 0 picture, 1 sound, 2 video */
    uint8_t format; /* 0 JPEG, 1 TIF, 2 MP3, 3 WAV, 4 WMV */
    uint8_t event;  /* 0 asked for, 1 by interval, 2 robbery alarm, 3 collision, ... */
    uint8_t channel;
    bool has_position; /* 0801 from 2013 on */
    struct jt808_position position;
    const uint8_t *data;
    size_t length;
};
/* Of an event (0800) or of media that are whole (0801, put together from sub-packets). Returns 0, or CH_EINVAL: too
 * short. */
int jt808_media(uint16_t id, const uint8_t *body, size_t length, struct jt808_media *media);

#endif
