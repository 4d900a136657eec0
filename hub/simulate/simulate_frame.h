/* simulate_frame.h: the frames of the synthetic county's terminals: HJ 212-2017 and JT/T 808-2013 as a gateway reads
 * them, from the record that the device would send over MQTT. What its protocol has no place for is left out, as real
 * devices do. Pure: no I/O, no clock. */
#ifndef CITYHUB_SIMULATE_FRAME_H
#define CITYHUB_SIMULATE_FRAME_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIMULATE_FRAME_MAX = 4096,   /* bytes that every frame fits into */
    SIMULATE_QN_SIZE = 18,       /* a request's name in HJ 212: 17 digits and their end */
    SIMULATE_IDENTITY_SIZE = 25, /* an MN or a phone number with its end */
};

/* The name of the request that is made at `at_ms` (UTC epoch milliseconds): its local time. */
void simulate_qn(int64_t at_ms, char qn[static SIMULATE_QN_SIZE]);

/* Real-time data (2011) that wants an answer. Returns the bytes, 0 if the record has nothing for it. */
size_t simulate_hj212(const cJSON *record, const char *identity, const char *qn, int64_t at_ms,
                      uint8_t out[static SIMULATE_FRAME_MAX]);

/* A position (0200) of a record in WGS 84. Returns the bytes, 0 if the record has no position. */
size_t simulate_jt808(const cJSON *record, const char *identity, uint16_t serial, int64_t at_ms,
                      uint8_t out[static SIMULATE_FRAME_MAX]);

/* Who it is (0102). Returns the bytes. */
size_t simulate_jt808_hello(const char *identity, uint16_t serial, uint8_t out[static SIMULATE_FRAME_MAX]);

#endif
