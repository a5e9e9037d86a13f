/*
 * An outbox: what is for one session alone (replies, errors, private
 * messages), first in, first out.
 *
 * Made of the same segments as a room's log, but with one reader: what is
 * taken leaves it at once and lives on by its span's holds.
 */
#ifndef RINGCHAT_BUFFER_OUTBOX_H
#define RINGCHAT_BUFFER_OUTBOX_H

#include "common/buffer/segment.h"

struct outbox {
    /* The newest segment, which leads to the oldest; NULL: none. */
    struct segment *last;
    uint32_t bytes; /* queued and not taken */
};

/* Room for a record of `length` bytes, which must be written and committed
 * before the next call; NULL without memory. */
unsigned char *outbox_reserve(struct outbox *, struct segment_store *,
                              uint32_t length);
void outbox_commit(struct outbox *, uint32_t length);

/* Begins `span` with the oldest records: at most SPAN_BYTES_MAX bytes of two
 * segments, or one segment if that holds more. The outbox is not empty. */
void outbox_take(struct outbox *, struct segment_store *, struct span *);

/* Empties it. */
void outbox_drop(struct outbox *, struct segment_store *);

#endif
