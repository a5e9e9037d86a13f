/*
 * A lane: the log of one room in one encoding.
 *
 * Who writes appends a record once; who reads has a cursor and takes spans of
 * whole records between it and the head. Nothing is queued per reader. The lane
 * keeps what some reader has not taken yet, up to the window; when all readers
 * have reached the head it keeps nothing. It does not know who its readers are:
 * it counts them, and those of them that are behind (view.h).
 *
 * One thread owns a lane and calls all of this. Others may read it in place
 * once it is shared: each worker with a view of its own, a follower
 * (follower.h). What they need to find the records is published for them.
 */
#ifndef RINGCHAT_BUFFER_LANE_H
#define RINGCHAT_BUFFER_LANE_H

#include "common/base/cache_line.h"
#include "common/buffer/segment.h"
#include "common/buffer/view.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lane;

/* How far a follower's readers are. It lives with the follower, and is known to
 * the owner from lane_admit to lane_dismiss. */
struct reach {
    /* The position that all of them have reached; REACH_NONE: there are none.
     * Written by the owner as it admits the first, and from then on, until it
     * says REACH_NONE, by the follower. Release/acquire: no read of the lane's
     * shared part follows a REACH_NONE. */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t position;
    /* Whether the follower has been told that the lane has news, and has not
     * looked since. Exchanged by both, acquire and release: see reach_tell. */
    _Atomic bool told;
    uint32_t worker; /* whose it is */
    /* The owner's. */
    struct reach *next;
    const struct lane *lane; /* that it is admitted to; NULL */
};

#define REACH_NONE UINT64_MAX

/* What a lane that several workers read has besides. */
struct shared_lane {
    /* Written by the owner, `oldest` before `head` before `start`; read by all
     * followers, see follower_refresh: release/acquire. */
    alignas(CACHE_LINE_BYTES) _Atomic(struct segment *) oldest;
    _Atomic uint64_t head;  /* position */
    _Atomic uint64_t start; /* where the window begins */
    /* Owner only: those admitted. */
    alignas(CACHE_LINE_BYTES) struct reach *followers;
};

/* Owner only. */
struct lane {
    struct view view;        /* of the owner's own readers */
    uint64_t newest_message; /* where the newest one starts; at first nowhere */
    struct shared_lane *shared; /* NULL: nobody else reads it */
    uint32_t newest_bytes;
    enum segment_grade grade;
};

/* A lane without records or readers, whose next message is `seq` + 1. */
void lane_init(struct lane *, uint64_t seq);

/* Frees the segments. Nobody may read it. */
void lane_release(struct lane *, struct segment_store *);

/* Whether it has readers, or followers that have not been dismissed. */
bool lane_is_read(const struct lane *);

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

/* As view_take; the span holds what it has taken. */
void lane_take(struct lane *, struct segment_store *, struct cursor *,
               uint64_t end, struct span *);

/* Moves a reader forward without taking anything: it has missed that. */
void lane_skip(struct lane *, struct segment_store *, struct cursor *,
               struct cursor to);

/* Drops the oldest segment, window or not, if the newest message starts after
 * it. Returns whether there was one to drop. */
bool lane_shrink(struct lane *, struct segment_store *);

/* ---- Shared lanes ------------------------------------------------------- */

/* From now on others may read it; false without memory. */
bool lane_share(struct lane *, struct segment_store *, uint64_t window_bytes);

/* A follower has asked for a reader to join: returns where it begins, which is
 * at the head. It is waited for from now on, until it has nobody left who
 * reads, or asks to. The lane is shared. */
struct cursor lane_admit(struct lane *, struct reach *);

/* It has said that it has nobody left, and asks for nobody: the owner will not
 * look at it any more. Takes one that was not admitted. */
void lane_dismiss(struct lane *, struct segment_store *, struct reach *);

/* Before the owner knows of it. */
void reach_init(struct reach *, uint32_t worker);

/* The owner has published something. Whether the follower has to be told: not,
 * if it has been and has not looked since. */
bool reach_tell(struct reach *);

/* The follower has been told, and is about to look. */
void reach_heed(struct reach *);

/* Drops the tail, if all readers of all workers have reached the head. Who was
 * the last of a follower to reach it has this called. */
void lane_settle(struct lane *, struct segment_store *);

#endif
