/* jt808_parts.h: puts messages together that a terminal sends in sub-packets (分包), within bounds, and tells which
 * pieces are missing, so that they can be asked for again (8003). One of these per connection. Has no clock: the caller
 * says what time it is. Never tells of a message before all of it is there. */
#ifndef CITYHUB_GATEWAY_JT808_PARTS_H
#define CITYHUB_GATEWAY_JT808_PARTS_H

#include "hub/gateway/jt808.h"

enum {
    JT808_SETS_MAX = 4, /* messages that are put together at a time; one more, and the one silent for longest goes */
    JT808_PACKETS_MAX = 1024, /* pieces of a message */
    JT808_MISSING_MAX = 125,  /* pieces that are asked for at a time: what 8800 can carry */
};

struct jt808_parts;

/* `bytes_max`: of all pieces that are kept at a time, 1,023 and more. NULL = out of memory. */
struct jt808_parts *jt808_parts_new(size_t bytes_max);
void jt808_parts_free(struct jt808_parts *parts);

enum jt808_part {
    JT808_PART_KEPT,    /* there is more to come */
    JT808_PART_AGAIN,   /* it is there already */
    JT808_PART_WHOLE,   /* the last one: here is the message */
    JT808_PART_REFUSED, /* `why` */
};

/* Good until the next call with the same parts. */
struct jt808_whole {
    uint16_t id;
    const uint8_t *body;
    size_t length;
    const uint16_t *serials; /* of the pieces, in order: each wants its answer once the whole is stored */
    uint16_t packets;
    const char *why; /* JT808_PART_REFUSED */
};

/* Takes the piece in that a used frame with `is_packet` is. `now_ms`: of a clock that only runs forwards. A piece that
 * differs from the one with its number begins a new message. Returns one of the above, or CH_EMEMORY (the piece is not
 * kept). */
int jt808_parts_add(struct jt808_parts *parts, const struct jt808_frame *frame, int64_t now_ms,
                    struct jt808_whole *whole);

/* A message of which nothing came for a while. */
struct jt808_missing {
    char phone[JT808_PHONE_MAX];
    uint16_t id, first_serial; /* the serial that its first piece has or must have */
    uint16_t numbers[JT808_MISSING_MAX];
    size_t count;
    bool given_up; /* asked for `asks_max` times in vain: its pieces are gone, what was not answered is sent again */
};

/* The next message of which no piece came for `wait_ms`, nor was asked for; false = there is none (now). Call it until
 * then. */
bool jt808_parts_missing(struct jt808_parts *parts, int64_t now_ms, int64_t wait_ms, unsigned asks_max,
                         struct jt808_missing *missing);

/* Bytes of pieces that are kept now. */
size_t jt808_parts_bytes(const struct jt808_parts *parts);

#endif
