/* hj212_wire.h: what the files of HJ 212 know of its bytes and nobody else needs. */
#ifndef CITYHUB_GATEWAY_HJ212_WIRE_H
#define CITYHUB_GATEWAY_HJ212_WIRE_H

#include "hub/gateway/hj212.h"

enum {
    HJ212_HEAD = 6,       /* ## and 4 digits */
    HJ212_CRC_DIGITS = 4, /* hexadecimal, behind the segment */
};

bool hj212_is_hex(const char *text, size_t count);

/* The value of HJ212_CRC_DIGITS hexadecimal digits. */
unsigned hj212_hex(const char *text);

/* Which check value the digits are; HJ212_CRC_OFF = none that is known. */
enum hj212_crc hj212_crc_of(const char *segment, size_t length, const char *digits);

/* Where a segment's content begins, behind CP=&&; `length` = it has none. */
size_t hj212_content(const char *segment, size_t length);

/* Decrypts the content `{0xE4,0x3E,...}rest` (HJ 212-2025: SM4-ECB without padding, what is left of a block is plain).
 * Writes at most `length` bytes to `out` and returns how many; -1 if it is none of that, the key is another (the first
 * block is no text: a check value of 256 alone would take one in a hundred for it), or OpenSSL has no SM4. */
ptrdiff_t hj212_decrypt(const char *content, size_t length, const uint8_t key[HJ212_KEY_BYTES], char *out);

/* The same the other way round. Writes a text of less than `room` bytes and returns its length; 0 if there is no such
 * room, nothing of a block, or no SM4. */
size_t hj212_encrypt(const char *content, const uint8_t key[HJ212_KEY_BYTES], char *out, size_t room);

#endif
