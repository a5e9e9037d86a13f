/*
 * The latency histogram: percentiles against the sorted values themselves, and
 * the width of a bucket for values of every magnitude.
 */
#include "common/chat/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <stdlib.h>

#define VALUES 2000

static uint64_t of_one(uint64_t value)
{
    struct histogram histogram = {0};

    /* The largest value would hide the bucket's bound. */
    histogram_add(&histogram, value);
    histogram.max = UINT64_MAX;
    return histogram_percentile(&histogram, 50);
}

static void test_empty(void **state)
{
    struct histogram histogram = {0};

    (void)state;
    assert_int_equal(histogram_percentile(&histogram, 0), 0);
    assert_int_equal(histogram_percentile(&histogram, 50), 0);
    assert_int_equal(histogram_percentile(&histogram, 100), 0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 32; value++)
        assert_int_equal(of_one(value), value);
}

/* The bound is the value or above it by less than a sixteenth, and never below
 * the bound of a smaller value. */
static void test_every_magnitude(void **state)
{
    uint64_t before = 0;

    (void)state;
    for (unsigned bit = 0; bit < HISTOGRAM_VALUE_BITS; bit++) {
        for (uint64_t part = 0; part < 64; part++) {
            uint64_t base = UINT64_C(1) << bit;
            uint64_t value = base + base * part / 64;
            uint64_t bound = of_one(value);

            assert_true(bound >= value);
            assert_true(bound - value <= value / 16);
            assert_true(bound >= before);
            assert_int_equal(of_one(bound), bound);
            if (bound < (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1)
                assert_true(of_one(bound + 1) > bound);
            before = bound;
        }
    }
}

static void test_values_above_the_last_bucket(void **state)
{
    uint64_t last = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;
    struct histogram histogram = {0};

    (void)state;
    assert_int_equal(of_one(last), last);
    assert_int_equal(of_one(last + 1), last);
    assert_int_equal(of_one(UINT64_MAX), last);
    histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.max, UINT64_MAX);
    assert_int_equal(histogram.count, 1);
}

static void test_no_more_than_the_largest(void **state)
{
    struct histogram histogram = {0};

    (void)state;
    histogram_add(&histogram, 1000);
    assert_int_equal(histogram_percentile(&histogram, 0), 1000);
    assert_int_equal(histogram_percentile(&histogram, 99), 1000);
    histogram_add(&histogram, 3);
    assert_int_equal(histogram_percentile(&histogram, 50), 3);
    assert_int_equal(histogram_percentile(&histogram, 50.1), 1000);
    assert_int_equal(histogram_percentile(&histogram, 100), 1000);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

static void test_against_the_sorted_values(void **state)
{
    struct histogram histogram = {0};
    struct rng rng = {7};
    uint64_t values[VALUES];

    (void)state;
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = rng_magnitude(&rng, 100000000);
        histogram_add(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof(values[0]), compare);
    for (size_t percent = 1; percent <= 100; percent++) {
        uint64_t exact = values[VALUES * percent / 100 - 1];
        uint64_t got = histogram_percentile(&histogram, (double)percent);

        assert_true(got >= exact);
        assert_true(got - exact <= exact / 16);
    }
    assert_int_equal(histogram.count, VALUES);
    assert_int_equal(histogram.max, values[VALUES - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_every_magnitude),
        cmocka_unit_test(test_values_above_the_last_bucket),
        cmocka_unit_test(test_no_more_than_the_largest),
        cmocka_unit_test(test_against_the_sorted_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
