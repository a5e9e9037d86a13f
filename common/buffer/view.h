/*
 * A view: a lane as its readers on one worker see it.
 *
 * It is what reading needs and no more: the list of segments, how far it goes,
 * how many readers there are and how many of them are behind. It knows not who
 * they are; a reader is a cursor. Whose view it is keeps it up to date: a lane
 * has its owner's in it, exact at any time; a follower (follower.h) is that of
 * another worker. It owns no memory and takes no hold.
 *
 *     oldest                                   newest
 *     [ segment ] -> [ segment ] -> ... -> [ segment   |free ]
 *      ^view_oldest      ^ a cursor                    ^head
 *
 * The functions that may make the last reader reach the head return whether it
 * has just done so: then nothing need be kept for this view.
 */
#ifndef RINGCHAT_BUFFER_VIEW_H
#define RINGCHAT_BUFFER_VIEW_H

#include "common/buffer/segment.h"

#include <stdbool.h>
#include <stdint.h>

/* A place between two records of a log. */
struct cursor {
    uint64_t position; /* bytes of the log before it */
    uint64_t seq;      /* messages of the room before it */
};

struct view {
    struct segment *oldest, *newest;
    struct cursor head;
    uint32_t readers;
    uint32_t behind; /* readers whose cursor is not at the head */
};

/* The log goes on to `head`. */
static inline void view_advance(struct view *view, struct cursor head)
{
    view->head = head;
    view->behind = view->readers;
}

/* The oldest place that a reader may go on from, where the window begins at
 * `start`: the first between two records there or later. */
struct cursor view_oldest(const struct view *, uint64_t start);

/* A new reader, at the head. */
struct cursor view_join(struct view *);
/* A reader goes, wherever its cursor is. */
bool view_leave(struct view *, struct cursor);

/*
 * Takes the next whole records from `cursor` (which must not be before
 * view_oldest) up to position `end`: at most SPAN_BYTES_MAX bytes of two
 * segments, or one record if that is larger. Borrows them for `span` and moves
 * the cursor behind them.
 */
bool view_take(struct view *, struct cursor *, uint64_t end, struct span *);

/* Moves a reader forward without taking anything: it has missed that. */
bool view_skip(struct view *, struct cursor *, struct cursor to);

/* Where in the log the segment ends, so far. */
static inline uint64_t segment_end(const struct segment *segment)
{
    return segment->start + segment_used(segment);
}

/* The place behind the last record of `segment` that ends at or before
 * `position`, which is not before its start. */
struct cursor segment_place(const struct segment *, uint64_t position);

#endif
