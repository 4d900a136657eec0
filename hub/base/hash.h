/* hash.h: where a key goes in a table of the process's own. Not for secrets, and not kept: others can make keys that
 * meet. */
#ifndef CITYHUB_HASH_H
#define CITYHUB_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 32 bits, of some bytes, onto the hash of what came before them: HASH_FIRST = nothing. */
#define HASH_FIRST UINT32_C(0x811c9dc5)
static inline uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT32_C(16777619);
    }
    return hash;
}

#endif
