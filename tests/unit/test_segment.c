/*
 * Segments and spans: what fits, where records end, what is sent however short
 * the sends are, and how long what is held lives.
 */
#include "common/buffer/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_segments.h"

#define HEADER_BYTES offsetof(struct segment, data)
#define MARK_BYTES sizeof(struct mark)
#define RECORDS_MAX 5000

static struct memory memory;

static int memory_setup(void **state)
{
    (void)state;
    memory_open(&memory, MIB);
    return 0;
}

static int memory_teardown(void **state)
{
    (void)state;
    memory_close(&memory);
    return 0;
}

static struct segment *create(enum segment_grade grade, uint32_t length)
{
    struct segment *segment = segment_create(&memory.store, grade, length);

    assert_non_null(segment);
    return segment;
}

/* A record of the test's log, which the segment's data continue. */
static void append(struct segment *segment, uint32_t length)
{
    assert_true(segment_fits(segment, length));
    pattern_write(segment->data + segment->used, segment->start + segment->used,
                  length);
    segment_commit(segment, length, RECORD_MESSAGE);
}

/* Two neighbours with one record each. */
static struct segment *create_pair(uint32_t first, uint32_t second)
{
    struct segment *segment = create(SEGMENT_SMALL, first);

    append(segment, first);
    segment->next = create(SEGMENT_SMALL, second);
    segment->next->start = first;
    append(segment->next, second);
    return segment;
}

static void detach_pair(struct segment *segment)
{
    segment_detach(&memory.store, segment->next);
    segment_detach(&memory.store, segment);
}

/* -- segments -- */

/* The smallest grade from `grade` on that the first record fits in. */
static void assert_grade(enum segment_grade grade, size_t total)
{
    static const size_t totals[] = {512, 4096, MIB / 8};
    struct segment *segment =
        create(grade, (uint32_t)(total - HEADER_BYTES - MARK_BYTES));

    while (grade < SEGMENT_EXACT && totals[grade] < total)
        grade++;
    assert_int_equal(segment->grade, grade);
    if (grade < SEGMENT_EXACT)
        total = totals[grade];
    assert_int_equal(segment->size + HEADER_BYTES, (total + 15) / 16 * 16);
    assert_true(segment_fits(segment, segment->size - (uint32_t)MARK_BYTES));
    assert_false(
        segment_fits(segment, segment->size - (uint32_t)MARK_BYTES + 1));
    segment_detach(&memory.store, segment);
}

static void test_grades(void **state)
{
    static const size_t around[] = {512, 4096, MIB / 8, MIB};

    (void)state;
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        for (int grade = SEGMENT_SMALL; grade <= SEGMENT_EXACT; grade++) {
            for (size_t total = around[i] - 20; total <= around[i] + 20;
                 total++)
                assert_grade((enum segment_grade)grade, total);
        }
    }
}

/* A large one is an eighth of the window, from 4 KiB to 1 MiB. */
static void test_large_follows_the_window(void **state)
{
    static const struct {
        uint64_t window, large;
    } cases[] = {
        {0, 4096},      {1, 4096},      {32768, 4096},
        {32776, 4096},  {32896, 4112},  {MIB, MIB / 8},
        {8 * MIB, MIB}, {9 * MIB, MIB}, {UINT64_MAX, MIB},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct memory other;

        memory_open(&other, cases[i].window);
        assert_int_equal(other.store.large_bytes, cases[i].large);
        memory_close(&other);
    }
}

static void test_new_is_empty(void **state)
{
    struct segment *segment = create(SEGMENT_SMALL, 1);

    (void)state;
    assert_null(segment->next);
    assert_int_equal(segment->used, 0);
    assert_int_equal(segment_mark(segment, 0).end, 0);
    assert_int_equal(segment_mark(segment, 0).messages, 0);
    assert_int_equal(segment_records_within(segment, 0), 0);
    assert_int_equal(segment_records_within(segment, UINT32_MAX), 0);
    segment_detach(&memory.store, segment);
}

/* Appends records of up to `most` bytes until none fits; their ends and
 * messages are kept in `marks`. Returns how many. */
static uint32_t fill(struct segment *segment, struct rng *rng, size_t most,
                     struct mark *marks)
{
    uint32_t count = 0;
    struct mark last = {0};

    while (segment_fits(segment, 1)) {
        size_t room = segment->size - last.end - (count + 1) * MARK_BYTES;
        uint32_t length =
            (uint32_t)(1 + rng_below(rng, room < most ? room : most));
        bool message = rng_below(rng, 3) > 0;

        assert_true(segment_fits(segment, (uint32_t)room));
        assert_false(segment_fits(segment, (uint32_t)room + 1));
        pattern_write(segment->data + last.end, last.end, length);
        segment_commit(segment, length,
                       message ? RECORD_MESSAGE : RECORD_NOTICE);
        last.end += length;
        last.messages += message;
        assert_true(count < RECORDS_MAX);
        marks[count++] = last;
        assert_int_equal(segment->used, last.end);
    }
    return count;
}

static void assert_marks(const struct segment *segment,
                         const struct mark *marks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct mark mark = segment_mark(segment, i + 1);

        assert_int_equal(mark.end, marks[i].end);
        assert_int_equal(mark.messages, marks[i].messages);
    }
}

static void assert_records_within(const struct segment *segment,
                                  const struct mark *marks, uint32_t count)
{
    uint32_t within = 0;

    for (uint32_t offset = 0; offset <= segment->size + 1; offset++) {
        while (within < count && marks[within].end <= offset)
            within++;
        assert_int_equal(segment_records_within(segment, offset), within);
    }
    assert_int_equal(segment_records_within(segment, UINT32_MAX), count);
}

/* Marks and data grow towards each other and never meet. */
static void test_filled_to_the_last_byte(void **state)
{
    static struct mark marks[RECORDS_MAX];
    static const size_t most[] = {1, 2, 7, 60, 1000, 100000};
    struct rng rng = {1};

    (void)state;
    for (int turn = 0; turn < 60; turn++) {
        struct segment *segment =
            create((enum segment_grade)(turn % (SEGMENT_EXACT + 1)), 10000);
        uint32_t count;

        if (turn % 2 == 0) {
            segment_detach(&memory.store, segment);
            segment = create((enum segment_grade)(turn / 2 % 2), 1);
        }
        count = fill(segment, &rng, most[rng_below(&rng, 3) + 3], marks);
        assert_marks(segment, marks, count);
        assert_records_within(segment, marks, count);
        assert_true(pattern_matches(segment->data, 0, segment->used));
        segment_detach(&memory.store, segment);
        segment = create(SEGMENT_MEDIUM, 1);
        count = fill(segment, &rng, most[turn % 6], marks);
        assert_marks(segment, marks, count);
        assert_records_within(segment, marks, count);
        segment_detach(&memory.store, segment);
    }
}

static void test_failure(void **state)
{
    static const uint32_t lengths[] = {1, 1000, 100000, 1000000};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint64_t before = memory_used(&memory);

        alloc_fail_at(1);
        assert_null(segment_create(&memory.store, SEGMENT_SMALL, lengths[i]));
        alloc_fail_at(0);
        memory.budget.limit_bytes = before + 511;
        assert_null(segment_create(&memory.store, SEGMENT_SMALL, lengths[i]));
        memory.budget.limit_bytes = UINT64_MAX;
        assert_int_equal(memory_used(&memory), before);
    }
}

/* A few large ones are kept for the next time, and no more than a few. */
static void test_large_are_cached(void **state)
{
    struct segment *segments[20];
    unsigned long before;

    (void)state;
    for (size_t i = 0; i < 20; i++)
        segments[i] = create(SEGMENT_LARGE, 1);
    assert_int_equal(memory_used(&memory), 20 * MIB / 8);
    for (size_t i = 0; i < 20; i++)
        segment_detach(&memory.store, segments[i]);
    assert_int_equal(memory_used(&memory), 8 * MIB / 8);
    before = alloc_count();
    for (size_t i = 0; i < 8; i++)
        segments[i] = create(SEGMENT_LARGE, 1);
    assert_int_equal(alloc_count(), before);
    segments[8] = create(SEGMENT_LARGE, 1);
    assert_int_equal(alloc_count(), before + 1);
    for (size_t i = 0; i < 9; i++)
        segment_detach(&memory.store, segments[i]);
    assert_int_equal(memory_used(&memory), 8 * MIB / 8);
}

/* -- spans -- */

/* Sends `length` bytes from `from` on, at most `step` at a time. */
static void send_in_steps(struct segment *segment, uint32_t from,
                          uint32_t length, uint32_t step)
{
    struct span span = {.segment = NULL};
    uint64_t position = segment->start + from;

    span_begin(&span, segment, from, length);
    for (uint32_t left = length; left > 0;) {
        uint32_t sent = step < left ? step : left;

        assert_int_equal(span.left, left);
        assert_int_equal(assert_span(&span, position), left);
        span_advance(&span, &memory.store, sent);
        position += sent;
        left -= sent;
    }
    assert_null(span.segment);
    assert_int_equal(span_vectors(&span, &(struct iovec){NULL, 0}, 1), 0);
    assert_int_equal(segment->holds, 0);
}

/* Every part of two segments, with sends of every length. */
static void test_every_short_send(void **state)
{
    struct segment *segment = create_pair(30, 20);

    (void)state;
    for (uint32_t from = 0; from < 30; from++) {
        for (uint32_t length = 1; from + length <= 50; length++) {
            for (uint32_t step = 1; step <= length; step++)
                send_in_steps(segment, from, length, step);
        }
    }
    assert_int_equal(segment->next->holds, 0);
    detach_pair(segment);
}

/* A send of nothing changes nothing. */
static void test_nothing_sent(void **state)
{
    struct segment *segment = create_pair(10, 10);
    struct span span = {.segment = NULL};

    (void)state;
    span_advance(&span, &memory.store, 0);
    span_drop(&span, &memory.store);
    span_begin(&span, segment, 4, 10);
    for (uint64_t position = 4; position < 14; position++) {
        span_advance(&span, &memory.store, 0);
        assert_int_equal(assert_span(&span, position), 14 - position);
        span_advance(&span, &memory.store, 1);
    }
    assert_null(span.segment);
    detach_pair(segment);
}

/* However much is left, one call offers no more than a turn's bytes. */
static void test_large_span(void **state)
{
    static const uint32_t firsts[] = {1000, SPAN_BYTES_MAX - 1, SPAN_BYTES_MAX,
                                      SPAN_BYTES_MAX + 1, 200000};

    (void)state;
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        struct segment *segment = create_pair(firsts[i], 300000);
        struct span span = {.segment = NULL};
        uint64_t position = 0, end = firsts[i] + UINT64_C(300000);

        span_begin(&span, segment, 0, (uint32_t)end);
        while (position < end) {
            size_t sent = assert_span(&span, position);

            assert_true(sent <= SPAN_BYTES_MAX);
            span_advance(&span, &memory.store, sent);
            position += sent;
        }
        assert_null(span.segment);
        detach_pair(segment);
    }
}

/* What is appended to a held segment later is not of the span. */
static void test_segment_grows_while_held(void **state)
{
    struct segment *segment = create(SEGMENT_SMALL, 1);
    struct span span = {.segment = NULL};

    (void)state;
    append(segment, 20);
    span_begin(&span, segment, 5, 15);
    append(segment, 30);
    assert_int_equal(assert_span(&span, 5), 15);
    span_advance(&span, &memory.store, 5);
    append(segment, 1);
    assert_int_equal(assert_span(&span, 10), 10);
    span_advance(&span, &memory.store, 10);
    assert_null(span.segment);
    segment_detach(&memory.store, segment);
}

/* -- holds -- */

static void test_holds_go_as_segments_are_passed(void **state)
{
    struct segment *segment = create_pair(10, 10);
    struct segment *next = segment->next;
    struct span span = {.segment = NULL};

    (void)state;
    span_begin(&span, segment, 5, 15);
    assert_int_equal(segment->holds, 1);
    assert_int_equal(next->holds, 1);
    span_advance(&span, &memory.store, 4);
    assert_int_equal(segment->holds, 1);
    span_advance(&span, &memory.store, 1);
    assert_int_equal(segment->holds, 0);
    assert_int_equal(next->holds, 1);
    span_advance(&span, &memory.store, 10);
    assert_int_equal(next->holds, 0);
    detach_pair(segment);
}

static void test_detached_lives_while_held(void **state)
{
    struct segment *segment = create_pair(10, 10);
    uint32_t size = segment->size;
    struct span span = {.segment = NULL};

    (void)state;
    assert_false(span_is_detached(&span));
    span_begin(&span, segment, 0, 20);
    assert_false(span_is_detached(&span));
    detach_pair(segment);
    assert_true(span_is_detached(&span));
    assert_int_equal(memory.store.detached_bytes, 2 * size);
    assert_int_equal(memory.store.small.objects, 2);
    assert_int_equal(assert_span(&span, 0), 20);
    span_advance(&span, &memory.store, 10);
    assert_int_equal(memory.store.detached_bytes, size);
    assert_int_equal(memory.store.small.objects, 1);
    assert_int_equal(assert_span(&span, 10), 10);
    assert_true(span_is_detached(&span));
    span_advance(&span, &memory.store, 10);
    assert_false(span_is_detached(&span));
    assert_int_equal(memory.store.small.objects, 0);
}

static void test_last_of_two_holders_frees(void **state)
{
    struct segment *segment = create_pair(10, 10);
    struct span one = {.segment = NULL}, two = {.segment = NULL};

    (void)state;
    span_begin(&one, segment, 0, 20);
    span_begin(&two, segment, 5, 10);
    assert_int_equal(segment->holds, 2);
    detach_pair(segment);
    span_drop(&one, &memory.store);
    assert_null(one.segment);
    assert_int_equal(memory.store.small.objects, 2);
    assert_int_equal(assert_span(&two, 5), 10);
    span_advance(&two, &memory.store, 7);
    assert_int_equal(memory.store.small.objects, 1);
    span_drop(&two, &memory.store);
    assert_int_equal(memory.store.small.objects, 0);
    assert_int_equal(memory.store.detached_bytes, 0);
}

/* Given up at each byte, detached or not, of each grade. */
static void drop_at(uint32_t first, uint32_t second, uint32_t sent,
                    bool detached)
{
    struct segment *segment = create_pair(first, second);
    struct span span = {.segment = NULL};

    span_begin(&span, segment, 0, first + second);
    span_advance(&span, &memory.store, sent);
    if (sent < first) {
        if (detached)
            detach_pair(segment);
        span_drop(&span, &memory.store);
        if (!detached)
            detach_pair(segment);
    } else {
        detach_pair(segment);
        span_drop(&span, &memory.store);
    }
    assert_null(span.segment);
    assert_int_equal(memory.store.detached_bytes, 0);
    assert_int_equal(memory.store.small.objects, 0);
    assert_int_equal(memory.store.medium.objects, 0);
}

static void test_drop(void **state)
{
    static const uint32_t lengths[] = {20, 1000, 10000, 200000};

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        uint32_t first = lengths[i / 4], second = lengths[i % 4];

        for (uint32_t sent = 0; sent <= first + second;
             sent += 1 + (first + second) / 41) {
            drop_at(first, second, sent, false);
            drop_at(first, second, sent, true);
        }
    }
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, memory_setup, memory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_grades),
        TEST(test_large_follows_the_window),
        TEST(test_new_is_empty),
        TEST(test_filled_to_the_last_byte),
        TEST(test_failure),
        TEST(test_large_are_cached),
        TEST(test_every_short_send),
        TEST(test_nothing_sent),
        TEST(test_large_span),
        TEST(test_segment_grows_while_held),
        TEST(test_holds_go_as_segments_are_passed),
        TEST(test_detached_lives_while_held),
        TEST(test_last_of_two_holders_frees),
        TEST(test_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
