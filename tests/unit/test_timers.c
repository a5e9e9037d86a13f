/*
 * The heap of deadlines against a list that is searched from end to end.
 */
#include "common/chat/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"

#define SESSIONS 9000 /* more than the heap has memory for at first */
#define FEW 200
#define STEPS 20000

/* Sessions of which nothing is used but timer_index; of most tests, the first
 * few. */
static struct session sessions[SESSIONS];
static size_t sessions_used;

/* The model: UINT64_MAX is a deadline, absence is `present`. */
static uint64_t deadlines[SESSIONS];
static bool present[SESSIONS];

static struct budget budget;
static struct timers timers;

static int begin(void **state)
{
    (void)state;
    budget_init(&budget, MIB);
    timers = (struct timers){0};
    sessions_used = FEW;
    for (size_t i = 0; i < SESSIONS; i++)
        present[i] = false;
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < SESSIONS; i++) {
        if (present[i])
            timers_remove(&timers, &sessions[i]);
    }
    timers_release(&timers, &budget);
    assert_int_equal(budget.used_bytes, 0);
    return 0;
}

static void enter(size_t i, uint64_t deadline)
{
    assert_true(timers_reserve(&timers, &budget));
    timers_add(&timers, &sessions[i], deadline);
    present[i] = true;
    deadlines[i] = deadline;
}

static uint64_t earliest(void)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < sessions_used; i++) {
        if (present[i] && deadlines[i] < least)
            least = deadlines[i];
    }
    return least;
}

static void check_heap(void)
{
    size_t count = 0;

    for (size_t i = 0; i < sessions_used; i++)
        count += present[i];
    assert_int_equal(timers.count, count);
    assert_int_equal(timers_next(&timers), earliest());
    for (uint32_t i = 0; i < timers.count; i++) {
        size_t session = (size_t)(timers.heap[i].session - sessions);

        assert_int_equal(sessions[session].timer_index, i);
        assert_true(present[session]);
        assert_int_equal(timers.heap[i].deadline_ns, deadlines[session]);
        assert_true(timers.heap[i].deadline_ns >=
                    timers.heap[i > 0 ? (i - 1) / 2 : 0].deadline_ns);
    }
}

static void change(size_t i, uint64_t deadline, bool only_earlier)
{
    if (only_earlier)
        timers_advance(&timers, &sessions[i], deadline);
    else
        timers_set(&timers, &sessions[i], deadline);
    if (!only_earlier || deadline < deadlines[i])
        deadlines[i] = deadline;
}

static void random_step(struct rng *rng)
{
    size_t i = rng_below(rng, FEW);
    uint64_t deadline = rng_below(rng, 10) ? rng_below(rng, 50) : UINT64_MAX;

    if (!present[i]) {
        enter(i, deadline);
    } else if (rng_below(rng, 3) == 0) {
        timers_remove(&timers, &sessions[i]);
        present[i] = false;
    } else {
        change(i, deadline, rng_below(rng, 2));
    }
}

static void test_random_steps(void **state)
{
    struct rng rng = {11};

    (void)state;
    for (unsigned step = 0; step < STEPS; step++) {
        random_step(&rng);
        check_heap();
    }
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(timers_next(&timers), UINT64_MAX);
}

static void test_come_up_in_order(void **state)
{
    uint64_t before = 0;

    (void)state;
    for (size_t i = 0; i < FEW; i++)
        enter(i, (i * 7919) % FEW);
    while (timers.count > 0) {
        struct session *first = timers.heap[0].session;

        assert_true(timers_next(&timers) >= before);
        before = timers_next(&timers);
        present[first - sessions] = false;
        timers_remove(&timers, first);
        check_heap();
    }
    assert_int_equal(before, FEW - 1);
}

static void test_no_memory_changes_nothing(void **state)
{
    size_t count = 0;

    (void)state;
    sessions_used = SESSIONS;
    alloc_fail_at(1);
    assert_false(timers_reserve(&timers, &budget));
    assert_int_equal(budget.used_bytes, 0);
    do {
        enter(count, SESSIONS - count);
        count++;
    } while (timers.count < timers.capacity);
    alloc_fail_at(1);
    assert_false(timers_reserve(&timers, &budget));
    alloc_fail_at(0);
    check_heap();
    budget.limit_bytes = budget.used_bytes;
    assert_false(timers_reserve(&timers, &budget));
    check_heap();
    budget.limit_bytes = MIB;
    enter(count, 0);
    check_heap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, begin, end),
        cmocka_unit_test_setup_teardown(test_come_up_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_random_steps, begin, end),
        cmocka_unit_test_setup_teardown(test_no_memory_changes_nothing, begin,
                                        end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
