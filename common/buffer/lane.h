/*
 * A lane: the log of one room in one encoding.
 *
 * Who writes appends a record once; who reads has a cursor and takes spans of
 * whole records between it and the head. Nothing is queued per reader. The lane
 * keeps what some reader has not taken yet, up to the window; when all readers
 * have reached the head it keeps nothing. It does not know who its readers are:
 * it counts them, and those of them that are behind.
 *
 *     oldest                                   newest
 *     [ segment ] -> [ segment ] -> ... -> [ segment   |free ]
 *      ^lane_oldest      ^ a cursor                    ^head
 *
 * One thread owns a lane and calls all of this; `head` is published for others.
 */
#ifndef RINGCHAT_BUFFER_LANE_H
#define RINGCHAT_BUFFER_LANE_H

#include "common/buffer/segment.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A place between two records of a log. */
struct cursor {
    uint64_t position; /* bytes of the log before it */
    uint64_t seq;      /* messages of the room before it */
};

struct lane {
    /* Owner only. */
    struct segment *oldest, *newest;
    uint64_t seq;            /* messages before the head */
    uint64_t newest_message; /* where the newest one starts; at first nowhere */
    uint32_t newest_bytes;
    uint32_t readers;
    uint32_t behind; /* readers whose cursor is not at the head */
    enum segment_grade grade;
    /* Written by the owner after the bytes, read by all: release/acquire. */
    _Atomic uint64_t head;
};

/* A lane without records or readers, whose next message is `seq` + 1. */
void lane_init(struct lane *, uint64_t seq);

/* Frees the segments. It must have no readers. */
void lane_release(struct lane *, struct segment_store *);

/*
 * Room for a record of `length` bytes (more than 0) after the head, to be
 * written before lane_commit or given up by lane_cancel; NULL without memory.
 * It holds until the next call on the lane.
 */
unsigned char *lane_reserve(struct lane *, struct segment_store *,
                            uint32_t length);

/* Publishes the record in the reservation, and drops what falls out of the
 * window of `window_bytes`. The newest message does not, whatever its size,
 * until as much as the window has followed it (notices may). */
void lane_commit(struct lane *, struct segment_store *, uint32_t length,
                 enum record_kind, uint64_t window_bytes);

/* Gives the reservation up, with the memory that was taken for it. Without one
 * it does nothing. */
void lane_cancel(struct lane *, struct segment_store *);

struct cursor lane_head(const struct lane *);

/* The oldest place that a reader may go on from: what follows is at most
 * `window_bytes`, or begins with a newest message that is still kept. */
struct cursor lane_oldest(const struct lane *, uint64_t window_bytes);

/* A new reader, at the head. */
struct cursor lane_join(struct lane *);
/* A reader goes, wherever its cursor is. */
void lane_leave(struct lane *, struct segment_store *, struct cursor);

/*
 * Takes the next whole records from `cursor` (which must not be before
 * lane_oldest) up to position `end`: at most SPAN_BYTES_MAX bytes of two
 * segments, or one record if that is larger. Begins `span` with them and moves
 * the cursor behind them.
 */
void lane_take(struct lane *, struct segment_store *, struct cursor *,
               uint64_t end, struct span *);

/* Moves a reader forward without taking anything: it has missed that. */
void lane_skip(struct lane *, struct segment_store *, struct cursor *,
               struct cursor to);

/* Drops the oldest segment, window or not, if the newest message starts after
 * it. Returns whether there was one to drop. */
bool lane_shrink(struct lane *, struct segment_store *);

#endif
