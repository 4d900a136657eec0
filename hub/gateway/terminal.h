/* terminal.h: the terminals (终端) that a gateway knows: which device of which vendor speaks under an identity, and
 * how. The list comes from the hub by the broker; the last one is kept in a file, so that a gateway that starts without
 * a hub takes its devices' connections all the same. */
#ifndef CITYHUB_TERMINAL_H
#define CITYHUB_TERMINAL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/base/secret.h"

enum {
    TERMINAL_IDENTITY_MAX = 65, /* bytes of an MN or a phone, with its end */
    TERMINAL_KEY_BYTES = 16,
};

struct terminal {
    char *protocol; /* "hj212", "jt808" or "json" */
    char *identity; /* HJ 212: MN; JT/T 808: phone without leading zeros; json: a name */
    char *subsystem, *vendor, *device;
    char *dialect;      /* name of a file of config/gateway/<protocol>; "" = the standard's */
    char *crc;          /* HJ 212: standard, modbus, modbus-swapped or off */
    int offset_minutes; /* the device's clock ahead of UTC */
    bool has_secret;
    unsigned char secret[SECRET_HASH_BYTES]; /* see terminal_secret */
    bool has_key;
    unsigned char sm4_key[TERMINAL_KEY_BYTES];  /* HJ 212-2025: of what it encrypts */
    bool has_next;                              /* it is given another key, and has not used it yet */
    unsigned char sm4_next[TERMINAL_KEY_BYTES]; /* that key */
    int64_t sm4_next_ms;                        /* when it was made, by which the hub knows it */
    bool ended;                                 /* its right has; of protocol json alone */
    struct terminal *next_in_bucket;
};

struct terminals;

/* Empty; NULL = out of memory. */
struct terminals *terminals_new(void);
void terminals_free(struct terminals *terminals);

/* Takes a list in, {"version", "terminals": [...], "ended": [...]}, instead of the one before. 0, CH_EINVAL (it is
 * none: nothing is changed) or CH_EMEMORY. */
int terminals_take(struct terminals *terminals, const cJSON *list);

/* Of the list; "" = there was none yet. */
const char *terminals_version(const struct terminals *terminals);
size_t terminals_count(const struct terminals *terminals); /* whose right has not ended */

/* NULL = there is none. Good until the next terminals_take. `ever`: also one whose right has ended. */
const struct terminal *terminals_find(const struct terminals *terminals, const char *protocol, const char *identity);
const struct terminal *terminals_find_ever(const struct terminals *terminals, const char *protocol,
                                           const char *identity);

/* The same from and to a file of at most 16 MiB: 0, CH_ENOTFOUND (no such file, nothing logged) or another CH_E* after
 * logging why. The file is written whole or not at all, for its owner alone. */
int terminals_read(struct terminals *terminals, const char *path);
int terminals_write(const char *path, const void *text, size_t length);

/* What is kept of a terminal's secret (PW, token): SHA-256 of protocol, identity and secret, with a colon between. */
void terminal_secret(const char *protocol, const char *identity, const char *secret,
                     unsigned char hash[static SECRET_HASH_BYTES]);
/* True if the terminal has no secret, or it is this one. */
bool terminal_secret_fits(const struct terminal *terminal, const char *secret);

#endif
