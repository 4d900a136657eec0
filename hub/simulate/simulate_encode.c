/* simulate_encode.c: a vendor's encoder, in the wire format of protobuf (protobuf.dev, "Encoding") and in JSON. Must
 * never know a subsystem: the descriptor says all. */
#include "hub/simulate/simulate_encode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };
enum { BATCH_RECORDS = 1, BATCH_SUBSYSTEM = 1000 }; /* fields of every batch */

static int append(struct simulate_bytes *bytes, const void *data, size_t length) {
    if (bytes->capacity - bytes->length < length) {
        size_t capacity = 2 * (bytes->length + length) + 256;
        unsigned char *grown = realloc(bytes->data, capacity);
        if (grown == NULL) {
            return CH_EMEMORY;
        }
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    if (length > 0) {
        memcpy(bytes->data + bytes->length, data, length);
        bytes->length += length;
    }
    return 0;
}

static int append_varint(struct simulate_bytes *bytes, uint64_t value) {
    unsigned char text[10];
    size_t length = 0;
    do {
        text[length++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    return append(bytes, text, length);
}

static int append_key(struct simulate_bytes *bytes, uint32_t field, unsigned wire) {
    return append_varint(bytes, (uint64_t)field << 3 | wire);
}

static int append_bytes(struct simulate_bytes *bytes, uint32_t field, const void *data, size_t length) {
    int code = append_key(bytes, field, WIRE_BYTES);
    code = code == 0 ? append_varint(bytes, length) : code;
    return code == 0 ? append(bytes, data, length) : code;
}

static int misfit(const ProtobufCFieldDescriptor *field) {
    log_error("simulate_encode", "field=%s reason=%s", field->name, log_quote("the value does not fit the field"));
    return CH_EINVAL;
}

static int append_double(struct simulate_bytes *bytes, const ProtobufCFieldDescriptor *field, const cJSON *value) {
    if (!cJSON_IsNumber(value)) {
        return misfit(field);
    }
    uint64_t bits;
    unsigned char wire[8];
    memcpy(&bits, &value->valuedouble, sizeof bits);
    for (int i = 0; i < 8; i++) {
        wire[i] = (unsigned char)(bits >> (8 * i));
    }
    int code = append_key(bytes, field->id, WIRE_FIXED64);
    return code == 0 ? append(bytes, wire, sizeof wire) : code;
}

static int append_enum(struct simulate_bytes *bytes, const ProtobufCFieldDescriptor *field, const cJSON *value) {
    const ProtobufCEnumDescriptor *type = field->descriptor;
    int number = value->valueint;
    if (cJSON_IsString(value)) {
        const ProtobufCEnumValue *named = protobuf_c_enum_descriptor_get_value_by_name(type, value->valuestring);
        if (named == NULL) {
            return misfit(field);
        }
        number = named->value;
    } else if (!cJSON_IsNumber(value)) {
        return misfit(field);
    }
    int code = append_key(bytes, field->id, WIRE_VARINT);
    return code == 0 ? append_varint(bytes, (uint64_t)(int64_t)number) : code;
}

static int append_integer(struct simulate_bytes *bytes, const ProtobufCFieldDescriptor *field, const cJSON *value) {
    bool boolean = field->type == PROTOBUF_C_TYPE_BOOL && cJSON_IsBool(value);
    if (!boolean && (!cJSON_IsNumber(value) || field->type == PROTOBUF_C_TYPE_BOOL)) {
        return misfit(field);
    }
    uint64_t number = boolean ? (uint64_t)(cJSON_IsTrue(value) ? 1 : 0) : (uint64_t)(int64_t)value->valuedouble;
    int code = append_key(bytes, field->id, WIRE_VARINT);
    return code == 0 ? append_varint(bytes, number) : code;
}

static int append_message(struct simulate_bytes *bytes, const ProtobufCMessageDescriptor *descriptor, uint32_t field,
                          const cJSON *object);

static int append_value(struct simulate_bytes *bytes, const ProtobufCFieldDescriptor *field, const cJSON *value) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_DOUBLE:
        return append_double(bytes, field, value);
    case PROTOBUF_C_TYPE_ENUM:
        return append_enum(bytes, field, value);
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return append_integer(bytes, field, value);
    case PROTOBUF_C_TYPE_STRING:
        return cJSON_IsString(value) ? append_bytes(bytes, field->id, value->valuestring, strlen(value->valuestring))
                                     : misfit(field);
    case PROTOBUF_C_TYPE_MESSAGE:
        return cJSON_IsObject(value) ? append_message(bytes, field->descriptor, field->id, value) : misfit(field);
    default:
        return misfit(field);
    }
}

static int append_field(struct simulate_bytes *bytes, const ProtobufCFieldDescriptor *field, const cJSON *value) {
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return append_value(bytes, field, value);
    }
    const cJSON *one;
    int code = 0;
    cJSON_ArrayForEach(one, value) {
        code = code == 0 ? append_value(bytes, field, one) : code;
    }
    return code;
}

/* The length goes before the content: the content is made first, beside. Its depth is
 * that of the .proto files. */
static int append_message(struct simulate_bytes *bytes, const ProtobufCMessageDescriptor *descriptor, uint32_t field,
                          const cJSON *object) {
    struct simulate_bytes content = {0};
    int code = 0;
    const cJSON *value;
    cJSON_ArrayForEach(value, object) {
        const ProtobufCFieldDescriptor *named =
            protobuf_c_message_descriptor_get_field_by_name(descriptor, value->string);
        if (named == NULL) {
            log_error("simulate_encode", "message=%s field=%s reason=%s", descriptor->name, log_quote(value->string),
                      log_quote("there is no such field"));
            code = CH_EINVAL;
        }
        code = code == 0 ? append_field(&content, named, value) : code;
    }
    code = code == 0 ? append_bytes(bytes, field, content.data, content.length) : code;
    free(content.data);
    return code;
}

int simulate_encode_protobuf(struct simulate_bytes *bytes, const char *subsystem,
                             const ProtobufCMessageDescriptor *descriptor, const cJSON *records) {
    int code = 0;
    const cJSON *record;
    cJSON_ArrayForEach(record, records) {
        code = code == 0 ? append_message(bytes, descriptor, BATCH_RECORDS, record) : code;
    }
    return code == 0 ? append_bytes(bytes, BATCH_SUBSYSTEM, subsystem, strlen(subsystem)) : code;
}

int simulate_encode_json(struct simulate_bytes *bytes, const char *subsystem, const cJSON *records) {
    char *text = cJSON_PrintUnformatted(records);
    const char *const parts[] = {"{\"subsystem\":\"", subsystem, "\",\"records\":", text, "}"};
    int code = text == NULL ? CH_EMEMORY : 0;
    for (size_t i = 0; code == 0 && i < COUNT_OF(parts); i++) {
        code = append(bytes, parts[i], strlen(parts[i]));
    }
    free(text);
    return code;
}
