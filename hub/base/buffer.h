/* buffer.h: a growing run of bytes, for SQL text and COPY data. A failed allocation is remembered, so that a caller
 * appends without checks and asks once at the end. */
#ifndef CITYHUB_BUFFER_H
#define CITYHUB_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data;
    size_t length, capacity;
    bool failed; /* an allocation failed: the content is not to be used */
};

/* The content is `length` bytes longer, which the caller fills in at once; NULL if an allocation failed. */
char *buffer_extend(struct buffer *buffer, size_t length);
void buffer_bytes(struct buffer *buffer, const void *bytes, size_t length);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Big-endian, as COPY's binary form has them. */
void buffer_int16(struct buffer *buffer, int16_t value);
void buffer_int32(struct buffer *buffer, int32_t value);
void buffer_int64(struct buffer *buffer, int64_t value);
void buffer_float8(struct buffer *buffer, double value);

/* An SQL string literal with its quotes (standard_conforming_strings is on); `text` has no NUL inside. */
void buffer_literal(struct buffer *buffer, const char *text, size_t length);
/* A bytea literal in hex form with its quotes and ::bytea. */
void buffer_bytea(struct buffer *buffer, const void *bytes, size_t length);

/* A JSON string with its quotes; `text` is valid UTF-8. */
void buffer_json(struct buffer *buffer, const char *text, size_t length);

/* Ends the content with a NUL that is not counted and returns it; NULL if an allocation failed. */
const char *buffer_string(struct buffer *buffer);
/* Empties it, keeping up to `keep` bytes of memory. */
void buffer_reset(struct buffer *buffer, size_t keep);
void buffer_free(struct buffer *buffer);

#endif
