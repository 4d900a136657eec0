/* jt808.c: frames of JT/T 808 in a stream. Must never read past the bytes that it is given, nor keep any of them. */
#include "hub/gateway/jt808.h"

#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"

enum {
    MARK = 0x7e,
    ESCAPE = 0x7d,
    LENGTH_BITS = 0x03ff,
    PACKET_BIT = 1 << 13,
    BIT_2019 = 1 << 14,
    HEADER_SHORT = 12, /* 2011 and 2013 */
    HEADER_2019 = 17,
    PACKET_SIZE = 4,
    JOINS_MAX = 16, /* 7e inside a frame that are taken as data: a body of 1,023 random bytes has four */
};

/* How bytes of a frame are read: as the standard escapes them, or as they are, by terminals that never escape. */
enum escaping { ESCAPED, RAW };

struct content {
    uint8_t bytes[JT808_WIRE_MAX];
    size_t length;
    bool odd; /* a 7e inside, or a 7d that escapes nothing */
};

/* ---- unescaping */

static void unescape(const uint8_t *bytes, size_t length, enum escaping escaping, struct content *content) {
    content->length = 0;
    content->odd = false;
    for (size_t i = 0; i < length && content->length < sizeof content->bytes; i++) {
        uint8_t byte = bytes[i];
        if (byte == ESCAPE && escaping == ESCAPED && i + 1 < length && (bytes[i + 1] == 1 || bytes[i + 1] == 2)) {
            byte = bytes[++i] == 1 ? ESCAPE : MARK;
        } else if (byte == ESCAPE || byte == MARK) {
            content->odd = true;
        }
        content->bytes[content->length++] = byte;
    }
}

static size_t header_size(const uint8_t *content, size_t length) {
    if (length < 4) {
        return HEADER_SHORT;
    }
    uint16_t attributes = jt808_u16(content + 2);
    return ((attributes & BIT_2019) != 0 ? (size_t)HEADER_2019 : (size_t)HEADER_SHORT) +
           ((attributes & PACKET_BIT) != 0 ? (size_t)PACKET_SIZE : 0);
}

static uint8_t xor_of(const uint8_t *bytes, size_t length) {
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        sum ^= bytes[i];
    }
    return sum;
}

/* Header, body and check byte as long as the header says; set if there is a header. */
static bool wanted_length(const struct content *content, size_t *wanted) {
    size_t header = header_size(content->bytes, content->length);
    if (content->length < header) {
        return false;
    }
    *wanted = header + (jt808_u16(content->bytes + 2) & LENGTH_BITS) + 1;
    return true;
}

/* Length and check byte agree. */
static bool fits(const struct content *content) {
    size_t wanted;
    return wanted_length(content, &wanted) && content->length == wanted &&
           xor_of(content->bytes, wanted - 1) == content->bytes[wanted - 1];
}

/* Reads what stands between two 7e in the way that fits; as escaped if none does. True if one does. */
static bool read_content(const uint8_t *bytes, size_t length, struct content *content) {
    unescape(bytes, length, RAW, content);
    if (content->odd && fits(content)) {
        struct content escaped;
        unescape(bytes, length, ESCAPED, &escaped);
        if (!fits(&escaped)) {
            return true;
        }
    }
    unescape(bytes, length, ESCAPED, content);
    return fits(content);
}

/* ---- the stream */

static size_t find_mark(const uint8_t *bytes, size_t from, size_t length) {
    const uint8_t *mark = from < length ? memchr(bytes + from, MARK, length - from) : NULL;
    return mark == NULL ? length : (size_t)(mark - bytes);
}

static enum reading give(enum reading reading, size_t length, const char *why, struct reading_result *result) {
    *result = (struct reading_result){.length = length, .why = why};
    return reading;
}

/* What bytes without a frame are, for the log. */
static const char *name_junk(const uint8_t *bytes, size_t length) {
    static const struct {
        const char *start, *name;
    } known[] = {
        {"GET ", "an HTTP request"},
        {"POST ", "an HTTP request"},
        {"HEAD ", "an HTTP request"},
        {"OPTIONS ", "an HTTP request"},
        {"\x16\x03", "a TLS handshake"},
        {"SSH-", "an SSH client"},
        {"##", "an HJ 212 frame"},
        {"(", "a sentence of a lock's maker in brackets, not JT/T 808"},
        {"\xe7", "a frame between e7 of another protocol"},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (length >= strlen(known[i].start) && memcmp(bytes, known[i].start, strlen(known[i].start)) == 0) {
            return known[i].name;
        }
    }
    return "bytes outside of any frame";
}

/* Ids of terminals' messages lie below 1300 (JT/T 1078 has 1003 to 1206): what begins otherwise is no frame whose first
 * 7e is missing. */
static bool may_be_header(const uint8_t *bytes) {
    return bytes[0] <= 0x12;
}

/* The bytes begin with no 7e: junk, or a frame that shares its 7e with the one before. */
static enum reading read_unmarked(const uint8_t *bytes, size_t length, bool ended, struct reading_result *result) {
    size_t end = find_mark(bytes, 0, length < JT808_WIRE_MAX ? length : JT808_WIRE_MAX);
    struct content content;
    if (!may_be_header(bytes)) {
        return give(READING_SKIP, end, name_junk(bytes, end), result);
    }
    if (end == length && !ended && length < JT808_WIRE_MAX) {
        return give(READING_MORE, 0, NULL, result);
    }
    if (end < length && read_content(bytes, end, &content)) {
        return give(READING_FRAME, end + 1, NULL, result);
    }
    return give(READING_SKIP, end, name_junk(bytes, end), result);
}

enum join { JOIN_NONE, JOIN_FOUND, JOIN_WAIT };

/* The frame that begins at bytes[0] and seems to end at `end` does not fit and is too short: a 7e inside may not have
 * been escaped. Looks for the 7e with which it fits; never behind a frame that fits by itself, so that a bad one holds
 * up no other. */
static enum join join(const uint8_t *bytes, size_t length, size_t *end) {
    struct content content;
    size_t limit = length < JT808_WIRE_MAX ? length : JT808_WIRE_MAX;
    size_t at = *end;
    for (int joins = 0; joins <= JOINS_MAX; joins++) {
        size_t wanted, before = at;
        unescape(bytes + 1, at - 1, ESCAPED, &content);
        if (wanted_length(&content, &wanted) && content.length >= wanted) {
            return JOIN_NONE;
        }
        at = find_mark(bytes, at + 1, limit);
        if (at == limit) { /* what is there is too short: is there more to come? */
            return limit < JT808_WIRE_MAX ? JOIN_WAIT : JOIN_NONE;
        }
        if (read_content(bytes + before + 1, at - before - 1, &content)) {
            return JOIN_NONE;
        }
        if (read_content(bytes + 1, at - 1, &content)) {
            *end = at;
            return JOIN_FOUND;
        }
    }
    return JOIN_NONE;
}

/* The bytes begin with 7e and something else than 7e. */
static enum reading read_marked(const uint8_t *bytes, size_t length, bool ended, struct reading_result *result) {
    struct content content;
    size_t end = find_mark(bytes, 1, length);
    if (end >= JT808_WIRE_MAX || (end == length && length >= JT808_WIRE_MAX)) {
        return give(READING_SKIP, end, "no end of the frame within 4096 bytes", result);
    }
    if (end == length) {
        return give(READING_MORE, 0, NULL, result);
    }
    if (read_content(bytes + 1, end - 1, &content)) {
        return give(READING_FRAME, end + 1, NULL, result);
    }
    size_t joined = end;
    switch (join(bytes, length, &joined)) {
    case JOIN_FOUND:
        return give(READING_FRAME, joined + 1, NULL, result);
    case JOIN_WAIT:
        if (!ended) {
            return give(READING_MORE, 0, NULL, result);
        }
        break;
    case JOIN_NONE:
        break;
    }
    /* Bad. Its last 7e may be the next one's first: it is kept unless that one has its own. */
    return give(READING_FRAME, end + 1 < length && bytes[end + 1] != MARK ? end : end + 1, NULL, result);
}

enum reading jt808_read(const uint8_t *bytes, size_t length, bool ended, struct reading_result *result) {
    if (length == 0) {
        return give(READING_MORE, 0, NULL, result);
    }
    if (bytes[0] != MARK) {
        return read_unmarked(bytes, length, ended, result);
    }
    size_t filling = 0; /* 7e between frames and doubled ones */
    while (filling + 1 < length && bytes[filling + 1] == MARK) {
        filling++;
    }
    if (filling == length - 1) { /* the last one may be a frame's first */
        return give(filling == 0 ? READING_MORE : READING_SKIP, filling, "7e between frames", result);
    }
    enum reading reading = read_marked(bytes + filling, length - filling, ended, result);
    result->length += reading == READING_MORE ? 0 : filling;
    return reading;
}

/* ---- one frame */

static void read_phone(const uint8_t *bcd, size_t size, struct jt808_frame *frame) {
    frame->phone_is_decimal = true;
    for (size_t i = 0; i < size; i++) {
        snprintf(frame->phone + 2 * i, 3, "%02x", bcd[i]);
        if (bcd[i] >> 4 > 9 || (bcd[i] & 15) > 9) {
            frame->phone_is_decimal = false;
        }
    }
}

static void read_header(const struct content *content, struct jt808_frame *frame) {
    const uint8_t *bytes = content->bytes;
    size_t header = header_size(bytes, content->length);
    frame->has_header = true;
    frame->id = jt808_u16(bytes);
    frame->attributes = jt808_u16(bytes + 2);
    frame->declared = frame->attributes & LENGTH_BITS;
    frame->encryption = frame->attributes >> 10 & 7;
    frame->is_packet = (frame->attributes & PACKET_BIT) != 0;
    frame->is_2019 = (frame->attributes & BIT_2019) != 0;
    bytes += 4;
    if (frame->is_2019) {
        frame->version = *bytes++;
    }
    size_t digits = frame->is_2019 ? 10 : 6;
    read_phone(bytes, digits, frame);
    bytes += digits;
    frame->serial = jt808_u16(bytes);
    if (frame->is_packet) {
        frame->packets = jt808_u16(bytes + 2);
        frame->packet_number = jt808_u16(bytes + 4);
    }
    frame->length = content->length - header - 1;
    frame->check = content->bytes[content->length - 1];
    frame->computed = xor_of(content->bytes, content->length - 1);
    memcpy(frame->body, content->bytes + header, frame->length);
}

static void judge(struct jt808_frame *frame, bool odd) {
    bool wrong_length = frame->length != frame->declared;
    bool wrong_check = frame->check != frame->computed;
    if (wrong_length && wrong_check) {
        snprintf(frame->problem, sizeof frame->problem,
                 "length says %zu, body has %zu bytes; XOR wrong: %02X, must be %02X", frame->declared, frame->length,
                 frame->check, frame->computed);
    } else if (wrong_length) {
        snprintf(frame->problem, sizeof frame->problem, "length says %zu, body has %zu bytes", frame->declared,
                 frame->length);
    } else if (wrong_check) {
        snprintf(frame->problem, sizeof frame->problem, "XOR wrong: %02X, must be %02X", frame->check, frame->computed);
    } else if (odd) {
        frame->standing = JT808_SAVED;
        snprintf(frame->problem, sizeof frame->problem,
                 "7d or 7e inside the frame is not escaped as 7d 01 and 7d 02; length and XOR fit");
    } else {
        frame->standing = JT808_GOOD;
    }
}

void jt808_parse(const uint8_t *bytes, size_t length, struct jt808_frame *frame) {
    struct content content;
    memset(frame, 0, offsetof(struct jt808_frame, body));
    size_t start = 0;
    while (start < length && bytes[start] == MARK) {
        start++;
    }
    size_t end = length > start && bytes[length - 1] == MARK ? length - 1 : length;
    read_content(bytes + start, end - start, &content);
    if (content.length <= header_size(content.bytes, content.length)) {
        snprintf(frame->problem, sizeof frame->problem,
                 "header too short: %zu bytes between the two 7e, with the XOR byte there are %zu at the least",
                 content.length, header_size(content.bytes, content.length) + 1);
        return;
    }
    read_header(&content, frame);
    judge(frame, content.odd);
}

bool jt808_is_readable(const struct jt808_frame *frame) {
    return frame->standing != JT808_BAD && !frame->is_packet && frame->encryption == 0;
}
