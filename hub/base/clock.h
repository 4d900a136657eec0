/* clock.h: the two clocks. The time of day may be set while the hub runs, forwards and back; the other one only runs
 * forwards, from some moment of its own. Waits and intervals go by uv_now where there is a loop, by clock_steady_ms
 * where there is none, never by the time of day. */
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

/* Microseconds of the clock that only runs forwards. */
static inline int64_t clock_steady_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Milliseconds of it. */
static inline int64_t clock_steady_ms(void) {
    return clock_steady_us() / 1000;
}

#endif
