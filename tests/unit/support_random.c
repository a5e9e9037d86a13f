/*
 * splitmix64 as it was published, and what the tests draw with it.
 */
#include "tests/unit/support_random.h"

uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

size_t rng_below(struct rng *rng, size_t bound)
{
    return (size_t)(rng_next(rng) % bound);
}

size_t rng_magnitude(struct rng *rng, size_t max)
{
    size_t bits = 1, top;

    while (bits < 63 && (size_t)1 << bits <= max)
        bits++;
    top = (size_t)1 << (1 + rng_below(rng, bits));
    return 1 + rng_below(rng, top < max ? top : max);
}
