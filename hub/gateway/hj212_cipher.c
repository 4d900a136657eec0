/* hj212_cipher.c: encrypted contents of HJ 212-2025. Must never keep or show a key. */
#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>

#include "hub/gateway/hj212_wire.h"

enum { BLOCK = 16, NONE = -1 };

/* Reads 0xE4,0x3E,...} behind the opening bracket into `bytes`. Returns how many characters were read with the closing
 * bracket, and in `count` how many bytes they are; 0 if they are written in another way. */
static size_t read_bytes(const char *text, size_t length, uint8_t *bytes, size_t *count) {
    *count = 0;
    for (size_t at = 0; at + 4 < length;) {
        if (text[at] != '0' || tolower((unsigned char)text[at + 1]) != 'x' || !hj212_is_hex(text + at + 2, 2)) {
            return 0;
        }
        char pair[HJ212_CRC_DIGITS] = {'0', '0', text[at + 2], text[at + 3]};
        bytes[(*count)++] = (uint8_t)hj212_hex(pair);
        at += 5;
        if (text[at - 1] == '}') {
            return at;
        }
        if (text[at - 1] != ',') {
            return 0;
        }
    }
    return 0;
}

static bool decrypt(const uint8_t *bytes, size_t count, const uint8_t key[HJ212_KEY_BYTES], uint8_t *out) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int written = 0, rest = 0;
    bool done = context != NULL && EVP_DecryptInit_ex(context, EVP_sm4_ecb(), NULL, key, NULL) == 1 &&
                EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
                EVP_DecryptUpdate(context, out, &written, bytes, (int)count) == 1 &&
                EVP_DecryptFinal_ex(context, out + written, &rest) == 1 && (size_t)(written + rest) == count;
    EVP_CIPHER_CTX_free(context);
    return done;
}

ptrdiff_t hj212_decrypt(const char *content, size_t length, const uint8_t key[HJ212_KEY_BYTES], char *out) {
    uint8_t bytes[HJ212_FRAME_MAX / 5 + 1];
    size_t count = 0;
    if (length == 0 || length > HJ212_FRAME_MAX || content[0] != '{') {
        return NONE;
    }
    size_t read = read_bytes(content + 1, length - 1, bytes, &count);
    if (read == 0 || count % BLOCK != 0 || !decrypt(bytes, count, key, (uint8_t *)out)) {
        return NONE;
    }
    memcpy(out + count, content + 1 + read, length - 1 - read);
    return (ptrdiff_t)(count + length - 1 - read);
}
