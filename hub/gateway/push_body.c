/* push_body.c: bodies unpacked and joined. Must never hold more than its bound, however small what was sent was. */
#include "hub/gateway/push_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "hub/base/error.h"
#include "hub/decode/json_reader.h"

enum { PIECE = 32 * 1024, WINDOW_BITS_GZIP = 15 + 16 };

struct push_inflate {
    z_stream stream;
    bool done;
};

int push_body_begin(struct push_body *body, size_t most, bool gzip) {
    *body = (struct push_body){.most = most};
    if (!gzip) {
        return 0;
    }
    body->inflate = calloc(1, sizeof *body->inflate);
    if (body->inflate != NULL && inflateInit2(&body->inflate->stream, WINDOW_BITS_GZIP) != Z_OK) {
        free(body->inflate);
        body->inflate = NULL;
    }
    return body->inflate == NULL ? CH_EMEMORY : 0;
}

void push_body_free(struct push_body *body) {
    if (body->inflate != NULL) {
        inflateEnd(&body->inflate->stream);
        free(body->inflate);
    }
    buffer_free(&body->bytes);
    *body = (struct push_body){0};
}

static int add_plain(struct push_body *body, const void *bytes, size_t length) {
    if (length > body->most - body->bytes.length) {
        return CH_EFULL;
    }
    buffer_bytes(&body->bytes, bytes, length);
    return body->bytes.failed ? CH_EMEMORY : 0;
}

int push_body_add(struct push_body *body, const char *bytes, size_t length) {
    if (body->inflate == NULL) {
        return add_plain(body, bytes, length);
    }
    z_stream *stream = &body->inflate->stream;
    unsigned char piece[PIECE];
    int code = 0;
    stream->next_in = (z_const Bytef *)bytes;
    stream->avail_in = (uInt)length;
    do {
        if (body->inflate->done) {
            if (stream->avail_in == 0) {
                return 0;
            }
            inflateReset(stream); /* another member (RFC 1952, 2.2), or something that is none */
            body->inflate->done = false;
        }
        stream->next_out = piece;
        stream->avail_out = sizeof piece;
        int step = inflate(stream, Z_NO_FLUSH);
        if (step != Z_OK && step != Z_STREAM_END && step != Z_BUF_ERROR) {
            return step == Z_MEM_ERROR ? CH_EMEMORY : CH_EINVAL;
        }
        body->inflate->done = step == Z_STREAM_END;
        code = add_plain(body, piece, sizeof piece - stream->avail_out);
    } while (code == 0 && (stream->avail_in > 0 || stream->avail_out == 0));
    return code;
}

bool push_body_whole(const struct push_body *body) {
    return body->inflate == NULL || body->inflate->done;
}

/* What stands for nothing at a line's end; with the NULs of C's buffers at the body's. */
static size_t bare_length(const char *at, size_t length, const char *nothing, size_t count) {
    while (length > 0 && memchr(nothing, at[length - 1], count) != NULL) {
        length--;
    }
    return length;
}

/* Whether the line is one JSON object, and nothing besides. */
static bool is_object(const char *line, size_t length, char *scratch) {
    struct json_reader reader;
    struct json_value value;
    json_reader_begin(&reader, line, length, scratch);
    return json_value(&reader, &value) && value.kind == JSON_OBJECT && json_skip(&reader, &value) &&
           json_at_end(&reader);
}

int push_body_lines(struct push_body *body, char reason[static PUSH_BODY_REASON_MAX]) {
    char scratch[JSON_SCRATCH_MAX];
    struct buffer array = {0};
    const char *at = body->bytes.data;
    const char *end = at + bare_length(at, body->bytes.length, "\0 \t\r\n", 5);
    bool first = true;
    buffer_text(&array, "[");
    for (size_t number = 1; at < end; number++) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        const char *stop = feed == NULL ? end : feed;
        size_t length = bare_length(at, (size_t)(stop - at), " \t\r", 3);
        if (length >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
            at += 3;
            length -= 3;
        }
        if (length > 0 && !is_object(at, length, scratch)) {
            snprintf(reason, PUSH_BODY_REASON_MAX, "line %zu is not one JSON object", number);
            buffer_free(&array);
            return CH_EINVAL;
        }
        if (length > 0) {
            buffer_text(&array, first ? "" : ",\n");
            buffer_bytes(&array, at, length);
            first = false;
        }
        at = feed == NULL ? end : feed + 1;
    }
    buffer_text(&array, "]");
    if (array.failed) {
        buffer_free(&array);
        return CH_EMEMORY;
    }
    buffer_free(&body->bytes);
    body->bytes = array;
    return 0;
}
