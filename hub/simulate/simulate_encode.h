/* simulate_encode.h: from JSON objects to the bytes of a vendor's message, by protobuf descriptor. The hub's decoder is
 * the other side of it and shares nothing with it. */
#ifndef CITYHUB_SIMULATE_ENCODE_H
#define CITYHUB_SIMULATE_ENCODE_H

#include <cjson/cJSON.h>
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* Bytes of a message that the caller frees with free(). */
struct simulate_bytes {
    unsigned char *data;
    size_t length, capacity;
};

/* Appends a batch that says which subsystem it is of, with `records`, an array of objects with the field names of
 * `descriptor`; enums as numbers or names. A name that the descriptor does not have, or a value that does not fit its
 * field, is a fault of the program. Returns 0, CH_EINVAL (told) or CH_EMEMORY. */
int simulate_encode_protobuf(struct simulate_bytes *bytes, const char *subsystem,
                             const ProtobufCMessageDescriptor *descriptor, const cJSON *records);

/* The same as a JSON text. */
int simulate_encode_json(struct simulate_bytes *bytes, const char *subsystem, const cJSON *records);

#endif
