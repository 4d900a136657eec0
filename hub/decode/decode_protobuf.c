/* decode_protobuf.c: batches in protobuf's wire form. One pass over the bytes, nothing allocated; a record that cannot
 * be read is bounded by its length, so that its neighbours never suffer. */
#include <string.h>

#include "common.pb-c.h"
#include "hub/base/text.h"
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

static void report_cut(struct decoder *decoder, int index, const struct wire *wire, const void *payload,
                       size_t length) {
    decode_report(decoder, index, PROBLEM_MALFORMED,
                  "byte %td of %zu: %s; the payload is cut, or is neither a batch of this topic's .proto nor JSON",
                  wire->at - (const uint8_t *)payload, length, wire->problem);
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
            continue;
        }
        decoder->at = planned->descriptor;
        if (decoder->flaw_count > 0 && planned->role != ROLE_OVER_RANGE) {
            decode_unflaw(decoder, planned->descriptor);
        }
        if (planned->role == ROLE_POSITION && field.type == WIRE_BYTES) {
            decode_protobuf_place(decoder, field.data, field.length, &decoder->place);
        } else if (wire_scalar(planned->descriptor->type, &field, &scalar)) {
            decode_record_put(decoder, planned, &scalar);
        } else {
            decoder->record.misfits++;
            refuse_wire_type(decoder, planned->descriptor, field.type);
        }
    }
    if (wire.problem != NULL) {
        decoder->at = NULL;
        refuse_framing(decoder, &wire, at);
    }
    decoder->record.raw = at;
    decoder->record.raw_length = length;
    decoder->record.raw_is_json = false;
    decode_record_end(decoder);
}

/* Whether a field is one of the plan's, in its form and within its range. */
static bool field_fits(const struct plan_field *planned, const struct wire_field *field) {
    struct decode_scalar scalar = {0};
    if (planned == NULL) {
        return false;
    }
    if (planned->role == ROLE_POSITION) {
        return field->type == WIRE_BYTES;
    }
    if (planned->descriptor->type == PROTOBUF_C_TYPE_BOOL && field->bits > 1) {
        return false; /* which reads as true, but is not what is written for it */
    }
    return wire_scalar(planned->descriptor->type, field, &scalar) &&
           (planned->role != ROLE_READING || (scalar.number >= planned->min && scalar.number <= planned->max));
}

bool decode_protobuf_fits(const struct decode_plan *plan, const uint8_t *at, size_t length) {
    struct wire wire = {.at = at, .end = at + length};
    struct wire_field field = {0};
    while (wire_next(&wire, &field)) {
        if (!field_fits(decode_plan_by_number(plan, field.number), &field)) {
            return false;
        }
    }
    return wire.problem == NULL;
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

/* What is known of a batch before its records are read. */
struct outline {
    int records; /* at most DECODE_RECORDS_MAX + 1 */
    const uint8_t *subsystem;
    size_t subsystem_length; /* 0 = it does not say */
};

static struct outline outline_of(const void *payload, size_t length) {
    struct wire wire = {.at = payload, .end = (const uint8_t *)payload + length};
    struct wire_field field = {0};
    struct outline outline = {0};
    while (outline.records <= DECODE_RECORDS_MAX && wire_next(&wire, &field)) {
        outline.records += field.number == 1;
        if (field.number == BATCH_SUBSYSTEM && field.type == WIRE_BYTES) {
            outline.subsystem = field.data;
            outline.subsystem_length = field.length;
        }
    }
    return outline;
}

/* What follows the last whole field, at `at`, is the end of a C program's buffer, or a line's end that a tool has
 * added. A line feed is the tag of a record as well: it may be a batch that is cut, unless the batch has said its
 * subsystem, which comes last. */
static bool is_padding(const struct wire *wire, const uint8_t *at, bool said_last) {
    if (at == wire->end || (*at == '\n' && !said_last)) {
        return false;
    }
    while (at < wire->end && memchr(" \t\r\n", *at, sizeof " \t\r\n") != NULL) { /* NULs too */
        at++;
    }
    return at == wire->end;
}

/* No record could be made out. Text is told as what it is. */
static void report_unreadable(struct decoder *decoder, const struct wire *wire, const void *payload, size_t length) {
    char shown[DECODE_SHOWN_MAX];
    if (text_flaw(payload, length, true) == NULL) {
        decode_report(decoder, -1, PROBLEM_MALFORMED,
                      "payload: %s is text, but no JSON, which begins with { or [; send JSON or protobuf",
                      text_show(shown, payload, length));
    } else if (wire->problem != NULL) {
        report_cut(decoder, -1, wire, payload, length);
    } else {
        decode_report(decoder, -1, PROBLEM_EMPTY_BATCH, "records: the message has none");
    }
}

int decode_protobuf_records(struct decoder *decoder, const void *payload, size_t length,
                            void (*record)(struct decoder *decoder, const uint8_t *at, size_t length, int index)) {
    struct wire wire = {.at = payload, .end = (const uint8_t *)payload + length};
    struct wire_field field = {0};
    struct outline outline = outline_of(payload, length);
    int count = 0;
    if (outline.records > DECODE_RECORDS_MAX) {
        decode_report(decoder, -1, PROBLEM_TOO_MANY_RECORDS,
                      "records: more than %d in one message; send smaller batches", DECODE_RECORDS_MAX);
        return 0;
    }
    if (decode_elsewhere(decoder, (const char *)outline.subsystem, outline.subsystem_length)) {
        return 0;
    }
    const uint8_t *whole = payload; /* where the last field ends that could be read */
    bool said_last = false;
    for (; wire_next(&wire, &field); whole = wire.at) {
        said_last = field.number == BATCH_SUBSYSTEM;
        if (field.number == 1 && field.type == WIRE_BYTES) {
            record(decoder, field.data, field.length, count++);
        } else if (!said_last) {
            decode_unknown(decoder, -1, NULL, 0, field.number);
        }
    }
    if (wire.problem != NULL && is_padding(&wire, whole, said_last)) {
        wire.problem = NULL;
    }
    if (count == 0) {
        report_unreadable(decoder, &wire, payload, length);
    } else if (wire.problem != NULL) {
        report_cut(decoder, count++, &wire, payload, length);
    }
    return count;
}
