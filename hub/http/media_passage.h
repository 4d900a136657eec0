/* media_passage.h: one file on its way through, for the readers of its kinds: bytes in, what stays of them out. */
#ifndef CITYHUB_MEDIA_PASSAGE_H
#define CITYHUB_MEDIA_PASSAGE_H

#include <stdint.h>
#include <string.h>

#include "hub/http/media.h"

static const char media_ends_early[] = "the file ends before its end";

struct media_passage {
    unsigned char *bytes;
    size_t length;
    struct media_facts *facts;
    media_emit *emit;
    void *user;
    bool failed;
};

/* Overwrites the segments of a JPEG that describe it, before its first scan, where they stand; of other bytes nothing.
 */
void media_jpeg_blank(unsigned char *bytes, size_t length);

static inline void media_give(struct media_passage *passage, const void *bytes, size_t length) {
    if (!passage->failed && passage->emit != NULL && length > 0) {
        passage->failed = !passage->emit(passage->user, bytes, length);
    }
}

static inline uint32_t media_big32(const unsigned char *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline bool media_is_one_of(const unsigned char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (memcmp(name, names[i], 4) == 0) {
            return true;
        }
    }
    return false;
}

#endif
