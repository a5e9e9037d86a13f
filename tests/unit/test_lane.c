/*
 * Lanes. First what single calls promise; then long random histories, in which
 * readers join, read in short sends, lag, and leave, against a model that is
 * nothing but an array of the places between records.
 *
 * A record's bytes follow from its position, so what a reader is sent shows
 * where in the log it comes from.
 */
#include "common/buffer/lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_seed.h"
#include "tests/unit/support_segments.h"

#include <string.h>

#define RUNS 500
#define STEPS_MAX 1500
#define READERS_MAX 50
#define LOG_BYTES_MAX (32 * MIB)

struct reader {
    bool reading;
    bool leaving; /* reads up to `end` and no further */
    struct cursor joined, cursor, end;
    struct span span;
    uint64_t position;         /* of the next byte it is to be sent */
    uint64_t received, missed; /* messages */
};

/* The lane under test, and the model beside it. */
static struct memory memory;
static struct lane lane;
static uint64_t window_bytes;
static struct reader readers[READERS_MAX];
static struct cursor places[STEPS_MAX + 100]; /* between records */
static size_t place_count;
static bool has_message;
static uint64_t newest_message, newest_message_end;
static uint64_t floor_position; /* nothing before it is kept */

/* -- the model -- */

static struct cursor head(void)
{
    return places[place_count - 1];
}

static struct cursor first_place_from(uint64_t position)
{
    size_t low = 0, high = place_count - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (places[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return places[low];
}

static bool same_place(struct cursor a, struct cursor b)
{
    return a.position == b.position && a.seq == b.seq;
}

static bool is_place(struct cursor cursor)
{
    return same_place(cursor, first_place_from(cursor.position));
}

static uint64_t back_from_head(uint64_t bytes)
{
    return head().position > bytes ? head().position - bytes : 0;
}

/* The window's bytes, or from the newest message on while no more than the
 * window follows that. */
static uint64_t window_start(void)
{
    uint64_t start = back_from_head(window_bytes);

    if (has_message && newest_message < start && newest_message_end >= start)
        return newest_message;
    return start;
}

/* Where a reader may go on from. */
static struct cursor oldest(void)
{
    uint64_t start = window_start();

    return first_place_from(start > floor_position ? start : floor_position);
}

static uint32_t count_readers(void)
{
    uint32_t count = 0;

    for (size_t i = 0; i < READERS_MAX; i++)
        count += readers[i].reading;
    return count;
}

static uint32_t count_behind(void)
{
    uint32_t count = 0;

    for (size_t i = 0; i < READERS_MAX; i++)
        count +=
            readers[i].reading && readers[i].cursor.position < head().position;
    return count;
}

/* When all have caught up, nothing is kept. */
static void forget_read(void)
{
    if (count_behind() == 0)
        floor_position = head().position;
}

/* -- the invariants -- */

static bool nothing_wasted; /* no reservation has been given up */

/* L1; and each segment's first record did not fit behind the one before. */
static void assert_contiguous(void)
{
    uint64_t position =
        lane.view.oldest ? lane.view.oldest->start : head().position;
    const struct segment *last = NULL;

    for (struct segment *s = lane.view.oldest; s; last = s, s = s->next) {
        assert_int_equal(s->start, position);
        assert_true(is_place((struct cursor){s->start, s->seq}));
        if (last && nothing_wasted && s->records > 0)
            assert_false(segment_fits(last, segment_mark(s, 1).end));
        position += s->used;
    }
    assert_ptr_equal(last, lane.view.newest);
    assert_int_equal(position, head().position);
}

/* The window, the newest message, and the segment they begin in. */
static void assert_bounded(void)
{
    uint64_t kept = head().position - lane.view.oldest->start;
    uint64_t message = newest_message_end - newest_message;

    assert_true(kept < window_bytes + message + lane.view.oldest->used);
    if (lane.view.oldest != lane.view.newest)
        assert_true(lane.view.oldest->next->start > window_start());
}

static void assert_lane(void)
{
    struct cursor place = lane_oldest(&lane, window_bytes);

    assert_true(same_place(lane_head(&lane), head()));
    assert_int_equal(lane.view.head.seq, head().seq);
    assert_int_equal(lane.view.readers, count_readers());
    assert_int_equal(lane.view.behind, count_behind()); /* L2 */
    assert_contiguous();
    assert_int_equal(place.position, oldest().position); /* L3 */
    assert_int_equal(place.seq, oldest().seq);
    if (!lane.view.oldest)
        assert_int_equal(place.position, head().position);
    else if (lane.view.behind > 0)
        assert_bounded();
    else
        assert_int_equal(lane.view.oldest->start, head().position);
    if (nothing_wasted && lane.view.behind == 0)
        assert_null(lane.view.oldest);
}

/* -- what happens to both -- */

static void lane_open(uint64_t window, uint64_t seq)
{
    memory_open(&memory, window);
    lane_init(&lane, seq);
    window_bytes = window;
    memset(readers, 0, sizeof(readers));
    places[0] = (struct cursor){0, seq};
    place_count = 1;
    has_message = false;
    newest_message = newest_message_end = 0;
    floor_position = 0;
    nothing_wasted = true;
}

static void lane_close(void)
{
    assert_int_equal(lane.view.readers, 0);
    lane_release(&lane, &memory.store);
    memory_close(&memory);
}

/* False without memory. */
static bool append(enum record_kind kind, uint32_t length)
{
    unsigned char *out = lane_reserve(&lane, &memory.store, length);
    struct cursor place = head();

    if (!out)
        return false;
    pattern_write(out, place.position, length);
    lane_commit(&lane, &memory.store, length, kind, window_bytes);
    if (kind == RECORD_MESSAGE) {
        has_message = true;
        newest_message = place.position;
        newest_message_end = place.position + length;
        place.seq++;
    }
    place.position += length;
    assert_true(place_count < sizeof(places) / sizeof(places[0]));
    places[place_count++] = place;
    forget_read();
    return true;
}

static void join(struct reader *reader)
{
    *reader = (struct reader){.reading = true};
    reader->cursor = lane_join(&lane);
    assert_true(same_place(reader->cursor, head()));
    reader->joined = reader->cursor;
    reader->position = reader->cursor.position;
}

/* Every message since it joined has been received or counted as missed. */
static void leave(struct reader *reader)
{
    lane_leave(&lane, &memory.store, reader->cursor);
    reader->reading = false;
    assert_int_equal(reader->received + reader->missed,
                     reader->cursor.seq - reader->joined.seq);
    forget_read();
}

static struct cursor end_of(const struct reader *reader)
{
    return reader->leaving ? reader->end : head();
}

/* Tells the reader what it has missed, if anything. */
static void skip_missed(struct reader *reader)
{
    struct cursor to = lane_oldest(&lane, window_bytes);

    if (reader->cursor.position >= to.position)
        return;
    if (to.position > end_of(reader).position)
        to = end_of(reader);
    reader->missed += to.seq - reader->cursor.seq;
    lane_skip(&lane, &memory.store, &reader->cursor, to);
    reader->position = to.position;
    forget_read();
}

static bool starts_segment(uint64_t position)
{
    for (const struct segment *s = lane.view.oldest; s; s = s->next) {
        if (s->start == position)
            return true;
    }
    return false;
}

/* Whole records, and as many as a turn and two segments hold; but one, if it
 * is larger than a turn. */
static void assert_taken(struct cursor from, struct cursor to, uint64_t end)
{
    struct cursor first = first_place_from(from.position + 1);
    uint64_t length = to.position - from.position;

    assert_true(is_place(to));
    assert_true(to.position > from.position && to.position <= end);
    if (length > SPAN_BYTES_MAX)
        assert_true(same_place(to, first));
    if (to.position < end && !starts_segment(to.position))
        assert_true(first_place_from(to.position + 1).position - from.position >
                    SPAN_BYTES_MAX);
}

/* Begins the reader's next span, if there is something for it. */
static void take(struct reader *reader)
{
    struct cursor before;
    bool in_log;

    if (reader->span.segment)
        return;
    skip_missed(reader);
    before = reader->cursor;
    if (before.position >= end_of(reader).position)
        return;
    /* Once the last one has all of it, the segments are gone from the log. */
    in_log = count_behind() > 1 || reader->leaving;
    lane_take(&lane, &memory.store, &reader->cursor, end_of(reader).position,
              &reader->span);
    assert_int_equal(reader->span.left,
                     reader->cursor.position - before.position);
    if (in_log || count_behind() > 0)
        assert_taken(before, reader->cursor, end_of(reader).position);
    reader->received += reader->cursor.seq - before.seq;
    forget_read();
}

/* Sends at most `most` bytes of the span it has begun. */
static void send_some(struct reader *reader, size_t most)
{
    size_t offered;

    if (!reader->span.segment)
        return;
    offered = assert_span(&reader->span, reader->position);
    if (offered > most)
        offered = most;
    span_advance(&reader->span, &memory.store, offered);
    reader->position += offered;
}

static void finish_span(struct reader *reader)
{
    while (reader->span.segment)
        send_some(reader, SIZE_MAX);
    assert_int_equal(reader->position, reader->cursor.position);
}

static void read_all(struct reader *reader)
{
    finish_span(reader);
    while (reader->cursor.position < end_of(reader).position) {
        take(reader);
        finish_span(reader);
    }
}

static void close_reader(struct reader *reader)
{
    span_drop(&reader->span, &memory.store);
    leave(reader);
}

/* -- single promises -- */

static struct reader *const one = &readers[0], *const two = &readers[1];

static void test_new_lane(void **state)
{
    (void)state;
    lane_open(100, 41);
    assert_lane();
    assert_true(same_place(lane_head(&lane), (struct cursor){0, 41}));
    assert_false(lane_shrink(&lane, &memory.store));
    append(RECORD_MESSAGE, 10);
    assert_null(lane.view.oldest); /* nobody is there to read it */
    assert_true(same_place(lane_head(&lane), (struct cursor){10, 42}));
    assert_int_equal(memory.store.small.objects, 0);
    lane_close();
}

static void test_window_begins_between_records(void **state)
{
    (void)state;
    for (uint64_t window = 1; window <= 120; window++) {
        lane_open(window, 0);
        join(one);
        for (int i = 0; i < 10; i++) {
            append(RECORD_MESSAGE, 10);
            assert_lane();
        }
        uint64_t kept = 100 - lane_oldest(&lane, window).position;
        uint64_t expected = window / 10 * 10;
        if (expected < 10)
            expected = 10; /* the newest */
        assert_int_equal(kept, expected < 100 ? expected : 100);
        close_reader(one);
        lane_close();
    }
}

/* However large, and until as much as the window has followed it. */
static void test_newest_message_is_kept(void **state)
{
    (void)state;
    lane_open(100, 0);
    join(one);
    append(RECORD_NOTICE, 50);
    append(RECORD_MESSAGE, 1000000);
    assert_int_equal(lane_oldest(&lane, 100).position, 50);
    append(RECORD_NOTICE, 60);
    append(RECORD_NOTICE, 40);
    assert_int_equal(lane_oldest(&lane, 100).position, 50);
    assert_lane();
    append(RECORD_NOTICE, 1);
    assert_int_equal(lane_oldest(&lane, 100).position, 1000110);
    assert_lane();
    read_all(one);
    assert_int_equal(one->missed, 1);
    close_reader(one);
    lane_close();
}

/* The next message takes its place at once. */
static void test_next_message_takes_its_place(void **state)
{
    (void)state;
    lane_open(100, 0);
    join(one);
    append(RECORD_MESSAGE, 1000);
    append(RECORD_MESSAGE, 2000);
    assert_int_equal(lane_oldest(&lane, 100).position, 1000);
    append(RECORD_MESSAGE, 1);
    assert_int_equal(lane_oldest(&lane, 100).position, 3000);
    assert_lane();
    close_reader(one);
    lane_close();
}

static void test_span_ends(void **state)
{
    struct cursor end;

    (void)state;
    lane_open(MIB, 0);
    join(one);
    for (int i = 0; i < 3; i++)
        append(RECORD_MESSAGE, 10);
    end = lane_head(&lane);
    append(RECORD_MESSAGE, SPAN_BYTES_MAX);
    append(RECORD_MESSAGE, SPAN_BYTES_MAX + 1);
    append(RECORD_MESSAGE, 10);
    one->leaving = true;
    one->end = end;
    take(one);
    assert_true(same_place(one->cursor, end));
    one->leaving = false;
    for (int i = 0; i < 3; i++) {
        static const uint64_t turns[] = {SPAN_BYTES_MAX, SPAN_BYTES_MAX + 1,
                                         10};

        finish_span(one);
        take(one);
        assert_int_equal(one->span.left, turns[i]);
    }
    finish_span(one);
    close_reader(one);
    lane_close();
}

/* What the window leaves behind lives for its holder, and no longer. */
static void test_held_outlives_the_window(void **state)
{
    (void)state;
    lane_open(1000, 0);
    join(one);
    join(two);
    for (int i = 0; i < 10; i++)
        append(RECORD_MESSAGE, 100);
    take(one);
    send_some(one, 1);
    for (int i = 0; i < 100; i++)
        append(RECORD_MESSAGE, 100);
    assert_true(memory.store.detached_bytes > 0);
    read_all(two);
    finish_span(one);
    assert_int_equal(memory.store.detached_bytes, 0);
    read_all(one);
    assert_true(one->missed > 0);
    assert_null(lane.view.oldest);
    close_reader(one);
    close_reader(two);
    lane_close();
}

static void test_released_while_held(void **state)
{
    (void)state;
    lane_open(1000, 0);
    join(one);
    append(RECORD_MESSAGE, 100);
    take(one);
    leave(one);
    lane_release(&lane, &memory.store);
    assert_true(memory.store.detached_bytes > 0);
    finish_span(one);
    memory_close(&memory);
}

/* It goes whether it has read everything or nothing. */
static void test_last_one_behind_leaves(void **state)
{
    (void)state;
    lane_open(1000, 0);
    join(one);
    join(two);
    append(RECORD_MESSAGE, 100);
    read_all(two);
    assert_non_null(lane.view.oldest);
    close_reader(one);
    assert_null(lane.view.oldest);
    assert_lane();
    close_reader(two);
    lane_close();
}

static void test_shrink(void **state)
{
    (void)state;
    lane_open(MIB, 0);
    join(one);
    for (int i = 0; i < 200; i++)
        append(RECORD_MESSAGE, 100);
    while (lane_shrink(&lane, &memory.store))
        floor_position = lane.view.oldest->start;
    assert_ptr_equal(lane.view.oldest, lane.view.newest);
    assert_true(lane.view.oldest->start <= newest_message);
    assert_lane();
    read_all(one);
    assert_int_equal(one->missed + one->received, 200);
    assert_true(one->missed > 0);
    close_reader(one);
    lane_close();
}

/* Notices do not push out the message before them. */
static void test_shrink_keeps_the_newest_message(void **state)
{
    (void)state;
    lane_open(MIB, 0);
    join(one);
    append(RECORD_NOTICE, 400);
    append(RECORD_MESSAGE, 400);
    for (int i = 0; i < 200; i++)
        append(RECORD_NOTICE, 100);
    assert_true(lane_shrink(&lane, &memory.store));
    assert_int_equal(lane.view.oldest->start, newest_message);
    assert_false(lane_shrink(&lane, &memory.store));
    assert_int_equal(lane_oldest(&lane, MIB).position, newest_message);
    close_reader(one);
    lane_close();
}

static void test_reservation_costs_nothing(void **state)
{
    (void)state;
    lane_open(1000, 0);
    join(one);
    assert_non_null(lane_reserve(&lane, &memory.store, 10));
    assert_non_null(lane_reserve(&lane, &memory.store, 10000));
    nothing_wasted = false;
    assert_int_equal(lane.grade, SEGMENT_SMALL);
    assert_lane();
    append(RECORD_MESSAGE, 10);
    assert_non_null(lane_reserve(&lane, &memory.store, 100000));
    assert_lane();
    append(RECORD_MESSAGE, 20);
    read_all(one);
    assert_int_equal(one->received, 2);
    assert_null(lane.view.oldest);
    close_reader(one);
    lane_close();
}

static void test_reservation_given_up(void **state)
{
    uint64_t used;

    (void)state;
    lane_open(MIB, 0);
    join(one);
    used = memory_used(&memory);
    assert_non_null(
        lane_reserve(&lane, &memory.store, 200000 /* no cached size */));
    lane_cancel(&lane, &memory.store);
    assert_null(lane.view.oldest);
    assert_int_equal(memory_used(&memory), used);
    append(RECORD_MESSAGE, 10);
    used = memory_used(&memory);
    assert_non_null(lane_reserve(&lane, &memory.store, 200000));
    lane_cancel(&lane, &memory.store);
    lane_cancel(&lane, &memory.store);
    assert_int_equal(memory_used(&memory), used);
    assert_non_null(lane_reserve(&lane, &memory.store, 10));
    lane_cancel(&lane, &memory.store);
    assert_lane();
    append(RECORD_MESSAGE, 20);
    read_all(one);
    assert_int_equal(one->received, 2);
    close_reader(one);
    lane_close();
}

static void test_without_memory(void **state)
{
    (void)state;
    lane_open(MIB, 0);
    join(one);
    alloc_fail_at(1);
    assert_false(append(RECORD_MESSAGE, 10));
    assert_lane();
    append(RECORD_MESSAGE, 10);
    memory.budget.limit_bytes = memory_used(&memory);
    assert_false(append(RECORD_MESSAGE, 10000));
    assert_lane();
    memory.budget.limit_bytes = UINT64_MAX;
    append(RECORD_MESSAGE, 10000);
    read_all(one);
    assert_int_equal(one->received, 2);
    close_reader(one);
    lane_close();
}

/* Segments grow with what has to be kept, and shrink again. */
static void test_grades(void **state)
{
    (void)state;
    lane_open(MIB, 0);
    join(one);
    for (int i = 0; i < 400; i++)
        append(RECORD_MESSAGE, 30);
    for (const struct segment *s = lane.view.oldest; s; s = s->next) {
        if (s->next)
            assert_true(s->grade <= s->next->grade);
    }
    assert_int_equal(lane.view.oldest->grade, SEGMENT_SMALL);
    assert_int_equal(lane.view.newest->grade, SEGMENT_LARGE);
    read_all(one);
    for (int grade = SEGMENT_LARGE; grade >= SEGMENT_SMALL; grade--) {
        append(RECORD_MESSAGE, 30);
        assert_int_equal(lane.view.newest->grade, grade);
        read_all(one);
    }
    close_reader(one);
    lane_close();
}

/* -- histories -- */

/* How a history goes: what its seed makes of it. */
struct history {
    struct rng rng;
    size_t record_bytes_max;
    size_t readers_max;
    unsigned appends; /* of 100 steps */
    bool gives_up;    /* reservations, now and then */
};

/* What has happened in all of them: so that a change of their odds does not
 * leave something untested. */
static struct {
    unsigned steps, appends, failures, turns_of_one, evictions, shrinks;
    uint64_t received, missed;
} happened;

static void append_any(struct history *history)
{
    struct rng *rng = &history->rng;
    uint32_t length = (uint32_t)rng_magnitude(rng, history->record_bytes_max);
    bool message = rng_below(rng, 4) > 0;
    uint64_t limit = memory.budget.limit_bytes;

    if (history->gives_up && rng_below(rng, 10) == 0) {
        uint32_t other =
            (uint32_t)rng_magnitude(rng, history->record_bytes_max);

        assert_non_null(lane_reserve(&lane, &memory.store, other));
        nothing_wasted = false;
    }
    if (rng_below(rng, 20) == 0)
        alloc_fail_at(1);
    else if (rng_below(rng, 20) == 0) /* nor for a smaller segment */
        memory.budget.limit_bytes = memory_used(&memory);
    if (append(message ? RECORD_MESSAGE : RECORD_NOTICE, length))
        happened.appends++;
    else
        happened.failures++;
    memory.budget.limit_bytes = limit;
    alloc_fail_at(0);
}

static void shrink(void)
{
    struct segment *first = lane.view.oldest;
    bool expected =
        first != lane.view.newest &&
        (!has_message || first->start + first->used <= newest_message);

    assert_int_equal(lane_shrink(&lane, &memory.store), expected);
    if (!expected)
        return;
    happened.shrinks++;
    if (lane.view.oldest->start > floor_position)
        floor_position = lane.view.oldest->start;
}

static void end_reading(struct history *history, struct reader *reader)
{
    if (reader->leaving)
        return;
    if (rng_below(&history->rng, 2) == 0) {
        reader->leaving = true;
        reader->end = lane_head(&lane);
        return;
    }
    happened.received += reader->received;
    happened.missed += reader->missed;
    close_reader(reader);
}

/* One turn of a reader: a span, sent wholly, in part or not at all. */
static void read_some(struct history *history, struct reader *reader)
{
    struct rng *rng = &history->rng;

    take(reader);
    if (reader->span.left > SPAN_BYTES_MAX)
        happened.turns_of_one++;
    if (rng_below(rng, 2) == 0)
        send_some(reader, rng_magnitude(rng, 2 * SPAN_BYTES_MAX));
    else if (rng_below(rng, 4) > 0)
        finish_span(reader);
    if (reader->leaving && !reader->span.segment &&
        reader->cursor.position == reader->end.position)
        close_reader(reader);
}

static void all_catch_up(void)
{
    for (size_t i = 0; i < READERS_MAX; i++) {
        if (!readers[i].reading)
            continue;
        read_all(&readers[i]);
        if (readers[i].leaving)
            close_reader(&readers[i]);
    }
    assert_int_equal(lane.view.behind, 0);
    assert_int_equal(memory.store.detached_bytes, 0);
}

static void step(struct history *history)
{
    struct rng *rng = &history->rng;
    struct reader *reader = &readers[rng_below(rng, history->readers_max)];
    size_t chosen = rng_below(rng, 200);

    happened.steps++;
    if (rng_below(rng, 100) < history->appends)
        append_any(history);
    else if (chosen < 2)
        all_catch_up();
    else if (chosen < 6)
        shrink();
    else if (!reader->reading)
        join(reader);
    else if (chosen < 10)
        end_reading(history, reader);
    else
        read_some(history, reader);
    if (memory.store.detached_bytes > 0)
        happened.evictions++;
    assert_lane();
}

static struct history history_of(uint64_t seed)
{
    static const uint64_t windows[] = {1,    7,        100,       1000,
                                       4096, 64 * KIB, 256 * KIB, MIB};
    struct history history = {.rng = {seed}};
    struct rng *rng = &history.rng;
    size_t window = windows[seed % 8];

    if (rng_below(rng, 4) == 0)
        window = rng_magnitude(rng, MIB);
    size_t records[] = {1, 100, 2000, 1 + window / 4, 2 * window};
    history.record_bytes_max = records[rng_below(rng, 5)];
    history.readers_max = rng_magnitude(rng, READERS_MAX);
    history.appends = 5 + (unsigned)rng_below(rng, 75);
    history.gives_up = rng_below(rng, 2) == 0;
    lane_open(window, rng_below(rng, 1000));
    return history;
}

static void run_history(uint64_t seed)
{
    struct history history;

    seed_begin(seed);
    history = history_of(seed);
    for (int i = 0; i < STEPS_MAX && head().position < LOG_BYTES_MAX; i++)
        step(&history);
    all_catch_up();
    assert_lane();
    for (size_t i = 0; i < READERS_MAX; i++) {
        if (readers[i].reading)
            close_reader(&readers[i]);
    }
    lane_close();
    seed_end();
}

static void test_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < RUNS; seed++)
        run_history(seed);
    assert_true(happened.steps > 500000);
    assert_true(happened.appends > 100000);
    assert_true(happened.failures > 100);
    assert_true(happened.turns_of_one > 100);
    assert_true(happened.evictions > 1000);
    assert_true(happened.shrinks > 100);
    assert_true(happened.received > 10000);
    assert_true(happened.missed > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_lane),
        cmocka_unit_test(test_window_begins_between_records),
        cmocka_unit_test(test_newest_message_is_kept),
        cmocka_unit_test(test_next_message_takes_its_place),
        cmocka_unit_test(test_span_ends),
        cmocka_unit_test(test_held_outlives_the_window),
        cmocka_unit_test(test_released_while_held),
        cmocka_unit_test(test_last_one_behind_leaves),
        cmocka_unit_test(test_shrink),
        cmocka_unit_test(test_shrink_keeps_the_newest_message),
        cmocka_unit_test(test_reservation_costs_nothing),
        cmocka_unit_test(test_reservation_given_up),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_grades),
        cmocka_unit_test_teardown(test_histories, seed_say),
    };

    seed_catch_abort();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
