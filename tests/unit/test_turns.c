/*
 * Turns: who has to do what before a grace period is over. Then segments that
 * are retired: when their memory comes back, and what a span that is kept does
 * to that.
 */
#include "common/buffer/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_segments.h"

#define RECORD_BYTES 20

static struct turns turns;
static struct memory memory;

static int turns_open(void **state)
{
    (void)state;
    turns_init(&turns, 3);
    memory_open(&memory, MIB);
    return 0;
}

static int turns_close(void **state)
{
    (void)state;
    assert_int_equal(memory.store.retired_bytes, 0);
    assert_null(memory.store.retired);
    assert_null(memory.store.waiting);
    memory_close(&memory);
    return 0;
}

/* -- turns -- */

static void test_all_are_offline(void **state)
{
    (void)state;
    assert_true(turns_passed(&turns, turns_stamp(&turns)));
}

/* A turn that began before the stamp does not count, one after it does. */
static void test_each_turn_is_waited_for(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        turns_online(&turns, i);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t stamp;

        for (uint32_t j = 0; j < 3; j++)
            turns_announce(&turns, j);
        stamp = turns_stamp(&turns);
        for (uint32_t j = 0; j < 3; j++) {
            assert_false(turns_passed(&turns, stamp));
            turns_announce(&turns, (i + j) % 3);
        }
        assert_true(turns_passed(&turns, stamp));
    }
}

static void test_offline_is_not_waited_for(void **state)
{
    uint64_t stamp;

    (void)state;
    turns_online(&turns, 0);
    turns_online(&turns, 1);
    stamp = turns_stamp(&turns);
    turns_announce(&turns, 0);
    assert_false(turns_passed(&turns, stamp));
    turns_offline(&turns, 1);
    assert_true(turns_passed(&turns, stamp));
    turns_online(&turns, 1); /* finds nothing of before */
    assert_true(turns_passed(&turns, stamp));
    assert_false(turns_passed(&turns, turns_stamp(&turns)));
}

static void test_stamps_pass_in_order(void **state)
{
    uint64_t first, second;

    (void)state;
    turns_online(&turns, 0);
    first = turns_stamp(&turns);
    turns_announce(&turns, 0);
    second = turns_stamp(&turns);
    assert_true(second > first);
    assert_true(turns_passed(&turns, first));
    assert_false(turns_passed(&turns, second));
    turns_announce(&turns, 0);
    assert_true(turns_passed(&turns, second));
}

static void test_as_many_as_there_may_be(void **state)
{
    (void)state;
    turns_init(&turns, WORKERS_MAX);
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        uint64_t stamp;

        turns_online(&turns, i);
        stamp = turns_stamp(&turns);
        assert_false(turns_passed(&turns, stamp));
        turns_announce(&turns, i);
        assert_true(turns_passed(&turns, stamp));
        turns_offline(&turns, i);
    }
}

/* -- retired segments; 0 owns them, 1 has found them -- */

static struct segment *create(void)
{
    struct segment *segment = segment_create(&memory.store, SEGMENT_SMALL, 1);

    assert_non_null(segment);
    pattern_write(segment->data, 0, RECORD_BYTES);
    segment_commit(segment, RECORD_BYTES, RECORD_MESSAGE);
    return segment;
}

/* The second goes on where the first ends. */
static struct segment *create_pair(void)
{
    struct segment *segment = create();

    segment->next = create();
    pattern_write(segment->next->data, RECORD_BYTES, RECORD_BYTES);
    return segment;
}

static void retire_pair(struct segment *segment)
{
    struct segment *next = segment->next;

    segment_retire(&memory.store, segment);
    segment_retire(&memory.store, next);
}

static bool reclaim(void)
{
    return segment_store_reclaim(&memory.store, &turns);
}

static size_t alive(void)
{
    return memory.store.small.objects;
}

/* A grace period, and what the owner does in two of its turns. */
static void pass(void)
{
    reclaim();
    turns_announce(&turns, 1);
    reclaim();
}

static void test_nothing_is_retired(void **state)
{
    (void)state;
    assert_false(reclaim());
}

static void test_retired_is_freed_after_a_grace_period(void **state)
{
    struct segment *segment = create();
    uint32_t size = segment->size;

    (void)state;
    turns_online(&turns, 1);
    segment_retire(&memory.store, segment);
    assert_int_equal(memory.store.retired_bytes, size);
    assert_int_equal(memory.store.detached_bytes, 0);
    turns_announce(&turns, 1); /* not after a stamp */
    for (int i = 0; i < 3; i++) {
        assert_true(reclaim());
        assert_int_equal(alive(), 1);
    }
    turns_announce(&turns, 1);
    assert_int_equal(alive(), 1); /* none but the owner frees */
    assert_false(reclaim());
    assert_int_equal(alive(), 0);
}

/* What is retired while one grace period runs waits for the next. */
static void test_retired_later_waits_longer(void **state)
{
    (void)state;
    turns_online(&turns, 1);
    segment_retire(&memory.store, create());
    assert_true(reclaim());
    turns_announce(&turns, 1);
    segment_retire(&memory.store, create());
    assert_true(reclaim());
    assert_int_equal(alive(), 1);
    assert_true(reclaim());
    turns_announce(&turns, 1);
    assert_false(reclaim());
    assert_int_equal(alive(), 0);
}

static void test_retired_while_its_owner_sends(void **state)
{
    struct segment *segment = create();
    struct span span = {.segment = NULL};

    (void)state;
    span_begin(&span, segment, 5, 10);
    segment_retire(&memory.store, segment);
    assert_true(span_is_detached(&span));
    pass();
    pass();
    assert_int_equal(assert_span(&span, 5), 10);
    span_advance(&span, &memory.store, 10);
    assert_int_equal(alive(), 1); /* a reader may have it still */
    pass();
    assert_int_equal(alive(), 0);
}

/* -- spans on another worker's segments -- */

static void test_borrowed_holds_nothing(void **state)
{
    struct segment *segment = create_pair();
    struct span span = {.segment = NULL};

    (void)state;
    turns_online(&turns, 1);
    span_borrow(&span, segment, 5, 30);
    retire_pair(segment);
    reclaim();
    reclaim();
    assert_int_equal(assert_span(&span, 5), 30);
    span_advance(&span, NULL, 20);
    assert_int_equal(assert_span(&span, 25), 10);
    span_drop(&span, NULL);
    assert_null(span.segment);
    pass();
    assert_int_equal(alive(), 0);
}

/* Kept after every number of bytes, and sent on byte by byte. */
static void keep_after(uint32_t sent)
{
    struct segment *segment = create_pair();
    struct segment *second = segment->next;
    struct span span = {.segment = NULL};

    span_borrow(&span, segment, 5, 30);
    span_advance(&span, NULL, sent);
    span_keep(&span);
    span_keep(&span); /* changes nothing */
    assert_int_equal(segment->foreign_holds, sent < 15);
    assert_int_equal(second->foreign_holds, 1);
    retire_pair(segment);
    for (; sent < 30; sent++) {
        pass();
        assert_int_equal(alive(), sent < 15 ? 2 : 1);
        assert_true(span_is_detached(&span));
        assert_int_equal(assert_span(&span, 5 + sent), 30 - sent);
        span_advance(&span, NULL, 1);
    }
    assert_null(span.segment);
    assert_int_equal(alive(), 1); /* the holder does not free */
    pass();
    assert_int_equal(alive(), 0);
}

static void test_kept_holds_what_is_left(void **state)
{
    (void)state;
    turns_online(&turns, 1);
    for (uint32_t sent = 0; sent < 30; sent++)
        keep_after(sent);
}

static void test_kept_is_given_up(void **state)
{
    struct segment *segment = create_pair();
    struct span one = {.segment = NULL}, two = {.segment = NULL};

    (void)state;
    turns_online(&turns, 1);
    span_borrow(&one, segment, 0, 40);
    span_borrow(&two, segment, 10, 10);
    span_keep(&one);
    span_keep(&two);
    retire_pair(segment);
    span_drop(&one, NULL);
    pass();
    assert_int_equal(alive(), 1);
    assert_int_equal(assert_span(&two, 10), 10);
    span_drop(&two, NULL);
    pass();
    assert_int_equal(alive(), 0);
}

/* Nothing, or what its own thread holds. */
static void test_kept_is_only_what_was_borrowed(void **state)
{
    struct segment *segment = create();
    struct span span = {.segment = NULL};

    (void)state;
    span_keep(&span);
    assert_null(span.segment);
    span_begin(&span, segment, 0, 10);
    span_keep(&span);
    assert_int_equal(segment->foreign_holds, 0);
    assert_int_equal(segment->holds, 1);
    span_drop(&span, &memory.store);
    segment_detach(&memory.store, segment);
    assert_int_equal(alive(), 0);
}

/* A few of those that are held are looked at in a turn, and each in its turn.
 */
static void test_many_are_held(void **state)
{
    static struct span spans[3 * RETIRED_HELD_MAX];
    size_t count = sizeof(spans) / sizeof(spans[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct segment *segment = create();

        span_borrow(&spans[i], segment, 0, 10);
        span_keep(&spans[i]);
        segment_retire(&memory.store, segment);
    }
    for (size_t i = 0; i < 10; i++)
        assert_true(reclaim());
    assert_int_equal(alive(), count);
    for (size_t i = 0; i < count; i++) {
        span_drop(&spans[i], NULL);
        for (size_t turn = 0; turn < 10; turn++)
            reclaim();
        assert_int_equal(alive(), count - 1 - i);
    }
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, turns_open, turns_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_are_offline),
        TEST(test_each_turn_is_waited_for),
        TEST(test_offline_is_not_waited_for),
        TEST(test_stamps_pass_in_order),
        TEST(test_as_many_as_there_may_be),
        TEST(test_nothing_is_retired),
        TEST(test_retired_is_freed_after_a_grace_period),
        TEST(test_retired_later_waits_longer),
        TEST(test_retired_while_its_owner_sends),
        TEST(test_borrowed_holds_nothing),
        TEST(test_kept_holds_what_is_left),
        TEST(test_kept_is_given_up),
        TEST(test_kept_is_only_what_was_borrowed),
        TEST(test_many_are_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
