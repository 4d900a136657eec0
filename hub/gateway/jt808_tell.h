/* jt808_tell.h: commands of the hub (终端指令) as messages of JT/T 808, and what terminals answer as JSON. Pure. */
#ifndef CITYHUB_GATEWAY_JT808_TELL_H
#define CITYHUB_GATEWAY_JT808_TELL_H

#include <cjson/cJSON.h>

#include "hub/gateway/jt808_body.h"
#include "hub/gateway/jt808_build.h"

/* The message of a command, {"kind": "text", "text", "urgent", "aloud"}, {"kind": "position"}, {"kind": "parameters"}
 * or
 * {"kind": "set_parameters", "parameters": {"0x0029": 30}}, whose id is put into `id`. The number of bytes, or
 * CH_EINVAL: it is none of these, or does not fit a message. */
int jt808_tell(const struct jt808_address *to, uint16_t serial, const cJSON *command, uint16_t *id,
               uint8_t out[static JT808_WIRE_MAX]);

/* What an answer says of a command, an object, the caller's. NULL = memory is out. */
cJSON *jt808_told_result(uint8_t result);
cJSON *jt808_told_position(const struct jt808_position *position, int offset_minutes);
/* Of the body of 0104, from its list on: {"parameters": {"0x0029": 30, "0x0013": "a text", ...}}; what is neither is in
 * hexadecimal. What is cut off is left out. */
cJSON *jt808_told_parameters(const uint8_t *body, size_t length);

#endif
