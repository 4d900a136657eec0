/* credential.h: what a client's Authorization header says (RFC 6750 Bearer, RFC 7617 Basic), taken apart. Pure. */
#ifndef CITYHUB_CREDENTIAL_H
#define CITYHUB_CREDENTIAL_H

enum credential_kind {
    CREDENTIAL_FLAWED, /* it is there and is neither */
    CREDENTIAL_BEARER,
    CREDENTIAL_BASIC, /* the password is what counts; whatever the user's name is */
};

enum { CREDENTIAL_SECRET_MAX = 128 };

/* Fills `secret`: 1 to 127 characters of what tokens are made of (letters, digits, - _); "" with CREDENTIAL_FLAWED. */
enum credential_kind credential_read(const char *authorization, char secret[static CREDENTIAL_SECRET_MAX]);

#endif
