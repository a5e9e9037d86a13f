/*
 * The outbox. A segment is taken whole, so no cursor is needed: its first
 * segment is always unsent from its first byte.
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
    if (last)
        last->next = segment;
    else
        outbox->first = segment;
    outbox->last = segment;
    return segment->data;
}

void outbox_commit(struct outbox *outbox, uint32_t length)
{
    segment_commit(outbox->last, length, RECORD_NOTICE);
    outbox->bytes += length;
}

static void outbox_shift(struct outbox *outbox, struct segment_store *store)
{
    struct segment *segment = outbox->first;

    outbox->first = segment->next;
    if (!outbox->first)
        outbox->last = NULL;
    outbox->bytes -= segment_used(segment);
    segment_detach(store, segment);
}

void outbox_take(struct outbox *outbox, struct segment_store *store,
                 struct span *span)
{
    struct segment *first = outbox->first;
    uint32_t length = segment_used(first);
    bool both =
        first->next && length + segment_used(first->next) <= SPAN_BYTES_MAX;

    assert(outbox->bytes > 0);
    if (both)
        length += segment_used(first->next);
    span_begin(span, first, 0, length);
    outbox_shift(outbox, store);
    if (both)
        outbox_shift(outbox, store);
}

void outbox_drop(struct outbox *outbox, struct segment_store *store)
{
    while (outbox->first)
        outbox_shift(outbox, store);
}
