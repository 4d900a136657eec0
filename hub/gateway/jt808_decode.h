/* jt808_decode.h: JT/T 808 bytes shown to people: for `cityhub gateway decode --protocol jt808`. */
#ifndef CITYHUB_GATEWAY_JT808_DECODE_H
#define CITYHUB_GATEWAY_JT808_DECODE_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* Adds to `out` what the bytes of a line are, a line in hexadecimal, of any number of frames: a decode_line_function.
 * As texts: id, version, phone, serial, pkg, enc, len, xor, then the body's values. One frame has its values under
 * their names; of several good ones `frames` says how many, and their names begin with 1., 2., ... Bytes that are left
 * over: `pending` (the beginning of a frame) or `pending_junk`. If no frame is good, the first bad one is shown.
 * Returns 0, or CH_EMEMORY. */
int jt808_decode_line(const char *line, size_t length, cJSON *out);

#endif
