/*
 * Lanes. Invariants:
 *
 *   L1  positions are contiguous: each segment starts where the one before it
 *       ends, and the newest ends at the head.
 *   L2  `behind` is the number of readers whose cursor is before the head; at
 *       zero nothing is kept.
 *   L3  the newest message is kept while anybody is behind it and no more than
 *       the window has followed it: without that bound, notices after a last
 *       message would fill the memory.
 *
 * An append makes every reader a reader behind; a reader reaches the head at
 * most once between two appends. So L2 costs an addition and no walk.
 */
#include "common/buffer/lane.h"

#include "common/base/limits.h"

#include <assert.h>

void lane_init(struct lane *lane, uint64_t seq)
{
    *lane = (struct lane){
        .seq = seq,
        .newest_message = UINT64_MAX,
        .grade = SEGMENT_SMALL,
    };
    atomic_init(&lane->head, 0);
}

/* The owner reads its own writes: no order needed. */
static uint64_t head_position(const struct lane *lane)
{
    return atomic_load_explicit(&lane->head, memory_order_relaxed);
}

static uint64_t segment_end(const struct segment *segment)
{
    return segment->start + segment_used(segment);
}

static void detach_oldest(struct lane *lane, struct segment_store *store)
{
    struct segment *segment = lane->oldest;

    lane->oldest = segment->next;
    if (!lane->oldest)
        lane->newest = NULL;
    segment_detach(store, segment);
}

/*
 * All have read everything (L2). What had to be kept until now is what the
 * next burst will need: if a smaller grade would have held it, start there.
 */
static void drop_all(struct lane *lane, struct segment_store *store)
{
    uint64_t kept =
        lane->oldest ? head_position(lane) - lane->oldest->start : 0;

    if (lane->grade == SEGMENT_LARGE && kept < 4 * KIB)
        lane->grade = SEGMENT_MEDIUM;
    else if (lane->grade == SEGMENT_MEDIUM && kept < 256)
        lane->grade = SEGMENT_SMALL;
    while (lane->oldest)
        detach_oldest(lane, store);
}

void lane_release(struct lane *lane, struct segment_store *store)
{
    assert(lane->readers == 0);
    drop_all(lane, store);
}

/* A segment has filled up, so the next one is larger. A record that needs a
 * segment of its own size says nothing about the next ones. */
static void grow_grade(struct lane *lane, const struct segment *filled)
{
    if (filled->grade < SEGMENT_LARGE && filled->grade >= lane->grade)
        lane->grade = filled->grade + 1;
}

unsigned char *lane_reserve(struct lane *lane, struct segment_store *store,
                            uint32_t length)
{
    struct segment *newest = lane->newest;
    struct segment *segment;

    assert(length > 0);
    if (newest && segment_fits(newest, length))
        return newest->data + segment_used(newest);
    if (newest && segment_used(newest) > 0)
        grow_grade(lane, newest);
    segment = segment_create(store, lane->grade, length);
    if (!segment && lane->grade > SEGMENT_SMALL) /* a small one may do */
        segment = segment_create(store, SEGMENT_SMALL, length);
    if (!segment)
        return NULL;
    segment->start = head_position(lane);
    segment->seq = lane->seq;
    if (newest)
        newest->next = segment;
    else
        lane->oldest = segment;
    lane->newest = segment;
    return segment->data;
}

/* Where the window begins: nothing that starts before it is kept. */
static uint64_t window_start(const struct lane *lane, uint64_t window_bytes)
{
    uint64_t head = head_position(lane);
    uint64_t start = head > window_bytes ? head - window_bytes : 0;

    if (start > lane->newest_message &&
        start <= lane->newest_message + lane->newest_bytes)
        start = lane->newest_message; /* L3 */
    return start;
}

static void drop_outside(struct lane *lane, struct segment_store *store,
                         uint64_t window_bytes)
{
    uint64_t start = window_start(lane, window_bytes);

    while (lane->oldest != lane->newest && segment_end(lane->oldest) <= start)
        detach_oldest(lane, store);
}

void lane_commit(struct lane *lane, struct segment_store *store,
                 uint32_t length, enum record_kind kind, uint64_t window_bytes)
{
    uint64_t head = head_position(lane);

    assert(segment_end(lane->newest) == head); /* L1 */
    segment_commit(lane->newest, length, kind);
    if (kind == RECORD_MESSAGE) {
        lane->newest_message = head;
        lane->newest_bytes = length;
        lane->seq++;
    }
    /* Publish the bytes. Partner: the acquire load in another thread that
     * reads this lane in place. */
    atomic_store_explicit(&lane->head, head + length, memory_order_release);
    lane->behind = lane->readers;
    if (lane->behind == 0)
        drop_all(lane, store);
    else
        drop_outside(lane, store, window_bytes);
}

void lane_cancel(struct lane *lane, struct segment_store *store)
{
    struct segment *newest = lane->newest;
    struct segment *last = lane->oldest;

    if (!newest || segment_used(newest) > 0)
        return;
    if (last == newest) {
        detach_oldest(lane, store);
        return;
    }
    while (last->next != newest)
        last = last->next;
    last->next = NULL;
    lane->newest = last;
    segment_detach(store, newest);
}

struct cursor lane_head(const struct lane *lane)
{
    return (struct cursor){head_position(lane), lane->seq};
}

/* The segment that holds the byte at `position`, which is kept. */
static struct segment *segment_at(const struct lane *lane, uint64_t position)
{
    struct segment *segment = lane->oldest;

    if (lane->newest->start <= position)
        return lane->newest;
    while (segment_end(segment) <= position)
        segment = segment->next;
    assert(segment->start <= position);
    return segment;
}

/* The first place between records at or after `offset`. */
static struct cursor boundary_from(const struct segment *segment,
                                   uint32_t offset)
{
    uint32_t before = segment_records_within(segment, offset);
    struct mark mark = segment_mark(segment, before);

    if (mark.end < offset)
        mark = segment_mark(segment, before + 1);
    return (struct cursor){segment->start + mark.end,
                           segment->seq + mark.messages};
}

struct cursor lane_oldest(const struct lane *lane, uint64_t window_bytes)
{
    uint64_t from = window_start(lane, window_bytes);
    struct segment *segment;

    if (!lane->oldest || lane->oldest->start == head_position(lane))
        return lane_head(lane);
    if (from <= lane->oldest->start)
        return (struct cursor){lane->oldest->start, lane->oldest->seq};
    segment = segment_at(lane, from);
    return boundary_from(segment, (uint32_t)(from - segment->start));
}

struct cursor lane_join(struct lane *lane)
{
    lane->readers++;
    return lane_head(lane);
}

static void reader_caught_up(struct lane *lane, struct segment_store *store)
{
    assert(lane->behind > 0);
    if (--lane->behind == 0)
        drop_all(lane, store); /* L2 */
}

void lane_leave(struct lane *lane, struct segment_store *store,
                struct cursor cursor)
{
    assert(lane->readers > 0);
    lane->readers--;
    if (cursor.position < head_position(lane))
        reader_caught_up(lane, store);
}

void lane_skip(struct lane *lane, struct segment_store *store,
               struct cursor *cursor, struct cursor to)
{
    bool behind = cursor->position < head_position(lane);

    assert(to.position >= cursor->position && to.seq >= cursor->seq);
    *cursor = to;
    if (behind && to.position == head_position(lane))
        reader_caught_up(lane, store);
}

/* The mark of the last whole record of `segment` that ends within `budget`
 * bytes after `from`. */
static struct mark cut(const struct segment *segment, uint32_t from,
                       uint32_t budget)
{
    return segment_mark(segment,
                        segment_records_within(segment, from + budget));
}

void lane_take(struct lane *lane, struct segment_store *store,
               struct cursor *cursor, uint64_t end, struct span *span)
{
    struct segment *segment = segment_at(lane, cursor->position);
    uint32_t from = (uint32_t)(cursor->position - segment->start);
    uint64_t due = end - cursor->position;
    uint32_t budget = due < SPAN_BYTES_MAX ? (uint32_t)due : SPAN_BYTES_MAX;
    struct cursor to;
    struct mark mark;

    assert(end > cursor->position && end <= head_position(lane));
    mark = cut(segment, from, budget);
    if (mark.end <= from) /* one record larger than a turn: whole */
        mark = segment_mark(segment, segment_records_within(segment, from) + 1);
    to = (struct cursor){segment->start + mark.end,
                         segment->seq + mark.messages};
    if (mark.end == segment_used(segment) && mark.end - from < budget) {
        mark = cut(segment->next, 0, budget - (mark.end - from));
        to.position += mark.end;
        to.seq += mark.messages;
    }
    span_begin(span, segment, from, (uint32_t)(to.position - cursor->position));
    lane_skip(lane, store, cursor, to);
}

bool lane_shrink(struct lane *lane, struct segment_store *store)
{
    if (lane->oldest == lane->newest ||
        segment_end(lane->oldest) > lane->newest_message)
        return false;
    detach_oldest(lane, store);
    return true;
}
