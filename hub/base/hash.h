/* hash.h: where a key goes in a table of the process's own. Not for secrets, and not kept: others can make keys that
 * meet. */
#ifndef CITYHUB_HASH_H
#define CITYHUB_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_FIRST UINT32_C(0x811c9dc5) /* of nothing */

/* Of a number, onto the hash of what came before it. */
static inline uint32_t hash_number(uint32_t hash, uint64_t number) {
    uint64_t mixed = (number ^ hash) * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 divided by the golden ratio */
    return (uint32_t)(mixed >> 32) ^ (uint32_t)mixed;
}

/* Of some bytes, eight at a time. */
static inline uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t length) {
    const char *at = bytes;
    uint64_t eight;
    for (size_t left = length; left >= sizeof eight; left -= sizeof eight, at += sizeof eight) {
        memcpy(&eight, at, sizeof eight);
        hash = hash_number(hash, eight);
    }
    eight = 0;
    memcpy(&eight, at, length % sizeof eight);
    return hash_number(hash ^ (uint32_t)length, eight);
}

#endif
