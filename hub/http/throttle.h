/* throttle.h: how long somebody must wait before the next try, by how many they had: by account and by address. Each
 * keeps the newest keys up to a bound, in memory: what is lost at a restart is a few tries. Times are those of a clock
 * that never jumps. */
#ifndef CITYHUB_THROTTLE_H
#define CITYHUB_THROTTLE_H

#include <stdint.h>

struct throttle_rule {
    unsigned free_tries;   /* without delay; then 1 s, 2 s, 4 s ... */
    uint64_t longest_ms;   /* the delay at the most */
    uint64_t forgotten_ms; /* without a try for so long, a key is new again */
    unsigned keys_max;     /* the oldest goes when there is no room */
};

struct throttle;

/* NULL = out of memory. The rule is copied. */
struct throttle *throttle_new(const struct throttle_rule *rule);
void throttle_free(struct throttle *throttle);

/* Milliseconds to wait; 0 = not now. Counts nothing. */
uint64_t throttle_wait(const struct throttle *throttle, const char *key, uint64_t now_ms);
/* Counts a try. Without memory it is not counted. */
void throttle_count(struct throttle *throttle, const char *key, uint64_t now_ms);
/* A try was none: one less. */
void throttle_uncount(struct throttle *throttle, const char *key);
/* It is who it says: all its tries are forgotten. */
void throttle_forget(struct throttle *throttle, const char *key);

#endif
