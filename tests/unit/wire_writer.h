/* wire_writer.h: writes protobuf's wire form by hand, also in ways that no library would. For tests. */
#ifndef CITYHUB_TEST_WIRE_WRITER_H
#define CITYHUB_TEST_WIRE_WRITER_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    uint8_t *data;
    size_t length, capacity;
};

static inline void bytes_add(struct bytes *bytes, const void *data, size_t length) {
    if (bytes->length + length > bytes->capacity) {
        bytes->capacity = (bytes->length + length) * 2;
        bytes->data = realloc(bytes->data, bytes->capacity);
        assert(bytes->data != NULL);
    }
    if (length > 0) {
        memcpy(bytes->data + bytes->length, data, length);
    }
    bytes->length += length;
}

static inline void bytes_varint(struct bytes *bytes, uint64_t value) {
    uint8_t byte;
    do {
        byte = (uint8_t)(value & 0x7f);
        value >>= 7;
        byte = (uint8_t)(byte | (value > 0 ? 0x80 : 0));
        bytes_add(bytes, &byte, 1);
    } while (value > 0);
}

static inline void bytes_tag(struct bytes *bytes, uint32_t number, unsigned type) {
    bytes_varint(bytes, (uint64_t)number << 3 | type);
}

static inline void bytes_field_varint(struct bytes *bytes, uint32_t number, uint64_t value) {
    bytes_tag(bytes, number, 0);
    bytes_varint(bytes, value);
}

static inline void bytes_field_double(struct bytes *bytes, uint32_t number, double value) {
    bytes_tag(bytes, number, 1);
    bytes_add(bytes, &value, sizeof value);
}

static inline void bytes_field_float(struct bytes *bytes, uint32_t number, float value) {
    bytes_tag(bytes, number, 5);
    bytes_add(bytes, &value, sizeof value);
}

static inline void bytes_field_data(struct bytes *bytes, uint32_t number, const void *data, size_t length) {
    bytes_tag(bytes, number, 2);
    bytes_varint(bytes, length);
    bytes_add(bytes, data, length);
}

static inline void bytes_field_text(struct bytes *bytes, uint32_t number, const char *text) {
    bytes_field_data(bytes, number, text, strlen(text));
}

/* Takes `inner` over: appends it as a message and frees it. */
static inline void bytes_field_message(struct bytes *bytes, uint32_t number, struct bytes *inner) {
    bytes_field_data(bytes, number, inner->data, inner->length);
    free(inner->data);
    *inner = (struct bytes){0};
}

#endif
