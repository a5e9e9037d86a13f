/*
 * A bounded queue of records, bytes of any length, from one thread, the
 * producer, to one other, the consumer. There is one for each ordered pair of
 * workers. Nobody waits in it: a full queue says so, and so does an empty one.
 * No I/O, no clock, no waking: that is wake.h.
 *
 * Records are written and read where they lie, in a ring of bytes: each in one
 * piece, behind a header. What is left of the ring's end, when the next record
 * does not fit into it, is padding:
 *
 *            consumed        read         published     written
 *               |              |              |             |
 *     [ free  ][ popped, may   ][ to be      ][ committed   ][ free  [pad]
 *               still be read ]  read        ]
 *
 * Producer, for each record and once a batch:
 *
 *     bytes = queue_reserve(queue, length)    NULL: full; write them
 *     queue_commit(queue)
 *     queue_publish(queue)                    now the consumer may see them
 *
 * Consumer, likewise:
 *
 *     bytes = queue_peek(queue, &length)      NULL: empty; read them
 *     queue_pop(queue)
 *     queue_consumed(queue)                   now they may be overwritten
 *
 * A position counts all bytes since the beginning, and so never wraps. The
 * position that the consumer has published is a receipt: what it did before,
 * with all records up to there, happened before the producer reads it.
 *
 * Two positions and no lock are Lamport's ("Specifying Concurrent Program
 * Modules", TOPLAS 1983). That each side keeps what it last knew of the other,
 * and asks again only when that does not suffice, is MCRingBuffer's (Lee, Bu,
 * Chandranmenon, "A Lock-Free, Cache-Efficient Shared Ring Buffer", ANCS 2009),
 * who also publish in batches; Rigtorp's SPSCQueue has the same on four cache
 * lines (https://rigtorp.se/ringbuffer/). Records with padding are those of
 * Agrona's OneToOneRingBuffer.
 */
#ifndef RINGCHAT_SHARD_QUEUE_H
#define RINGCHAT_SHARD_QUEUE_H

#include "common/base/cache_line.h"
#include "common/buffer/budget.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So that an empty queue takes the largest record wherever it stands. */
#define QUEUE_BYTES_MIN 64

/* To be allocated in whole cache lines. */
struct queue {
    /* Nobody's to change. */
    alignas(CACHE_LINE_BYTES) unsigned char *ring;
    size_t capacity; /* a power of two */
    struct budget *budget;

    /* Producer only. */
    alignas(CACHE_LINE_BYTES) uint64_t written; /* committed up to here */
    uint64_t reserved;                          /* written, once committed */
    uint64_t consumed_known;                    /* `consumed`, or less */

    /* Written by the producer: a release store publishes the headers and bytes
     * of all records before. Read by the consumer: an acquire load, before it
     * reads them. They need no order with anything else. */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t published;

    /* Consumer only. */
    alignas(CACHE_LINE_BYTES) uint64_t read; /* popped up to here */
    uint64_t published_known;                /* `published`, or less */

    /* Written by the consumer: a release store, after all it has read of the
     * records before and all it has done with them. Read by the producer: an
     * acquire load, before it writes where they were or counts them as done. */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t consumed;
};

/* The ring's capacity is a power of two, QUEUE_BYTES_MIN at least. False
 * without memory; then there is nothing to release. Before both threads. */
bool queue_init(struct queue *, struct budget *, size_t capacity);

/* After both threads; what was not read is gone. */
void queue_release(struct queue *);

/* The longest record: a quarter of the ring. What is longer travels by
 * pointer. */
static inline size_t queue_record_max(const struct queue *queue)
{
    return queue->capacity / 4;
}

/* ---- The producer ------------------------------------------------------- */

/* Where `length` bytes are to be written, aligned to 8; NULL when it is full.
 * Without a commit it was only a question. */
void *queue_reserve(struct queue *, size_t length);

/* The record last reserved is written. */
void queue_commit(struct queue *);

/* What is committed is the consumer's to see. */
void queue_publish(struct queue *);

/* The end of all that is published. */
uint64_t queue_position(const struct queue *);

/* The receipt: how far the consumer says it has come. */
uint64_t queue_consumed_position(struct queue *);

/* ---- The consumer ------------------------------------------------------- */

/* The next record, valid until queue_consumed; NULL when there is none. */
const void *queue_peek(struct queue *, size_t *length);

/* Goes on to the one after what queue_peek has just returned. */
void queue_pop(struct queue *);

/* What is popped is done with, and its bytes the producer's. */
void queue_consumed(struct queue *);

#endif
