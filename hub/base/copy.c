/* copy.c: PostgreSQL's binary COPY form (its documentation, COPY, "Binary Format"): each field a 32-bit length and its
 * bytes, big-endian. Pure. */
#include "hub/base/copy.h"

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

void copy_readings(struct buffer *buffer, uint64_t present, const double *values) {
    int count = present == 0 ? 0 : 64 - __builtin_clzll(present);
    int given = __builtin_popcountll(present);
    copy_array(buffer, OID_FLOAT8, count, given < count, (size_t)count * 4 + (size_t)given * 8);
    for (int i = 0; i < count; i++) {
        if ((present >> i & 1) != 0) {
            buffer_int32(buffer, 8);
            buffer_float8(buffer, values[i]);
        } else {
            buffer_int32(buffer, -1);
        }
    }
}
