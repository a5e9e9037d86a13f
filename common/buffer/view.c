/*
 * Views. What is read of a segment stands before the view's head, which was
 * published after it: so `next` is followed only from a segment that ends
 * before the head.
 */
#include "common/buffer/view.h"

#include "common/base/limits.h"

#include <assert.h>

/* The segment that holds the byte at `position`, which is kept. */
static struct segment *segment_at(const struct view *view, uint64_t position)
{
    struct segment *segment = view->oldest;

    if (view->newest->start <= position)
        return view->newest;
    while (segment_end(segment) <= position)
        segment = segment->next;
    assert(segment->start <= position);
    return segment;
}

/* The place behind the records up to this mark. */
static struct cursor place_at(const struct segment *segment, struct mark mark)
{
    return (struct cursor){segment->start + mark.end,
                           segment->seq + mark.messages};
}

struct cursor segment_place(const struct segment *segment, uint64_t position)
{
    uint32_t offset = (uint32_t)(position - segment->start);
    uint32_t records = segment_records_within(segment, offset);

    return place_at(segment, segment_mark(segment, records));
}

/* The first place between records at or after `offset`. */
static struct cursor boundary_from(const struct segment *segment,
                                   uint32_t offset)
{
    uint32_t before = segment_records_within(segment, offset);
    struct mark mark = segment_mark(segment, before);

    if (mark.end < offset)
        mark = segment_mark(segment, before + 1);
    return place_at(segment, mark);
}

struct cursor view_oldest(const struct view *view, uint64_t start)
{
    struct segment *segment = view->oldest;

    if (!segment || segment->start == view->head.position)
        return view->head;
    if (start <= segment->start)
        return (struct cursor){segment->start, segment->seq};
    segment = segment_at(view, start);
    return boundary_from(segment, (uint32_t)(start - segment->start));
}

struct cursor view_join(struct view *view)
{
    view->readers++;
    return view->head;
}

static bool reader_caught_up(struct view *view)
{
    assert(view->behind > 0);
    return --view->behind == 0;
}

bool view_leave(struct view *view, struct cursor cursor)
{
    assert(view->readers > 0);
    view->readers--;
    return cursor.position < view->head.position && reader_caught_up(view);
}

bool view_skip(struct view *view, struct cursor *cursor, struct cursor to)
{
    bool behind = cursor->position < view->head.position;

    assert(to.position >= cursor->position && to.seq >= cursor->seq);
    *cursor = to;
    return behind && to.position == view->head.position &&
           reader_caught_up(view);
}

/* The mark of the last whole record of `segment` that ends within `budget`
 * bytes after `from`. */
static struct mark cut(const struct segment *segment, uint32_t from,
                       uint32_t budget)
{
    return segment_mark(segment,
                        segment_records_within(segment, from + budget));
}

bool view_take(struct view *view, struct cursor *cursor, uint64_t end,
               struct span *span)
{
    struct segment *segment = segment_at(view, cursor->position);
    uint32_t from = (uint32_t)(cursor->position - segment->start);
    uint64_t due = end - cursor->position;
    uint32_t budget = due < SPAN_BYTES_MAX ? (uint32_t)due : SPAN_BYTES_MAX;
    struct cursor to;
    struct mark mark;

    assert(end > cursor->position && end <= view->head.position);
    mark = cut(segment, from, budget);
    if (mark.end <= from) /* one record larger than a turn: whole */
        mark = segment_mark(segment, segment_records_within(segment, from) + 1);
    to = place_at(segment, mark);
    if (mark.end == segment_used(segment) && mark.end - from < budget) {
        mark = cut(segment->next, 0, budget - (mark.end - from));
        to.position += mark.end;
        to.seq += mark.messages;
    }
    span_borrow(span, segment, from,
                (uint32_t)(to.position - cursor->position));
    return view_skip(view, cursor, to);
}
