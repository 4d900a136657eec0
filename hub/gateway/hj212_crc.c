/* hj212_crc.c: the check values that devices put behind a frame of HJ 212. Must never decide which of them is allowed.
 */
#include "hub/gateway/hj212.h"

enum { POLYNOMIAL = 0xA001, START = 0xFFFF };

const char *const hj212_crc_words[HJ212_CRC_OFF + 1] = {
    [HJ212_CRC_STANDARD] = "standard",
    [HJ212_CRC_MODBUS] = "modbus",
    [HJ212_CRC_SWAPPED] = "modbus-swapped",
    [HJ212_CRC_OFF] = "off",
};

static unsigned eight_shifts(unsigned value) {
    for (int i = 0; i < 8; i++) {
        value = (value & 1) != 0 ? value >> 1 ^ POLYNOMIAL : value >> 1;
    }
    return value;
}

uint16_t hj212_crc(enum hj212_crc kind, const char *bytes, size_t length) {
    bool modbus = kind == HJ212_CRC_MODBUS || kind == HJ212_CRC_SWAPPED;
    unsigned value = START;
    for (size_t i = 0; i < length; i++) {
        /* HJ 212-2017, annex A: only the high byte goes on. CRC-16/MODBUS keeps both. */
        value = eight_shifts((modbus ? value : value >> 8) ^ (uint8_t)bytes[i]);
    }
    return (uint16_t)(kind == HJ212_CRC_SWAPPED ? value >> 8 | (value & 0xFF) << 8 : value);
}

bool hj212_crc_possible(uint16_t value) {
    /* After any byte the register is a word of the table of eight shifts. No frame is of no byte at all. */
    for (unsigned byte = 0; byte < 256; byte++) {
        if (eight_shifts(byte) == value) {
            return true;
        }
    }
    return false;
}
