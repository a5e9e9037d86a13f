/*
 * The ring. A record is a header of 8 bytes and its own bytes, rounded up to a
 * multiple of 8; so any gap at the ring's end has room for the header of a
 * padding.
 *
 *  1. consumed <= read <= published <= written <= consumed + capacity: the
 *     producer writes only from `written` on, and the consumer reads only from
 *     `consumed` to `published`, so they never touch the same byte.
 *  2. Each of these grows only, and one thread alone writes it. So what one
 *     side knows of the other is at worst too little: it sees less room, or
 *     fewer records, than there are.
 *  3. A padding becomes visible with the record after it, never alone.
 */
#include "common/shard/queue.h"

#include <assert.h>

/* Before each record; and in place of one, up to the ring's end. */
struct header {
    uint64_t length; /* the record's own bytes, or PADDING */
};

#define PADDING UINT64_MAX

/* The padding before a record is shorter than the record is. */
_Static_assert(2 * (QUEUE_BYTES_MIN / 4 + sizeof(struct header)) <=
                   QUEUE_BYTES_MIN,
               "an empty queue takes the largest record wherever it stands");

bool queue_init(struct queue *queue, struct budget *budget, size_t capacity)
{
    assert((uintptr_t)queue % CACHE_LINE_BYTES == 0);
    assert(capacity >= QUEUE_BYTES_MIN);
    assert((capacity & (capacity - 1)) == 0);
    *queue = (struct queue){
        .ring = budget_alloc_aligned(budget, CACHE_LINE_BYTES, capacity),
        .capacity = capacity,
        .budget = budget,
    };
    return queue->ring != NULL;
}

void queue_release(struct queue *queue)
{
    budget_free(queue->budget, queue->ring, queue->capacity);
    queue->ring = NULL;
}

static size_t offset_of(const struct queue *queue, uint64_t position)
{
    return (size_t)position & (queue->capacity - 1);
}

static struct header *header_at(const struct queue *queue, uint64_t position)
{
    return (void *)(queue->ring + offset_of(queue, position));
}

/* What a record takes in the ring. */
static size_t record_bytes(uint64_t length)
{
    return sizeof(struct header) + ((size_t)length + 7) / 8 * 8;
}

/* ---- The producer ------------------------------------------------------- */

uint64_t queue_consumed_position(struct queue *queue)
{
    queue->consumed_known =
        atomic_load_explicit(&queue->consumed, memory_order_acquire);
    return queue->consumed_known;
}

/* Whether all up to `end` may be written. */
static bool has_room(struct queue *queue, uint64_t end)
{
    if (end - queue->consumed_known <= queue->capacity)
        return true;
    return end - queue_consumed_position(queue) <= queue->capacity;
}

void *queue_reserve(struct queue *queue, size_t length)
{
    size_t bytes = record_bytes(length);
    size_t until_end = queue->capacity - offset_of(queue, queue->written);
    uint64_t start = queue->written + (bytes > until_end ? until_end : 0);

    assert(length <= queue_record_max(queue));
    if (!has_room(queue, start + bytes))
        return NULL;
    if (start > queue->written)
        header_at(queue, queue->written)->length = PADDING;
    header_at(queue, start)->length = length;
    queue->reserved = start + bytes;
    return header_at(queue, start) + 1;
}

void queue_commit(struct queue *queue)
{
    assert(queue->reserved > queue->written);
    queue->written = queue->reserved;
}

void queue_publish(struct queue *queue)
{
    atomic_store_explicit(&queue->published, queue->written,
                          memory_order_release);
}

uint64_t queue_position(const struct queue *queue)
{
    /* Relaxed: the producer itself wrote it. */
    return atomic_load_explicit(&queue->published, memory_order_relaxed);
}

/* ---- The consumer ------------------------------------------------------- */

static bool is_empty(struct queue *queue)
{
    if (queue->read < queue->published_known)
        return false;
    queue->published_known =
        atomic_load_explicit(&queue->published, memory_order_acquire);
    return queue->read == queue->published_known;
}

const void *queue_peek(struct queue *queue, size_t *length)
{
    const struct header *header = header_at(queue, queue->read);

    if (is_empty(queue))
        return NULL;
    if (header->length == PADDING) {
        queue->read += queue->capacity - offset_of(queue, queue->read);
        header = header_at(queue, queue->read);
    }
    *length = (size_t)header->length;
    return header + 1;
}

void queue_pop(struct queue *queue)
{
    assert(queue->read < queue->published_known);
    queue->read += record_bytes(header_at(queue, queue->read)->length);
    assert(queue->read <= queue->published_known);
}

void queue_consumed(struct queue *queue)
{
    atomic_store_explicit(&queue->consumed, queue->read, memory_order_release);
}
