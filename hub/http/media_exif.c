/* media_exif.c: EXIF. Must never read beyond the block, nor follow a chain of directories: three are read, each once.
 */
#include "hub/http/media_exif.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Tags and types: Exif 2.32, 4.6. */
enum {
    TAG_ORIENTATION = 0x0112,
    TAG_EXIF = 0x8769,
    TAG_GPS = 0x8825,
    TAG_TAKEN = 0x9003,
    TAG_OFFSET = 0x9011,
    TAG_LAT_REF = 1,
    TAG_LAT = 2,
    TAG_LON_REF = 3,
    TAG_LON = 4,
    TYPE_ASCII = 2,
    TYPE_SHORT = 3,
    TYPE_LONG = 4,
    TYPE_RATIONAL = 5,
    ENTRY_BYTES = 12,
};

struct tiff {
    const unsigned char *bytes;
    size_t length;
    bool big; /* endian */
};

static unsigned read16(const struct tiff *tiff, size_t at) {
    const unsigned char *b = tiff->bytes + at;
    return tiff->big ? (unsigned)b[0] << 8 | b[1] : (unsigned)b[1] << 8 | b[0];
}

static uint32_t read32(const struct tiff *tiff, size_t at) {
    unsigned first = read16(tiff, at), second = read16(tiff, at + 2);
    return tiff->big ? (uint32_t)first << 16 | second : (uint32_t)second << 16 | first;
}

static bool has(const struct tiff *tiff, size_t at, size_t bytes) {
    return at <= tiff->length && bytes <= tiff->length - at;
}

/* The place of the tag's entry in the directory at `at`; 0 = it has none. */
static size_t find(const struct tiff *tiff, size_t at, unsigned tag) {
    if (at == 0 || !has(tiff, at, 2)) {
        return 0;
    }
    unsigned count = read16(tiff, at);
    for (size_t i = 0, entry = at + 2; i < count && has(tiff, entry, ENTRY_BYTES); i++, entry += ENTRY_BYTES) {
        if (read16(tiff, entry) == tag) {
            return entry;
        }
    }
    return 0;
}

/* Where the directory begins to which a tag of `directory` points; 0 = nowhere. */
static size_t directory_of(const struct tiff *tiff, size_t directory, unsigned tag) {
    size_t entry = find(tiff, directory, tag);
    return entry == 0 || read16(tiff, entry + 2) != TYPE_LONG ? 0 : read32(tiff, entry + 8);
}

/* Where the tag's text stands; its length without what fills it up. NULL = it has none. */
static const char *text_of(const struct tiff *tiff, size_t directory, unsigned tag, size_t *length) {
    size_t entry = find(tiff, directory, tag);
    if (entry == 0 || read16(tiff, entry + 2) != TYPE_ASCII) {
        return NULL;
    }
    size_t count = read32(tiff, entry + 4), at = count <= 4 ? entry + 8 : read32(tiff, entry + 8);
    if (!has(tiff, at, count)) {
        return NULL;
    }
    const char *text = (const char *)tiff->bytes + at;
    *length = strnlen(text, count);
    return text;
}

/* Degrees, minutes, seconds as three rationals; NAN = it has none. */
static double degrees_of(const struct tiff *tiff, size_t directory, unsigned tag) {
    size_t entry = find(tiff, directory, tag);
    if (entry == 0 || read16(tiff, entry + 2) != TYPE_RATIONAL || read32(tiff, entry + 4) != 3) {
        return NAN;
    }
    size_t at = read32(tiff, entry + 8);
    double degrees = 0, unit = 1;
    for (int i = 0; i < 3; i++, at += 8, unit *= 60) {
        if (!has(tiff, at, 8) || read32(tiff, at + 4) == 0) {
            return NAN;
        }
        degrees += (double)read32(tiff, at) / (double)read32(tiff, at + 4) / unit;
    }
    return degrees;
}

static bool is_negative(const struct tiff *tiff, size_t directory, unsigned tag, char negative) {
    size_t length = 0;
    const char *text = text_of(tiff, directory, tag, &length);
    return text != NULL && length > 0 && text[0] == negative;
}

static void read_place(const struct tiff *tiff, size_t directory, struct media_facts *facts) {
    double lat = degrees_of(tiff, directory, TAG_LAT), lon = degrees_of(tiff, directory, TAG_LON);
    lat = is_negative(tiff, directory, TAG_LAT_REF, 'S') ? -lat : lat;
    lon = is_negative(tiff, directory, TAG_LON_REF, 'W') ? -lon : lon;
    /* 0, 0 is what cameras write that have no fix. */
    if (fabs(lat) <= 90 && fabs(lon) <= 180 && (lat != 0 || lon != 0)) {
        facts->placed = true;
        facts->lat = lat;
        facts->lon = lon;
    }
}

/* Whether the text is of this form: a 0 stands for a digit, + for + or -, and everything else for itself. */
static bool is_formed(const char *text, size_t length, const char *form) {
    if (length != strlen(form)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        bool fits = form[i] == '0'   ? text[i] >= '0' && text[i] <= '9'
                    : form[i] == '+' ? text[i] == '+' || text[i] == '-'
                                     : text[i] == form[i];
        if (!fits) {
            return false;
        }
    }
    return true;
}

static void read_time(const struct tiff *tiff, size_t directory, struct media_facts *facts) {
    size_t length = 0, offset_length = 0;
    const char *text = text_of(tiff, directory, TAG_TAKEN, &length);
    if (text == NULL || !is_formed(text, length, "0000:00:00 00:00:00")) {
        return;
    }
    const char *offset = text_of(tiff, directory, TAG_OFFSET, &offset_length);
    bool has_offset = offset != NULL && is_formed(offset, offset_length, "+00:00");
    snprintf(facts->taken_at, sizeof facts->taken_at, "%.4s-%.2s-%.2sT%.8s%.*s", text, text + 5, text + 8, text + 11,
             has_offset ? 6 : 0, has_offset ? offset : "");
}

void media_exif_read(const unsigned char *bytes, size_t length, struct media_facts *facts) {
    struct tiff tiff = {.bytes = bytes, .length = length};
    if (length < 8 || (memcmp(bytes, "MM\0*", 4) != 0 && memcmp(bytes, "II*\0", 4) != 0)) {
        return;
    }
    tiff.big = bytes[0] == 'M';
    size_t first = read32(&tiff, 4), entry = find(&tiff, first, TAG_ORIENTATION);
    if (entry != 0 && read16(&tiff, entry + 2) == TYPE_SHORT) {
        unsigned orientation = read16(&tiff, entry + 8);
        facts->orientation = orientation >= 1 && orientation <= 8 ? orientation : 0;
    }
    read_place(&tiff, directory_of(&tiff, first, TAG_GPS), facts);
    read_time(&tiff, directory_of(&tiff, first, TAG_EXIF), facts);
}

void media_exif_orientation(unsigned orientation, unsigned char tiff[static MEDIA_EXIF_ORIENTATION_BYTES]) {
    const unsigned char form[MEDIA_EXIF_ORIENTATION_BYTES] = {
        'M',  'M',  0, '*',        0, 0, 0, 8, 0, 1, /* one entry */
        0x01, 0x12, 0, TYPE_SHORT, 0, 0, 0, 1, 0, (unsigned char)orientation,
        0,    0,    0, 0,          0, 0};
    memcpy(tiff, form, sizeof form);
}
