/* media.h: photographs, documents and videos by their bytes: what a file is, what it tells of place and time, and the
 * same file without that. Pure: bytes in, facts and bytes out; no I/O, no memory of its own. */
#ifndef CITYHUB_MEDIA_H
#define CITYHUB_MEDIA_H

#include <stdbool.h>
#include <stddef.h>

enum media_type { MEDIA_NONE, MEDIA_JPEG, MEDIA_PNG, MEDIA_WEBP, MEDIA_PDF, MEDIA_MP4 };

/* image/jpeg ...; as Content-Type and in the database. */
const char *media_type_name(enum media_type type);
/* MEDIA_NONE if there is none of this name. */
enum media_type media_type_of(const char *name);
bool media_is_image(enum media_type type);

enum { MEDIA_TIME_MAX = sizeof "2026-11-24T08:00:00+08:00" };

/* What the file told of itself, and no longer does. */
struct media_facts {
    bool placed;
    double lon, lat;               /* degrees, WGS 84 as EXIF has them */
    char taken_at[MEDIA_TIME_MAX]; /* ISO 8601, without an offset if the file says none; "" = it does not say */
    unsigned orientation;          /* of EXIF, 1 to 8; 0 = it does not say */
};

/* Takes a piece of the new file; false = enough, media_strip gives up. */
typedef bool media_emit(void *user, const void *bytes, size_t length);

/* By its first bytes alone. */
enum media_type media_guess(const unsigned char *bytes, size_t length);

/* Reads the whole file and gives `emit` (may be NULL) the same without descriptions: EXIF, XMP, IPTC, comments, text,
 * what stands behind its end, and of a video all but its pictures and sounds: its user data, and tracks of places,
 * whose samples are overwritten in `bytes` themselves; pixels and sounds stay bit for bit. Of a JPEG the orientation
 * stays, as EXIF of that alone. Of a PDF the texts of its information, its XMP and what its JPEGs say are overwritten
 * likewise, unless it is signed: its signature goes by its bytes. NULL, or why it is no whole file of its kind, in
 * English. */
const char *media_strip(enum media_type type, unsigned char *bytes, size_t length, struct media_facts *facts,
                        media_emit *emit, void *user);

#endif
