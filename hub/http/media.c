/* media.c: JPEG, PNG, WebP, PDF and MP4, as far as it takes to know them, to find their parts and to leave some out.
 * Must never trust a length that the file gives, nor pass on a part that it does not know. */
#include "hub/http/media.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/http/media_exif.h"
#include "hub/http/media_passage.h"
#include "hub/http/media_pdf.h"
#include "hub/http/media_video.h"

static const char gave_up[] = "it could not be written";

static uint32_t little32(const unsigned char *b) {
    return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

static bool begins(const unsigned char *bytes, size_t length, const void *with, size_t with_length) {
    return length >= with_length && memcmp(bytes, with, with_length) == 0;
}

/* ---- JPEG (ITU-T T.81, annex B) ---- */

enum {
    JPEG_TEM = 0x01,
    JPEG_RESTART_FIRST = 0xD0,
    JPEG_RESTART_LAST = 0xD7,
    JPEG_START = 0xD8,
    JPEG_END = 0xD9,
    JPEG_SCAN = 0xDA,
    JPEG_APP0 = 0xE0,
    JPEG_APP1 = 0xE1,
    JPEG_APP2 = 0xE2,
    JPEG_APP14 = 0xEE,
    JPEG_APP_LAST = 0xEF,
    JPEG_COMMENT = 0xFE,
};

/* Whether a segment belongs to the picture: JFIF, the colour profile and Adobe's colour transform do. */
static bool jpeg_stays(unsigned marker, const unsigned char *content, size_t length) {
    switch (marker) {
    case JPEG_APP0:
        return begins(content, length, "JFIF\0", 5);
    case JPEG_APP2:
        return begins(content, length, "ICC_PROFILE\0", 12);
    case JPEG_APP14:
        return begins(content, length, "Adobe", 5);
    default:
        return marker != JPEG_COMMENT && (marker < JPEG_APP0 || marker > JPEG_APP_LAST);
    }
}

static void jpeg_exif(struct media_passage *passage, const unsigned char *content, size_t length) {
    unsigned before = passage->facts->orientation;
    media_exif_read(content + 6, length - 6, passage->facts);
    if (before != 0) { /* the first block that says one turns the picture, whatever later ones say */
        passage->facts->orientation = before;
    } else if (passage->facts->orientation > 1) {
        unsigned char tiff[MEDIA_EXIF_ORIENTATION_BYTES];
        static const unsigned char head[] = {0xFF, JPEG_APP1, 0, MEDIA_EXIF_ORIENTATION_BYTES + 8, 'E', 'x', 'i',
                                             'f',  0,         0};
        media_exif_orientation(passage->facts->orientation, tiff);
        media_give(passage, head, sizeof head);
        media_give(passage, tiff, sizeof tiff);
    }
}

/* Behind a scan's head: where its data end, at the next marker that is no restart; `length` = nowhere. */
static size_t jpeg_scan_end(const struct media_passage *passage, size_t at) {
    for (; at + 1 < passage->length; at++) {
        unsigned next = passage->bytes[at + 1];
        if (passage->bytes[at] == 0xFF && next != 0 && next != 0xFF &&
            (next < JPEG_RESTART_FIRST || next > JPEG_RESTART_LAST)) {
            return at;
        }
    }
    return passage->length;
}

static const char *strip_jpeg(struct media_passage *passage) {
    const unsigned char *bytes = passage->bytes;
    bool scanned = false;
    media_give(passage, bytes, 2);
    for (size_t at = 2; at + 1 < passage->length;) {
        unsigned marker = bytes[at + 1];
        if (bytes[at] != 0xFF) {
            return "between its segments a JPEG has something else";
        }
        if (marker == 0xFF) { /* a byte that fills up */
            at++;
            continue;
        }
        if (marker == JPEG_END) {
            media_give(passage, bytes + at, 2);
            return scanned ? NULL : "a JPEG without a picture";
        }
        if (marker <= JPEG_TEM || (marker >= JPEG_RESTART_FIRST && marker <= JPEG_START)) {
            return "a JPEG has a marker where none may be";
        }
        if (passage->length - at < 4) {
            break;
        }
        size_t length = (size_t)bytes[at + 2] << 8 | bytes[at + 3]; /* of the length itself and the content */
        if (length < 2 || length > passage->length - at - 2) {
            return media_ends_early;
        }
        const unsigned char *content = bytes + at + 4;
        if (marker == JPEG_APP1 && begins(content, length - 2, "Exif\0\0", 6)) {
            jpeg_exif(passage, content, length - 2);
        } else if (jpeg_stays(marker, content, length - 2)) {
            media_give(passage, bytes + at, length + 2);
        }
        at += length + 2;
        if (marker == JPEG_SCAN) {
            size_t end = jpeg_scan_end(passage, at);
            media_give(passage, bytes + at, end - at);
            at = end;
            scanned = true;
        }
    }
    return media_ends_early;
}

void media_jpeg_blank(unsigned char *bytes, size_t length) {
    for (size_t at = 2; begins(bytes, length, "\xFF\xD8\xFF", 3) && at + 4 <= length && bytes[at] == 0xFF;) {
        unsigned marker = bytes[at + 1];
        size_t whole = marker == 0xFF ? 1 : 2 + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);
        if (marker == JPEG_SCAN || (marker != 0xFF && whole < 4) || whole > length - at) {
            return;
        }
        if (marker != 0xFF && !jpeg_stays(marker, bytes + at + 4, whole - 4)) {
            memset(bytes + at + 4, 0, whole - 4);
        }
        at += whole;
    }
}

/* ---- PNG (ISO/IEC 15948) ---- */

static const unsigned char png_head[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

static const char *strip_png(struct media_passage *passage) {
    static const char *const kept[] = {"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM", "sRGB", "iCCP",
                                       "sBIT", "bKGD", "pHYs", "hIST", "sPLT", "acTL", "fcTL", "fdAT", "cICP"};
    const unsigned char *bytes = passage->bytes;
    bool pictured = false;
    media_give(passage, bytes, sizeof png_head);
    for (size_t at = sizeof png_head; passage->length - at >= 12;) {
        size_t length = media_big32(bytes + at);
        const unsigned char *name = bytes + at + 4, *content = bytes + at + 8;
        if (length > passage->length - at - 12) {
            return media_ends_early;
        }
        if (at == sizeof png_head && memcmp(name, "IHDR", 4) != 0) {
            return "a PNG without its header";
        }
        if (memcmp(name, "eXIf", 4) == 0) {
            media_exif_read(content, length, passage->facts);
        } else if (media_is_one_of(name, kept, COUNT_OF(kept))) {
            media_give(passage, bytes + at, length + 12);
        }
        pictured = pictured || memcmp(name, "IDAT", 4) == 0;
        if (memcmp(name, "IEND", 4) == 0) {
            return pictured ? NULL : "a PNG without a picture";
        }
        at += length + 12;
    }
    return media_ends_early;
}

/* ---- WebP (RFC 9649) ---- */

enum { WEBP_FLAG_XMP = 0x04, WEBP_FLAG_EXIF = 0x08 };

/* Gives the chunks that stay, or with `kept` counts their bytes alone. */
static const char *webp_chunks(struct media_passage *passage, size_t end, size_t *kept) {
    static const char *const stay[] = {"VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "ICCP"};
    const unsigned char *bytes = passage->bytes;
    bool pictured = false;
    for (size_t at = 12; at < end;) {
        size_t length = end - at < 8 ? SIZE_MAX : little32(bytes + at + 4);
        if (length == SIZE_MAX || length > end - at - 8) {
            return media_ends_early;
        }
        size_t whole = 8 + length + (length & 1 && length < end - at - 8);
        const unsigned char *content = bytes + at + 8;
        pictured = pictured || media_is_one_of(bytes + at, (const char *const[]){"VP8 ", "VP8L", "ANMF"}, 3);
        if (memcmp(bytes + at, "EXIF", 4) == 0) {
            size_t head = begins(content, length, "Exif\0\0", 6) ? 6 : 0;
            media_exif_read(content + head, length - head, passage->facts);
        } else if (!media_is_one_of(bytes + at, stay, COUNT_OF(stay))) {
            at += whole;
            continue;
        } else if (kept != NULL) {
            *kept += whole;
        } else if (memcmp(bytes + at, "VP8X", 4) == 0 && length > 0) {
            unsigned char flags = (unsigned char)(content[0] & ~(WEBP_FLAG_XMP | WEBP_FLAG_EXIF));
            media_give(passage, bytes + at, 8);
            media_give(passage, &flags, 1);
            media_give(passage, content + 1, whole - 9);
        } else {
            media_give(passage, bytes + at, whole);
        }
        at += whole;
    }
    return pictured ? NULL : "a WebP without a picture";
}

static const char *strip_webp(struct media_passage *passage) {
    size_t size = little32(passage->bytes + 4), kept = 4;
    if (size < 4 || size > passage->length - 8) {
        return media_ends_early;
    }
    const char *flaw = webp_chunks(passage, size + 8, &kept);
    if (flaw != NULL) {
        return flaw;
    }
    const unsigned char head[12] = {'R',
                                    'I',
                                    'F',
                                    'F',
                                    (unsigned char)kept,
                                    (unsigned char)(kept >> 8),
                                    (unsigned char)(kept >> 16),
                                    (unsigned char)(kept >> 24),
                                    'W',
                                    'E',
                                    'B',
                                    'P'};
    media_give(passage, head, sizeof head);
    return webp_chunks(passage, size + 8, NULL);
}

/* ---- all kinds ---- */

static const struct kind {
    const char *name;
    bool image;
    const char *(*strip)(struct media_passage *passage);
} kinds[] = {
    [MEDIA_JPEG] = {"image/jpeg", true, strip_jpeg},       [MEDIA_PNG] = {"image/png", true, strip_png},
    [MEDIA_WEBP] = {"image/webp", true, strip_webp},       [MEDIA_PDF] = {"application/pdf", false, media_pdf_strip},
    [MEDIA_MP4] = {"video/mp4", false, media_video_strip},
};

const char *media_type_name(enum media_type type) {
    return kinds[type].name;
}

enum media_type media_type_of(const char *name) {
    for (size_t i = MEDIA_NONE + 1; i < COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return (enum media_type)i;
        }
    }
    return MEDIA_NONE;
}

bool media_is_image(enum media_type type) {
    return kinds[type].image;
}

enum media_type media_guess(const unsigned char *bytes, size_t length) {
    if (begins(bytes, length, "\xFF\xD8\xFF", 3)) {
        return MEDIA_JPEG;
    } else if (begins(bytes, length, png_head, sizeof png_head)) {
        return MEDIA_PNG;
    } else if (length >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) {
        return MEDIA_WEBP;
    } else if (begins(bytes, length, "%PDF-", 5)) {
        return MEDIA_PDF;
    }
    return media_video_is(bytes, length) ? MEDIA_MP4 : MEDIA_NONE;
}

const char *media_strip(enum media_type type, unsigned char *bytes, size_t length, struct media_facts *facts,
                        media_emit *emit, void *user) {
    struct media_passage passage = {.bytes = bytes, .length = length, .facts = facts, .emit = emit, .user = user};
    *facts = (struct media_facts){0};
    if (type == MEDIA_NONE || media_guess(bytes, length) != type) {
        return "it is no JPEG, PNG, WebP, PDF or MP4";
    }
    const char *flaw = kinds[type].strip(&passage);
    return flaw != NULL ? flaw : passage.failed ? gave_up : NULL;
}
