/* buffer.c: growing runs of bytes. Must never write past what it asked for, nor forget that memory was out. */
#include "hub/base/buffer.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_FIRST = 256, FORMAT_ROOM = 128 };

/* Room for `more` bytes after the content, NULL if memory is out. */
static char *buffer_room(struct buffer *buffer, size_t more) {
    if (buffer->failed || more > SIZE_MAX / 2 - buffer->length) {
        buffer->failed = true;
        return NULL;
    }
    size_t needed = buffer->length + more;
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity < BUFFER_FIRST ? BUFFER_FIRST : buffer->capacity;
        while (capacity < needed) {
            capacity += capacity / 2;
        }
        char *grown = realloc(buffer->data, capacity);
        if (grown == NULL) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->length;
}

char *buffer_extend(struct buffer *buffer, size_t length) {
    char *room = buffer_room(buffer, length);
    if (room != NULL) {
        buffer->length += length;
    }
    return room;
}

void buffer_bytes(struct buffer *buffer, const void *bytes, size_t length) {
    if (length == 0) {
        return; /* an empty buffer may have no memory that a place could be counted from */
    }
    char *room = buffer_room(buffer, length);
    if (room != NULL) {
        memcpy(room, bytes, length);
        buffer->length += length;
    }
}

void buffer_text(struct buffer *buffer, const char *text) {
    buffer_bytes(buffer, text, strlen(text));
}

void buffer_format(struct buffer *buffer, const char *format, ...) {
    /* Into the room that there is, and only if that was too small again. */
    va_list arguments;
    va_start(arguments, format);
    char *room = buffer_room(buffer, FORMAT_ROOM);
    size_t size = room == NULL ? 0 : buffer->capacity - buffer->length;
    int length = room == NULL ? -1 : vsnprintf(room, size, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length >= size && (room = buffer_room(buffer, (size_t)length + 1)) != NULL) {
        va_start(arguments, format);
        vsnprintf(room, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    if (length < 0 || room == NULL) {
        buffer->failed = true;
        return;
    }
    buffer->length += (size_t)length;
}

void buffer_int16(struct buffer *buffer, int16_t value) {
    uint16_t wire = htobe16((uint16_t)value);
    buffer_bytes(buffer, &wire, sizeof wire);
}

void buffer_int32(struct buffer *buffer, int32_t value) {
    uint32_t wire = htobe32((uint32_t)value);
    buffer_bytes(buffer, &wire, sizeof wire);
}

void buffer_int64(struct buffer *buffer, int64_t value) {
    uint64_t wire = htobe64((uint64_t)value);
    buffer_bytes(buffer, &wire, sizeof wire);
}

void buffer_float8(struct buffer *buffer, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    buffer_int64(buffer, (int64_t)bits);
}

void buffer_literal(struct buffer *buffer, const char *text, size_t length) {
    buffer_bytes(buffer, "'", 1);
    for (const char *end = text + length; text < end;) {
        const char *quote = memchr(text, '\'', (size_t)(end - text));
        const char *stop = quote == NULL ? end : quote + 1;
        buffer_bytes(buffer, text, (size_t)(stop - text));
        if (quote != NULL) {
            buffer_bytes(buffer, "'", 1);
        }
        text = stop;
    }
    buffer_bytes(buffer, "'", 1);
}

void buffer_bytea(struct buffer *buffer, const void *bytes, size_t length) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *source = bytes;
    buffer_text(buffer, "'\\x");
    char *room = buffer_room(buffer, length * 2);
    if (room == NULL) {
        return;
    }
    for (size_t i = 0; i < length; i++) {
        room[2 * i] = digits[source[i] >> 4];
        room[2 * i + 1] = digits[source[i] & 15];
    }
    buffer->length += length * 2;
    buffer_text(buffer, "'::bytea");
}

void buffer_json(struct buffer *buffer, const char *text, size_t length) {
    buffer_bytes(buffer, "\"", 1);
    size_t plain = 0; /* where what is not appended yet begins */
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            continue;
        }
        buffer_bytes(buffer, text + plain, i - plain);
        if (byte < 0x20) {
            buffer_format(buffer, "\\u%04x", byte);
        } else {
            buffer_format(buffer, "\\%c", byte);
        }
        plain = i + 1;
    }
    buffer_bytes(buffer, text + plain, length - plain);
    buffer_bytes(buffer, "\"", 1);
}

const char *buffer_string(struct buffer *buffer) {
    char *room = buffer_room(buffer, 1);
    if (room == NULL) {
        return NULL;
    }
    *room = '\0';
    return buffer->data;
}

void buffer_reset(struct buffer *buffer, size_t keep) {
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->capacity > keep) {
        buffer_free(buffer);
    }
}

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}
