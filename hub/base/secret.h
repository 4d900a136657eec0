/* secret.h: passwords, and random texts that stand for somebody (sessions, tokens). What is stored of them is a hash.
 */
#ifndef CITYHUB_SECRET_H
#define CITYHUB_SECRET_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SECRET_TEXT = 44, /* 256 random bits in base64url without padding, and its end */
    SECRET_HASH_BYTES = 32,
    SECRET_HASH_TEXT = 2 * SECRET_HASH_BYTES + 1,
    PASSWORD_HASH_TEXT = 128,
    PASSWORD_CHARACTERS_MIN = 10,
    PASSWORD_BYTES_MAX = 256,
    TOKEN_TEXT = SECRET_TEXT + 4, /* with its prefix */
};

/* What a token begins with, so that people and tools that look for leaked secrets know one when they see it. */
#define TOKEN_PREFIX "cht_"

/* A new one. 0, or CH_EIO: no random numbers. */
int secret_text(char text[static SECRET_TEXT]);
int secret_token(char text[static TOKEN_TEXT]);

/* SHA-256: 256 random bits need no slow hash. */
void secret_hash(const char *text, size_t length, unsigned char hash[static SECRET_HASH_BYTES]);
/* The same in hexadecimal, of a text with its end, as the database is told of a token. */
void secret_hash_text(const char *text, char hash[static SECRET_HASH_TEXT]);

/* Overwrites it, also where a compiler would leave that out. */
void secret_wipe(void *memory, size_t size);

/* NULL if a person may have this password, else what is wrong with it, as in "the password ...". */
const char *password_flaw(const char *password, const char *login);

/* Argon2id with a salt of its own: 19 MiB and tens of milliseconds of a core, so never in the loop. 0, or CH_EMEMORY.
 */
int password_hash(const char *password, char hash[static PASSWORD_HASH_TEXT]);
bool password_fits(const char *password, const char *hash);

#endif
