/* jt808_decode.c: frames as JSON for support people. Shows what is there: must never correct a value or leave one out
 * because it is odd. */
#include "hub/gateway/jt808_decode.h"

#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/gateway/jt808_body.h"

enum {
    BODY_SHOWN = 64, /* bytes of a body that is shown whole; of a longer one its SHA-256 */
    PREFIX_MAX = 24,
    KEY_MAX = 64,
    ITEMS_MAX = JT808_BODY_MAX / 2, /* of a position */
    WHY_MAX = 512,
};

struct shower {
    cJSON *out;
    char prefix[PREFIX_MAX];
    bool
        in_batch; /* an item that is cut there is odd, for the lengths of its position do not fit: the frame is right */
    size_t repeat;      /* how often the name that is put was there already: so many ' are behind it */
    bool failed;        /* out of memory */
    char why[WHY_MAX];  /* what is wrong with frames, joined by "; " */
    char note[WHY_MAX]; /* what is odd in frames that are right */
};

/* ---- keys and reasons */

static void put_text(struct shower *shower, const char *key, const char *text) {
    char name[KEY_MAX + ITEMS_MAX];
    int length = snprintf(name, KEY_MAX, "%s%s", shower->prefix, key);
    size_t used = length < KEY_MAX ? (size_t)length : KEY_MAX - 1;
    memset(name + used, '\'', shower->repeat);
    name[used + shower->repeat] = '\0';
    shower->failed = shower->failed || cJSON_AddStringToObject(shower->out, name, text) == NULL;
}

__attribute__((format(printf, 3, 4))) static void put(struct shower *shower, const char *key, const char *format, ...) {
    char text[JT808_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_text(shower, key, text);
}

/* One more sentence of `text`, which is shower->why or shower->note. */
__attribute__((format(printf, 2, 3))) static void say(char text[static WHY_MAX], const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && used + 3 < WHY_MAX) {
        memcpy(text + used, "; ", 3);
        used += 2;
    }
    vsnprintf(text + used, WHY_MAX - used, format, arguments);
    va_end(arguments);
}

static void to_hex(const uint8_t *bytes, size_t length, char *hex) {
    hex[0] = '\0';
    for (size_t i = 0; i < length; i++) {
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* ---- positions */

/* Items with a name of their own if they have the standard's length. */
static const struct {
    uint8_t id, length;
    const char *key;
    bool tenths;
} named_items[] = {
    {0x01, 4, "mileage_km", true}, {0x02, 2, "fuel_l", true}, {0x03, 2, "speed_rec_kmh", true},
    {0x30, 1, "rssi", false},      {0x31, 1, "sats", false},
};

/* The place in named_items of an item with the standard's length; -1 = it is shown as bytes. */
static int find_named(const struct jt808_item *item) {
    for (size_t i = 0; i < COUNT_OF(named_items); i++) {
        if (item->id == named_items[i].id && item->length == named_items[i].length) {
            return (int)i;
        }
    }
    return -1;
}

static void put_named(struct shower *shower, int named, const struct jt808_item *item) {
    uint32_t number = 0;
    for (size_t i = 0; i < item->length; i++) {
        number = number << 8 | item->bytes[i];
    }
    if (named_items[named].tenths) {
        put(shower, named_items[named].key, "%.1f", number / 10.0);
    } else {
        put(shower, named_items[named].key, "%u", number);
    }
}

static void put_raw(struct shower *shower, const struct jt808_item *item) {
    char key[8], hex[2 * 255 + 1];
    snprintf(key, sizeof key, "i%02X", item->id);
    to_hex(item->bytes, item->length, hex);
    put_text(shower, key, hex);
}

static void put_items(struct shower *shower, const struct jt808_position *position) {
    struct jt808_item item;
    uint16_t raw_seen[256] = {0}, named_seen[COUNT_OF(named_items)] = {0};
    for (size_t at = 0; jt808_item_next(position, &at, &item);) {
        int named = find_named(&item);
        if (item.have < item.length) {
            put(shower, "tlv_error", "id0x%02X_len%zu_have%zu", item.id, item.length, item.have);
            say(shower->in_batch ? shower->note : shower->why,
                "%sadditional item runs past the body: id=0x%02X len=%zu have=%zu", shower->prefix, item.id,
                item.length, item.have);
        } else if (named >= 0) {
            shower->repeat = named_seen[named]++;
            put_named(shower, named, &item);
        } else {
            shower->repeat = raw_seen[item.id]++;
            put_raw(shower, &item);
        }
        shower->repeat = 0;
    }
}

static void put_position(struct shower *shower, const struct jt808_position *position) {
    const uint8_t *time = position->time;
    put(shower, "alarm", "0x%08x", position->alarm);
    put(shower, "status", "0x%08x", position->status);
    put(shower, "acc", "%d", (position->status & JT808_STATUS_ACC) != 0);
    put(shower, "fix", "%d", (position->status & JT808_STATUS_FIX) != 0);
    put(shower, "lat", "%.6f", jt808_lat(position));
    put(shower, "lon", "%.6f", jt808_lon(position));
    put(shower, "alt", "%d", position->altitude_m);
    put(shower, "speed_kmh", "%.1f", position->speed / 10.0);
    put(shower, "dir", "%u", position->direction);
    put(shower, "time", "20%02x-%02x-%02xT%02x:%02x:%02x+08:00", time[0], time[1], time[2], time[3], time[4], time[5]);
    put_items(shower, position);
}

/* ---- bodies: each returns false if the body is too short for what it should be */

static bool put_position_body(struct shower *shower, const struct jt808_frame *frame) {
    struct jt808_position position;
    if (jt808_position(frame->body, frame->length, &position) != 0) {
        return false;
    }
    put_position(shower, &position);
    return true;
}

static bool put_batch(struct shower *shower, const struct jt808_frame *frame) {
    struct jt808_batch batch;
    struct jt808_position position;
    const uint8_t *body;
    size_t length, decoded = 0, number = 0;
    char outer[PREFIX_MAX];
    if (jt808_batch(frame->body, frame->length, &batch) != 0) {
        return false;
    }
    put(shower, "count", "%u", batch.count);
    put(shower, "batch_type", "%u", batch.kind);
    memcpy(outer, shower->prefix, sizeof outer);
    shower->in_batch = true;
    while (jt808_batch_next(&batch, &body, &length)) {
        number++;
        if (jt808_position(body, length, &position) != 0) {
            say(shower->note, "%sposition %zu of the batch has %zu bytes, 28 at the least", outer, number, length);
            continue;
        }
        decoded++;
        snprintf(shower->prefix, sizeof shower->prefix, "%.12s%zu.", outer, number);
        put_position(shower, &position);
    }
    shower->in_batch = false;
    memcpy(shower->prefix, outer, sizeof outer);
    put(shower, "decoded", "%zu", decoded);
    if (number != batch.count) {
        say(shower->note, "%sthe batch says %u positions and has %zu", outer, batch.count, number);
    }
    return true;
}

static bool put_registration(struct shower *shower, const struct jt808_frame *frame) {
    struct jt808_registration registration;
    if (jt808_registration(frame, &registration) != 0) {
        return false;
    }
    put(shower, "province", "%u", registration.province);
    put(shower, "city", "%u", registration.city);
    put_text(shower, "maker", registration.maker);
    put_text(shower, "model", registration.model);
    put_text(shower, "terminal_id", registration.terminal_id);
    put(shower, "plate_color", "%u", registration.plate_color);
    put_text(shower, "plate", registration.plate);
    return true;
}

static bool put_authentication(struct shower *shower, const struct jt808_frame *frame) {
    struct jt808_authentication authentication;
    jt808_authentication(frame, &authentication);
    put_text(shower, "token", authentication.token);
    if (authentication.imei[0] != '\0') {
        put_text(shower, "imei", authentication.imei);
        put_text(shower, "software", authentication.software);
    }
    return true;
}

static bool put_answer(struct shower *shower, const struct jt808_frame *frame) {
    struct jt808_answer answer;
    if (jt808_answer(frame, &answer) != 0) {
        return false;
    }
    put(shower, "ack_serial", "%u", answer.serial);
    put(shower, "result", "%u", answer.result);
    put(shower, "ack_id", "0x%04X", answer.id);
    return true;
}

static const struct {
    uint16_t id;
    bool (*put)(struct shower *shower, const struct jt808_frame *frame);
} bodies[] = {
    {JT808_REGISTER, put_registration}, {JT808_AUTHENTICATE, put_authentication}, {JT808_ACK, put_answer},
    {JT808_GENERAL_ANSWER, put_answer}, {JT808_POSITION, put_position_body},      {JT808_BATCH, put_batch},
};

static void put_raw_body(struct shower *shower, const struct jt808_frame *frame) {
    char hex[2 * SHA256_DIGEST_LENGTH + 1 + 2 * BODY_SHOWN];
    if (frame->length == 0) {
        return;
    }
    if (frame->length <= BODY_SHOWN) {
        to_hex(frame->body, frame->length, hex);
        put_text(shower, "body", hex);
        return;
    }
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(frame->body, frame->length, digest);
    to_hex(digest, 8, hex);
    put(shower, "body", "sha256:%s", hex);
}

static void put_body(struct shower *shower, const struct jt808_frame *frame) {
    for (size_t i = 0; i < COUNT_OF(bodies) && !frame->is_packet && frame->encryption == 0; i++) {
        if (bodies[i].id == frame->id) {
            if (bodies[i].put(shower, frame)) {
                return;
            }
            say(shower->note, "%sbody of 0x%04X is too short: %zu bytes", shower->prefix, frame->id, frame->length);
        }
    }
    put_raw_body(shower, frame);
}

static void put_frame(struct shower *shower, const struct jt808_frame *frame) {
    if (frame->standing != JT808_GOOD) {
        say(shower->why, "%s%s", shower->prefix, frame->problem);
    }
    if (!frame->has_header) {
        return;
    }
    put(shower, "id", "0x%04X", frame->id);
    if (frame->is_2019) {
        put(shower, "version", "2019(v%u)", frame->version);
    } else {
        put_text(shower, "version", "2011/2013");
    }
    put_text(shower, "phone", frame->phone);
    put(shower, "serial", "%u", frame->serial);
    if (frame->is_packet) {
        put(shower, "pkg", "%u/%u", frame->packet_number, frame->packets);
    }
    if (frame->encryption != 0) {
        put(shower, "enc", "%u", frame->encryption);
    }
    if (frame->length == frame->declared) {
        put(shower, "len", "%zu", frame->declared);
    } else {
        put(shower, "len", "%zu/actual=%zu", frame->declared, frame->length);
    }
    if (frame->check == frame->computed) {
        put(shower, "xor", "%02X", frame->check);
    } else {
        put(shower, "xor", "%02X/calc=%02X", frame->check, frame->computed);
    }
    put_body(shower, frame);
}

/* ---- lines */

/* What a line has. */
struct line {
    size_t good, bad;    /* frames */
    size_t used;         /* bytes of frames and junk; the beginning of a frame follows */
    size_t junk;         /* bytes at the end that belong to no frame */
    const char *no_mark; /* what the first bytes outside of any frame are */
};

/* 7e alone between frames is nothing to speak of. */
static bool is_filling(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0x7e) {
            return false;
        }
    }
    return true;
}

/* A frame of a line that has been counted: `place` has what was before it, it included. */
static void show_frame(struct shower *shower, const struct line *all, const struct line *place,
                       const struct jt808_frame *frame) {
    bool good = frame->standing != JT808_BAD;
    if (good && all->good > 1) {
        snprintf(shower->prefix, sizeof shower->prefix, "%zu.", place->good);
    }
    if (good || (all->good == 0 && place->bad == 1)) {
        put_frame(shower, frame);
    } else {
        say(shower->why, "frame %zu: %s", place->good + place->bad, frame->problem);
    }
    shower->prefix[0] = '\0';
}

/* Goes through a line: counts if `all` is NULL, shows else. */
static struct line walk(const uint8_t *bytes, size_t length, const struct line *all, struct shower *shower) {
    struct line line = {0};
    struct jt808_frame frame;
    struct reading_result result;
    for (;;) {
        const uint8_t *at = bytes + line.used;
        enum reading reading = jt808_read(at, length - line.used, true, &result);
        if (reading == READING_MORE) {
            return line;
        }
        if (reading == READING_FRAME) {
            jt808_parse(at, result.length, &frame);
            *(frame.standing == JT808_BAD ? &line.bad : &line.good) += 1;
            line.junk = 0;
            if (all != NULL) {
                show_frame(shower, all, &line, &frame);
            }
        } else if (!is_filling(at, result.length)) {
            line.junk += result.length;
            line.no_mark = line.no_mark == NULL ? result.why : line.no_mark;
        }
        line.used += result.length;
    }
}

/* The bytes of a line in hexadecimal, blanks between them allowed. Returns NULL with the reason in `why` (or none: out
 * of memory). The caller frees. */
static uint8_t *from_hex(const char *line, size_t length, size_t *count, char why[static WHY_MAX]) {
    uint8_t *bytes = calloc(1, length / 2 + 1);
    size_t digits = 0;
    for (size_t i = 0; i < length && bytes != NULL; i++) {
        const char *digit = strchr("0123456789abcdefABCDEF", line[i]);
        if (line[i] == ' ' || line[i] == '\t' || line[i] == '\r') {
            continue;
        }
        if (digit == NULL || line[i] == '\0') {
            say(why, "no hexadecimal digit at character %zu of the line: write the bytes as 7e0002...7e", i + 1);
            free(bytes);
            return NULL;
        }
        long value = digit - "0123456789abcdefABCDEF";
        uint8_t half = (uint8_t)(value > 15 ? value - 6 : value);
        bytes[digits / 2] = (uint8_t)(digits % 2 == 0 ? half << 4 : bytes[digits / 2] | half);
        digits++;
    }
    if (bytes != NULL && digits % 2 != 0) {
        say(why, "an odd number of hexadecimal digits: half a byte is missing");
        free(bytes);
        return NULL;
    }
    *count = digits / 2;
    return bytes;
}

static void put_line(struct shower *shower, const uint8_t *octets, size_t length) {
    struct line all = walk(octets, length, NULL, NULL);
    size_t pending = length - all.used;
    if (is_filling(octets + all.used, pending)) {
        pending = 0;
    }
    if (all.good > 1 || (all.good == 1 && (all.bad > 0 || all.junk > 0 || pending > 0))) {
        put(shower, "frames", "%zu", all.good);
    }
    walk(octets, length, &all, shower);
    if (pending > 0) {
        put(shower, "pending", "%zu", pending);
        say(shower->why, "the last frame has no end yet: keep its bytes and wait for more");
    }
    if (all.junk > 0 && all.good > 0) {
        put(shower, "pending_junk", "%zu", all.junk);
    }
    if (all.good + all.bad == 0 && pending == 0) {
        say(shower->why, "no frame: %s", all.no_mark == NULL ? "nothing but 7e" : all.no_mark);
    }
}

int jt808_decode_line(const char *line, size_t length, cJSON *out) {
    struct shower shower = {.out = out};
    size_t count = 0;
    uint8_t *octets = from_hex(line, length, &count, shower.why);
    if (octets != NULL) {
        put_line(&shower, octets, count);
        free(octets);
    } else if (shower.why[0] == '\0') {
        return CH_EMEMORY;
    }
    bool valid = shower.why[0] == '\0';
    shower.failed = shower.failed || cJSON_AddBoolToObject(out, "valid", valid) == NULL ||
                    (!valid && cJSON_AddStringToObject(out, "why", shower.why) == NULL) ||
                    (shower.note[0] != '\0' && cJSON_AddStringToObject(out, "note", shower.note) == NULL);
    return shower.failed ? CH_EMEMORY : 0;
}
