/* media_video.h: films (MP4, QuickTime's MOV) for media.c. */
#ifndef CITYHUB_MEDIA_VIDEO_H
#define CITYHUB_MEDIA_VIDEO_H

#include "hub/http/media_passage.h"

/* Whether the file says that it is a film and no still picture (HEIF, AVIF), by its brand. */
bool media_video_is(const unsigned char *bytes, size_t length);

/* Pictures and sounds of it, all else blank, in a file of the same size: see media_strip. */
const char *media_video_strip(struct media_passage *passage);

#endif
