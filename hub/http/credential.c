/* credential.c: Authorization headers. Must never read past one, nor take what no token can be for one. */
#include "hub/http/credential.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool take(const char *text, size_t length, char secret[static CREDENTIAL_SECRET_MAX]) {
    if (length == 0 || length >= CREDENTIAL_SECRET_MAX || strspn(text, letters) < length) {
        return false;
    }
    memcpy(secret, text, length);
    secret[length] = '\0';
    return true;
}

/* What follows the scheme and its blanks; NULL if it is another scheme. */
static const char *after(const char *authorization, const char *scheme) {
    size_t length = strlen(scheme);
    if (strncasecmp(authorization, scheme, length) != 0 || authorization[length] != ' ') {
        return NULL;
    }
    return authorization + length + strspn(authorization + length, " ");
}

/* base64 of user:password. */
static bool take_basic(const char *text, char secret[static CREDENTIAL_SECRET_MAX]) {
    unsigned char plain[512];
    size_t length = 0;
    const char *end = text;
    bool taken = false;
    if (sodium_base642bin(plain, sizeof plain - 1, text, strlen(text), " ", &length, &end,
                          sodium_base64_VARIANT_ORIGINAL) == 0 &&
        *end == '\0') {
        plain[length] = '\0';
        const char *colon = memchr(plain, ':', length);
        taken = colon != NULL && take(colon + 1, length - (size_t)(colon + 1 - (const char *)plain), secret);
    }
    sodium_memzero(plain, sizeof plain);
    return taken;
}

enum credential_kind credential_read(const char *authorization, char secret[static CREDENTIAL_SECRET_MAX]) {
    const char *bearer = after(authorization, "Bearer"), *basic = after(authorization, "Basic");
    secret[0] = '\0';
    if (bearer != NULL && take(bearer, strcspn(bearer, " "), secret) &&
        bearer[strlen(secret) + strspn(bearer + strlen(secret), " ")] == '\0') {
        return CREDENTIAL_BEARER;
    }
    if (basic != NULL && take_basic(basic, secret)) {
        return CREDENTIAL_BASIC;
    }
    secret[0] = '\0';
    return CREDENTIAL_FLAWED;
}
