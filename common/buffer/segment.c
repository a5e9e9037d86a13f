/*
 * Segments and spans. Invariants:
 *
 *   S1  data before `used` and marks of `records` never change.
 *   S2  marks and data do not meet: used + records * sizeof(mark) <= size.
 *   S3  a segment is freed when it is detached and no span holds it.
 *   S4  a span's `left` bytes lie in its segment and the next one alone, and
 *       it holds each of them once, if it holds.
 *   S5  a retired segment is freed by its owner, after a grace period, when no
 *       span of whatever thread holds it. A foreign hold is taken in a turn in
 *       which the segment was found, so after the grace period none is added,
 *       and none that was is unseen.
 */
#include "common/buffer/segment.h"

#include "common/base/limits.h"
#include "common/base/poison.h"

#include <assert.h>
#include <stddef.h>

#define SMALL_BYTES 512
#define MEDIUM_BYTES (4 * KIB)
#define CACHED_LARGE_MAX 8

#define MARK_BYTES ((uint32_t)sizeof(struct mark))
#define HEADER_BYTES ((uint32_t)offsetof(struct segment, data))

_Static_assert(offsetof(struct segment, data) % _Alignof(struct mark) == 0,
               "marks are counted from an aligned end");

_Static_assert(RECORD_BYTES_MAX + MIB < UINT32_C(1) << 30,
               "an offset in a segment has the bits that a span has for it");

static uint32_t acquire(const _Atomic uint32_t *value)
{
    return atomic_load_explicit(value, memory_order_acquire);
}

void segment_store_init(struct segment_store *store, struct budget *budget,
                        uint64_t window_bytes)
{
    uint64_t large = window_bytes / 8;

    *store = (struct segment_store){.budget = budget};
    pool_init(&store->small, budget, SMALL_BYTES);
    pool_init(&store->medium, budget, MEDIUM_BYTES);
    if (large < MEDIUM_BYTES)
        large = MEDIUM_BYTES;
    if (large > MIB)
        large = MIB;
    store->large_bytes = (uint32_t)(large / 16 * 16);
}

void segment_store_release(struct segment_store *store)
{
    struct segment *segment = store->cached_large;

    while (segment) {
        struct segment *next = segment->next;

        unpoison(segment->data, store->large_bytes - HEADER_BYTES);
        budget_free(store->budget, segment, store->large_bytes);
        segment = next;
    }
    store->cached_large = NULL;
    assert(store->detached_bytes == 0);
    assert(store->retired_bytes == 0);
    pool_release(&store->small);
    pool_release(&store->medium);
}

/* The whole size of a segment of this grade, header and marks included. */
static uint32_t grade_bytes(const struct segment_store *store,
                            enum segment_grade grade)
{
    switch (grade) {
    case SEGMENT_SMALL:
        return SMALL_BYTES;
    case SEGMENT_MEDIUM:
        return MEDIUM_BYTES;
    case SEGMENT_LARGE:
    case SEGMENT_EXACT:
        break;
    }
    return store->large_bytes;
}

static struct segment *large_alloc(struct segment_store *store)
{
    struct segment *segment = store->cached_large;

    if (!segment)
        return budget_alloc(store->budget, store->large_bytes);
    store->cached_large = segment->next;
    store->cached_large_count--;
    unpoison(segment->data, store->large_bytes - HEADER_BYTES);
    return segment;
}

static struct segment *grade_alloc(struct segment_store *store,
                                   enum segment_grade grade, uint32_t bytes)
{
    switch (grade) {
    case SEGMENT_SMALL:
        return pool_alloc(&store->small);
    case SEGMENT_MEDIUM:
        return pool_alloc(&store->medium);
    case SEGMENT_LARGE:
        return large_alloc(store);
    case SEGMENT_EXACT:
        break;
    }
    return budget_alloc(store->budget, bytes);
}

struct segment *segment_create(struct segment_store *store,
                               enum segment_grade grade, uint32_t length)
{
    uint32_t least = HEADER_BYTES + length + MARK_BYTES;
    struct segment *segment;
    uint32_t bytes;

    assert(length <= RECORD_BYTES_MAX);
    while (grade < SEGMENT_EXACT && grade_bytes(store, grade) < least)
        grade++;
    bytes = grade == SEGMENT_EXACT ? (least + 15) / 16 * 16
                                   : grade_bytes(store, grade);
    segment = grade_alloc(store, grade, bytes);
    if (!segment)
        return NULL;
    segment->next = NULL;
    segment->start = 0;
    segment->seq = 0;
    segment->size = bytes - HEADER_BYTES;
    segment->grade = grade;
    segment->retired = false;
    segment->holds = 0;
    atomic_init(&segment->used, 0);
    atomic_init(&segment->records, 0);
    atomic_init(&segment->detached, false);
    atomic_init(&segment->foreign_holds, 0);
    return segment;
}

static void segment_destroy(struct segment_store *store,
                            struct segment *segment)
{
    switch (segment->grade) {
    case SEGMENT_SMALL:
        pool_free(&store->small, segment);
        return;
    case SEGMENT_MEDIUM:
        pool_free(&store->medium, segment);
        return;
    case SEGMENT_LARGE:
        if (store->cached_large_count == CACHED_LARGE_MAX)
            break;
        segment->next = store->cached_large;
        store->cached_large = segment;
        store->cached_large_count++;
        poison(segment->data, segment->size);
        return;
    case SEGMENT_EXACT:
        break;
    }
    budget_free(store->budget, segment, segment->size + HEADER_BYTES);
}

static struct mark *mark_at(const struct segment *segment, uint32_t index)
{
    struct mark *marks_end =
        (struct mark *)(void *)((unsigned char *)(uintptr_t)segment->data +
                                segment->size);

    return marks_end - 1 - index;
}

struct mark segment_mark(const struct segment *segment, uint32_t records)
{
    return records ? *mark_at(segment, records - 1) : (struct mark){0};
}

bool segment_fits(const struct segment *segment, uint32_t length)
{
    uint64_t marks = (uint64_t)MARK_BYTES * (acquire(&segment->records) + 1);

    return acquire(&segment->used) + length + marks <= segment->size;
}

void segment_commit(struct segment *segment, uint32_t length,
                    enum record_kind kind)
{
    uint32_t records = acquire(&segment->records);
    uint32_t used = acquire(&segment->used);
    struct mark last = segment_mark(segment, records);

    assert(segment_fits(segment, length)); /* S2 */
    *mark_at(segment, records) = (struct mark){
        .end = used + length,
        .messages = last.messages + (kind == RECORD_MESSAGE),
    };
    /* Publish the mark before the bytes it marks: who sees `used` finds, by
     * `records`, the mark for it. Partner: segment_records_within. */
    atomic_store_explicit(&segment->records, records + 1, memory_order_release);
    atomic_store_explicit(&segment->used, used + length, memory_order_release);
}

/* Acquire, though a follower has acquired its head: the owner may have appended
 * since, and the search looks at those marks too. Partner: segment_commit. */
uint32_t segment_records_within(const struct segment *segment, uint32_t offset)
{
    uint32_t low = 0, high = acquire(&segment->records);

    if (high > 0 && mark_at(segment, high - 1)->end <= offset)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (mark_at(segment, middle)->end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_detached(const struct segment *segment)
{
    return atomic_load_explicit(&segment->detached, memory_order_relaxed);
}

static void set_detached(struct segment *segment)
{
    assert(!is_detached(segment));
    atomic_store_explicit(&segment->detached, true, memory_order_relaxed);
}

void segment_detach(struct segment_store *store, struct segment *segment)
{
    set_detached(segment);
    if (segment->holds == 0)
        segment_destroy(store, segment);
    else
        store->detached_bytes += segment->size;
}

/* ---- Retired segments --------------------------------------------------- */

static void push_retired(struct segment_store *store, struct segment *segment)
{
    segment->retired_next = store->retired;
    store->retired = segment;
}

void segment_retire(struct segment_store *store, struct segment *segment)
{
    set_detached(segment);
    segment->retired = true;
    store->retired_bytes += segment->size;
    push_retired(store, segment);
}

static bool is_held(const struct segment *segment)
{
    return segment->holds > 0 || acquire(&segment->foreign_holds) > 0;
}

/* Their grace period is over (S5). Those still held wait for another. */
static void free_waiting(struct segment_store *store)
{
    unsigned held = 0;

    while (store->waiting && held < RETIRED_HELD_MAX) {
        struct segment *segment = store->waiting;

        store->waiting = segment->retired_next;
        if (is_held(segment)) {
            push_retired(store, segment);
            held++;
            continue;
        }
        store->retired_bytes -= segment->size;
        segment_destroy(store, segment);
    }
}

/* One grace period serves all that was retired before it began, as with the
 * batches of RCU callbacks. */
bool segment_store_reclaim(struct segment_store *store, struct turns *turns)
{
    if (store->waiting && turns_passed(turns, store->waiting_stamp))
        free_waiting(store);
    if (!store->waiting && store->retired) {
        store->waiting = store->retired;
        store->retired = NULL;
        store->waiting_stamp = turns_stamp(turns);
    }
    return store->waiting != NULL;
}

/* ---- Spans -------------------------------------------------------------- */

static void segment_hold(struct segment *segment)
{
    segment->holds++;
}

static void segment_unhold(struct segment_store *store, struct segment *segment)
{
    assert(segment->holds > 0);
    if (--segment->holds > 0 || !is_detached(segment) || segment->retired)
        return;
    store->detached_bytes -= segment->size;
    segment_destroy(store, segment); /* S3 */
}

static void segment_hold_foreign(struct segment *segment)
{
    /* The owner sees it before it frees, since we announce our next turn after
     * it (S5): relaxed. */
    atomic_fetch_add_explicit(&segment->foreign_holds, 1, memory_order_relaxed);
}

static void segment_unhold_foreign(struct segment *segment)
{
    /* Release: our reads of the bytes are over. Partner: is_held. Nothing of
     * the segment may be touched from here on. */
    uint32_t before = atomic_fetch_sub_explicit(&segment->foreign_holds, 1,
                                                memory_order_release);

    assert(before > 0);
}

/* How much of the span lies in its first segment. */
static uint32_t span_here(const struct span *span)
{
    uint32_t here = acquire(&span->segment->used) - span->from;

    return here < span->left ? here : span->left;
}

/* The second of the segments that it lies in, or NULL. */
static struct segment *span_second(const struct span *span)
{
    return span_here(span) < span->left ? span->segment->next : NULL;
}

/* `from` is within a segment, and has the bits for that. */
static void set_from(struct span *span, uint32_t from)
{
    span->from = from & ((UINT32_C(1) << 30) - 1);
}

void span_borrow(struct span *span, struct segment *segment, uint32_t from,
                 uint32_t length)
{
    uint32_t here;

    assert(!span->segment && length > 0);
    span->segment = segment;
    set_from(span, from);
    span->hold = SPAN_BORROWED;
    span->left = length;
    here = span_here(span);
    if (here == length)
        return;
    assert(segment->next);
    assert(length - here <= acquire(&segment->next->used)); /* S4 */
}

void span_hold(struct span *span)
{
    struct segment *second = span_second(span);

    assert(span->hold == SPAN_BORROWED);
    span->hold = SPAN_HELD;
    segment_hold(span->segment);
    if (second)
        segment_hold(second);
}

void span_begin(struct span *span, struct segment *segment, uint32_t from,
                uint32_t length)
{
    span_borrow(span, segment, from, length);
    span_hold(span);
}

void span_keep(struct span *span)
{
    struct segment *second;

    if (!span->segment || span->hold != SPAN_BORROWED)
        return;
    span->hold = SPAN_KEPT;
    second = span_second(span);
    segment_hold_foreign(span->segment);
    if (second)
        segment_hold_foreign(second);
}

/* The span has passed the segment. */
static void span_let_go(const struct span *span, struct segment_store *store,
                        struct segment *segment)
{
    switch (span->hold) {
    case SPAN_HELD:
        segment_unhold(store, segment);
        return;
    case SPAN_KEPT:
        segment_unhold_foreign(segment);
        return;
    case SPAN_BORROWED:
        return;
    }
}

int span_vectors(const struct span *span, struct iovec *vectors, int max)
{
    uint32_t room = SPAN_BYTES_MAX;
    uint32_t here;

    if (!span->segment || max < 1)
        return 0;
    here = span_here(span);
    vectors[0].iov_base = span->segment->data + span->from;
    vectors[0].iov_len = here < room ? here : room;
    if (here == span->left || here >= room || max < 2)
        return 1;
    room -= here;
    here = span->left - here;
    vectors[1].iov_base = span->segment->next->data;
    vectors[1].iov_len = here < room ? here : room;
    return 2;
}

void span_advance(struct span *span, struct segment_store *store, size_t length)
{
    assert(length <= span->left);
    while (length > 0) {
        struct segment *segment = span->segment;
        uint32_t here, step;

        assert(segment);
        here = span_here(span);
        step = length < here ? (uint32_t)length : here;
        set_from(span, span->from + step);
        span->left -= step;
        length -= step;
        if (step < here)
            return;
        span->segment = span->left > 0 ? segment->next : NULL;
        set_from(span, 0);
        span_let_go(span, store, segment);
    }
}

bool span_is_detached(const struct span *span)
{
    return span->segment && is_detached(span->segment);
}

void span_drop(struct span *span, struct segment_store *store)
{
    if (span->segment)
        span_advance(span, store, span->left);
}
