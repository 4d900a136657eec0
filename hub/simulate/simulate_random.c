/* simulate_random.c: the simulator's chance. Must never be used where chance has to be secret. */
#include "hub/simulate/simulate_random.h"

#include <math.h>

/* The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

static double to_unit(uint64_t bits) {
    return (double)(bits >> 11) * 0x1p-53;
}

uint64_t simulate_hash(uint64_t first, uint64_t second) {
    return mix(mix(first + 0x9e3779b97f4a7c15U) + second + 0x9e3779b97f4a7c15U);
}

uint64_t simulate_hash_text(uint64_t first, const char *text) {
    uint64_t hash = first;
    for (const char *at = text; *at != '\0'; at++) {
        hash = simulate_hash(hash, (unsigned char)*at);
    }
    return hash;
}

double simulate_unit(struct simulate_random *random) {
    random->state += 0x9e3779b97f4a7c15U;
    return to_unit(mix(random->state));
}

double simulate_between(struct simulate_random *random, double low, double high) {
    return low + (high - low) * simulate_unit(random);
}

int simulate_below(struct simulate_random *random, int count) {
    return (int)(simulate_unit(random) * count);
}

double simulate_fixed(uint64_t key) {
    return to_unit(mix(key));
}

double simulate_noise(uint64_t key, double x) {
    double whole = floor(x);
    double part = x - whole;
    double before = 2 * to_unit(simulate_hash(key, (uint64_t)(int64_t)whole)) - 1;
    double after = 2 * to_unit(simulate_hash(key, (uint64_t)(int64_t)whole + 1)) - 1;
    double weight = part * part * (3 - 2 * part);
    return before + (after - before) * weight;
}
