/* account.h: bodies of routes that make a secret for somebody: a person's password, a program's token. The hub hashes
 * what was sent or makes one, hands the row's function the hash in its place, and shows what it made in the answer,
 * once. Must never hand a password or token to the database, nor hash one in the loop.
 */
#ifndef CITYHUB_ACCOUNT_H
#define CITYHUB_ACCOUNT_H

#include "hub/http/route.h"

enum { ACCOUNT_BODY_MAX = 16 * 1024 };

/* A JSON object whose "password", if it has one, is the person's; else one is made. The person: "login" of the body or
 * of the path. The function gets the object with "password_hash" instead, and must not return a "password". */
extern const struct route_sink account_password_sink;

/* A JSON object; the function gets it with "hash", SHA-256 in hexadecimal digits, and must not return a "token". */
extern const struct route_sink account_token_sink;

#endif
