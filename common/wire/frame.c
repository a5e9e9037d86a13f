/*
 * The `frame` dialect of docs/protocol.md: compact, for programs.
 */
#include "common/wire/frame.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/internal.h"
#include "common/wire/message.h"
#include "common/wire/pieces.h"
#include "common/wire/reader.h"

#include <assert.h>
#include <stdlib.h>

/* A version and the longest nick: all that a stranger may send. */
#define HELLO_BYTES_MAX (1 + 1 + NICK_BYTES_MAX)

/* ---- From the peer: the head -------------------------------------------- */

static uint32_t body_bytes_max(const struct wire *wire,
                               const struct decoder *decoder)
{
    return decoder->greeted || decoder->heard ? wire->config.frame_bytes_max
                                              : HELLO_BYTES_MAX;
}

enum error_code frame_check_head(const struct wire *wire,
                                 const struct decoder *decoder,
                                 const unsigned char *head, size_t length)
{
    if (length >= 2 && !decoder->greeted &&
        !message_can_begin(decoder, load_u16(head)))
        return ERROR_HANDSHAKE;
    if (length == FRAME_HEAD_BYTES &&
        load_u16(head + 2) > body_bytes_max(wire, decoder))
        return ERROR_TOO_LARGE;
    return ERROR_NONE;
}

size_t frame_bytes(const unsigned char *head)
{
    return FRAME_HEAD_BYTES + (size_t)load_u16(head + 2);
}

size_t frame_bytes_max(const struct wire *wire)
{
    return FRAME_HEAD_BYTES + (size_t)wire->config.frame_bytes_max;
}

/* ---- From the peer: the body -------------------------------------------- */

static enum error_code read_hello(struct reader *reader,
                                  struct request *request)
{
    uint8_t version = read_u8(reader);

    if (!reader->failed && version != PROTOCOL_VERSION)
        return ERROR_BAD_VERSION;
    request->kind = REQUEST_HELLO;
    request->name = read_str8(reader);
    return read_end(reader);
}

static enum error_code read_heartbeat(struct reader *reader,
                                      struct request *request)
{
    uint8_t kind = read_u8(reader);

    request->kind = kind == HEARTBEAT_PING ? REQUEST_PING : REQUEST_PONG;
    request->stamp = read_u64(reader);
    return kind > HEARTBEAT_PONG ? ERROR_BAD_FRAME : read_end(reader);
}

/* A room, `@nick`, or nothing for the current room. */
static void set_target(struct request *request, struct slice target)
{
    request->target = TARGET_ROOM;
    request->name = target;
    if (target.length == 0) {
        request->target = TARGET_CURRENT;
    } else if (target.bytes[0] == '@') {
        request->target = TARGET_NICK;
        request->name = (struct slice){target.bytes + 1, target.length - 1};
    }
}

static enum error_code read_message(struct reader *reader,
                                    struct request *request)
{
    request->kind = REQUEST_MESSAGE;
    request->id = read_u32(reader);
    set_target(request, read_str8(reader));
    request->text = read_rest(reader);
    return reader->failed ? ERROR_BAD_FRAME : request_check_text(request);
}

static enum error_code read_command(struct reader *reader,
                                    struct request *request)
{
    request->kind = REQUEST_COMMAND;
    request->id = read_u32(reader);
    request->text = read_rest(reader);
    return reader->failed ? ERROR_BAD_FRAME : request_check_text(request);
}

static enum error_code read_disconnect(struct reader *reader,
                                       struct request *request)
{
    request->kind = REQUEST_DISCONNECT;
    read_u16(reader); /* the reason, and then a text */
    return reader->failed ? ERROR_BAD_FRAME : ERROR_NONE;
}

static enum error_code read_body(const struct decoder *decoder, unsigned type,
                                 struct reader *body, struct request *request)
{
    switch (type) {
    case TYPE_SESSION_ACK:
        return decoder->greeted ? ERROR_HANDSHAKE : read_hello(body, request);
    case TYPE_HEARTBEAT:
        return read_heartbeat(body, request);
    case TYPE_MESSAGE:
        return read_message(body, request);
    case TYPE_COMMAND:
        return read_command(body, request);
    case TYPE_DISCONNECT:
        return read_disconnect(body, request);
    case TYPE_FILE_OFFER:
    case TYPE_FILE_ACCEPT:
    case TYPE_FILE_DATA:
    case TYPE_FILE_END:
        request->kind = REQUEST_TRANSFER;
        return ERROR_NONE;
    default:
        return type_refusal(type);
    }
}

enum wire_outcome frame_decode(struct wire *wire, struct decoder *decoder,
                               const unsigned char **bytes, size_t *length,
                               struct request *request, enum error_code *error)
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
    *error = read_body(decoder, load_u16(head), &body, request);
    return *error == ERROR_NONE ? WIRE_READY : WIRE_INVALID;
}

/* ---- To the peer -------------------------------------------------------- */

/* The fields of an event's body before its text. */
static size_t fixed_bytes(const struct event *event)
{
    size_t names = 1 + event->room.length + 1 + event->nick.length;

    switch (event->kind) {
    case EVENT_MESSAGE:
        return 8 + 8 + names;
    case EVENT_PRIVATE:
        return 8 + 8 + (1 + sizeof("@") - 1) + (1 + event->nick.length);
    case EVENT_JOINED:
    case EVENT_LEFT:
    case EVENT_NICK:
    case EVENT_TOPIC:
    case EVENT_LAGGED:
        return 1 + names;
    case EVENT_REPLY:
    case EVENT_ECHO:
    case EVENT_TOPIC_REPLY:
        return 4 + 1;
    case EVENT_ERROR:
        return 2 + 4;
    case EVENT_WELCOME:
        return names;
    case EVENT_SESSION_INIT:
        return 1 + UUID_BYTES + 2 + 4;
    case EVENT_PING:
    case EVENT_PONG:
        return HEARTBEAT_BYTES;
    case EVENT_ACK:
        return 4 + 8;
    case EVENT_DISCONNECT:
        return 2;
    case EVENT_OTHER:
        break;
    }
    abort();
}

/* The text of the event; if that is none, or does not fit, what it was. */
static void pieces_of_text(struct pieces *pieces, const struct event *event)
{
    if (content_is_text(event->content_type)) {
        pieces_of_content(pieces, event);
        if (fixed_bytes(event) + pieces_size(pieces) <= FRAME_BODY_BYTES_MAX)
            return;
        pieces->count = 0;
    }
    pieces_add_description(pieces, event);
}

void frame_prepare(struct outgoing *frame)
{
    pieces_of_text(&frame->content, frame->event);
    frame->size = FRAME_HEAD_BYTES + fixed_bytes(frame->event) +
                  pieces_size(&frame->content);
}

static unsigned char *put_names(unsigned char *out, const struct event *event)
{
    return put_str8(put_str8(out, event->room), event->nick);
}

static unsigned char *put_session_init(unsigned char *out,
                                       const struct wire *wire,
                                       const struct wire_peer *to)
{
    out = store_u8(out, PROTOCOL_VERSION);
    out = mempcpy(out, to->uuid, UUID_BYTES);
    out = store_u16(out, wire->config.heartbeat_s);
    return store_u32(out, wire->config.frame_bytes_max);
}

static unsigned char *put_fixed(unsigned char *out, const struct wire *wire,
                                const struct wire_peer *to,
                                const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        out = store_u64(store_u64(out, event->seq), event->time_us);
        return put_names(out, event);
    case EVENT_PRIVATE:
        out = store_u64(store_u64(out, 0), event->time_us);
        return put_str8(put_str8(out, SLICE("@")), event->nick);
    case EVENT_JOINED:
    case EVENT_LEFT:
    case EVENT_NICK:
    case EVENT_TOPIC:
    case EVENT_LAGGED:
        return put_names(store_u8(out, event_notice_kind(event)), event);
    case EVENT_REPLY:
    case EVENT_ECHO:
    case EVENT_TOPIC_REPLY:
        return store_u8(store_u32(out, event->id), event->more);
    case EVENT_ERROR:
        return store_u32(store_u16(out, event->code), event->id);
    case EVENT_WELCOME:
        return put_str8(put_str8(out, event->nick), event->room);
    case EVENT_SESSION_INIT:
        return put_session_init(out, wire, to);
    case EVENT_PING:
        return store_u64(store_u8(out, HEARTBEAT_PING), event->number);
    case EVENT_PONG:
        return store_u64(store_u8(out, HEARTBEAT_PONG), event->number);
    case EVENT_ACK:
        return store_u64(store_u32(out, event->id), event->seq);
    case EVENT_DISCONNECT:
        return store_u16(out, 0);
    case EVENT_OTHER:
        break;
    }
    abort();
}

unsigned char *frame_write(const struct wire *wire,
                           const struct outgoing *frame, unsigned char *out)
{
    const struct event *event = frame->event;
    unsigned char *body;

    out = store_u16(out, event_type(event));
    out = body = store_u16(out, (unsigned)(frame->size - FRAME_HEAD_BYTES));
    out = put_fixed(out, wire, frame->to, event);
    assert(out == body + fixed_bytes(event));
    return pieces_write(&frame->content, out);
}
