/*
 * Segments: the memory that room logs and outboxes are made of, and spans:
 * what of it is being sent.
 *
 * A segment holds whole records, one after the other, and never moves. Beside
 * the bytes it keeps a mark per record (where it ends, how many messages there
 * are up to it), so that lag can be counted in messages and a span can be cut
 * between two of them. The marks grow down from the end:
 *
 *     data -> [record 0][record 1][record 2]   ...   [mark 2][mark 1][mark 0]
 *             0                            used                          size
 *
 * A span refers to up to two neighbouring segments and holds them: what falls
 * out of its log while held lives until the last hold is released. No meaning
 * here, only bytes.
 *
 * One thread owns a segment, writes it and frees it. Others may read it where
 * it lies, if its log is shared. Then it is not freed as it leaves the log, but
 * retired: nobody comes upon it any more, and who has come upon it in this turn
 * of its own may use it until that is over (turns.h), or keep what it has begun
 * to send for longer.
 *
 *     [in a log] --segment_detach--> [detached] --the last hold--> freed
 *         |                             (at once, where there is none)
 *         +--segment_retire--> [retired] --segment_store_reclaim--> freed
 */
#ifndef RINGCHAT_BUFFER_SEGMENT_H
#define RINGCHAT_BUFFER_SEGMENT_H

#include "common/buffer/pool.h"
#include "common/buffer/turns.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* A small log has small segments; one that fills them gets larger ones. */
enum segment_grade {
    SEGMENT_SMALL,  /* 512 bytes in all */
    SEGMENT_MEDIUM, /* 4 KiB in all */
    SEGMENT_LARGE,  /* an eighth of the room window, 4 KiB to 1 MiB */
    SEGMENT_EXACT,  /* one record that is larger than any of those */
};

/* Whether a record counts as one of the room's messages (has a seq). */
enum record_kind { RECORD_NOTICE, RECORD_MESSAGE };

struct mark {
    uint32_t end;      /* offset in the segment just after the record */
    uint32_t messages; /* in this segment up to and with the record */
};

struct segment {
    /* Written by the owner before the log's head is published, read by those
     * who came by that head. */
    struct segment *next;
    uint64_t start; /* position in the log of byte 0 */
    uint64_t seq;   /* messages of the log before byte 0 */
    uint32_t size;  /* bytes for data and marks */
    /* Owner only. */
    uint32_t holds; /* by spans of the owner's own thread */
    struct segment *retired_next;
    enum segment_grade grade : 8;
    bool retired : 1;
    /* Written by the owner; others ask it whom to close: relaxed. */
    _Atomic bool detached; /* out of its log */
    /* Written by the owner, read by all: release/acquire. */
    _Atomic uint32_t used;
    _Atomic uint32_t records;
    /* Changed by spans of other threads. Their last word is a release; partner:
     * the owner's acquire load before it frees. */
    _Atomic uint32_t foreign_holds;
    unsigned char data[];
};

/* Where the segments of one thread come from and go to. */
struct segment_store {
    struct budget *budget;
    struct pool small, medium;
    uint32_t large_bytes;         /* whole size of a SEGMENT_LARGE */
    struct segment *cached_large; /* a few, linked by `next`: fan-out takes and
                                     returns one again and again */
    unsigned cached_large_count;
    uint64_t detached_bytes; /* out of their logs, alive for a hold */
    /* Out of their logs, alive for other threads: those since the last stamp,
     * and those that wait for the grace period of that. Linked by
     * `retired_next`. */
    struct segment *retired, *waiting;
    uint64_t waiting_stamp;
    uint64_t retired_bytes;
};

void segment_store_init(struct segment_store *, struct budget *,
                        uint64_t window_bytes);
/* Every segment must have been freed. */
void segment_store_release(struct segment_store *);

/* A segment of at least `grade` with room for a first record of `length`
 * bytes, empty; NULL without memory. */
struct segment *segment_create(struct segment_store *, enum segment_grade,
                               uint32_t length);

/* Its bytes in use, for the owner, who wrote them, and for others who came here
 * by a head that was published after them: relaxed. */
static inline uint32_t segment_used(const struct segment *segment)
{
    return atomic_load_explicit(&segment->used, memory_order_relaxed);
}

/* Whether a further record of `length` bytes fits. */
bool segment_fits(const struct segment *, uint32_t length);

/* Publishes the `length` bytes after `used` as a record. They fit. */
void segment_commit(struct segment *, uint32_t length, enum record_kind);

/* The owner's log lets go of it: freed now, or with its last hold. */
void segment_detach(struct segment_store *, struct segment *);

/* So does a log that other threads read: freed by segment_store_reclaim. */
void segment_retire(struct segment_store *, struct segment *);

/* Frees what was retired and nobody can have any more. Once a turn; returns
 * whether something has to wait still. */
bool segment_store_reclaim(struct segment_store *, struct turns *);

/* The first `records` of a segment: where they end, and their messages. No
 * records: an empty mark. */
struct mark segment_mark(const struct segment *, uint32_t records);

/* How many records end at or before `offset`. */
uint32_t segment_records_within(const struct segment *, uint32_t offset);

/*
 * What keeps a span's segments alive.
 *
 *     HELD      holds of the owner's thread, which the span is of: span_hold
 *     BORROWED  the turn in which they were found: span_borrow
 *      |  span_keep: the turn ends, and not all of it could be sent
 *      v
 *     KEPT      foreign holds
 */
enum span_hold { SPAN_HELD, SPAN_BORROWED, SPAN_KEPT };

/*
 * What is being sent, from `segment->data + from` on: `left` bytes, the rest of
 * this segment and, if there is more, the start of the next.
 */
struct span {
    struct segment *segment; /* NULL: nothing */
    uint32_t from : 30;
    enum span_hold hold : 2;
    uint32_t left;
};

/* Begins a span of `length` bytes (more than 0), without holds. */
void span_borrow(struct span *, struct segment *, uint32_t from,
                 uint32_t length);

/* The owner of the bytes holds what it has just borrowed. */
void span_hold(struct span *);

/* Both. */
void span_begin(struct span *, struct segment *, uint32_t from,
                uint32_t length);

/* The turn ends: what is left of a borrowed span is held from now on. Others
 * are so already. */
void span_keep(struct span *);

/* Fills at most `max` vectors with at most SPAN_BYTES_MAX bytes of the span;
 * returns how many. */
int span_vectors(const struct span *, struct iovec *, int max);

/* `length` bytes are gone; releases the holds of segments passed. The store is
 * that of this thread, whosever the bytes are. */
void span_advance(struct span *, struct segment_store *, size_t length);

/* Whether it holds bytes that are out of their log. */
bool span_is_detached(const struct span *);

/* Gives up what is left. */
void span_drop(struct span *, struct segment_store *);

#endif
