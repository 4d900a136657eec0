/* feed_position.c: a place in the stream as text. */
#include "hub/live/feed_position.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"

enum { EPOCH_DIGITS = 16 };

void feed_position_text(const struct feed_position *position, char text[static FEED_POSITION_BYTES]) {
    int length = snprintf(text, FEED_POSITION_BYTES, "%016" PRIx64 "-%" PRIu64, position->epoch, position->at);
    if (position->scope != 0) {
        snprintf(text + length, FEED_POSITION_BYTES - (size_t)length, "-%08" PRIx32, position->scope);
    }
}

int feed_position_parse(const char *text, struct feed_position *position) {
    char again[FEED_POSITION_BYTES], *end = NULL;
    if (strspn(text, "0123456789abcdef") != EPOCH_DIGITS || text[EPOCH_DIGITS] != '-') {
        return CH_EINVAL;
    }
    position->epoch = strtoull(text, &end, 16);
    errno = 0;
    position->at = strtoull(text + EPOCH_DIGITS + 1, &end, 10);
    position->scope = *end == '-' ? (uint32_t)strtoul(end + 1, &end, 16) : 0;
    feed_position_text(position, again);
    return errno == 0 && strcmp(again, text) == 0 ? 0 : CH_EINVAL;
}
