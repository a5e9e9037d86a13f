/*
 * The load generator's histogram: each bucket's bounds, quantiles against the
 * sorted times themselves, and what holds when two are merged.
 */
#include "tests/load/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 20000
#define LAST (HISTOGRAM_BUCKETS - 1)
#define LIMIT_NS (UINT64_C(1) << HISTOGRAM_BITS)

/* ---- Buckets ------------------------------------------------------------ */

static void test_bounds_agree_with_bucket(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t lowest = histogram_lowest(i), highest = histogram_highest(i);

        assert_true(lowest <= highest);
        assert_int_equal(histogram_bucket(lowest), i);
        assert_int_equal(histogram_bucket(lowest + (highest - lowest) / 2), i);
        assert_int_equal(histogram_bucket(highest), i);
    }
}

static void test_no_gap_and_no_overlap(void **state)
{
    (void)state;
    assert_int_equal(histogram_lowest(0), 0);
    for (unsigned i = 0; i < LAST; i++)
        assert_int_equal(histogram_lowest(i + 1), histogram_highest(i) + 1);
    assert_int_equal(histogram_highest(LAST), UINT64_MAX);
}

/* Of the last one, as far as times are told apart. */
static void test_widths(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t lowest = histogram_lowest(i);
        uint64_t end = i < LAST ? histogram_lowest(i + 1) : LIMIT_NS;
        uint64_t width = end - lowest;

        assert_true(width == 1 || width * HISTOGRAM_SUBS <= lowest);
        assert_int_equal(width & (width - 1), 0);
    }
}

static void test_small_times_are_exact(void **state)
{
    (void)state;
    for (unsigned ns = 0; ns < 2 * HISTOGRAM_SUBS; ns++) {
        assert_int_equal(histogram_bucket(ns), ns);
        assert_int_equal(histogram_highest(ns), ns);
    }
    assert_int_equal(histogram_bucket(2 * HISTOGRAM_SUBS + 1),
                     histogram_bucket(2 * HISTOGRAM_SUBS));
}

static void test_overflow(void **state)
{
    static struct histogram histogram;

    (void)state;
    assert_int_equal(histogram_bucket(LIMIT_NS - 1), LAST);
    assert_int_equal(histogram_bucket(LIMIT_NS), LAST);
    assert_int_equal(histogram_bucket(UINT64_MAX), LAST);
    histogram_init(&histogram);
    histogram_add(&histogram, 5);
    histogram_add(&histogram, 9 * LIMIT_NS);
    assert_int_equal(histogram.buckets[LAST], 1);
    assert_int_equal(histogram.max_ns, 9 * LIMIT_NS);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 5);
    /* What is too long to be told apart never looks shorter than it was. */
    assert_int_equal(histogram_quantile(&histogram, 0.51), 9 * LIMIT_NS);
    assert_int_equal(histogram_quantile(&histogram, 1), 9 * LIMIT_NS);
}

/* ---- Distributions ------------------------------------------------------ */

typedef uint64_t draw_function(struct rng *);

/* More than 0, at most 1. */
static double draw_unit(struct rng *rng)
{
    return ((double)(rng_next(rng) >> 11) + 1) / 0x1p53;
}

static uint64_t draw_uniform(struct rng *rng)
{
    return rng_below(rng, 50 * 1000 * 1000);
}

/* Of a mean of 2 ms. */
static uint64_t draw_exponential(struct rng *rng)
{
    return (uint64_t)(-log(draw_unit(rng)) * 2e6);
}

/* Mostly 20 us, now and then 100 ms, each with a little on top. */
static uint64_t draw_bimodal(struct rng *rng)
{
    uint64_t base = rng_below(rng, 50) == 0 ? 100 * 1000 * 1000 : 20 * 1000;

    return base + rng_below(rng, 1000);
}

static uint64_t draw_constant(struct rng *rng)
{
    (void)rng;
    return 123456789;
}

static uint64_t draw_any_magnitude(struct rng *rng)
{
    return rng_magnitude(rng, LIMIT_NS - 1);
}

static draw_function *const draws[] = {
    draw_uniform,  draw_exponential,   draw_bimodal,
    draw_constant, draw_any_magnitude,
};
#define DRAWS (sizeof(draws) / sizeof(draws[0]))

/* ---- Quantiles ---------------------------------------------------------- */

static uint64_t samples[SAMPLES];

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

/* Draws samples, counts them, and sorts them. */
static void fill(struct histogram *histogram, draw_function *draw, size_t count)
{
    struct rng rng = {count};

    histogram_init(histogram);
    for (size_t i = 0; i < count; i++) {
        samples[i] = draw(&rng);
        histogram_add(histogram, samples[i]);
    }
    qsort(samples, count, sizeof(samples[0]), compare);
}

/* The least of the sorted samples that `permille` of them are not above, in
 * whole numbers. */
static uint64_t exact_quantile(size_t count, size_t permille)
{
    size_t rank = (permille * count + 999) / 1000;

    return samples[rank > 0 ? rank - 1 : 0];
}

static void check_quantile(const struct histogram *histogram, size_t count,
                           size_t permille)
{
    uint64_t exact = exact_quantile(count, permille);
    uint64_t got = histogram_quantile(histogram, (double)permille / 1000);

    assert_true(got >= exact);
    assert_true((double)(got - exact) <= 0.008 * (double)exact);
}

static void check_count(draw_function *draw, size_t count)
{
    static struct histogram histogram;

    fill(&histogram, draw, count);
    for (size_t permille = 0; permille <= 1000; permille++)
        check_quantile(&histogram, count, permille);
    assert_int_equal(histogram.count, count);
    assert_int_equal(histogram_quantile(&histogram, 0), samples[0]);
    assert_int_equal(histogram_quantile(&histogram, 1), samples[count - 1]);
}

static void test_quantiles(void **state)
{
    (void)state;
    for (size_t i = 0; i < DRAWS; i++)
        check_count(draws[i], SAMPLES);
}

static void test_quantiles_of_few(void **state)
{
    (void)state;
    for (size_t i = 0; i < DRAWS; i++) {
        for (size_t count = 1; count <= 20; count++)
            check_count(draws[i], count);
    }
}

/* Times below twice HISTOGRAM_SUBS are told apart, so nothing hides a rank that
 * is one too high: 0.07 * 100 is more than 7. */
static void test_ranks(void **state)
{
    static struct histogram histogram;

    (void)state;
    histogram_init(&histogram);
    for (uint64_t ns = 1; ns <= 100; ns++)
        histogram_add(&histogram, ns);
    for (uint64_t percent = 1; percent <= 100; percent++) {
        double share = (double)percent / 100;

        assert_int_equal(histogram_quantile(&histogram, share), percent);
    }
}

/* ---- Mean and deviation ------------------------------------------------- */

static double exact_mean(size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += (double)samples[i];
    return sum / (double)count;
}

static double exact_stddev(size_t count)
{
    double mean = exact_mean(count), squares = 0;

    for (size_t i = 0; i < count; i++) {
        double off = (double)samples[i] - mean;

        squares += off * off;
    }
    return sqrt(squares / (double)count);
}

/* A middle is off by half a bucket at most. */
static void test_mean_and_stddev(void **state)
{
    static struct histogram histogram;

    (void)state;
    for (size_t i = 0; i < DRAWS; i++) {
        double mean, stddev;

        fill(&histogram, draws[i], SAMPLES);
        mean = exact_mean(SAMPLES);
        stddev = exact_stddev(SAMPLES);
        assert_true(fabs(histogram_mean(&histogram) - mean) <= 1e-9 * mean);
        assert_true(fabs(histogram_stddev(&histogram) - stddev) <=
                    0.008 * stddev);
    }
}

static void test_constant_does_not_deviate(void **state)
{
    static struct histogram histogram;

    (void)state;
    fill(&histogram, draw_constant, SAMPLES);
    assert_true(histogram_stddev(&histogram) < 1e-6);
}

/* ---- Merging, and none -------------------------------------------------- */

static void test_merge(void **state)
{
    static struct histogram parts[DRAWS], merged, whole;

    (void)state;
    histogram_init(&merged);
    histogram_init(&whole);
    for (size_t i = 0; i < DRAWS; i++) {
        fill(&parts[i], draws[i], SAMPLES);
        histogram_merge(&merged, &parts[i]);
        for (size_t j = 0; j < SAMPLES; j++)
            histogram_add(&whole, samples[j]);
    }
    assert_memory_equal(&merged, &whole, sizeof(whole));
}

static void test_merge_of_none(void **state)
{
    static struct histogram histogram, none, before;

    (void)state;
    fill(&histogram, draw_bimodal, 100);
    histogram_init(&none);
    memcpy(&before, &histogram, sizeof(before));
    histogram_merge(&histogram, &none);
    assert_memory_equal(&histogram, &before, sizeof(before));
    histogram_merge(&none, &histogram);
    assert_memory_equal(&none, &before, sizeof(before));
}

static void test_empty(void **state)
{
    static struct histogram histogram;

    (void)state;
    histogram_init(&histogram);
    assert_int_equal(histogram.min_ns, UINT64_MAX);
    assert_int_equal(histogram.max_ns, 0);
    assert_int_equal(histogram_quantile(&histogram, 0), 0);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    assert_int_equal(histogram_quantile(&histogram, 1), 0);
    assert_true(histogram_mean(&histogram) < 1e-9);
    assert_true(histogram_stddev(&histogram) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_agree_with_bucket),
        cmocka_unit_test(test_no_gap_and_no_overlap),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_small_times_are_exact),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_quantiles_of_few),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_mean_and_stddev),
        cmocka_unit_test(test_constant_does_not_deviate),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_merge_of_none),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
