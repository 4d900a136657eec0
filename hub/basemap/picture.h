/* picture.h: whether bytes from outside are a picture that a map may have. Pure functions: nothing is unpacked. */
#ifndef CITYHUB_PICTURE_H
#define CITYHUB_PICTURE_H

#include <stddef.h>

enum picture_type { PICTURE_NONE, PICTURE_JPEG, PICTURE_PNG, PICTURE_WEBP };

enum { PICTURE_SIDE_MAX = 1024 }; /* pixels of a tile's side; those of good screens have 512 */

/* By its bytes alone, whatever a header says: JPEG, PNG or WebP with sides from 1 to PICTURE_SIDE_MAX, which are in
 * `width` and `height`. PICTURE_NONE = something else, or too large for a tile. */
enum picture_type picture_of(const unsigned char *bytes, size_t length, unsigned *width, unsigned *height);

/* image/jpeg ... */
const char *picture_type_name(enum picture_type type);

#endif
