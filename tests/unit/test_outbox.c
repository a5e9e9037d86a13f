/*
 * Outboxes: first in, first out, in whole records, whatever their sizes and
 * however they are sent.
 */
#include "common/buffer/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_segments.h"

#define RECORDS_MAX 4096

static struct memory memory;

/* An outbox, and what was put into it and sent from it. */
static struct outbox outbox;
static struct span span;
static uint64_t head, sent;
static uint64_t ends[RECORDS_MAX]; /* of the records, from the first on */
static size_t records;

static int outbox_setup(void **state)
{
    (void)state;
    memory_open(&memory, MIB);
    outbox = (struct outbox){.bytes = 0};
    span = (struct span){.segment = NULL};
    head = sent = 0;
    records = 0;
    return 0;
}

static int outbox_teardown(void **state)
{
    (void)state;
    assert_int_equal(outbox.bytes, 0);
    assert_null(outbox.last);
    memory_close(&memory);
    return 0;
}

static void put(uint32_t length)
{
    unsigned char *out = outbox_reserve(&outbox, &memory.store, length);

    assert_non_null(out);
    pattern_write(out, head, length);
    outbox_commit(&outbox, length);
    head += length;
    assert_true(records < RECORDS_MAX);
    ends[records++] = head;
}

static bool is_record_end(uint64_t position)
{
    for (size_t i = 0; i < records; i++) {
        if (ends[i] == position)
            return true;
    }
    return false;
}

/* Begins the next span: whole records, the oldest not sent yet. */
static void take(void)
{
    uint64_t before = outbox.bytes;

    outbox_take(&outbox, &memory.store, &span);
    assert_int_equal(before - outbox.bytes, span.left);
    assert_true(is_record_end(sent + span.left));
    assert_true(span.left <= SPAN_BYTES_MAX || span.left == span.segment->used);
}

static void send_at_most(size_t most)
{
    size_t offered = assert_span(&span, sent);
    size_t length = offered < most ? offered : most;

    span_advance(&span, &memory.store, length);
    sent += length;
}

static void take_and_send(void)
{
    take();
    while (span.segment)
        send_at_most(SIZE_MAX);
}

/* ---- Tests -------------------------------------------------------------- */

static void test_one_record(void **state)
{
    (void)state;
    put(10);
    assert_int_equal(outbox.bytes, 10);
    take();
    assert_int_equal(outbox.bytes, 0);
    assert_null(outbox.last);
    /* By its hold alone. */
    assert_int_equal(memory.store.small.objects, 1);
    send_at_most(9);
    send_at_most(1);
    assert_null(span.segment);
    assert_int_equal(sent, head);
}

/* What comes while a span is being sent comes after it. */
static void test_put_while_sending(void **state)
{
    (void)state;
    put(10);
    take();
    put(20);
    send_at_most(5);
    put(30);
    send_at_most(5);
    assert_null(span.segment);
    assert_int_equal(outbox.bytes, 50);
    take_and_send();
    assert_int_equal(sent, head);
}

/* One that is larger than a turn goes alone, and whole. */
static void test_large_records(void **state)
{
    static const uint32_t lengths[] = {
        SPAN_BYTES_MAX - 1, SPAN_BYTES_MAX, SPAN_BYTES_MAX + 1, 1000000, 1, 1};

    (void)state;
    for (size_t i = 0; i < 36; i++) {
        put(lengths[i / 6]);
        put(lengths[i % 6]);
        while (outbox.bytes > 0)
            take_and_send();
        assert_int_equal(sent, head);
    }
}

/* Two segments go together if they make no more than a turn. */
static void test_two_segments(void **state)
{
    (void)state;
    put(400);
    put(SPAN_BYTES_MAX - 400);
    take();
    assert_int_equal(span.left, SPAN_BYTES_MAX);
    span_drop(&span, &memory.store);
    sent = head;
    put(400);
    put(SPAN_BYTES_MAX - 399);
    take();
    assert_int_equal(span.left, 400);
    send_at_most(400);
    take_and_send();
    assert_int_equal(sent, head);
}

/* A reservation that is made again, of whatever length, holds the record. */
static void test_reserved_again(void **state)
{
    (void)state;
    assert_non_null(outbox_reserve(&outbox, &memory.store, 100));
    assert_non_null(outbox_reserve(&outbox, &memory.store, 10));
    put(20);
    assert_non_null(outbox_reserve(&outbox, &memory.store, 400));
    put(30);
    take_and_send();
    assert_int_equal(sent, head);
}

static void test_drop(void **state)
{
    (void)state;
    outbox_drop(&outbox, &memory.store);
    for (int i = 0; i < 100; i++)
        put(1000);
    take();
    outbox_drop(&outbox, &memory.store);
    assert_int_equal(outbox.bytes, 0);
    send_at_most(10);
    send_at_most(1500);
    span_drop(&span, &memory.store);
}

/* Without memory nothing is put, and nothing is lost. */
static void test_failure(void **state)
{
    /* None fits behind the one before it. */
    static const uint32_t lengths[] = {100, 5000, 200000, 1000000};

    (void)state;
    alloc_fail_at(1);
    assert_null(outbox_reserve(&outbox, &memory.store, 10));
    assert_null(outbox.last);
    alloc_fail_at(0);
    put(400);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint32_t length = lengths[i];
        uint64_t before = memory_used(&memory);

        alloc_fail_at(1);
        assert_null(outbox_reserve(&outbox, &memory.store, length));
        alloc_fail_at(0);
        memory.budget.limit_bytes = before + 99;
        assert_null(outbox_reserve(&outbox, &memory.store, length));
        memory.budget.limit_bytes = UINT64_MAX;
        assert_int_equal(memory_used(&memory), before);
        assert_int_equal(outbox.bytes, head);
        put(length);
    }
    while (outbox.bytes > 0)
        take_and_send();
    assert_int_equal(sent, head);
}

/* One thing of those that can happen. */
static void step(struct rng *rng, size_t length_max)
{
    size_t chosen = rng_below(rng, 10);

    if (chosen < 4 && records < RECORDS_MAX)
        put((uint32_t)rng_magnitude(rng, length_max));
    else if (chosen < 5 && !span.segment && outbox.bytes > 0)
        take();
    else if (span.segment)
        send_at_most(rng_magnitude(rng, 2 * SPAN_BYTES_MAX));
    assert_int_equal(head - sent, outbox.bytes + span.left);
}

static void test_any_order(void **state)
{
    static const size_t lengths_max[] = {1, 10, 100, 3000, 100000};

    for (uint64_t seed = 0; seed < 50; seed++) {
        struct rng rng = {seed};

        outbox_setup(state);
        for (int i = 0; i < 4000; i++)
            step(&rng, lengths_max[seed % 5]);
        if (seed % 2 == 0) {
            span_drop(&span, &memory.store);
            outbox_drop(&outbox, &memory.store);
        }
        while (span.segment)
            send_at_most(SIZE_MAX);
        while (outbox.bytes > 0)
            take_and_send();
        if (seed % 2 == 1)
            assert_int_equal(sent, head);
        outbox_teardown(state);
    }
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, outbox_setup, outbox_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_record),     TEST(test_put_while_sending),
        TEST(test_large_records),  TEST(test_two_segments),
        TEST(test_reserved_again), TEST(test_drop),
        TEST(test_failure),        cmocka_unit_test(test_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
