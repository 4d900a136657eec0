/* picture.c: the first bytes of JPEG (ITU-T T.81, B.2.2), PNG (its specification, 11.2.2) and WebP (RFC 9649), as far
 * as the sides of the picture. A browser unpacks what it is given: the sides bound what that costs. */
#include "hub/basemap/picture.h"

#include <stdbool.h>
#include <string.h>

static unsigned big16(const unsigned char *bytes) {
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static unsigned little24(const unsigned char *bytes) {
    return (unsigned)bytes[2] << 16 | (unsigned)bytes[1] << 8 | bytes[0];
}

static bool png_sides(const unsigned char *bytes, size_t length, unsigned *width, unsigned *height) {
    static const unsigned char head[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    if (length < 33 || memcmp(bytes, head, sizeof head) != 0 || big16(bytes + 16) != 0 || big16(bytes + 20) != 0) {
        return false;
    }
    *width = big16(bytes + 18);
    *height = big16(bytes + 22);
    return true;
}

/* From segment to segment up to the frame's. */
static bool jpeg_sides(const unsigned char *bytes, size_t length, unsigned *width, unsigned *height) {
    size_t at = 2;
    if (length < 4 || bytes[0] != 0xff || bytes[1] != 0xd8) {
        return false;
    }
    while (length - at >= 9 && bytes[at] == 0xff) {
        unsigned marker = bytes[at + 1];
        if (marker == 0xff) { /* a fill byte */
            at++;
            continue;
        }
        unsigned size = big16(bytes + at + 2);
        bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (frame && size >= 8) {
            *height = big16(bytes + at + 5);
            *width = big16(bytes + at + 7);
            return true;
        }
        if (size < 2 || size + 2 > length - at || marker == 0xda) {
            return false;
        }
        at += size + 2;
    }
    return false;
}

static bool webp_sides(const unsigned char *bytes, size_t length, unsigned *width, unsigned *height) {
    if (length < 30 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WEBP", 4) != 0) {
        return false;
    }
    if (memcmp(bytes + 12, "VP8X", 4) == 0) {
        *width = little24(bytes + 24) + 1;
        *height = little24(bytes + 27) + 1;
        return true;
    }
    if (memcmp(bytes + 12, "VP8L", 4) == 0 && bytes[20] == 0x2f) {
        unsigned sides = little24(bytes + 21), high = bytes[24];
        *width = (sides & 0x3fff) + 1;
        *height = ((sides >> 14 | high << 10) & 0x3fff) + 1;
        return true;
    }
    if (memcmp(bytes + 12, "VP8 ", 4) == 0 && bytes[23] == 0x9d && bytes[24] == 0x01 && bytes[25] == 0x2a) {
        *width = little24(bytes + 26) & 0x3fff;
        *height = ((unsigned)bytes[29] << 8 | bytes[28]) & 0x3fff;
        return true;
    }
    return false;
}

enum picture_type picture_of(const unsigned char *bytes, size_t length, unsigned *width, unsigned *height) {
    enum picture_type type = PICTURE_NONE;
    *width = *height = 0;
    if (png_sides(bytes, length, width, height)) {
        type = PICTURE_PNG;
    } else if (jpeg_sides(bytes, length, width, height)) {
        type = PICTURE_JPEG;
    } else if (webp_sides(bytes, length, width, height)) {
        type = PICTURE_WEBP;
    }
    return *width >= 1 && *width <= PICTURE_SIDE_MAX && *height >= 1 && *height <= PICTURE_SIDE_MAX ? type
                                                                                                    : PICTURE_NONE;
}

const char *picture_type_name(enum picture_type type) {
    static const char *const names[] = {"application/octet-stream", "image/jpeg", "image/png", "image/webp"};
    return names[type];
}
