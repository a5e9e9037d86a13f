/*
 * Times in nanoseconds, counted in buckets no wider than 1/128 of what is in
 * them: a quantile is off by less than 0.8 %. Count, least, most and mean are
 * exact. No I/O, no memory of its own but the struct.
 */
#ifndef RINGCHAT_LOAD_HISTOGRAM_H
#define RINGCHAT_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUBS (1U << HISTOGRAM_SUB_BITS)
/* Up to 2^42 ns, 73 minutes; what took longer is counted in the last. */
#define HISTOGRAM_BITS 42
#define HISTOGRAM_BUCKETS                                                      \
    ((HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUBS)

struct histogram {
    uint64_t count, sum_ns, min_ns, max_ns; /* min_ns: UINT64_MAX when empty */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *);

/* The bucket of a time, and the least and the most that it holds. */
static inline unsigned histogram_bucket(uint64_t ns)
{
    unsigned shift;

    if (ns < HISTOGRAM_SUBS)
        return (unsigned)ns;
    if (ns >> HISTOGRAM_BITS)
        return HISTOGRAM_BUCKETS - 1;
    shift = 63 - HISTOGRAM_SUB_BITS - (unsigned)__builtin_clzll(ns);
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(ns >> shift);
}

uint64_t histogram_lowest(unsigned bucket);
uint64_t histogram_highest(unsigned bucket);

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->buckets[histogram_bucket(ns)]++;
    histogram->count++;
    histogram->sum_ns += ns;
    if (ns < histogram->min_ns)
        histogram->min_ns = ns;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from);

/* The time that a share of them, 0 to 1, is not above: of the bucket that holds
 * it the highest, but never more than the most; for 0 the least; 0 when empty.
 */
uint64_t histogram_quantile(const struct histogram *, double share);

double histogram_mean(const struct histogram *);
/* From the middle of each bucket. */
double histogram_stddev(const struct histogram *);

#endif
