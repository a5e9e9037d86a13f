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
 * One thread owns a segment and writes it. `used` and `records` are published
 * by it with release stores and read by others with acquire loads; `holds` is
 * changed by whoever holds.
 */
#ifndef RINGCHAT_BUFFER_SEGMENT_H
#define RINGCHAT_BUFFER_SEGMENT_H

#include "common/buffer/pool.h"

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
    /* Owner only, but for readers that came by the log's published head. */
    struct segment *next;
    uint64_t start; /* position in the log of byte 0 */
    uint64_t seq;   /* messages of the log before byte 0 */
    uint32_t size;  /* bytes for data and marks */
    enum segment_grade grade;
    bool detached; /* out of its log: goes with its last hold */
    /* Written by the owner, read by all: release/acquire. */
    _Atomic uint32_t used;
    _Atomic uint32_t records;
    /* Changed by every holder; the owner frees at zero. */
    _Atomic uint32_t holds;
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
};

void segment_store_init(struct segment_store *, struct budget *,
                        uint64_t window_bytes);
/* Every segment must have been freed. */
void segment_store_release(struct segment_store *);

/* A segment of at least `grade` with room for a first record of `length`
 * bytes, empty; NULL without memory. */
struct segment *segment_create(struct segment_store *, enum segment_grade,
                               uint32_t length);

/* Its bytes in use, as the owner, who wrote them, knows. */
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

/* The first `records` of a segment: where they end, and their messages. No
 * records: an empty mark. */
struct mark segment_mark(const struct segment *, uint32_t records);

/* How many records end at or before `offset`. */
uint32_t segment_records_within(const struct segment *, uint32_t offset);

/*
 * What is being sent, from `segment->data + from` on: `left` bytes, the rest of
 * this segment and, if there is more, the start of the next. Both are held.
 */
struct span {
    struct segment *segment; /* NULL: nothing */
    uint32_t from;
    uint32_t left;
};

/* Begins a span of `length` bytes (more than 0) and takes its holds. */
void span_begin(struct span *, struct segment *, uint32_t from,
                uint32_t length);

/* Fills at most `max` vectors with at most SPAN_BYTES_MAX bytes of the span;
 * returns how many. */
int span_vectors(const struct span *, struct iovec *, int max);

/* `length` bytes are gone; releases the holds of segments passed. */
void span_advance(struct span *, struct segment_store *, size_t length);

/* Whether it holds bytes that are out of their log. */
bool span_is_detached(const struct span *);

/* Gives up what is left. */
void span_drop(struct span *, struct segment_store *);

#endif
