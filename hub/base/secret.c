/* secret.c: secrets by libsodium (random numbers, Argon2id) and OpenSSL (SHA-256). Must never print or keep one. */
#include "hub/base/secret.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/text.h"

_Static_assert(PASSWORD_HASH_TEXT >= crypto_pwhash_STRBYTES, "a hash has room");
_Static_assert(SECRET_TEXT == sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "so has a secret");

enum {
    PASSWORD_DIFFERENT_MIN = 5,
    /* OWASP's first choice for Argon2id: what it costs an attacker, and what it costs a machine that also ingests. */
    HASH_PASSES = 2,
    HASH_BYTES = 19 * 1024 * 1024,
};

int secret_text(char text[static SECRET_TEXT]) {
    unsigned char bytes[32];
    if (sodium_init() < 0) {
        return CH_EIO;
    }
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2base64(text, SECRET_TEXT, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof bytes);
    return 0;
}

int secret_token(char text[static TOKEN_TEXT]) {
    memcpy(text, TOKEN_PREFIX, sizeof TOKEN_PREFIX);
    return secret_text(text + strlen(TOKEN_PREFIX));
}

void secret_hash(const char *text, size_t length, unsigned char hash[static SECRET_HASH_BYTES]) {
    SHA256((const unsigned char *)text, length, hash);
}

void secret_hash_text(const char *text, char hash[static SECRET_HASH_TEXT]) {
    unsigned char bytes[SECRET_HASH_BYTES];
    secret_hash(text, strlen(text), bytes);
    sodium_bin2hex(hash, SECRET_HASH_TEXT, bytes, sizeof bytes);
}

void secret_wipe(void *memory, size_t size) {
    sodium_memzero(memory, size);
}

/* ---- passwords ---- */

const char *password_flaw(const char *password, const char *login) {
    size_t length = strlen(password), characters = 0, different = 0;
    bool seen[256] = {false};
    if (length > PASSWORD_BYTES_MAX) {
        return "has more than 256 bytes";
    }
    if (text_flaw(password, length, false) != NULL) {
        return "is not valid UTF-8, or has a control character";
    }
    for (size_t at = 0; at < length; at += text_character(password + at, length - at)) {
        characters++;
    }
    for (size_t i = 0; i < length; i++) {
        different += !seen[(unsigned char)password[i]];
        seen[(unsigned char)password[i]] = true;
    }
    if (characters < PASSWORD_CHARACTERS_MIN) {
        return "has fewer than 10 characters";
    }
    if (different < PASSWORD_DIFFERENT_MIN) {
        return "has fewer than 5 different characters";
    }
    return strcasestr(password, login) != NULL ? "has the login in it" : NULL;
}

int password_hash(const char *password, char hash[static PASSWORD_HASH_TEXT]) {
    bool done = sodium_init() >= 0 &&
                crypto_pwhash_argon2id_str(hash, password, strlen(password), HASH_PASSES, HASH_BYTES) == 0;
    return done ? 0 : CH_EMEMORY;
}

bool password_fits(const char *password, const char *hash) {
    return sodium_init() >= 0 && crypto_pwhash_argon2id_str_verify(hash, password, strlen(password)) == 0;
}
