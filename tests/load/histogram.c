/*
 * What is asked of a histogram when all is counted. A bucket below twice
 * HISTOGRAM_SUBS holds one time; above, a bucket is found by the highest bit of
 * a time and the HISTOGRAM_SUB_BITS that follow it.
 */
#include "tests/load/histogram.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

void histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    histogram->min_ns = UINT64_MAX;
}

/* histogram_bucket the other way round: there `ns >> shift` is at least
 * HISTOGRAM_SUBS and less than twice that, so the bits of `bucket` above them
 * are shift + 1. */
uint64_t histogram_lowest(unsigned bucket)
{
    unsigned shift;

    assert(bucket < HISTOGRAM_BUCKETS);
    if (bucket < HISTOGRAM_SUBS)
        return bucket;
    shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    return (uint64_t)(bucket - (shift << HISTOGRAM_SUB_BITS)) << shift;
}

/* The last holds all that is longer, too. */
uint64_t histogram_highest(unsigned bucket)
{
    if (bucket == HISTOGRAM_BUCKETS - 1)
        return UINT64_MAX;
    return histogram_lowest(bucket + 1) - 1;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    if (from->min_ns < into->min_ns)
        into->min_ns = from->min_ns;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

/* No time in a bucket is less than the least of all, or more than the most. */
static uint64_t least_in(const struct histogram *histogram, unsigned bucket)
{
    uint64_t ns = histogram_lowest(bucket);

    return ns > histogram->min_ns ? ns : histogram->min_ns;
}

static uint64_t most_in(const struct histogram *histogram, unsigned bucket)
{
    uint64_t ns = histogram_highest(bucket);

    return ns < histogram->max_ns ? ns : histogram->max_ns;
}

/* Shares are compared, not ranks: 7 divided by 100 is rounded to the very 0.07
 * that was asked for, but 0.07 * 100 is more than 7. */
uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t seen = 0;

    if (histogram->count == 0)
        return 0;
    if (share <= 0)
        return histogram->min_ns;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if ((double)seen / (double)histogram->count >= share)
            return most_in(histogram, i);
    }
    return histogram->max_ns;
}

double histogram_mean(const struct histogram *histogram)
{
    if (histogram->count == 0)
        return 0;
    return (double)histogram->sum_ns / (double)histogram->count;
}

double histogram_stddev(const struct histogram *histogram)
{
    double mean = histogram_mean(histogram), squares = 0;

    if (histogram->count == 0)
        return 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double least, most, off;

        if (histogram->buckets[i] == 0)
            continue;
        least = (double)least_in(histogram, i);
        most = (double)most_in(histogram, i);
        off = (least + most) / 2 - mean;
        squares += off * off * (double)histogram->buckets[i];
    }
    return sqrt(squares / (double)histogram->count);
}
