/* gzip.h: compression of answers, whole (libdeflate) or piece by piece (zlib), at level 1: what changes every second is
 * not worth more. A piece is bounded, so that the loop is never held. */
#ifndef CITYHUB_GZIP_H
#define CITYHUB_GZIP_H

#include <stdbool.h>
#include <stddef.h>

enum {
    GZIP_WORTH_BYTES = 1024,      /* less is not compressed: a packet holds it anyway */
    GZIP_WHOLE_BYTES = 64 * 1024, /* up to here at once, below 1 ms; more goes piece by piece */
};

/* All of it from malloc with its size; NULL = memory is out, or it does not get smaller by a tenth. */
char *gzip_whole(const char *bytes, size_t length, size_t *size);

struct gzip;

/* NULL = memory is out. */
struct gzip *gzip_new(void);
/* Takes bytes from `*bytes` (both are moved on) and puts up to `size` bytes into `room`; `last`: no more will come.
 * Returns how many bytes were put. */
size_t gzip_step(struct gzip *gzip, const char **bytes, size_t *length, bool last, char *room, size_t size);
/* After `last`: all is out. */
bool gzip_done(const struct gzip *gzip);
void gzip_free(struct gzip *gzip);

#endif
