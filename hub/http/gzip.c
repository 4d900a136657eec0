/* gzip.c: libdeflate for what is whole, zlib for what comes piece by piece. Must never loop over more input than it was
 * given. */
#include "hub/http/gzip.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>

enum { LEVEL = 1, WINDOW_BITS_GZIP = 15 + 16, MEMORY_LEVEL = 8 };

struct gzip {
    z_stream stream;
    bool done;
};

struct gzip *gzip_new(void) {
    struct gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip != NULL &&
        deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(gzip);
        gzip = NULL;
    }
    return gzip;
}

size_t gzip_step(struct gzip *gzip, const char **bytes, size_t *length, bool last, char *room, size_t size) {
    z_stream *stream = &gzip->stream;
    stream->next_in = (z_const Bytef *)*bytes;
    stream->avail_in = (uInt)*length;
    stream->next_out = (Bytef *)room;
    stream->avail_out = (uInt)size;
    gzip->done = deflate(stream, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
    *bytes += *length - stream->avail_in;
    *length = stream->avail_in;
    return size - stream->avail_out;
}

bool gzip_done(const struct gzip *gzip) {
    return gzip->done;
}

void gzip_free(struct gzip *gzip) {
    if (gzip != NULL) {
        deflateEnd(&gzip->stream);
        free(gzip);
    }
}

char *gzip_whole(const char *bytes, size_t length, size_t *size) {
    size_t room = length - length / 10;
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(LEVEL);
    char *packed = compressor == NULL ? NULL : malloc(room);
    *size = packed == NULL ? 0 : libdeflate_gzip_compress(compressor, bytes, length, packed, room);
    if (*size == 0) {
        free(packed);
        packed = NULL;
    }
    libdeflate_free_compressor(compressor);
    return packed;
}
