/* fuzz_decode_protobuf.c: batches in protobuf's wire form. The first byte chooses the adapter or the kind. What the
 * hub's decoder reads is compared with what protobuf-c reads from the same bytes. */
#include <protobuf-c/protobuf-c.h>

#include "fuzz_decode.h"
#include "hub/base/count.h"
#include "hub/decode/decode_wire.h"

/* The walk over the batch's records beside the decoder's own. */
struct peer {
    const struct adapter *adapter;
    struct wire wire;
    int next; /* place of the record that `wire` comes to next */
};

/* A field of protobuf-c's structure as a number; false if it is not given. */
static bool peer_number(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, double *number) {
    const char *base = (const char *)message;
    const void *value = base + field->offset;
    *number = 0;
    if (*(const protobuf_c_boolean *)(const void *)(base + field->quantifier_offset) == 0) {
        return false;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_DOUBLE:
        *number = *(const double *)value;
        return true;
    case PROTOBUF_C_TYPE_FLOAT:
        *number = (double)*(const float *)value;
        return true;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        *number = *(const uint32_t *)value;
        return true;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        *number = (double)*(const uint64_t *)value;
        return true;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        *number = (double)*(const int64_t *)value;
        return true;
    default: /* int32 and its like, bool, enum: four bytes each */
        *number = *(const int32_t *)value;
        return true;
    }
}

/* What a reader of the text sees nothing of: blanks of any width, line ends, marks. */
static bool is_nothing(const char *text, size_t length) {
    static const char *const nothings[] = {" ",        "\t",           "\r",           "\n",
                                           "\xc2\xa0", "\xe2\x80\x8b", "\xe3\x80\x80", "\xef\xbb\xbf"};
    for (size_t at = 0; at < length;) {
        size_t bytes = 0;
        for (size_t i = 0; i < COUNT_OF(nothings); i++) {
            size_t size = strlen(nothings[i]);
            bytes = size <= length - at && memcmp(text + at, nothings[i], size) == 0 ? size : bytes;
        }
        if (bytes == 0) {
            return false;
        }
        at += bytes;
    }
    return true;
}

/* The text, but for nothing at its ends. */
static bool is_bare(const char *bare, const char *text) {
    const char *at = strstr(text, bare);
    return at != NULL && is_nothing(text, (size_t)(at - text)) &&
           is_nothing(at + strlen(bare), strlen(at + strlen(bare)));
}

static void compare(const struct record *record, const ProtobufCMessage *message, const struct adapter *adapter) {
    for (size_t i = 0; i < adapter->metric_count; i++) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(adapter->record, adapter->metrics[i].key);
        REQUIRE(field != NULL);
        bool is_bad = fuzz_flaw(record->flaws, record->flaw_count, field->name) != NULL;
        if (field->type == PROTOBUF_C_TYPE_STRING) {
            const char *text = *(char *const *)(const void *)((const char *)message + field->offset);
            bool given = text != NULL && !is_nothing(text, strlen(text)) && !is_bad;
            bool present = (record->text_present >> i & 1) != 0;
            /* The peer's text ends at its first NUL: of one that begins with some, which are nothing, it has no word.
             */
            REQUIRE(present ? text != NULL && !is_bad : !given);
            REQUIRE(!given || is_bare(record->texts[i], text));
            continue;
        }
        double number;
        bool given = peer_number(message, field, &number) && !is_bad;
        REQUIRE(given == ((record->present >> i & 1) != 0));
        REQUIRE(!given || memcmp(&number, &record->values[i], sizeof number) == 0 || number == record->values[i]);
    }
}

static void look(const struct record *record, void *user) {
    struct peer *peer = user;
    struct wire_field field;
    bool found = false;
    while (!found && wire_next(&peer->wire, &field)) {
        found = field.number == 1 && field.type == WIRE_BYTES && peer->next++ == record->index;
    }
    REQUIRE(found);
    ProtobufCMessage *message = protobuf_c_message_unpack(peer->adapter->record, NULL, field.length, field.data);
    if (message != NULL) { /* protobuf-c refuses tags of more bytes than they need */
        compare(record, message, peer->adapter);
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    unsigned selector = data[0] % (unsigned)(adapter_count + FUZZ_KINDS);
    const uint8_t *payload = data + 1;
    size_t at = 0;
    while (at < size - 1 && strchr(" \t\r\n", payload[at]) != NULL && payload[at] != 0) {
        at++;
    }
    bool like_json = at < size - 1 && (payload[at] == '{' || payload[at] == '[' || payload[at] == 0xef);
    bool either = at == 1 && payload[0] == 0x0a; /* a line feed, or the tag of the first record */
    if (like_json && !either) {
        return 0; /* JSON has its own target */
    }
    if (selector < adapter_count && !like_json) {
        struct peer peer = {.adapter = adapters[selector], .wire = {.at = payload, .end = payload + size - 1}};
        fuzz_decode(selector, payload, size - 1, look, &peer);
    } else {
        fuzz_decode(selector, payload, size - 1, NULL, NULL);
    }
    return 0;
}
