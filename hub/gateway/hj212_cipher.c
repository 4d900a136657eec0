/* hj212_cipher.c: encrypted contents of HJ 212-2025. Must never keep or show a key. */
#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "hub/gateway/hj212_wire.h"

enum { BLOCK = 16, BYTE_DIGITS = 5 /* 0xE4 and what parts it */, NONE = -1 };

/* Reads 0xE4,0x3E,...} behind the opening bracket into `bytes`. Blanks between them, and a comma behind the last, do no
 * harm. Returns how many characters were read with the closing bracket, and in `count` how many bytes they are; 0 if
 * they are written in another way. */
static size_t read_bytes(const char *text, size_t length, uint8_t *bytes, size_t *count) {
    *count = 0;
    bool parted = true; /* by a comma from the byte before */
    for (size_t at = 0; at < length;) {
        if (text[at] == '}') {
            return at + 1;
        }
        if (text[at] == ' ' || (text[at] == ',' && !parted)) {
            parted = parted || text[at] == ',';
            at++;
            continue;
        }
        if (!parted || at + 4 > length || text[at] != '0' || tolower((unsigned char)text[at + 1]) != 'x' ||
            !hj212_is_hex(text + at + 2, 2)) {
            return 0;
        }
        char pair[HJ212_CRC_DIGITS] = {'0', '0', text[at + 2], text[at + 3]};
        bytes[(*count)++] = (uint8_t)hj212_hex(pair);
        at += 4;
        parted = false;
    }
    return 0;
}

/* Whole blocks, one way or the other. */
static bool crypt_blocks(bool encrypt, const uint8_t *bytes, size_t count, const uint8_t key[HJ212_KEY_BYTES],
                         uint8_t *out) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int written = 0, rest = 0;
    bool done = context != NULL && EVP_CipherInit_ex(context, EVP_sm4_ecb(), NULL, key, NULL, encrypt) == 1 &&
                EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
                EVP_CipherUpdate(context, out, &written, bytes, (int)count) == 1 &&
                EVP_CipherFinal_ex(context, out + written, &rest) == 1 && (size_t)written == count && rest == 0;
    EVP_CIPHER_CTX_free(context);
    return done;
}

/* A content begins with the name of an item; its value may be Chinese. */
static bool is_content(const char *block) {
    size_t name = 0;
    while (name < BLOCK && (isalnum((unsigned char)block[name]) || strchr(" -_.", block[name]) != NULL) &&
           block[name] != '\0') {
        name++;
    }
    for (size_t i = name; i < BLOCK; i++) {
        if ((uint8_t)block[i] < ' ' || block[i] == 0x7f) {
            return false;
        }
    }
    return name == BLOCK || (name > 0 && block[name] == '=');
}

ptrdiff_t hj212_decrypt(const char *content, size_t length, const uint8_t key[HJ212_KEY_BYTES], char *out) {
    uint8_t bytes[HJ212_FRAME_MAX / 5 + 1];
    size_t count = 0;
    if (length == 0 || length > HJ212_FRAME_MAX || content[0] != '{') {
        return NONE;
    }
    size_t read = read_bytes(content + 1, length - 1, bytes, &count);
    if (read == 0 || count == 0 || count % BLOCK != 0 || !crypt_blocks(false, bytes, count, key, (uint8_t *)out) ||
        !is_content(out)) {
        return NONE;
    }
    memcpy(out + count, content + 1 + read, length - 1 - read);
    return (ptrdiff_t)(count + length - 1 - read);
}

size_t hj212_encrypt(const char *content, const uint8_t key[HJ212_KEY_BYTES], char *out, size_t room) {
    uint8_t bytes[HJ212_ANSWER_MAX];
    size_t length = strlen(content), whole = length / BLOCK * BLOCK;
    if (whole == 0 || whole > sizeof bytes || room < whole * BYTE_DIGITS + length - whole + 3 ||
        !crypt_blocks(true, (const uint8_t *)content, whole, key, bytes)) {
        return 0;
    }
    for (size_t i = 0; i < whole; i++) {
        snprintf(out + i * BYTE_DIGITS, BYTE_DIGITS + 1, "%c0x%02X", i == 0 ? '{' : ',', bytes[i]);
    }
    snprintf(out + whole * BYTE_DIGITS, length - whole + 2, "}%s", content + whole);
    return whole * BYTE_DIGITS + 1 + length - whole;
}
