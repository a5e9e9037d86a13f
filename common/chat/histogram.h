/*
 * A log-linear histogram: for each power of two, 16 buckets of equal width, so
 * that a value is known to one part in 16 whatever its size. After Tene's
 * HdrHistogram.
 */
#ifndef RINGCHAT_CHAT_HISTOGRAM_H
#define RINGCHAT_CHAT_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_LINEAR_BITS 4
#define HISTOGRAM_VALUE_BITS 36 /* 2^36 us are 19 hours; above: that */
#define HISTOGRAM_BUCKETS                                                      \
    ((HISTOGRAM_VALUE_BITS - HISTOGRAM_LINEAR_BITS + 1)                        \
     << HISTOGRAM_LINEAR_BITS)

struct histogram {
    uint64_t count, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *, uint64_t value);

/* Adds all that the other one has. */
void histogram_merge(struct histogram *, const struct histogram *);

/* The least upper bound of a bucket that at least `percent` (0 to 100) of the
 * values do not exceed, at most the largest value; 0 if there is none. */
uint64_t histogram_percentile(const struct histogram *, double percent);

#endif
