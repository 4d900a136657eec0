/* decode_protobuf.c: batches in protobuf's wire form. One pass over the bytes, nothing allocated; a record that cannot
 * be read is bounded by its length, so that its neighbours never suffer. */
#include <string.h>

#include "common.pb-c.h"
#include "hub/decode/decode_wire.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "decode_wire.h copies the wire's little-endian numbers as they are"
#endif

const char *wire_type_name(unsigned type) {
    switch (type) {
    case WIRE_VARINT:
        return "a varint";
    case WIRE_FIXED64:
        return "8 bytes";
    case WIRE_BYTES:
        return "a text or message";
    default:
        return "4 bytes";
    }
}

static void refuse_wire_type(struct decoder *decoder, const ProtobufCFieldDescriptor *field, unsigned type) {
    decode_refuse(decoder, PROBLEM_WRONG_TYPE,
                  "%s%s: has the wire form of %s, which is not the field's type; compare your "
                  ".proto with the hub's",
                  decoder->within, field->name, wire_type_name(type));
}

static void refuse_framing(struct decoder *decoder, const struct wire *wire, const uint8_t *start) {
    decode_refuse(decoder, PROBLEM_MALFORMED, "byte %td of the record: %s; the record is cut or is not protobuf",
                  wire->at - start, wire->problem);
}

void decode_protobuf_place(struct decoder *decoder, const uint8_t *at, size_t length, struct decode_place *place) {
    const ProtobufCMessageDescriptor *message = &cityhub__v1__position__descriptor;
    struct wire wire = {.at = at, .end = at + length};
    struct wire_field field = {0};
    place->given = true;
    decoder->within = "position.";
    while (wire_next(&wire, &field)) {
        const ProtobufCFieldDescriptor *descriptor = protobuf_c_message_descriptor_get_field(message, field.number);
        struct decode_scalar scalar = {0};
        if (descriptor == NULL) {
            decode_unknown(decoder, decoder->record.index, NULL, 0, field.number);
        } else if (!wire_scalar(descriptor->type, &field, &scalar)) {
            refuse_wire_type(decoder, descriptor, field.type);
        } else {
            decode_place_put(place, descriptor, &scalar);
        }
    }
    decoder->within = "";
    if (wire.problem != NULL) {
        decode_refuse(decoder, PROBLEM_MALFORMED, "position: %s; the record is cut or is not protobuf", wire.problem);
    }
}

void decode_protobuf_record(struct decoder *decoder, const uint8_t *at, size_t length, int index) {
    struct wire wire = {.at = at, .end = at + length};
    struct wire_field field = {0};
    decode_record_begin(decoder, index);
    while (wire_next(&wire, &field)) {
        const struct plan_field *planned = decode_plan_by_number(decoder->plan, field.number);
        struct decode_scalar scalar = {0};
        if (planned == NULL) {
            decode_unknown(decoder, index, NULL, 0, field.number);
        } else if (planned->role == ROLE_POSITION && field.type == WIRE_BYTES) {
            decode_protobuf_place(decoder, field.data, field.length, &decoder->place);
        } else if (!wire_scalar(planned->descriptor->type, &field, &scalar)) {
            refuse_wire_type(decoder, planned->descriptor, field.type);
        } else {
            decode_record_put(decoder, planned, &scalar);
        }
    }
    if (wire.problem != NULL) {
        refuse_framing(decoder, &wire, at);
    }
    decode_record_end(decoder);
}

bool decode_framing_fits(const void *payload, size_t length) {
    struct wire wire = {.at = payload, .end = (const uint8_t *)payload + length};
    struct wire_field field = {0}, inner = {0};
    bool first = true;
    while (wire_next(&wire, &field)) {
        if (first && field.type == WIRE_BYTES) {
            struct wire record = {.at = field.data, .end = field.data + field.length};
            while (wire_next(&record, &inner)) {
            }
            if (record.problem != NULL) {
                return false;
            }
        }
        first = false;
    }
    return wire.problem == NULL;
}

static int count_records(const void *payload, size_t length) {
    struct wire wire = {.at = payload, .end = (const uint8_t *)payload + length};
    struct wire_field field = {0};
    int count = 0;
    while (count <= DECODE_RECORDS_MAX && wire_next(&wire, &field)) {
        count += field.number == 1;
    }
    return count;
}

int decode_protobuf_records(struct decoder *decoder, const void *payload, size_t length,
                            void (*record)(struct decoder *decoder, const uint8_t *at, size_t length, int index)) {
    struct wire wire = {.at = payload, .end = (const uint8_t *)payload + length};
    struct wire_field field = {0};
    int count = 0;
    if (length > 2 * (size_t)DECODE_RECORDS_MAX && count_records(payload, length) > DECODE_RECORDS_MAX) {
        decode_report(decoder, -1, PROBLEM_TOO_MANY_RECORDS,
                      "records: more than %d in one message; send smaller batches", DECODE_RECORDS_MAX);
        return 0;
    }
    while (wire_next(&wire, &field)) {
        if (field.number == 1 && field.type == WIRE_BYTES) {
            record(decoder, field.data, field.length, count++);
        } else {
            decode_unknown(decoder, -1, NULL, 0, field.number);
        }
    }
    if (wire.problem != NULL) {
        int index = count == 0 ? -1 : count;
        decode_report(decoder, index, PROBLEM_MALFORMED,
                      "byte %td of %zu: %s; the payload is cut, or is neither a batch "
                      "of this topic's .proto nor JSON",
                      wire.at - (const uint8_t *)payload, length, wire.problem);
        return count == 0 ? 0 : count + 1;
    }
    if (count == 0) {
        decode_report(decoder, -1, PROBLEM_EMPTY_BATCH, "records: the message has none");
    }
    return count;
}
