/* fuzz_media.c: any bytes as a file of any kind. What is passed on is read again and stays as it is, tells nothing of
 * place and time (but a film's own clock), and is never longer than what came and a block of orientation. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hub/http/answer_file.h"
#include "hub/http/media.h"
#include "hub/http/media_exif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct piece {
    unsigned char *bytes;
    size_t length, room;
};

static bool take(void *user, const void *bytes, size_t length) {
    struct piece *piece = user;
    if (length > piece->room - piece->length) {
        abort();
    }
    memcpy(piece->bytes + piece->length, bytes, length);
    piece->length += length;
    return true;
}

static struct piece piece_of(size_t length) {
    struct piece piece = {.room = length + 64, .bytes = malloc(length + 64)};
    if (piece.bytes == NULL) {
        abort();
    }
    return piece;
}

static void check_clean(enum media_type type, const struct media_facts *facts) {
    bool turned = type == MEDIA_JPEG && facts->orientation > 1;
    if (facts->placed || (facts->orientation != 0 && !turned) || (facts->taken_at[0] != '\0' && type != MEDIA_MP4)) {
        abort();
    }
}

static void check_range(const uint8_t *data, size_t size) {
    char header[64];
    size_t length = size < sizeof header ? size : sizeof header - 1;
    memcpy(header, data, length);
    header[length] = '\0';
    uint64_t from = 0, count = 0;
    if (answer_file_range(header, size, &from, &count) == RANGE_PART &&
        (count == 0 || from + count > size || from >= size)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct media_facts facts, again;
    enum media_type type = media_guess(data, size);
    struct piece once = piece_of(size), came = piece_of(size);
    take(&came, data, size);
    check_range(data, size);
    media_exif_read(data, size, &facts);
    if (media_strip(type, came.bytes, size, &facts, take, &once) == NULL) {
        struct piece twice = piece_of(once.length);
        if (media_guess(once.bytes, once.length) != type ||
            media_strip(type, once.bytes, once.length, &again, take, &twice) != NULL || twice.length != once.length ||
            memcmp(once.bytes, twice.bytes, once.length) != 0) {
            abort();
        }
        check_clean(type, &again);
        free(twice.bytes);
    }
    free(once.bytes);
    free(came.bytes);
    return 0;
}
