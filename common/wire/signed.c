/*
 * Secure messages to a peer or a room: what the headers of an event are.
 */
#include "common/wire/compose.h"
#include "common/wire/internal.h"
#include "common/wire/secure.h"

/* ---- Headers ------------------------------------------------------------ */

static void put_message(struct builder *headers, struct slice room,
                        uint64_t seq, const struct event *event)
{
    put_string(headers, FIELD("room"), room);
    put_number(headers, FIELD("room_seq"), seq);
    put_string(headers, FIELD("nick"), event->nick);
    put_number(headers, FIELD("time"), event->time_us);
    put_content_type(headers, event_content_type(event));
}

static void put_notice(struct builder *headers, const struct event *event)
{
    static const char *const kinds[] = {
        NULL, "joined", "left", "nick", "topic", "lagged",
    };

    put_string(headers, FIELD("kind"),
               slice_of(kinds[event_notice_kind(event)]));
    put_string(headers, FIELD("room"), event->room);
    put_string(headers, FIELD("nick"), event->nick);
}

static void put_session_init(struct builder *headers, const struct wire *wire)
{
    put_uuid(headers, FIELD("boot"), wire->config.boot);
    put_number(headers, FIELD("heartbeat"), wire->config.heartbeat_s);
    put_number(headers, FIELD("max_content"), wire->config.message_bytes_max);
}

static void put_fields(struct builder *headers, const struct wire *wire,
                       const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        put_message(headers, event->room, event->seq, event);
        break;
    case EVENT_PRIVATE:
        put_message(headers, SLICE("@"), 0, event);
        break;
    case EVENT_JOINED:
    case EVENT_LEFT:
    case EVENT_NICK:
    case EVENT_TOPIC:
        put_number(headers, FIELD("room_seq"), event->seq);
        put_notice(headers, event);
        break;
    case EVENT_LAGGED:
        put_notice(headers, event);
        break;
    case EVENT_REPLY:
    case EVENT_ECHO:
    case EVENT_TOPIC_REPLY:
        put_id(headers, event->id);
        build_slice(headers, FIELD("more"));
        build_slice(headers, event->more ? SLICE("true") : SLICE("false"));
        break;
    case EVENT_ERROR:
        put_number(headers, FIELD("code"), event->code);
        put_string(headers, FIELD("name"), slice_of(error_name(event->code)));
        put_id(headers, event->id);
        break;
    case EVENT_WELCOME:
        put_string(headers, FIELD("nick"), event->nick);
        put_string(headers, FIELD("room"), event->room);
        break;
    case EVENT_SESSION_INIT:
        put_session_init(headers, wire);
        break;
    case EVENT_PING:
        put_heartbeat(headers, "ping", event->number);
        break;
    case EVENT_PONG:
        put_heartbeat(headers, "pong", event->number);
        break;
    case EVENT_ACK:
        put_number(headers, FIELD("id"), event->id);
        put_number(headers, FIELD("room_seq"), event->seq);
        break;
    case EVENT_DISCONNECT:
        put_number(headers, FIELD("code"), 0);
        break;
    case EVENT_OTHER:
        break;
    }
}

static void build_headers(struct builder *headers, const struct wire *wire,
                          const struct wire_peer *to, const struct event *event)
{
    if (to)
        put_session(headers, to);
    put_fields(headers, wire, event);
}

/* ---- Messages ----------------------------------------------------------- */

static struct draft draft_of(const struct outgoing *message)
{
    return (struct draft){
        .type = event_type(message->event),
        .headers = &message->headers,
        .content = &message->content,
    };
}

/* With headers that are finished. */
static void add_content(struct outgoing *message)
{
    struct draft draft = draft_of(message);

    pieces_of_content(&message->content, message->event);
    message->size = draft_size(&draft);
}

void secure_prepare(const struct wire *wire, struct outgoing *message)
{
    build_headers(&message->headers, wire, message->to, message->event);
    finish_headers(&message->headers);
    add_content(message);
}

void sealed_prepare(const struct wire *wire, struct outgoing *message)
{
    build_headers(&message->headers, wire, message->to, message->event);
    put_seal(&message->headers);
    finish_headers(&message->headers);
    add_content(message);
    message->size += SEAL_TAG_BYTES;
}

/* Of what is to one peer its seq is used up, whatever becomes of it. */
static void use_seq(const struct outgoing *message)
{
    if (message->to)
        message->to->seq_out++;
}

unsigned char *secure_write(struct wire *wire, const struct outgoing *message,
                            unsigned char *out)
{
    struct draft draft = draft_of(message);

    use_seq(message);
    return draft_write(wire, &draft, out);
}

unsigned char *sealed_write(struct wire *wire, const struct outgoing *message,
                            unsigned char *out)
{
    struct draft draft = draft_of(message);
    uint8_t iv[IV_BYTES];

    use_seq(message);
    keys_next_iv(wire->keys, iv);
    return draft_write_sealed(wire, &draft, iv, out);
}
