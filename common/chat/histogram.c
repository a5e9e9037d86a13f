/*
 * Values below 16 have a bucket each; a larger one is found by its highest bit
 * and the four bits that follow it.
 */
#include "common/chat/histogram.h"

#define LINEAR (UINT64_C(1) << HISTOGRAM_LINEAR_BITS)
#define VALUE_MAX ((UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1)

static unsigned highest_bit(uint64_t value)
{
    return 63 - (unsigned)__builtin_clzll(value);
}

static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value > VALUE_MAX)
        value = VALUE_MAX;
    if (value < LINEAR)
        return (unsigned)value;
    shift = highest_bit(value) - HISTOGRAM_LINEAR_BITS;
    return (unsigned)((shift << HISTOGRAM_LINEAR_BITS) + (value >> shift));
}

/* The largest value that falls into the bucket. In bucket_of `value >> shift`
 * is 16 to 31, so bucket >> 4 is shift + 1. */
static uint64_t bucket_high(unsigned bucket)
{
    unsigned shift = bucket >> HISTOGRAM_LINEAR_BITS;

    if (shift <= 1)
        return bucket;
    shift--;
    return ((bucket - (shift << HISTOGRAM_LINEAR_BITS) + UINT64_C(1))
            << shift) -
           1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += from->buckets[i];
    histogram->count += from->count;
    if (from->max > histogram->max)
        histogram->max = from->max;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    double wanted = (double)histogram->count * percent / 100.0;
    uint64_t seen = 0;

    if (histogram->count == 0)
        return 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted)
            return bucket_high(i) < histogram->max ? bucket_high(i)
                                                   : histogram->max;
    }
    return histogram->max;
}
