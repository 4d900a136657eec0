/* jt808_letter.h: what terminals took, pictures, sound and video, as letters for the hub. Pure. */
#ifndef CITYHUB_GATEWAY_JT808_LETTER_H
#define CITYHUB_GATEWAY_JT808_LETTER_H

#include <cjson/cJSON.h>

#include "hub/gateway/jt808_body.h"

enum { JT808_MEDIUM_MAX = 1024 * 1024 }; /* bytes of a medium that is kept */

/* {"media": {...}} of an event (0800) or of a medium that is whole (0801), for the terminal of that phone, without
 * zeros in front. `offset_minutes`: its clock ahead of UTC; `system`: its coordinates', NULL = not known. NULL = out of
 * memory. */
cJSON *jt808_letter(const struct jt808_media *media, const char *phone, int offset_minutes, const char *system);

#endif
