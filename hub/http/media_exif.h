/* media_exif.h: EXIF (JEITA CP-3451, a TIFF in little): place, time and orientation of a photograph, and a block of
 * EXIF that says the orientation alone. Pure. */
#ifndef CITYHUB_MEDIA_EXIF_H
#define CITYHUB_MEDIA_EXIF_H

#include <stddef.h>

#include "hub/http/media.h"

enum { MEDIA_EXIF_ORIENTATION_BYTES = 26 };

/* Adds to `facts` what the TIFF says; what is not understood is passed over. */
void media_exif_read(const unsigned char *tiff, size_t length, struct media_facts *facts);

/* A TIFF with one entry. */
void media_exif_orientation(unsigned orientation, unsigned char tiff[static MEDIA_EXIF_ORIENTATION_BYTES]);

#endif
