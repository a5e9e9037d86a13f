/*
 * Frames from a server. What is of a type that only clients send, or is not
 * what its type says, is no frame of ours; a type that is not known is told as
 * EVENT_OTHER, for a later server may have some.
 */
#include "common/wire/frame.h"
#include "common/wire/internal.h"
#include "common/wire/message.h"
#include "common/wire/reader.h"

static enum error_code read_session_init(struct decoder *decoder,
                                         struct reader *reader,
                                         struct heard *heard)
{
    uint8_t version = read_u8(reader);

    if (decoder->greeted)
        return ERROR_HANDSHAKE;
    if (!reader->failed && version != PROTOCOL_VERSION)
        return ERROR_BAD_VERSION;
    heard->event.kind = EVENT_SESSION_INIT;
    memcpy(heard->greeting.session, read_bytes(reader, UUID_BYTES), UUID_BYTES);
    heard->greeting.heartbeat_s = read_u16(reader);
    heard->greeting.bytes_max = read_u32(reader);
    if (read_end(reader) != ERROR_NONE)
        return ERROR_BAD_FRAME;
    decoder->greeted = true;
    return ERROR_NONE;
}

static enum error_code read_welcome(struct reader *reader, struct event *event)
{
    event->kind = EVENT_WELCOME;
    event->nick = read_str8(reader);
    event->room = read_str8(reader);
    return read_end(reader);
}

static enum error_code read_heartbeat(struct reader *reader,
                                      struct event *event)
{
    uint8_t kind = read_u8(reader);

    event->kind = kind == HEARTBEAT_PING ? EVENT_PING : EVENT_PONG;
    event->number = read_u64(reader);
    return kind > HEARTBEAT_PONG ? ERROR_BAD_FRAME : read_end(reader);
}

/* Of a private message the room is `@`, which is no room's name. */
static enum error_code read_message(struct reader *reader, struct event *event)
{
    event->kind = EVENT_MESSAGE;
    event->seq = read_u64(reader);
    event->time_us = read_u64(reader);
    event->room = read_str8(reader);
    event->nick = read_str8(reader);
    event->text = read_rest(reader);
    if (slice_equals(event->room, SLICE("@"))) {
        event->kind = EVENT_PRIVATE;
        event->room.length = 0;
        event->seq = 0;
    }
    return read_end(reader);
}

static enum error_code read_error(struct reader *reader, struct event *event)
{
    event->kind = EVENT_ERROR;
    event->code = read_u16(reader);
    event->id = read_u32(reader);
    event->text = error_detail_in(read_rest(reader));
    return event->code == ERROR_NONE ? ERROR_BAD_FRAME : read_end(reader);
}

static enum error_code read_reply(struct reader *reader, struct event *event)
{
    uint8_t more;

    event->kind = EVENT_REPLY;
    event->id = read_u32(reader);
    more = read_u8(reader);
    event->more = more != 0;
    event->text = read_rest(reader);
    return more > 1 ? ERROR_BAD_FRAME : read_end(reader);
}

static enum error_code read_notice(struct reader *reader, struct event *event)
{
    event->kind = event_of_notice(read_u8(reader));
    event->room = read_str8(reader);
    event->nick = read_str8(reader);
    if (reader->failed)
        return ERROR_BAD_FRAME;
    return event_read_notice(event, read_rest(reader));
}

static enum error_code read_ack(struct reader *reader, struct event *event)
{
    event->kind = EVENT_ACK;
    event->id = read_u32(reader);
    event->seq = read_u64(reader);
    return read_end(reader);
}

static enum error_code read_disconnect(struct reader *reader,
                                       struct event *event)
{
    event->kind = EVENT_DISCONNECT;
    read_u16(reader); /* the reason, and then a text */
    return reader->failed ? ERROR_BAD_FRAME : ERROR_NONE;
}

static enum error_code read_body(struct decoder *decoder, unsigned type,
                                 struct reader *body, struct heard *heard)
{
    switch (type) {
    case TYPE_SESSION_INIT:
        return read_session_init(decoder, body, heard);
    case TYPE_WELCOME:
        return read_welcome(body, &heard->event);
    case TYPE_HEARTBEAT:
        return read_heartbeat(body, &heard->event);
    case TYPE_MESSAGE:
        return read_message(body, &heard->event);
    case TYPE_ERROR:
        return read_error(body, &heard->event);
    case TYPE_REPLY:
        return read_reply(body, &heard->event);
    case TYPE_NOTICE:
        return read_notice(body, &heard->event);
    case TYPE_ACK:
        return read_ack(body, &heard->event);
    case TYPE_DISCONNECT:
        return read_disconnect(body, &heard->event);
    case TYPE_SESSION_ACK:
    case TYPE_COMMAND:
        return ERROR_BAD_FRAME;
    default:
        return ERROR_NONE;
    }
}

enum wire_outcome frame_hear(struct wire *wire, struct decoder *decoder,
                             const unsigned char **bytes, size_t *length,
                             struct heard *heard, enum error_code *error)
{
    struct slice frame;
    struct reader body;
    enum wire_outcome outcome;
    const unsigned char *head;

    outcome = message_assemble(wire, decoder, bytes, length, &frame, error);
    if (outcome != WIRE_READY)
        return outcome;
    head = (const unsigned char *)frame.bytes;
    body = (struct reader){.at = head + FRAME_HEAD_BYTES,
                           .end = head + frame.length};
    *error = read_body(decoder, load_u16(head), &body, heard);
    return *error == ERROR_NONE ? WIRE_READY : WIRE_INVALID;
}
