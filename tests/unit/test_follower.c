/*
 * Followers: what single calls promise. One thread plays them all: the owner is
 * worker 0, the two others follow. What happens in between two calls is what
 * the test says; what may happen within one is litmus_log's to find.
 */
#include "common/buffer/follower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_segments.h"

#define WORKERS 3

static struct memory memory;
static struct turns turns;
static struct lane lane;
static uint64_t window_bytes;
static struct follower one, two;

/* -- the owner -- */

static void append(enum record_kind kind, uint32_t length)
{
    unsigned char *out = lane_reserve(&lane, &memory.store, length);

    assert_non_null(out);
    pattern_write(out, lane_head(&lane).position, length);
    lane_commit(&lane, &memory.store, length, kind, window_bytes);
}

static void append_many(int count)
{
    for (int i = 0; i < count; i++)
        append(RECORD_MESSAGE, 100);
}

/* The owner is told, and lets go of who has nobody left. */
static void settle(void)
{
    if (one.view.readers == 0)
        lane_dismiss(&lane, &memory.store, &one.reach);
    if (two.view.readers == 0)
        lane_dismiss(&lane, &memory.store, &two.reach);
    lane_settle(&lane, &memory.store);
}

static bool reclaim(void)
{
    return segment_store_reclaim(&memory.store, &turns);
}

static size_t alive(void)
{
    return memory.store.small.objects + memory.store.medium.objects;
}

/* -- all of them -- */

/* Everyone begins a turn; what had been retired is freed. */
static void next_turn(void)
{
    for (int i = 0; i < 2; i++) {
        reclaim();
        for (uint32_t worker = 0; worker < WORKERS; worker++)
            turns_announce(&turns, worker);
    }
    reclaim();
    follower_refresh(&one);
    follower_refresh(&two);
}

static void open_lane(uint64_t window, uint64_t seq)
{
    memory_open(&memory, window);
    turns_init(&turns, WORKERS);
    for (uint32_t worker = 0; worker < WORKERS; worker++)
        turns_online(&turns, worker);
    lane_init(&lane, seq);
    window_bytes = window;
    assert_true(lane_share(&lane, &memory.store, window));
    follower_init(&one, 1);
    follower_init(&two, 2);
}

/* All have left. */
static void close_lane(void)
{
    settle();
    assert_false(lane_is_read(&lane));
    lane_release(&lane, &memory.store);
    next_turn();
    assert_false(reclaim());
    assert_int_equal(memory.store.retired_bytes, 0);
    memory_close(&memory);
}

static int setup(void **state)
{
    (void)state;
    open_lane(1000, 7);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_lane();
    return 0;
}

static struct cursor join(struct follower *follower)
{
    struct cursor place;

    follower_await(follower);
    place = lane_admit(&lane, &follower->reach);
    follower_join(follower, lane.shared, place);
    return place;
}

static void assert_place(struct cursor cursor, uint64_t position, uint64_t seq)
{
    assert_int_equal(cursor.position, position);
    assert_int_equal(cursor.seq, seq);
}

/* Takes what is next and sends it, from the cursor on. Returns what taking
 * did. */
static bool read_next(struct follower *follower, struct cursor *cursor)
{
    struct span span = {.segment = NULL};
    uint64_t position = cursor->position;
    bool was_last =
        follower_take(follower, cursor, follower->view.head.position, &span);

    while (span.segment) {
        size_t sent = assert_span(&span, position);

        span_advance(&span, NULL, sent);
        position += sent;
    }
    assert_int_equal(position, cursor->position);
    return was_last;
}

static void read_all(struct follower *follower, struct cursor *cursor)
{
    while (cursor->position < follower->view.head.position)
        read_next(follower, cursor);
}

/* -- joining -- */

static void test_share_without_memory(void **state)
{
    struct lane other;

    (void)state;
    lane_init(&other, 0);
    alloc_fail_at(1);
    assert_false(lane_share(&other, &memory.store, 1000));
    alloc_fail_at(0);
    assert_null(other.shared);
    lane_release(&other, &memory.store);
}

static void test_joins_at_the_head(void **state)
{
    struct cursor cursor;

    (void)state;
    append(RECORD_MESSAGE, 10); /* nobody is there to read it */
    assert_null(lane.view.oldest);
    assert_false(lane_is_read(&lane));
    cursor = join(&one);
    assert_place(cursor, 10, 8);
    assert_true(lane_is_read(&lane));
    assert_int_equal(one.view.readers, 1);
    assert_int_equal(one.view.behind, 0);
    assert_place(follower_oldest(&one), 10, 8);
    append(RECORD_NOTICE, 20);
    append(RECORD_MESSAGE, 30);
    assert_place(follower_oldest(&one), 10, 8); /* as of the last refresh */
    follower_refresh(&one);
    assert_place(one.view.head, 60, 9);
    assert_int_equal(one.view.behind, 1);
    assert_true(read_next(&one, &cursor));
    assert_place(cursor, 60, 9);
    assert_true(follower_leave(&one, cursor));
    settle();
    assert_false(lane_is_read(&lane));
}

/* Lanes that are shared when there is something in them already. */
static void test_shared_late(void **state)
{
    struct cursor own, cursor;
    struct lane other;

    (void)state;
    lane_init(&other, 0);
    own = lane_join(&other);
    for (int i = 0; i < 2; i++) {
        unsigned char *out = lane_reserve(&other, &memory.store, 50);

        pattern_write(out, lane_head(&other).position, 50);
        lane_commit(&other, &memory.store, 50, RECORD_MESSAGE, 1000);
        if (i == 0)
            assert_true(lane_share(&other, &memory.store, 1000));
    }
    follower_await(&one);
    cursor = lane_admit(&other, &one.reach);
    assert_place(cursor, 100, 2);
    assert_true(follower_join(&one, other.shared, cursor));
    assert_place(follower_oldest(&one), 100, 2);
    follower_leave(&one, cursor);
    lane_leave(&other, &memory.store, own);
    assert_null(other.view.oldest);
    lane_dismiss(&other, &memory.store, &one.reach);
    lane_release(&other, &memory.store);
}

/* From the owner's answer on, whatever comes before it is read. */
static void test_nothing_is_lost_before_the_answer(void **state)
{
    struct cursor cursor;

    (void)state;
    follower_await(&one);
    follower_refresh(&one);
    cursor = lane_admit(&lane, &one.reach);
    append_many(3);
    settle();
    next_turn();
    assert_false(follower_join(&one, lane.shared, cursor));
    assert_int_equal(one.view.behind, 1);
    assert_place(follower_oldest(&one), 0, 7);
    read_all(&one, &cursor);
    assert_place(cursor, 300, 10);
    follower_leave(&one, cursor);
}

/* F1: nor while another reader of the same worker is at the head. */
static void test_nothing_is_lost_beside_another(void **state)
{
    struct cursor first = join(&one), second;

    (void)state;
    follower_await(&one);
    append_many(1);
    second = lane_admit(&lane, &one.reach);
    append_many(2);
    next_turn();
    assert_int_equal(one.view.behind, 2);
    assert_false(read_next(&one, &first));
    assert_place(first, 300, 10);
    settle();
    assert_non_null(lane.view.oldest);
    assert_false(follower_join(&one, lane.shared, second));
    assert_true(read_next(&one, &second));
    assert_place(second, 300, 10);
    settle();
    assert_null(lane.view.oldest);
    follower_leave(&one, first);
    follower_leave(&one, second);
}

/* Who joined at what is still the head is behind nothing. */
static void test_joins_where_all_are(void **state)
{
    struct cursor first = join(&one), second;

    (void)state;
    append_many(1);
    next_turn();
    assert_true(read_next(&one, &first));
    second = join(&one);
    assert_int_equal(one.view.behind, 0);
    settle();
    assert_null(lane.view.oldest);
    assert_place(second, 100, 8);
    follower_leave(&one, first);
    follower_leave(&one, second);
}

static void test_refused(void **state)
{
    struct cursor first;

    (void)state;
    follower_await(&two);
    assert_true(follower_refuse(&two)); /* the first, of no lane yet */
    assert_int_equal(two.view.readers, 0);
    first = join(&one);
    follower_await(&one);
    append_many(1);
    next_turn();
    assert_false(read_next(&one, &first));
    settle();
    assert_non_null(lane.view.oldest);
    assert_true(follower_refuse(&one)); /* the rest are at the head */
    settle();
    assert_null(lane.view.oldest);
    follower_leave(&one, first);
}

/* -- the tail -- */

static void test_tail_waits_for_all_workers(void **state)
{
    struct cursor own = lane_join(&lane), first = join(&one),
                  second = join(&two);
    struct span span = {.segment = NULL};

    (void)state;
    append_many(2);
    next_turn();
    lane_take(&lane, &memory.store, &own, 200, &span);
    span_drop(&span, &memory.store);
    assert_non_null(lane.view.oldest);
    assert_true(read_next(&one, &first));
    settle();
    assert_non_null(lane.view.oldest);
    assert_true(read_next(&two, &second));
    assert_non_null(lane.view.oldest); /* none but the owner drops */
    settle();
    assert_null(lane.view.oldest);
    assert_int_equal(alive(), 1);
    next_turn();
    assert_int_equal(alive(), 0);
    lane_leave(&lane, &memory.store, own);
    follower_leave(&one, first);
    follower_leave(&two, second);
}

static void test_tail_waits_for_the_owners_own(void **state)
{
    struct cursor own = lane_join(&lane), first = join(&one);

    (void)state;
    append_many(2);
    next_turn();
    read_next(&one, &first);
    settle();
    assert_non_null(lane.view.oldest);
    lane_leave(&lane, &memory.store, own);
    assert_null(lane.view.oldest);
    follower_leave(&one, first);
}

/* Whoever leaves, and wherever. */
static void test_last_one_behind_leaves(void **state)
{
    struct cursor first = join(&one), second = join(&one);

    (void)state;
    append_many(2);
    next_turn();
    assert_false(read_next(&one, &first));
    assert_true(follower_leave(&one, second));
    settle();
    assert_null(lane.view.oldest);
    append_many(2);
    next_turn();
    assert_true(follower_leave(&one, first)); /* and nobody is left */
    assert_null(one.shared);
    assert_true(lane_is_read(&lane)); /* as far as the owner knows */
    settle();
    assert_false(lane_is_read(&lane));
    assert_null(lane.view.oldest);
    first = join(&one);
    assert_place(first, 400, 11);
    follower_leave(&one, first);
}

/* The tail goes and begins anew while a follower does not look. */
static void test_log_begins_anew(void **state)
{
    struct cursor cursor = join(&one);

    (void)state;
    for (int i = 0; i < 20; i++) {
        append_many(1 + i % 7);
        next_turn();
        read_all(&one, &cursor);
        settle();
        assert_null(lane.view.oldest);
        if (i % 2 == 0)
            next_turn();
        assert_place(cursor, lane_head(&lane).position, lane_head(&lane).seq);
    }
    follower_leave(&one, cursor);
}

/* -- the window -- */

/* It begins where it does for the owner. */
static void test_window_is_the_owners(void **state)
{
    (void)state;
    close_lane();
    for (uint64_t window = 1; window <= 120; window++) {
        struct cursor cursor;

        open_lane(window, 0);
        cursor = join(&one);
        for (int i = 0; i < 12; i++) {
            struct cursor oldest = lane_oldest(&lane, window);

            assert_place(follower_oldest(&one), oldest.position, oldest.seq);
            append(i % 3 ? RECORD_MESSAGE : RECORD_NOTICE,
                   1 + (uint32_t)i % 5 * 9);
            follower_refresh(&one);
        }
        follower_leave(&one, cursor);
        close_lane();
    }
    open_lane(1000, 7);
}

static void test_lags(void **state)
{
    struct cursor first = join(&one), second = join(&two), oldest;

    (void)state;
    append_many(100);
    next_turn();
    oldest = follower_oldest(&one);
    assert_place(oldest, 9000, 97);
    assert_false(follower_skip(&one, &first, oldest));
    read_all(&one, &first);
    assert_place(first, 10000, 107);
    assert_true(follower_skip(&two, &second, two.view.head));
    settle();
    assert_null(lane.view.oldest);
    follower_leave(&one, first);
    follower_leave(&two, second);
}

/* F2: the newest segment that a follower knew is freed while it sleeps, or
 * leads on to what came after it. */
static void sleep_through(int count)
{
    struct cursor cursor = join(&one);
    struct cursor before = lane_head(&lane);

    append_many(3);
    next_turn();
    assert_non_null(one.view.newest);
    turns_offline(&turns, 1);
    append_many(count);
    for (int i = 0; i < 3; i++) {
        reclaim();
        turns_announce(&turns, 0);
        turns_announce(&turns, 2);
    }
    turns_online(&turns, 1);
    follower_refresh(&one);
    if (cursor.position < follower_oldest(&one).position)
        follower_skip(&one, &cursor, follower_oldest(&one));
    read_all(&one, &cursor);
    assert_int_equal(cursor.position - before.position, 100 * (3 + count));
    assert_int_equal(cursor.seq - before.seq, 3 + count);
    follower_leave(&one, cursor);
    settle();
}

static void test_sleeps(void **state)
{
    (void)state;
    for (int count = 0; count < 60; count++)
        sleep_through(count);
}

/* Memory is short: segments leave that the window would keep. */
static void test_shrunk(void **state)
{
    struct span span = {.segment = NULL};
    struct cursor cursor = join(&one);

    (void)state;
    window_bytes = MIB;
    append_many(20);
    next_turn();
    assert_place(follower_oldest(&one), 0, 7);
    while (lane_shrink(&lane, &memory.store))
        continue;
    assert_place(follower_oldest(&one), 0, 7); /* in this turn it is there */
    follower_take(&one, &cursor, 100, &span);
    assert_int_equal(assert_span(&span, 0), 100);
    span_drop(&span, NULL);
    next_turn();
    assert_place(follower_oldest(&one), lane.view.oldest->start,
                 lane.view.oldest->seq);
    if (cursor.position < follower_oldest(&one).position)
        follower_skip(&one, &cursor, follower_oldest(&one));
    read_all(&one, &cursor);
    assert_place(cursor, 2000, 27);
    follower_leave(&one, cursor);
}

/* A reservation that is given up, or too small, is none of a follower's. */
static void test_reservations(void **state)
{
    struct cursor cursor = join(&one);

    (void)state;
    lane_reserve(&lane, &memory.store, 10);
    next_turn();
    lane_cancel(&lane, &memory.store);
    append(RECORD_MESSAGE, 10);
    lane_reserve(&lane, &memory.store, 5000);
    next_turn();
    read_next(&one, &cursor);
    assert_place(cursor, 10, 8);
    lane_cancel(&lane, &memory.store);
    lane_reserve(&lane, &memory.store, 500);
    append(RECORD_MESSAGE, 5000);
    next_turn();
    read_all(&one, &cursor);
    assert_place(cursor, 5010, 9);
    settle();
    assert_null(lane.view.oldest);
    follower_leave(&one, cursor);
}

/* -- spans -- */

/* What has been found is there until the turn ends, whatever the owner does. */
static void test_borrowed_for_a_turn(void **state)
{
    struct span span = {.segment = NULL};
    struct cursor cursor = join(&one);
    size_t before;

    (void)state;
    append_many(6);
    next_turn();
    follower_take(&one, &cursor, 600, &span);
    append_many(100);
    before = alive();
    for (int i = 0; i < 3; i++) {
        assert_true(reclaim());
        turns_announce(&turns, 0);
        turns_announce(&turns, 2);
    }
    assert_int_equal(alive(), before);
    assert_int_equal(assert_span(&span, 0), 600);
    span_drop(&span, NULL);
    follower_leave(&one, cursor);
    next_turn();
    assert_true(alive() < before);
}

/* And after a short send for as long as it takes; the lane may be gone. */
static void test_kept_for_longer(void **state)
{
    struct span span = {.segment = NULL};
    struct cursor cursor = join(&one);

    (void)state;
    append_many(6);
    next_turn();
    follower_take(&one, &cursor, 600, &span);
    span_advance(&span, NULL, 50);
    span_keep(&span);
    append_many(100);
    follower_leave(&one, cursor);
    settle();
    lane_release(&lane, &memory.store);
    next_turn();
    assert_int_equal(alive(), 2);
    assert_int_equal(assert_span(&span, 50), 550);
    span_advance(&span, NULL, 400);
    next_turn();
    assert_int_equal(alive(), 1);
    assert_int_equal(assert_span(&span, 450), 150);
    span_advance(&span, NULL, 150);
    next_turn();
    assert_int_equal(alive(), 0);
}

/* News are told once until the follower looks. */
static void test_told_until_it_looks(void **state)
{
    (void)state;
    assert_true(reach_tell(&one.reach));
    assert_false(reach_tell(&one.reach));
    assert_true(reach_tell(&two.reach));
    reach_heed(&one.reach);
    assert_true(reach_tell(&one.reach));
    reach_heed(&two.reach);
    reach_heed(&two.reach);
    assert_true(reach_tell(&two.reach));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_share_without_memory),
        TEST(test_joins_at_the_head),
        TEST(test_shared_late),
        TEST(test_nothing_is_lost_before_the_answer),
        TEST(test_nothing_is_lost_beside_another),
        TEST(test_joins_where_all_are),
        TEST(test_refused),
        TEST(test_tail_waits_for_all_workers),
        TEST(test_tail_waits_for_the_owners_own),
        TEST(test_last_one_behind_leaves),
        TEST(test_log_begins_anew),
        TEST(test_window_is_the_owners),
        TEST(test_lags),
        TEST(test_sleeps),
        TEST(test_shrunk),
        TEST(test_reservations),
        TEST(test_borrowed_for_a_turn),
        TEST(test_kept_for_longer),
        TEST(test_told_until_it_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
