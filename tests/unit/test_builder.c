/*
 * Short texts: numbers around each power of ten, times against gmtime(3), and
 * what happens where the buffer ends.
 */
#include "common/base/builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_SECOND UINT64_C(1000000)
#define SECONDS_PER_DAY UINT64_C(86400)
#define TIME_BYTES_MAX 64

static void assert_built(const struct builder *builder, const char *expected)
{
    struct slice text = builder_slice(builder);

    assert_ptr_equal(text.bytes, builder->bytes);
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.length);
}

static void test_pieces_follow_each_other(void **state)
{
    struct builder builder = {.length = 0};

    (void)state;
    assert_built(&builder, "");
    build_string(&builder, "a ");
    build_slice(&builder, SLICE(""));
    build_slice(&builder, (struct slice){"bcd", 2});
    build_number(&builder, 0);
    assert_built(&builder, "a bc0");
}

static void assert_number(uint64_t number)
{
    char expected[DECIMAL_BYTES_MAX + 1], digits[DECIMAL_BYTES_MAX];
    struct builder builder = {.length = 0};
    struct slice text = decimal(number, digits);

    snprintf(expected, sizeof(expected), "%" PRIu64, number);
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.length);
    assert_ptr_equal(text.bytes + text.length, digits + sizeof(digits));
    build_number(&builder, number);
    assert_built(&builder, expected);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_number(0);
    assert_number(UINT64_MAX);
    for (uint64_t power = 1; power < UINT64_MAX / 10; power *= 10) {
        assert_number(power * 10 - 1);
        assert_number(power * 10);
        assert_number(power * 10 + 1);
    }
}

static void assert_hundredths(uint64_t hundredths, const char *expected)
{
    struct builder builder = {.length = 0};

    build_hundredths(&builder, hundredths);
    assert_built(&builder, expected);
}

static void test_hundredths(void **state)
{
    (void)state;
    assert_hundredths(0, "0");
    assert_hundredths(1, "0.01");
    assert_hundredths(10, "0.10");
    assert_hundredths(99, "0.99");
    assert_hundredths(100, "1.00");
    assert_hundredths(150, "1.50");
    assert_hundredths(10000, "100.00");
    assert_hundredths(UINT64_MAX, "184467440737095516.15");
}

static void assert_time(uint64_t wall_us)
{
    struct builder builder = {.length = 0};
    char expected[TIME_BYTES_MAX];
    time_t seconds = (time_t)(wall_us / US_PER_SECOND);
    struct tm tm;
    size_t length;

    assert_non_null(gmtime_r(&seconds, &tm));
    length = strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(expected + length, sizeof(expected) - length, ".%06" PRIu64 "Z",
             wall_us % US_PER_SECOND);
    build_time(&builder, wall_us);
    assert_built(&builder, expected);
}

/* The first and the last microsecond of each day of 700 years: all leap years
 * and all kinds of centuries. */
static void test_days(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < UINT64_C(700) * 366; day++) {
        uint64_t start = day * SECONDS_PER_DAY * US_PER_SECOND;

        assert_time(start);
        assert_time(start + SECONDS_PER_DAY * US_PER_SECOND - 1);
    }
}

static void test_times(void **state)
{
    struct builder builder = {.length = 0};
    struct rng rng = {1};

    (void)state;
    build_time(&builder, UINT64_C(1795238741123456));
    assert_built(&builder, "2026-11-21T05:25:41.123456Z");
    assert_time(UINT64_C(253402300799999999)); /* the end of 9999 */
    for (int i = 0; i < 100000; i++)
        assert_time(rng_next(&rng) % UINT64_C(253402300800000000));
    /* Whatever an engine's clock says, it is written somehow. */
    build_time(&builder, UINT64_MAX);
}

/* A text of each length into what each length before it has left. */
static void test_cut_at_the_end(void **state)
{
    static char text[2 * sizeof(((struct builder *)NULL)->bytes)];
    struct builder builder;
    size_t capacity = sizeof(builder.bytes);

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 23);
    for (size_t before = 0; before <= capacity; before++) {
        for (size_t length = 0; length <= capacity; length++) {
            size_t whole = before + length;

            builder.length = 0;
            build_slice(&builder, (struct slice){text, before});
            build_slice(&builder, (struct slice){text + before, length});
            assert_int_equal(builder_slice(&builder).length,
                             whole < capacity ? whole : capacity);
            assert_memory_equal(builder.bytes, text, builder.length);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_follow_each_other),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_hundredths),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_cut_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
