/*
 * The outbox: a circle of segments, of which the last one is known.
 *
 *     last -> [ newest ] -> [ oldest ] -> [ ... ] -> back to the newest
 *
 * A segment is taken whole, so no cursor is needed: the oldest is always unsent
 * from its first byte.
 */
#include "common/buffer/outbox.h"

#include "common/base/limits.h"

#include <assert.h>

unsigned char *outbox_reserve(struct outbox *outbox,
                              struct segment_store *store, uint32_t length)
{
    struct segment *last = outbox->last;
    struct segment *segment;

    if (last && segment_fits(last, length))
        return last->data + segment_used(last);
    segment =
        segment_create(store, last ? SEGMENT_MEDIUM : SEGMENT_SMALL, length);
    if (!segment)
        return NULL;
    segment->next = last ? last->next : segment;
    if (last)
        last->next = segment;
    outbox->last = segment;
    return segment->data;
}

void outbox_commit(struct outbox *outbox, uint32_t length)
{
    assert(length <= UINT32_MAX - outbox->bytes);
    segment_commit(outbox->last, length, RECORD_NOTICE);
    outbox->bytes += length;
}

static void outbox_shift(struct outbox *outbox, struct segment_store *store)
{
    struct segment *last = outbox->last;
    struct segment *oldest = last->next;

    last->next = oldest->next;
    if (oldest == last)
        outbox->last = NULL;
    outbox->bytes -= segment_used(oldest);
    segment_detach(store, oldest);
}

void outbox_take(struct outbox *outbox, struct segment_store *store,
                 struct span *span)
{
    struct segment *oldest = outbox->last->next;
    uint32_t length = segment_used(oldest);
    bool both = oldest != outbox->last &&
                length + segment_used(oldest->next) <= SPAN_BYTES_MAX;

    assert(outbox->bytes > 0);
    if (both)
        length += segment_used(oldest->next);
    span_begin(span, oldest, 0, length);
    outbox_shift(outbox, store);
    if (both)
        outbox_shift(outbox, store);
}

void outbox_drop(struct outbox *outbox, struct segment_store *store)
{
    while (outbox->last)
        outbox_shift(outbox, store);
}
