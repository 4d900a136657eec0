/* decode_message.c: a telemetry message's bytes: which form they have, and one decoder for each. Never looks into a
 * record. */
#include "hub/decode/decode.h"

#include <string.h>

#include "hub/base/error.h"
#include "hub/decode/decode_internal.h"

/* After a first byte that is a line feed and the tag of a batch's first record both: is the rest JSON? `length` counts
 * from the bracket. A protobuf batch has a record of 91 or 123 bytes there. */
static bool opens_json(const char *at, size_t length) {
    size_t next = 1;
    while (next < length && strchr(" \t\r\n", at[next]) != NULL && at[next] != '\0') {
        next++;
    }
    if (next == length) {
        return true;
    }
    return strchr(*at == '{' ? "\"}" : "{[]\"-0123456789tfnNI", at[next]) != NULL && at[next] != '\0';
}

enum decode_form decode_form(struct decoder *decoder, const void *payload, size_t length) {
    const char *bytes = payload;
    size_t at = 0;
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        return FORM_JSON; /* a byte order mark, which cannot begin a protobuf message */
    }
    while (at < length && (bytes[at] == ' ' || bytes[at] == '\t' || bytes[at] == '\n' || bytes[at] == '\r')) {
        at++;
    }
    if (at == length) {
        decode_report(decoder, -1, PROBLEM_MALFORMED, "payload: %s",
                      length == 0 ? "is empty" : "has nothing but blanks");
        return FORM_NONE;
    }
    if (bytes[at] != '{' && bytes[at] != '[') {
        return FORM_PROTOBUF;
    }
    bool batch =
        at == 1 && bytes[0] == 0x0a && (!opens_json(bytes + at, length - at) || decode_framing_fits(payload, length));
    return batch ? FORM_PROTOBUF : FORM_JSON;
}

int decode_telemetry(struct decoder *decoder, const struct adapter *adapter, const struct decode_limits *limits,
                     const void *payload, size_t length, const struct decode_sink *sink) {
    decoder->plan = decode_plan_get(decoder, adapter);
    if (decoder->plan == NULL) {
        return CH_EMEMORY;
    }
    decoder->kind = NULL;
    decoder->limits = limits;
    decoder->sink = sink;
    decoder->problem = sink->problem;
    decoder->warning = sink->warning;
    decoder->user = sink->user;
    decoder->unknown_count = 0;
    decoder->declared = false;
    switch (decode_form(decoder, payload, length)) {
    case FORM_JSON:
        return decode_json_records(decoder, payload, length, decode_json_record);
    case FORM_PROTOBUF:
        return decode_protobuf_records(decoder, payload, length, decode_protobuf_record);
    case FORM_NONE:
        break;
    }
    return 0;
}

bool decode_fits(struct decoder *decoder, const struct adapter *other, const struct record *record) {
    const struct decode_plan *plan = decode_plan_get(decoder, other);
    if (plan == NULL) {
        return false;
    }
    return record->raw_is_json ? decode_json_fits(plan, record->raw, record->raw_length)
                               : decode_protobuf_fits(plan, record->raw, record->raw_length);
}
