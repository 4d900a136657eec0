/* copy.h: values in the form that COPY ... (FORMAT binary) takes. */
#ifndef CITYHUB_COPY_H
#define CITYHUB_COPY_H

#include <stddef.h>

#include "hub/base/buffer.h"

enum {
    COPY_MILLISECOND = 1000,
    COPY_PIECE_BYTES = 32768, /* of a COPY that is made as it goes: at least, but for the last one */
};

/* A COPY that is made as the server takes it. All zero = there is nothing to send. */
struct copy_pieces {
    bool sending, sent_head; /* it has not come to its end; its header was copied */
    size_t before;           /* bytes that were in the buffer when the piece began */
};
void copy_pieces_start(struct copy_pieces *pieces);
/* Begins the next piece; false = there is none. Rows follow as long as it has room, and copy_pieces_end after the last
 * of all. */
bool copy_pieces_next(struct copy_pieces *pieces, struct buffer *buffer);
bool copy_pieces_room(const struct copy_pieces *pieces, const struct buffer *buffer);
void copy_pieces_end(struct copy_pieces *pieces, struct buffer *buffer);

void copy_header(struct buffer *buffer);
void copy_trailer(struct buffer *buffer);
void copy_null(struct buffer *buffer);
void copy_int4(struct buffer *buffer, int32_t value);
void copy_int8(struct buffer *buffer, int64_t value);
void copy_bytes(struct buffer *buffer, const void *bytes, size_t length); /* text and bytea */
/* `at_us`: microseconds since the UTC epoch. */
void copy_time(struct buffer *buffer, int64_t at_us);
/* Point of EPSG:4326, degrees. */
void copy_point(struct buffer *buffer, double lon, double lat);
/* The timestamptz form of `at_us`, as it goes over the wire (host order). */
int64_t copy_time_value(int64_t at_us);
/* An array of `count` elements of `oid`; elements follow (copy_int8, copy_null, ...). Length of the field must be
 * known: `bytes` = of all elements with their length words. */
void copy_array(struct buffer *buffer, uint32_t oid, int count, bool has_null, size_t bytes);
/* float8[]: the next of `values` where a bit of `present` is set, NULL elsewhere, up to the highest bit. */
void copy_readings(struct buffer *buffer, uint64_t present, const double *values);

enum { OID_INT8 = 20, OID_INT4 = 23, OID_FLOAT8 = 701, OID_TIMESTAMPTZ = 1184 };

#endif
