/* signature.h: how a message proves who sent it: HMAC-SHA256, HMAC-SM3, SM2 (国密), by OpenSSL. */
#ifndef CITYHUB_EXCHANGE_SIGNATURE_H
#define CITYHUB_EXCHANGE_SIGNATURE_H

#include "hub/base/buffer.h"
#include "hub/exchange/platform.h"

/* What is signed, and where it is said: the time in milliseconds since 1970 and a nonce, both as text. */
struct signed_parts {
    const char *time, *nonce, *path, *body;
};

/* Appends the signature to `text`, in hex or base64 as the target's file says. Returns 0, CH_EINVAL for a key that is
 * none, or CH_EMEMORY. */
int signature_make(const struct platform *target, const struct signed_parts *parts, struct buffer *text);

#endif
