/*
 * Random numbers that come again with their seed (splitmix64: Steele, Lea and
 * Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
 */
#ifndef RINGCHAT_UNIT_SUPPORT_RANDOM_H
#define RINGCHAT_UNIT_SUPPORT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state; /* at first the seed */
};

uint64_t rng_next(struct rng *);

/* 0 to `bound` - 1. */
size_t rng_below(struct rng *, size_t bound);

/* 1 to `max`, of any magnitude alike: 10 is as likely as 1000. */
size_t rng_magnitude(struct rng *, size_t max);

#endif
