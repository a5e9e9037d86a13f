/*
 * Lanes whose readers are on several workers: long random histories against a
 * model, which is an array of the places between records and what may have been
 * dropped before them (test_lane.c has one worker, and a stricter model).
 *
 * One thread plays the owner, worker 0, and the followers. They have turns of
 * their own, sleep, and look for news when it pleases them; what they keep over
 * a turn they send later. What is freed is poisoned, so that AddressSanitizer
 * finds who reads it still; without it, the bytes are others.
 */
#include "common/buffer/follower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_seed.h"
#include "tests/unit/support_segments.h"

#include <string.h>

#define RUNS 400
#define STEPS 1500
#define WORKERS 4 /* with the owner */
#define READERS 6 /* of each */
#define OWNER 0

struct reader {
    enum { AWAY, ASKING, ANSWERED, READING } state;
    struct cursor joined, cursor;
    struct span span;
    uint64_t position; /* of the next byte to be sent */
    uint64_t received, missed;
};

struct worker {
    struct follower follower;
    struct reader readers[READERS];
    bool asleep;
    bool is_fresh; /* has refreshed in this turn */
};

static struct memory memory;
static struct turns turns;
static struct lane lane;
static uint64_t window_bytes;
static size_t record_bytes_max;
static size_t readers_max; /* of each worker */
static struct worker workers[WORKERS];
static struct rng rng;
static bool is_quiet; /* nothing is appended for a while */

/* The model. */
static struct cursor places[STEPS * 2]; /* between records */
static size_t place_count;
static uint64_t floor_position; /* what may be dropped, window or not */

static struct {
    uint64_t received, missed, kept, slept, tails, freed;
} happened;

static bool one_in(size_t n)
{
    return rng_below(&rng, n) == 0;
}

/* -- the model -- */

static struct cursor head(void)
{
    return places[place_count - 1];
}

static bool is_place(struct cursor cursor)
{
    for (size_t i = 0; i < place_count; i++) {
        if (places[i].position == cursor.position)
            return places[i].seq == cursor.seq;
    }
    return false;
}

static bool reads(const struct reader *reader)
{
    return reader->state == READING || reader->state == ANSWERED;
}

/* Whether somebody has yet to read what comes before the head. */
static bool is_due(void)
{
    for (size_t w = 0; w < WORKERS; w++) {
        for (size_t i = 0; i < READERS; i++) {
            const struct reader *reader = &workers[w].readers[i];

            if (reads(reader) && reader->cursor.position < head().position)
                return true;
        }
    }
    return false;
}

/* Nobody is made to miss more than what the lane may have dropped. */
static void assert_may_miss(const struct reader *reader, struct cursor to)
{
    uint64_t start = lane_oldest(&lane, window_bytes).position;

    assert_true(is_place(to));
    assert_true(to.position >= reader->cursor.position);
    assert_true(to.position <=
                (start > floor_position ? start : floor_position));
}

/* The counts of a view, as of its last refresh. */
static void assert_view(const struct view *view, const struct worker *worker)
{
    uint32_t readers = 0, behind = 0;

    for (size_t i = 0; i < READERS; i++) {
        const struct reader *reader = &worker->readers[i];

        readers += reader->state != AWAY;
        behind +=
            reader->state == ASKING || reader->state == ANSWERED ||
            (reads(reader) && reader->cursor.position < view->head.position);
    }
    assert_int_equal(view->readers, readers);
    assert_int_equal(view->behind, behind);
}

/* -- the owner -- */

static void append(void)
{
    uint32_t length = (uint32_t)rng_magnitude(&rng, record_bytes_max);
    enum record_kind kind = one_in(4) ? RECORD_NOTICE : RECORD_MESSAGE;
    struct cursor place = head();
    unsigned char *out;

    if (place_count == sizeof(places) / sizeof(places[0]))
        return;
    if (one_in(20)) /* in vain */
        assert_non_null(lane_reserve(&lane, &memory.store, 500));
    out = lane_reserve(&lane, &memory.store, length);
    assert_non_null(out);
    pattern_write(out, place.position, length);
    lane_commit(&lane, &memory.store, length, kind, window_bytes);
    place.position += length;
    place.seq += kind == RECORD_MESSAGE;
    places[place_count++] = place;
}

static void shrink(void)
{
    if (lane_shrink(&lane, &memory.store))
        floor_position = lane.view.oldest->start;
}

static void settle(void)
{
    for (size_t w = 0; w < WORKERS; w++) {
        struct follower *follower = &workers[w].follower;

        if (follower->view.readers == 0)
            lane_dismiss(&lane, &memory.store, &follower->reach);
    }
    lane_settle(&lane, &memory.store);
}

static void reclaim(void)
{
    uint64_t before = memory.store.retired_bytes;

    segment_store_reclaim(&memory.store, &turns);
    happened.freed += before - memory.store.retired_bytes;
}

static void reserve_in_vain(void)
{
    assert_non_null(lane_reserve(&lane, &memory.store,
                                 (uint32_t)rng_magnitude(&rng, 2000)));
    if (one_in(2))
        lane_cancel(&lane, &memory.store);
}

/* -- readers of whatever worker -- */

static void begin(struct reader *reader, struct cursor place)
{
    *reader = (struct reader){
        .joined = place,
        .cursor = place,
        .position = place.position,
    };
}

static struct segment_store *store_of(const struct worker *worker)
{
    return worker == &workers[OWNER] ? &memory.store : NULL;
}

static void send_some(struct worker *worker, struct reader *reader, size_t most)
{
    size_t offered;

    if (!reader->span.segment)
        return;
    offered = assert_span(&reader->span, reader->position);
    if (offered > most)
        offered = most;
    span_advance(&reader->span, store_of(worker), offered);
    reader->position += offered;
    if (!reader->span.segment)
        assert_int_equal(reader->position, reader->cursor.position);
}

static void end(struct worker *worker, struct reader *reader)
{
    span_drop(&reader->span, store_of(worker));
    assert_int_equal(reader->received + reader->missed,
                     reader->cursor.seq - reader->joined.seq);
    happened.received += reader->received;
    happened.missed += reader->missed;
    reader->state = AWAY;
}

static void miss(struct reader *reader, struct cursor to)
{
    assert_may_miss(reader, to);
    reader->missed += to.seq - reader->cursor.seq;
    reader->position = to.position;
}

/* -- the owner's readers -- */

static void own_take(struct reader *reader)
{
    struct cursor oldest = lane_oldest(&lane, window_bytes), before;

    if (reader->cursor.position < oldest.position) {
        miss(reader, oldest);
        lane_skip(&lane, &memory.store, &reader->cursor, oldest);
    }
    before = reader->cursor;
    if (before.position == head().position)
        return;
    lane_take(&lane, &memory.store, &reader->cursor, head().position,
              &reader->span);
    reader->received += reader->cursor.seq - before.seq;
}

static void own_step(struct reader *reader)
{
    if (reader->state == AWAY) {
        begin(reader, lane_join(&lane));
        reader->state = READING;
    } else if (one_in(20)) {
        end(&workers[OWNER], reader);
        lane_leave(&lane, &memory.store, reader->cursor);
    } else if (!reader->span.segment) {
        own_take(reader);
    } else {
        send_some(&workers[OWNER], reader, rng_magnitude(&rng, window_bytes));
    }
}

/* -- followers' readers -- */

static uint32_t number_of(const struct worker *worker)
{
    return (uint32_t)(worker - workers);
}

static void follow_take(struct worker *worker, struct reader *reader)
{
    struct follower *follower = &worker->follower;
    struct cursor oldest = follower_oldest(follower), before;

    if (reader->cursor.position < oldest.position) {
        miss(reader, oldest);
        follower_skip(follower, &reader->cursor, oldest);
    }
    before = reader->cursor;
    if (before.position == follower->view.head.position)
        return;
    follower_take(follower, &reader->cursor, follower->view.head.position,
                  &reader->span);
    assert_true(is_place(reader->cursor));
    reader->received += reader->cursor.seq - before.seq;
}

static void refresh(struct worker *worker)
{
    follower_refresh(&worker->follower);
    worker->is_fresh = true;
}

/* The owner's part of a join; the answer may take its time. */
static void admit(struct worker *worker, struct reader *reader)
{
    if (one_in(2) && !is_quiet)
        append();
    begin(reader, lane_admit(&lane, &worker->follower.reach));
    reader->state = ANSWERED;
}

static void follow_join(struct worker *worker, struct reader *reader)
{
    follower_join(&worker->follower, lane.shared, reader->cursor);
    worker->is_fresh = true;
    reader->state = READING;
}

static void follow_read(struct worker *worker, struct reader *reader)
{
    if (one_in(20)) {
        end(worker, reader);
        follower_leave(&worker->follower, reader->cursor);
    } else if (reader->span.segment) {
        send_some(worker, reader, rng_magnitude(&rng, window_bytes));
    } else {
        if (!worker->is_fresh)
            refresh(worker);
        follow_take(worker, reader);
    }
}

static void follow_step(struct worker *worker, struct reader *reader)
{
    switch (reader->state) {
    case AWAY:
        follower_await(&worker->follower);
        reader->state = ASKING;
        return;
    case ASKING:
        if (!one_in(8)) {
            admit(worker, reader);
            return;
        }
        reader->state = AWAY;
        follower_refuse(&worker->follower);
        return;
    case ANSWERED:
        follow_join(worker, reader);
        return;
    case READING:
        follow_read(worker, reader);
        return;
    }
}

/* -- turns -- */

/* What was borrowed in it is kept, or given up with its reader. */
static void end_turn(struct worker *worker)
{
    for (size_t i = 0; i < READERS; i++) {
        struct span *span = &worker->readers[i].span;

        happened.kept += span->segment && span->hold == SPAN_BORROWED;
        span_keep(span);
    }
    worker->is_fresh = false;
}

static void new_turn(struct worker *worker)
{
    end_turn(worker);
    if (!worker->asleep && one_in(4)) {
        turns_offline(&turns, number_of(worker));
        worker->asleep = true;
        happened.slept++;
    } else if (worker->asleep) {
        turns_online(&turns, number_of(worker));
        worker->asleep = false;
    } else {
        turns_announce(&turns, number_of(worker));
    }
}

/* -- histories -- */

static void owner_step(void)
{
    size_t chosen = rng_below(&rng, 40);

    if (one_in(40))
        is_quiet = !is_quiet;
    if (chosen < 14 && !is_quiet)
        append();
    else if (chosen < 15)
        shrink();
    else if (chosen < 16)
        reserve_in_vain();
    else if (chosen < 20)
        settle();
    else if (chosen < 28)
        reclaim();
    else if (chosen < 32)
        turns_announce(&turns, OWNER);
    else
        own_step(&workers[OWNER].readers[rng_below(&rng, readers_max)]);
}

static void step(void)
{
    struct worker *worker = &workers[rng_below(&rng, WORKERS)];

    if (worker == &workers[OWNER]) {
        bool kept = lane.view.oldest != NULL;

        owner_step();
        happened.tails += kept && !lane.view.oldest;
        assert_view(&lane.view, worker);
        if (!lane.view.oldest)
            assert_false(is_due()); /* L2 */
        return;
    }
    if (worker->asleep || one_in(5))
        new_turn(worker);
    else if (one_in(10))
        refresh(worker);
    else
        follow_step(worker, &worker->readers[rng_below(&rng, readers_max)]);
    assert_view(&worker->follower.view, worker);
}

static void catch_up(struct worker *worker)
{
    if (worker->asleep)
        new_turn(worker);
    for (size_t i = 0; i < READERS; i++) {
        struct reader *reader = &worker->readers[i];

        while (reader->state == ASKING || reader->state == ANSWERED)
            follow_step(worker, reader);
    }
    refresh(worker);
    for (size_t i = 0; i < READERS; i++) {
        struct reader *reader = &worker->readers[i];

        while (reader->state == READING &&
               (reader->span.segment ||
                reader->cursor.position < head().position)) {
            send_some(worker, reader, SIZE_MAX);
            if (!reader->span.segment && worker == &workers[OWNER])
                own_take(reader);
            else if (!reader->span.segment)
                follow_take(worker, reader);
        }
    }
}

/* Where all have caught up, and had a turn since, nothing is kept. */
static void all_catch_up(void)
{
    for (size_t w = WORKERS; w-- > 0;)
        catch_up(&workers[w]);
    while (is_due()) { /* a join came with a notice */
        for (size_t w = WORKERS; w-- > 0;)
            catch_up(&workers[w]);
    }
    lane_cancel(&lane, &memory.store);
    settle();
    assert_null(lane.view.oldest);
    for (int i = 0; i < 3; i++) {
        reclaim();
        for (size_t w = 0; w < WORKERS; w++) {
            end_turn(&workers[w]);
            turns_announce(&turns, (uint32_t)w);
        }
    }
    assert_int_equal(memory.store.retired_bytes, 0);
    assert_int_equal(memory.store.detached_bytes, 0);
}

static void all_leave(void)
{
    for (size_t w = 0; w < WORKERS; w++) {
        for (size_t i = 0; i < READERS; i++) {
            struct reader *reader = &workers[w].readers[i];

            if (reader->state == AWAY)
                continue;
            end(&workers[w], reader);
            if (w == OWNER)
                lane_leave(&lane, &memory.store, reader->cursor);
            else
                follower_leave(&workers[w].follower, reader->cursor);
        }
    }
}

static void open_lane(uint64_t seed)
{
    static const uint64_t windows[] = {1, 100, 1000, 4096, 64 * KIB};

    rng.state = seed;
    window_bytes = windows[seed % 5];
    record_bytes_max =
        (size_t[]){1, 100, 2000, 2 * window_bytes}[rng_below(&rng, 4)];
    readers_max = rng_magnitude(&rng, READERS);
    is_quiet = false;
    memory_open(&memory, window_bytes);
    turns_init(&turns, WORKERS);
    lane_init(&lane, seed);
    assert_true(lane_share(&lane, &memory.store, window_bytes));
    memset(workers, 0, sizeof(workers));
    for (uint32_t w = 0; w < WORKERS; w++) {
        follower_init(&workers[w].follower, w);
        turns_online(&turns, w);
    }
    places[0] = lane_head(&lane);
    place_count = 1;
    floor_position = 0;
}

static void run_history(uint64_t seed)
{
    seed_begin(seed);
    open_lane(seed);
    for (int i = 0; i < STEPS; i++) {
        step();
        if (one_in(300))
            all_catch_up();
    }
    all_catch_up();
    all_leave();
    settle();
    assert_false(lane_is_read(&lane));
    lane_release(&lane, &memory.store);
    memory_close(&memory);
    seed_end();
}

static void test_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < RUNS; seed++)
        run_history(seed);
    assert_true(happened.received > 10000);
    assert_true(happened.missed > 10000);
    assert_true(happened.kept > 1000);
    assert_true(happened.slept > 1000);
    assert_true(happened.tails > 500);
    assert_true(happened.freed > 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_histories, seed_say),
    };

    seed_catch_abort();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
