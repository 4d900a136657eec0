/* simulate_random.h: the simulator's chance: everything follows from a seed, so that two runs make the same county. */
#ifndef CITYHUB_SIMULATE_RANDOM_H
#define CITYHUB_SIMULATE_RANDOM_H

#include <stdint.h>

/* A stream of numbers; any state is a good one. */
struct simulate_random {
    uint64_t state;
};

/* A number that looks random and depends on both arguments alone. */
uint64_t simulate_hash(uint64_t first, uint64_t second);
/* The same of a text. */
uint64_t simulate_hash_text(uint64_t first, const char *text);

/* The next number of the stream: 0 <= result < 1; low <= result < high; 0 <= result < count (count > 0). */
double simulate_unit(struct simulate_random *random);
double simulate_between(struct simulate_random *random, double low, double high);
int simulate_below(struct simulate_random *random, int count);

/* A number in [0, 1) that belongs to `key`. */
double simulate_fixed(uint64_t key);
/* A smooth curve over `x` that belongs to `key`: -1 to 1, with about one turn per unit of x. */
double simulate_noise(uint64_t key, double x);

#endif
