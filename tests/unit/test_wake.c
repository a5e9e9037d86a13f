/*
 * Sleeping and waking, one step after the other: who is told to wake whom, in
 * every order. What threads make of it at once is tests/litmus'.
 */
#include "common/shard/wake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_awake_needs_no_waking(void **state)
{
    struct sleeper sleeper;

    (void)state;
    sleeper_init(&sleeper);
    assert_false(wake_needed(&sleeper));
    assert_false(wake_needed(&sleeper));
}

static void test_one_wakes(void **state)
{
    struct sleeper sleeper;

    (void)state;
    sleeper_init(&sleeper);
    for (int sleeps = 0; sleeps < 3; sleeps++) {
        sleep_prepare(&sleeper);
        assert_true(wake_needed(&sleeper));
        assert_false(wake_needed(&sleeper));
        sleep_over(&sleeper);
        assert_false(wake_needed(&sleeper));
    }
}

/* It has found something, or was woken by something else. */
static void test_sleep_that_nobody_ended(void **state)
{
    struct sleeper sleeper;

    (void)state;
    sleeper_init(&sleeper);
    for (int sleeps = 0; sleeps < 3; sleeps++) {
        sleep_prepare(&sleeper);
        sleep_over(&sleeper);
        assert_false(wake_needed(&sleeper));
    }
    sleep_prepare(&sleeper);
    assert_true(wake_needed(&sleeper));
}

static void test_each_for_itself(void **state)
{
    static struct sleeper sleepers[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        sleeper_init(&sleepers[i]);
    sleep_prepare(&sleepers[1]);
    sleep_prepare(&sleepers[2]);
    assert_false(wake_needed(&sleepers[0]));
    assert_true(wake_needed(&sleepers[2]));
    assert_false(wake_needed(&sleepers[3]));
    sleep_over(&sleepers[2]);
    assert_true(wake_needed(&sleepers[1]));
}

/* Neighbours in an array do not share a cache line. */
static void test_cache_lines(void **state)
{
    static struct sleeper sleepers[2];

    (void)state;
    assert_int_equal((uintptr_t)&sleepers[0].sleeping % CACHE_LINE_BYTES, 0);
    assert_true(sizeof(sleepers) == sizeof(char[2 * CACHE_LINE_BYTES]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_awake_needs_no_waking),
        cmocka_unit_test(test_one_wakes),
        cmocka_unit_test(test_sleep_that_nobody_ended),
        cmocka_unit_test(test_each_for_itself),
        cmocka_unit_test(test_cache_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
