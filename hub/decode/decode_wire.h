/* decode_wire.h: the wire form of protobuf (protobuf.dev/programming-guides/encoding), field by field over bounded
 * bytes. Inline because the telemetry path lives in it. Allocates nothing, copies nothing. */
#ifndef CITYHUB_DECODE_WIRE_H
#define CITYHUB_DECODE_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hub/decode/decode_internal.h"

/* The compiler would leave some of them as calls, a dozen for each record. */
#define WIRE_INLINE static inline __attribute__((always_inline))

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire {
    const uint8_t *at, *end;
    const char *problem; /* what is wrong with the framing at `at`, or NULL */
};

struct wire_field {
    uint32_t number;
    unsigned type;
    uint64_t bits;       /* varints and fixed forms */
    const uint8_t *data; /* WIRE_BYTES */
    size_t length;
};

static inline bool wire_fail(struct wire *wire, const char *problem) {
    wire->problem = problem;
    return false;
}

WIRE_INLINE bool wire_varint(struct wire *wire, uint64_t *value) {
    if (wire->at < wire->end && *wire->at < 0x80) {
        *value = *wire->at++;
        return true;
    }
    uint64_t bits = 0;
    const uint8_t *at = wire->at;
    for (unsigned shift = 0; at < wire->end && shift < 70; shift += 7) {
        uint8_t byte = *at++;
        bits |= (uint64_t)(byte & 0x7f) << shift; /* the tenth byte's upper bits fall out, as protobuf has it */
        if (byte < 0x80) {
            wire->at = at;
            *value = bits;
            return true;
        }
    }
    return wire_fail(wire, at == wire->end ? "the bytes end within a varint" : "a varint has more than ten bytes");
}

/* Reads one whole field. False: the end, or an error of framing (wire->problem). */
WIRE_INLINE bool wire_next(struct wire *wire, struct wire_field *field) {
    uint64_t tag, length;
    if (wire->at == wire->end || !wire_varint(wire, &tag)) {
        return false;
    }
    if (tag < 8 || tag > UINT32_MAX) {
        return wire_fail(wire, "a field number is not between 1 and 536870911");
    }
    size_t left = (size_t)(wire->end - wire->at);
    field->number = (uint32_t)(tag >> 3);
    field->type = tag & 7;
    switch (field->type) {
    case WIRE_VARINT:
        return wire_varint(wire, &field->bits);
    case WIRE_FIXED64:
        if (left < 8) {
            return wire_fail(wire, "the bytes end within a number of 8 bytes");
        }
        memcpy(&field->bits, wire->at, 8); /* little-endian on the wire, as here; hub/decode/decode.c checks it */
        wire->at += 8;
        return true;
    case WIRE_BYTES:
        if (!wire_varint(wire, &length)) {
            return false;
        }
        if (length > (size_t)(wire->end - wire->at)) {
            return wire_fail(wire, "a length points past the end");
        }
        field->data = wire->at;
        field->length = (size_t)length;
        wire->at += length;
        return true;
    case WIRE_FIXED32: {
        if (left < 4) {
            return wire_fail(wire, "the bytes end within a number of 4 bytes");
        }
        uint32_t bits;
        memcpy(&bits, wire->at, 4);
        field->bits = bits;
        wire->at += 4;
        return true;
    }
    default:
        return wire_fail(wire, "a field has a wire type that is not in use");
    }
}

static inline bool wire_whole(struct decode_scalar *scalar, int64_t whole) {
    scalar->whole = whole;
    scalar->number = (double)whole;
    return true;
}

/* Turns a wire field into a value of the descriptor's type. False: the wire type does not fit it. */
WIRE_INLINE bool wire_scalar(ProtobufCType type, const struct wire_field *field, struct decode_scalar *scalar) {
    uint64_t bits = field->bits;
    float single;
    uint32_t half;
    switch (type) {
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(&scalar->number, &bits, 8);
        return field->type == WIRE_FIXED64;
    case PROTOBUF_C_TYPE_FLOAT:
        half = (uint32_t)bits;
        memcpy(&single, &half, 4);
        scalar->number = (double)single;
        return field->type == WIRE_FIXED32;
    case PROTOBUF_C_TYPE_BOOL:
        return field->type == WIRE_VARINT && wire_whole(scalar, bits != 0);
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_INT32:
        return field->type == WIRE_VARINT && wire_whole(scalar, (int32_t)(uint32_t)bits);
    case PROTOBUF_C_TYPE_UINT32:
        return field->type == WIRE_VARINT && wire_whole(scalar, (uint32_t)bits);
    case PROTOBUF_C_TYPE_INT64:
        return field->type == WIRE_VARINT && wire_whole(scalar, (int64_t)bits);
    case PROTOBUF_C_TYPE_SINT32:
        half = (uint32_t)bits;
        return field->type == WIRE_VARINT && wire_whole(scalar, (int32_t)((half >> 1) ^ (0 - (half & 1))));
    case PROTOBUF_C_TYPE_SINT64:
        return field->type == WIRE_VARINT && wire_whole(scalar, (int64_t)((bits >> 1) ^ (0 - (bits & 1))));
    case PROTOBUF_C_TYPE_FIXED32:
        return field->type == WIRE_FIXED32 && wire_whole(scalar, (uint32_t)bits);
    case PROTOBUF_C_TYPE_SFIXED32:
        return field->type == WIRE_FIXED32 && wire_whole(scalar, (int32_t)(uint32_t)bits);
    case PROTOBUF_C_TYPE_SFIXED64:
        return field->type == WIRE_FIXED64 && wire_whole(scalar, (int64_t)bits);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        scalar->whole = bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
        scalar->number = (double)bits;
        return field->type == (type == PROTOBUF_C_TYPE_UINT64 ? WIRE_VARINT : WIRE_FIXED64);
    case PROTOBUF_C_TYPE_STRING:
        scalar->text = (const char *)field->data;
        scalar->length = field->length;
        return field->type == WIRE_BYTES;
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return false;
}

/* What a wire type is called in a reason. */
const char *wire_type_name(unsigned type);

#endif
