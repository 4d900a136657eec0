/* feed_position.h: a place in the stream as its clients hold it: "<epoch>-<position>", of who sees some departments
 * alone with "-<scope>" behind it, in the field id of an event and in Last-Event-ID. Pure functions. */
#ifndef CITYHUB_FEED_POSITION_H
#define CITYHUB_FEED_POSITION_H

#include <stdint.h>

enum { FEED_POSITION_BYTES = 48 }; /* with its NUL */

struct feed_position {
    uint64_t epoch;
    uint64_t at;
    uint32_t scope; /* of the filter that was told up to here: see feed_filter.h */
};

/* "00065c3f1a2b3c4d-1234" or "00065c3f1a2b3c4d-1234-89abcdef": 16 small hexadecimal digits, a decimal number, 8 small
 * hexadecimal digits if the scope is not 0. */
void feed_position_text(const struct feed_position *position, char text[static FEED_POSITION_BYTES]);
/* Returns 0, or CH_EINVAL if `text` is not what feed_position_text writes. */
int feed_position_parse(const char *text, struct feed_position *position);

#endif
