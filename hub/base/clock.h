/* clock.h: the time of day. It may be set while the hub runs, forwards and back: waits and intervals go by uv_now or
 * uv_hrtime instead, never by this. */
#ifndef CITYHUB_CLOCK_H
#define CITYHUB_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds since the UTC epoch. */
static inline int64_t clock_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Milliseconds since the UTC epoch. */
static inline int64_t clock_now_ms(void) {
    return clock_now_us() / 1000;
}

#endif
