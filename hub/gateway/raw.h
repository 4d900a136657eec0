/* raw.h: a frame of a known terminal that no record can be made of is kept as it came: as a record that the hub puts
 * into quarantine, where people find it by its reason. */
#ifndef CITYHUB_GATEWAY_RAW_H
#define CITYHUB_GATEWAY_RAW_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "hub/gateway/terminal.h"

/* Adds the record: device_code, `protocol`, `frame` (text, or hexadecimal in `frame_hex`). It has no time, and so is
 * refused (missing_time) and kept. */
void raw_record(cJSON *records, const struct terminal *terminal, const void *bytes, size_t length);

#endif
