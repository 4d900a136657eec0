/* copy.c: PostgreSQL's binary COPY form (its documentation, COPY, "Binary Format"): each field a 32-bit length and its
 * bytes, big-endian. Pure. */
#include "hub/base/copy.h"

#include <endian.h>
#include <string.h>

static const int64_t epoch_2000_us = INT64_C(946684800) * 1000000;

void copy_header(struct buffer *buffer) {
    static const char signature[11] = "PGCOPY\n\377\r\n\0";
    buffer_bytes(buffer, signature, sizeof signature);
    buffer_int32(buffer, 0); /* flags */
    buffer_int32(buffer, 0); /* length of the header's extension */
}

void copy_trailer(struct buffer *buffer) {
    buffer_int16(buffer, -1);
}

void copy_pieces_start(struct copy_pieces *pieces) {
    *pieces = (struct copy_pieces){.sending = true};
}

bool copy_pieces_next(struct copy_pieces *pieces, struct buffer *buffer) {
    pieces->before = buffer->length;
    if (pieces->sending && !pieces->sent_head) {
        copy_header(buffer);
        pieces->sent_head = true;
    }
    return pieces->sending;
}

bool copy_pieces_room(const struct copy_pieces *pieces, const struct buffer *buffer) {
    return buffer->length - pieces->before < COPY_PIECE_BYTES && !buffer->failed;
}

void copy_pieces_end(struct copy_pieces *pieces, struct buffer *buffer) {
    copy_trailer(buffer);
    pieces->sending = false;
}

void copy_null(struct buffer *buffer) {
    buffer_int32(buffer, -1);
}

void copy_int4(struct buffer *buffer, int32_t value) {
    buffer_int32(buffer, 4);
    buffer_int32(buffer, value);
}

void copy_int8(struct buffer *buffer, int64_t value) {
    buffer_int32(buffer, 8);
    buffer_int64(buffer, value);
}

void copy_bytes(struct buffer *buffer, const void *bytes, size_t length) {
    buffer_int32(buffer, (int32_t)length);
    buffer_bytes(buffer, bytes, length);
}

int64_t copy_time_value(int64_t at_us) {
    return at_us - epoch_2000_us;
}

void copy_time(struct buffer *buffer, int64_t at_us) {
    copy_int8(buffer, copy_time_value(at_us));
}

void copy_point(struct buffer *buffer, double lon, double lat) {
    /* EWKB, little-endian: byte order, type with the SRID flag, SRID, x, y. */
    static const unsigned char head[9] = {1, 1, 0, 0, 0x20, 0xe6, 0x10, 0, 0};
    unsigned char point[sizeof head + 16];
    memcpy(point, head, sizeof head);
    memcpy(point + sizeof head, &lon, 8);
    memcpy(point + sizeof head + 8, &lat, 8);
    copy_bytes(buffer, point, sizeof point);
}

void copy_array(struct buffer *buffer, uint32_t oid, int count, bool has_null, size_t bytes) {
    buffer_int32(buffer, (int32_t)(bytes + (count > 0 ? 20 : 12)));
    buffer_int32(buffer, count > 0 ? 1 : 0); /* dimensions */
    buffer_int32(buffer, has_null ? 1 : 0);
    buffer_int32(buffer, (int32_t)oid);
    if (count > 0) {
        buffer_int32(buffer, count);
        buffer_int32(buffer, 1); /* lower bound */
    }
}

static char *put32(char *at, uint32_t value) {
    uint32_t wire = htobe32(value);
    memcpy(at, &wire, sizeof wire);
    return at + sizeof wire;
}

static char *put_float8(char *at, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htobe64(bits);
    memcpy(at, &bits, sizeof bits);
    return at + sizeof bits;
}

/* All in one: most of what the hub writes is this. */
void copy_readings(struct buffer *buffer, uint64_t present, const double *values) {
    uint32_t count = present == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(present);
    uint32_t given = (uint32_t)__builtin_popcountll(present);
    size_t bytes = (count > 0 ? 20 : 12) + (size_t)count * 4 + (size_t)given * 8;
    char *at = buffer_extend(buffer, 4 + bytes);
    if (at == NULL) {
        return;
    }
    at = put32(at, (uint32_t)bytes);
    at = put32(at, count > 0 ? 1 : 0); /* dimensions */
    at = put32(at, given < count ? 1 : 0);
    at = put32(at, OID_FLOAT8);
    if (count > 0) {
        at = put32(at, count);
        at = put32(at, 1); /* lower bound */
    }
    for (uint32_t i = 0; i < count; i++) {
        if ((present >> i & 1) != 0) {
            at = put32(at, 8);
            at = put_float8(at, *values++);
        } else {
            at = put32(at, UINT32_MAX); /* NULL */
        }
    }
}
