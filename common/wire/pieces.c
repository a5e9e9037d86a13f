/*
 * Texts put together from slices.
 */
#include "common/wire/pieces.h"

#include "common/wire/internal.h"

#include <assert.h>

void pieces_add(struct pieces *pieces, struct slice piece)
{
    if (piece.length == 0)
        return; /* there may be no memory at all, which memcpy must not see */
    assert(pieces->count < sizeof(pieces->piece) / sizeof(pieces->piece[0]));
    pieces->piece[pieces->count++] = piece;
}

void pieces_add_number(struct pieces *pieces, uint64_t number)
{
    pieces_add(pieces, decimal(number, pieces->digits));
}

size_t pieces_size(const struct pieces *pieces)
{
    size_t size = 0;

    for (size_t i = 0; i < pieces->count; i++)
        size += pieces->piece[i].length;
    return size;
}

unsigned char *pieces_write(const struct pieces *pieces, unsigned char *out)
{
    for (size_t i = 0; i < pieces->count; i++)
        out = mempcpy(out, pieces->piece[i].bytes, pieces->piece[i].length);
    return out;
}

void pieces_add_description(struct pieces *pieces, const struct event *event)
{
    pieces_add(pieces, SLICE("sent "));
    pieces_add(pieces, event_content_type(event));
    pieces_add(pieces, SLICE(" ("));
    pieces_add_number(pieces, event->text.length);
    pieces_add(pieces, SLICE(" bytes)"));
}

void pieces_add_error(struct pieces *pieces, const struct event *event)
{
    pieces_add(pieces, slice_of(error_name(event->code)));
    if (event->text.length > 0)
        pieces_add(pieces, SLICE(" "));
    pieces_add(pieces, event->text);
}

void pieces_add_topic(struct pieces *pieces, const struct event *event)
{
    pieces_add(pieces, SLICE("topic "));
    pieces_add(pieces, event->room);
    pieces_add(pieces, SLICE(": "));
    pieces_add(pieces, event->text);
}

void pieces_of_content(struct pieces *pieces, const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
    case EVENT_PRIVATE:
    case EVENT_NICK:
    case EVENT_TOPIC:
    case EVENT_REPLY:
    case EVENT_ECHO:
        pieces_add(pieces, event->text);
        break;
    case EVENT_LAGGED:
        pieces_add_number(pieces, event->number);
        break;
    case EVENT_ERROR:
        pieces_add_error(pieces, event);
        break;
    case EVENT_TOPIC_REPLY:
        pieces_add_topic(pieces, event);
        break;
    case EVENT_JOINED:
    case EVENT_LEFT:
    case EVENT_WELCOME:
    case EVENT_SESSION_INIT:
    case EVENT_PING:
    case EVENT_PONG:
    case EVENT_ACK:
    case EVENT_DISCONNECT:
    case EVENT_OTHER:
        break;
    }
}
