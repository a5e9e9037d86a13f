/*
 * The queue of one thread that plays both sides: what fits and where, what is
 * seen and when, at every place of the ring; and any order of all that can be
 * done with it, against a list of records. What two threads make of it at once
 * is tests/litmus'.
 */
#include "common/shard/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"

#include <string.h>

#define HEADER_BYTES 8
#define CAPACITY 256

static struct budget budget;
static struct queue queue;

static void queue_open(size_t capacity)
{
    budget_init(&budget, UINT64_MAX);
    assert_true(queue_init(&queue, &budget, capacity));
    assert_int_equal(atomic_load(&budget.used_bytes), capacity);
}

static void queue_close(void)
{
    queue_release(&queue);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
}

/* What a record of this length takes. */
static size_t taken(size_t length)
{
    return HEADER_BYTES + (length + 7) / 8 * 8;
}

/* The bytes of a record all follow from its number. */
static unsigned char byte_of(uint64_t number, size_t index)
{
    return (unsigned char)(number * 37 + number / 256 + index);
}

/* False if it is full. */
static bool push(uint64_t number, size_t length)
{
    unsigned char *bytes = queue_reserve(&queue, length);

    if (!bytes)
        return false;
    assert_int_equal((uintptr_t)bytes % 8, 0);
    for (size_t i = 0; i < length; i++)
        bytes[i] = byte_of(number, i);
    queue_commit(&queue);
    return true;
}

static void assert_next(uint64_t number, size_t length)
{
    size_t seen = SIZE_MAX;
    const unsigned char *bytes = queue_peek(&queue, &seen);

    assert_non_null(bytes);
    assert_int_equal(seen, length);
    assert_int_equal((uintptr_t)bytes % 8, 0);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(bytes[i], byte_of(number, i));
}

static void assert_empty(void)
{
    size_t length = 0;

    assert_null(queue_peek(&queue, &length));
}

static void pop(uint64_t number, size_t length)
{
    assert_next(number, length);
    queue_pop(&queue);
}

/* There and back again, by records without bytes: both sides stand at this
 * offset of the ring. */
static void go_to(size_t offset)
{
    while (queue_position(&queue) % queue.capacity != offset) {
        assert_true(push(0, 0));
        queue_publish(&queue);
        pop(0, 0);
        queue_consumed(&queue);
    }
}

/* ---- Memory ------------------------------------------------------------- */

static void test_refused(void **state)
{
    (void)state;
    budget_init(&budget, CAPACITY - 1);
    assert_false(queue_init(&queue, &budget, CAPACITY));
    budget_init(&budget, UINT64_MAX);
    alloc_fail_at(1);
    assert_false(queue_init(&queue, &budget, CAPACITY));
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
    queue_open(CAPACITY);
    queue_close();
}

/* What either side writes is on no cache line of the other's, nor of the
 * next queue's. */
static void test_cache_lines(void **state)
{
    static const size_t offsets[] = {
        offsetof(struct queue, ring),      offsetof(struct queue, written),
        offsetof(struct queue, published), offsetof(struct queue, read),
        offsetof(struct queue, consumed),  sizeof(struct queue),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
        assert_int_equal(offsets[i], i * CACHE_LINE_BYTES);
}

/* ---- Who sees what ------------------------------------------------------ */

static void test_new_is_empty(void **state)
{
    (void)state;
    queue_open(CAPACITY);
    assert_empty();
    assert_int_equal(queue_position(&queue), 0);
    assert_int_equal(queue_consumed_position(&queue), 0);
    queue_publish(&queue);
    queue_consumed(&queue);
    assert_empty();
    assert_int_equal(queue_position(&queue), 0);
    queue_close();
}

static void test_unpublished_is_invisible(void **state)
{
    (void)state;
    queue_open(CAPACITY);
    assert_non_null(queue_reserve(&queue, 5));
    queue_publish(&queue);
    assert_empty();
    assert_true(push(1, 5));
    assert_true(push(2, 0));
    assert_empty();
    assert_int_equal(queue_position(&queue), 0);
    queue_publish(&queue);
    assert_int_equal(queue_position(&queue), taken(5) + taken(0));
    assert_true(push(3, 9));
    pop(1, 5);
    pop(2, 0);
    assert_empty();
    queue_publish(&queue);
    pop(3, 9);
    assert_empty();
    queue_close();
}

/* To look twice is no more than to look once. */
static void test_peek_stays(void **state)
{
    (void)state;
    queue_open(CAPACITY);
    assert_true(push(1, 3));
    assert_true(push(2, 4));
    queue_publish(&queue);
    assert_next(1, 3);
    assert_next(1, 3);
    queue_pop(&queue);
    assert_next(2, 4);
    assert_next(2, 4);
    queue_close();
}

/* What was reserved last counts, and nothing that was not committed. */
static void test_reserved_again(void **state)
{
    (void)state;
    queue_open(CAPACITY);
    for (size_t offset = 0; offset < CAPACITY; offset += 8) {
        go_to(offset);
        assert_non_null(queue_reserve(&queue, CAPACITY / 4));
        assert_non_null(queue_reserve(&queue, 1));
        assert_true(push(7, 20));
        assert_non_null(queue_reserve(&queue, 40));
        queue_publish(&queue);
        pop(7, 20);
        assert_empty();
        queue_consumed(&queue);
    }
    queue_close();
}

static void test_receipt(void **state)
{
    uint64_t first, second;

    (void)state;
    queue_open(CAPACITY);
    assert_true(push(1, 10));
    queue_publish(&queue);
    first = queue_position(&queue);
    assert_true(push(2, 10));
    queue_publish(&queue);
    second = queue_position(&queue);
    assert_true(first < second);
    pop(1, 10);
    assert_int_equal(queue_consumed_position(&queue), 0);
    queue_consumed(&queue);
    assert_int_equal(queue_consumed_position(&queue), first);
    assert_next(2, 10);
    queue_consumed(&queue);
    assert_int_equal(queue_consumed_position(&queue), first);
    queue_pop(&queue);
    queue_consumed(&queue);
    assert_int_equal(queue_consumed_position(&queue), second);
    queue_close();
}

/* The receipt for a record behind a padding is for all of it. */
static void test_receipt_at_every_offset(void **state)
{
    (void)state;
    queue_open(CAPACITY);
    for (size_t offset = 0; offset < CAPACITY; offset += 8) {
        go_to(offset);
        assert_true(push(1, CAPACITY / 4));
        queue_publish(&queue);
        assert_next(1, CAPACITY / 4);
        queue_consumed(&queue);
        assert_true(queue_consumed_position(&queue) < queue_position(&queue));
        queue_pop(&queue);
        queue_consumed(&queue);
        assert_int_equal(queue_consumed_position(&queue),
                         queue_position(&queue));
    }
    queue_close();
}

/* ---- What fits ---------------------------------------------------------- */

/* The largest record goes through an empty queue of any size, wherever it
 * stands. */
static void test_largest_record(void **state)
{
    (void)state;
    for (size_t capacity = QUEUE_BYTES_MIN; capacity <= 4096; capacity *= 2) {
        queue_open(capacity);
        assert_int_equal(queue_record_max(&queue), capacity / 4);
        for (size_t offset = 0; offset < capacity; offset += 8) {
            go_to(offset);
            assert_true(push(offset, capacity / 4));
            queue_publish(&queue);
            pop(offset, capacity / 4);
            assert_empty();
            queue_consumed(&queue);
        }
        queue_close();
    }
}

/* Pushes one record after the other until none fits; returns how many. */
static uint64_t fill(size_t length)
{
    uint64_t count = 0;

    while (push(count, length))
        count++;
    return count;
}

/* From every offset, with records of every length: as many as fit do, and one
 * more when there is room for it again. */
static void test_full_at_every_offset(void **state)
{
    (void)state;
    queue_open(CAPACITY);
    for (size_t length = 0; length <= CAPACITY / 4; length++) {
        for (size_t offset = 0; offset < CAPACITY; offset += 8) {
            size_t before = (CAPACITY - offset) / taken(length);
            size_t after = offset / taken(length);
            uint64_t count;

            go_to(offset);
            count = fill(length);
            assert_int_equal(count, before + after);
            queue_publish(&queue);
            assert_false(push(0, length));
            for (uint64_t i = 0; i < count; i++)
                pop(i, length);
            assert_empty();
            assert_false(push(0, length));
            queue_consumed(&queue);
            assert_true(push(0, length));
            queue_publish(&queue);
            pop(0, length);
            queue_consumed(&queue);
        }
    }
    queue_close();
}

/* One byte more than there is room for. */
static void test_full_by_one_byte(void **state)
{
    (void)state;
    for (size_t length = 0; length <= CAPACITY / 4; length++) {
        size_t room = CAPACITY;

        queue_open(CAPACITY);
        while (room > taken(CAPACITY / 4) + taken(length)) {
            assert_true(push(1, CAPACITY / 4));
            room -= taken(CAPACITY / 4);
        }
        while (room > taken(length)) {
            assert_true(push(2, 0));
            room -= taken(0);
        }
        if (taken(length) < taken(CAPACITY / 4))
            assert_null(queue_reserve(&queue, taken(length) - 7));
        assert_true(push(3, length));
        assert_false(push(4, 0));
        queue_close();
    }
}

/* Room is given back by the consumer's batches: so much and no more. */
static void test_consumed_unpublished_keeps_it_full(void **state)
{
    uint64_t count;

    (void)state;
    queue_open(CAPACITY);
    count = fill(8);
    assert_int_equal(count, CAPACITY / 16);
    queue_publish(&queue);
    for (uint64_t i = 0; i < count; i++) {
        pop(i, 8);
        assert_false(push(count + i, 8));
        assert_false(push(count + i, 0));
        queue_consumed(&queue);
        assert_true(push(count + i, 8));
        assert_false(push(0, 0));
    }
    assert_empty();
    queue_publish(&queue);
    for (uint64_t i = 0; i < count; i++)
        pop(count + i, 8);
    assert_empty();
    queue_close();
}

/* ---- Any order ---------------------------------------------------------- */

#define RECORDS_MAX 1024

/* What the queue should be, as a list: records up to `consumed`, `popped` and
 * `published` have come so far; all up to `written` are committed. */
struct model {
    size_t consumed, popped, published, written;
    size_t lengths[RECORDS_MAX]; /* by number, modulo */
    uint64_t ends[RECORDS_MAX];
};

static struct model model;

static uint64_t end_of(size_t count)
{
    return count > 0 ? model.ends[(count - 1) % RECORDS_MAX] : 0;
}

/* Where a record ends that is the next; a padding goes with what follows it. */
static uint64_t next_end(size_t length)
{
    uint64_t start = end_of(model.written);
    size_t left = queue.capacity - (size_t)(start % queue.capacity);

    return start + taken(length) + (taken(length) > left ? left : 0);
}

/* A padding is given back when the consumer has looked behind it, or with the
 * record before; which, says the queue. */
static bool model_has_room(uint64_t end)
{
    uint64_t consumed = queue_consumed_position(&queue);

    assert_true(consumed >= end_of(model.consumed));
    assert_true(model.consumed == model.written ||
                consumed < end_of(model.consumed + 1));
    return end - consumed <= queue.capacity;
}

static void model_push(size_t length)
{
    uint64_t end = next_end(length);
    bool fits = model_has_room(end);

    assert_int_equal(push(model.written, length), fits);
    if (!fits)
        return;
    model.lengths[model.written % RECORDS_MAX] = length;
    model.ends[model.written++ % RECORDS_MAX] = end;
    assert_true(model.written - model.consumed <= RECORDS_MAX);
}

static void model_pop(void)
{
    if (model.popped == model.published) {
        assert_empty();
        return;
    }
    pop(model.popped, model.lengths[model.popped % RECORDS_MAX]);
    model.popped++;
}

static void model_step(struct rng *rng, size_t most, bool filling)
{
    switch (rng_below(rng, 6)) {
    case 0:
        queue_publish(&queue);
        model.published = model.written;
        assert_int_equal(queue_position(&queue), end_of(model.published));
        break;
    case 1:
        queue_consumed(&queue);
        model.consumed = model.popped;
        break;
    case 2:
        model_push(rng_below(rng, most + 1));
        break;
    case 3:
        model_pop();
        break;
    default:
        if (filling)
            model_push(rng_magnitude(rng, most + 1) - 1);
        else
            model_pop();
    }
}

static void test_any_order(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (size_t capacity = QUEUE_BYTES_MIN; capacity <= 4096; capacity *= 2) {
        queue_open(capacity);
        model = (struct model){0};
        for (int turn = 0; turn < 200000; turn++)
            model_step(&rng, queue_record_max(&queue), turn / 500 % 2 == 0);
        queue_close();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cache_lines),
        cmocka_unit_test(test_new_is_empty),
        cmocka_unit_test(test_unpublished_is_invisible),
        cmocka_unit_test(test_peek_stays),
        cmocka_unit_test(test_reserved_again),
        cmocka_unit_test(test_receipt),
        cmocka_unit_test(test_receipt_at_every_offset),
        cmocka_unit_test(test_largest_record),
        cmocka_unit_test(test_full_at_every_offset),
        cmocka_unit_test(test_full_by_one_byte),
        cmocka_unit_test(test_consumed_unpublished_keeps_it_full),
        cmocka_unit_test(test_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
