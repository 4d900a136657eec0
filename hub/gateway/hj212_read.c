/* hj212_read.c: finds the frames of HJ 212 in what came over a connection. Must never let a declared length swallow the
 * beginning of a later frame, and never wait for ever for a frame that does not come. */
#include <ctype.h>
#include <string.h>

#include "hub/gateway/hj212_wire.h"

enum { NOWHERE = -1 };

static bool is_digits(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!isdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return true;
}

bool hj212_is_hex(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return true;
}

unsigned hj212_hex(const char *text) {
    unsigned value = 0;
    for (size_t i = 0; i < HJ212_CRC_DIGITS; i++) {
        int letter = tolower((unsigned char)text[i]);
        value = value << 4 | (unsigned)(letter <= '9' ? letter - '0' : letter - 'a' + 10);
    }
    return value;
}

enum hj212_crc hj212_crc_of(const char *segment, size_t length, const char *digits) {
    enum hj212_crc kind = HJ212_CRC_STANDARD;
    while (kind < HJ212_CRC_OFF && hj212_crc(kind, segment, length) != hj212_hex(digits)) {
        kind++;
    }
    return kind;
}

static size_t blanks(const char *text, size_t length) {
    size_t count = 0;
    while (count < length && text[count] == ' ') {
        count++;
    }
    return count;
}

size_t hj212_content(const char *segment, size_t length) {
    for (size_t i = 0; i + 3 < length; i++) {
        /* The first letter first: this is looked at anew with every piece that comes. No header field has an &, so what
         * stands before it, as a Flag without its semicolon, says nothing. */
        if ((segment[i] != 'C' && segment[i] != 'c') || (segment[i + 1] != 'P' && segment[i + 1] != 'p')) {
            continue;
        }
        size_t at = i + 2 + blanks(segment + i + 2, length - i - 2);
        if (at == length || segment[at] != '=') {
            continue;
        }
        at += 1 + blanks(segment + at + 1, length - at - 1);
        if (at < length && segment[at] == '&') {
            return at + 1 < length && segment[at + 1] == '&' ? at + 2 : at + 1;
        }
    }
    return length;
}

/* Where the next frame begins, at or after `from`: ## and a digit, or what may become that with more bytes. */
static size_t next_frame(const char *bytes, size_t length, size_t from, bool ended) {
    for (size_t i = from; i < length; i++) {
        if (bytes[i] != '#') {
            continue;
        }
        size_t left = length - i, known = left < HJ212_HEAD ? left : HJ212_HEAD;
        if (ended ? left < HJ212_HEAD : left == 1) {
            if (ended) {
                continue;
            }
            return i;
        }
        if (bytes[i + 1] == '#' && (left == 2 || is_digits(bytes + i + 2, known - 2))) {
            return i;
        }
    }
    return length;
}

/* The bytes of the frame whose segment ends at `end` and is followed by a check value: with the line end. */
static size_t with_line_end(const char *bytes, size_t length, size_t end) {
    size_t at = end + HJ212_CRC_DIGITS;
    if (at < length && bytes[at] == '\r') {
        at++;
    }
    if (at < length && bytes[at] == '\n') {
        at++;
    }
    return at;
}

/* The end of the segment by its declared length, if the check value behind it fits. */
static ptrdiff_t end_by_length(const char *bytes, size_t limit, size_t declared) {
    size_t end = HJ212_HEAD + declared;
    bool fits = declared > 0 && end + HJ212_CRC_DIGITS <= limit && hj212_is_hex(bytes + end, HJ212_CRC_DIGITS) &&
                hj212_crc_of(bytes + HJ212_HEAD, declared, bytes + end) != HJ212_CRC_OFF;
    return fits ? (ptrdiff_t)end : NOWHERE;
}

/* The end of the segment by && + 4 hexadecimal digits behind the content's beginning: the first whose check value fits
 * or that ends a line; else the first of all, unless it may be a text's and the segment's end is `awaited`. At the very
 * end of what came, `sure` is whether more digits cannot follow. */
static ptrdiff_t end_by_mark(const char *bytes, size_t limit, bool sure, bool awaited) {
    const char *segment = bytes + HJ212_HEAD;
    size_t length = limit - HJ212_HEAD;
    size_t begin = hj212_content(segment, length);
    ptrdiff_t first = NOWHERE;
    for (size_t i = begin == length ? 0 : begin; i + 2 + HJ212_CRC_DIGITS <= length; i++) {
        const char *digits = segment + i + 2;
        if (segment[i] != '&' || segment[i + 1] != '&' || !hj212_is_hex(digits, HJ212_CRC_DIGITS)) {
            continue;
        }
        size_t behind = i + 2 + HJ212_CRC_DIGITS;
        if (behind < length && isxdigit((unsigned char)segment[behind])) {
            continue;
        }
        bool last = behind == length ? sure : segment[behind] == '\r' || segment[behind] == '\n';
        /* The check value of one alone: a stream of && costs no more than its bytes. */
        if (last || (first == NOWHERE && hj212_crc_of(segment, i + 2, digits) != HJ212_CRC_OFF)) {
            return (ptrdiff_t)(HJ212_HEAD + i + 2);
        }
        first = first == NOWHERE && behind < length ? (ptrdiff_t)(HJ212_HEAD + i + 2) : first;
    }
    return awaited ? NOWHERE : first;
}

static enum reading give(enum reading reading, size_t length, const char *why, struct reading_result *result) {
    *result = (struct reading_result){.length = length, .why = why};
    return reading;
}

/* What stands before the first frame. */
static enum reading skip_junk(const char *bytes, size_t junk, struct reading_result *result) {
    bool blank = true;
    for (size_t i = 0; i < junk; i++) {
        blank = blank && (bytes[i] == '\r' || bytes[i] == '\n');
    }
    return give(READING_SKIP, junk, blank ? NULL : "bytes that belong to no frame", result);
}

/* A line that has no end of a frame: a vendor's own words, or a frame whose tail is missing. */
static size_t line_length(const char *bytes, size_t limit) {
    const char *end = memchr(bytes, '\n', limit);
    return end == NULL ? 0 : (size_t)(end - bytes) + 1;
}

enum reading hj212_read(const char *bytes, size_t length, bool ended, struct reading_result *result) {
    length = length > HJ212_FRAME_MAX ? HJ212_FRAME_MAX : length;
    if (length == 0) {
        return give(READING_MORE, 0, NULL, result);
    }
    size_t begin = next_frame(bytes, length, 0, ended);
    if (begin > 0) {
        return skip_junk(bytes, begin, result);
    }
    if (length < HJ212_HEAD) {
        return give(READING_MORE, 0, NULL, result);
    }
    size_t declared = 0;
    for (size_t i = 2; i < HJ212_HEAD; i++) {
        declared = declared * 10 + (size_t)(bytes[i] - '0');
    }
    size_t limit = next_frame(bytes, length, HJ212_HEAD, ended);
    bool full = length == HJ212_FRAME_MAX, followed = limit < length, sure = followed || ended || full;
    size_t line = line_length(bytes, limit);
    bool awaited = !sure && line == 0 && HJ212_HEAD + declared + HJ212_CRC_DIGITS > length;
    ptrdiff_t end = end_by_length(bytes, limit, declared);
    end = end == NOWHERE ? end_by_mark(bytes, limit, sure, awaited) : end;
    if (end != NOWHERE) {
        return give(READING_FRAME, with_line_end(bytes, limit, (size_t)end), NULL, result);
    }
    if (line > 0) {
        return give(READING_FRAME, line, NULL, result);
    }
    if (sure) {
        return give(READING_SKIP, limit, full && !followed ? "a frame longer than 8 KiB" : "a frame that is cut",
                    result);
    }
    return give(READING_MORE, 0, NULL, result);
}
