/* protocol.h: what the protocols of field devices have in common, so that one more of them is one more row of a table.
 * Pure: bytes in, structs and JSON out; no I/O, no clock, no state. */
#ifndef CITYHUB_GATEWAY_PROTOCOL_H
#define CITYHUB_GATEWAY_PROTOCOL_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* What a protocol's reader says of the bytes that stand at the beginning of a connection's buffer. */
enum reading {
    READING_MORE,  /* nothing to do before more bytes come */
    READING_FRAME, /* the first `length` bytes are one frame */
    READING_SKIP,  /* the first `length` bytes are none and are to be dropped; `why` says what they were */
};

struct reading_result {
    size_t length;   /* 1 or more, but for READING_MORE */
    const char *why; /* READING_SKIP: in words, a constant */
};

/* Decodes one line of text for people who look at a device's bytes. `line` has `length` bytes, no line end, and is
 * written as the protocol's bytes are written down: HJ 212 as text, in which \r \n \t \\ \xNN stand for single bytes;
 * JT/T 808 in hexadecimal. Adds to the object `out` what is in the frame, every value as text, then "valid" (a bool),
 * if it is false "why" (text), and "note" (text) if there is something to say that makes it not invalid. A line without
 * any frame is no error: it is not valid. Returns 0 or CH_EMEMORY. */
typedef int decode_line_function(const char *line, size_t length, cJSON *out);

struct protocol {
    const char *name; /* "hj212", as in `cityhub gateway decode --protocol` */
    const char *title;
    decode_line_function *decode_line;
};

/* All of them; ends with a row without a name. */
extern const struct protocol protocols[];

/* The protocol of that name, NULL = there is none. */
const struct protocol *protocol_find(const char *name);

#endif
