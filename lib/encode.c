/*
 * From messages to bytes: what a client says, or a server. Whatever a program
 * asks for, common/wire is handed only what it has a form for.
 */
#include "common/base/limits.h"
#include "common/wire/clean.h"
#include "common/wire/frame.h"
#include "common/wire/headers.h"
#include "common/wire/internal.h"
#include "common/wire/name.h"
#include "common/wire/say.h"
#include "common/wire/secure.h"
#include "lib/codec.h"
#include "lib/sized.h"

#include <errno.h>

/* No text is longer: with what stands around it, it stays a record. */
#define TEXT_BYTES_MAX (RECORD_BYTES_MAX / 2)

/* ---- What holds of parts ------------------------------------------------ */

/* What a program hands over has bytes, unless it is empty. */
static bool parts_are_there(const struct ringchat_message *message)
{
    return (message->room.bytes || message->room.length == 0) &&
           (message->nick.bytes || message->nick.length == 0) &&
           (message->text.bytes || message->text.length == 0) &&
           (message->content_type.bytes || message->content_type.length == 0);
}

static bool is_clean(struct slice text)
{
    return text.length == 0 || text_is_clean(text.bytes, text.length);
}

/* Something is said, and if people see it, it is clean. */
static bool content_is_valid(struct slice content, struct slice type)
{
    return content.length > 0 && content_type_is_valid(type) &&
           (!content_is_text(type) || is_clean(content));
}

/* JSON numbers are shorter than those of frames. */
static bool number_is_valid(const struct ringchat_codec *codec, uint64_t number)
{
    return codec->dialect != DIALECT_SECURE || number <= HEADER_NUMBER_MAX;
}

static bool is_binary(const struct ringchat_codec *codec)
{
    return codec->dialect != DIALECT_TEXT;
}

/* ---- What a client says: each fills in its request, or says why not ------ */

static int take_nothing(const struct ringchat_codec *codec,
                        struct request *request)
{
    request->kind = REQUEST_NOTHING;
    return is_binary(codec) ? -ENOTSUP : 0;
}

static int take_hello(const struct ringchat_codec *codec,
                      const struct ringchat_message *message,
                      struct request *request)
{
    request->kind = REQUEST_HELLO;
    request->name = text_slice(message->nick);
    if (!is_binary(codec))
        return -ENOTSUP;
    return request->name.length == 0 || ringchat_nick_is_valid(message->nick)
               ? 0
               : -EINVAL;
}

static int take_heartbeat(const struct ringchat_codec *codec,
                          const struct ringchat_message *message,
                          struct request *request)
{
    request->kind =
        message->kind == RINGCHAT_PING ? REQUEST_PING : REQUEST_PONG;
    request->stamp = message->stamp;
    if (!is_binary(codec))
        return -ENOTSUP;
    return number_is_valid(codec, message->stamp) ? 0 : -EINVAL;
}

/* A `#` before a room's name is dropped, as a server does. */
static int take_target(const struct ringchat_codec *codec,
                       const struct ringchat_message *message,
                       struct request *request)
{
    if (message->kind == RINGCHAT_PRIVATE) {
        request->target = TARGET_NICK;
        request->name = text_slice(message->nick);
        return nick_is_valid(request->name) ? 0 : -EINVAL;
    }
    if (message->room.length == 0)
        return 0;
    request->target = TARGET_ROOM;
    request->name = room_name_plain(text_slice(message->room));
    if (!room_name_is_valid(request->name))
        return -EINVAL;
    return is_binary(codec) ? 0 : -ENOTSUP;
}

static int take_content(const struct ringchat_codec *codec,
                        const struct ringchat_message *message,
                        struct request *request)
{
    request->kind = REQUEST_MESSAGE;
    request->id = message->id;
    request->text = text_slice(message->text);
    request->content_type = text_slice(message->content_type);
    if (!content_is_valid(request->text, request->content_type))
        return -EINVAL;
    if (codec->dialect != DIALECT_SECURE &&
        !content_is_text(request->content_type))
        return -ENOTSUP;
    return take_target(codec, message, request);
}

/* In text a second slash would make it a message. */
static int take_command(const struct ringchat_codec *codec,
                        const struct ringchat_message *message,
                        struct request *request)
{
    struct slice line = text_slice(message->text);

    request->kind = REQUEST_COMMAND;
    request->id = message->id;
    request->text = line;
    if (line.length == 0 || !is_clean(line))
        return -EINVAL;
    return is_binary(codec) || line.bytes[0] != '/' ? 0 : -EINVAL;
}

static int take_request(const struct ringchat_codec *codec,
                        const struct ringchat_message *message,
                        struct request *request)
{
    *request = (struct request){.kind = REQUEST_DISCONNECT};
    switch (message->kind) {
    case RINGCHAT_NOTHING:
        return take_nothing(codec, request);
    case RINGCHAT_HELLO:
        return take_hello(codec, message, request);
    case RINGCHAT_PING:
    case RINGCHAT_PONG:
        return take_heartbeat(codec, message, request);
    case RINGCHAT_MESSAGE:
    case RINGCHAT_PRIVATE:
        return take_content(codec, message, request);
    case RINGCHAT_COMMAND:
        return take_command(codec, message, request);
    case RINGCHAT_DISCONNECT:
        return 0;
    default:
        return -EINVAL;
    }
}

/* ---- Saying it ---------------------------------------------------------- */

/* A hello comes before WELCOME, all else after it. */
static bool request_is_due(const struct ringchat_codec *codec,
                           const struct request *request)
{
    return codec->stage ==
           (request->kind == REQUEST_HELLO ? STAGE_GREETED : STAGE_WELCOMED);
}

static enum encoding encoding_of(const struct ringchat_codec *codec,
                                 bool sealed)
{
    return sealed ? ENCODING_SEALED : dialect_encoding(codec->dialect);
}

/* What of it the server's limit is for. */
static size_t counted_bytes(const struct said *said)
{
    switch (said->encoding) {
    case ENCODING_FRAME:
        return said->size - FRAME_HEAD_BYTES;
    case ENCODING_SECURE:
    case ENCODING_SEALED:
        return said->size - SECURE_HEAD_BYTES - said->headers.length;
    default:
        return said->size;
    }
}

static bool fits(const struct ringchat_codec *codec, const struct said *said)
{
    size_t counted = counted_bytes(said);

    return counted <= codec->peer_bytes_max &&
           (codec->dialect != DIALECT_FRAME || counted <= FRAME_BODY_BYTES_MAX);
}

static ptrdiff_t encode_request(struct ringchat_codec *codec,
                                const struct ringchat_message *message,
                                unsigned char *bytes, size_t capacity)
{
    struct wire_peer peer = codec->peer;
    struct request request;
    struct said said;
    int error = take_request(codec, message, &request);

    if (error < 0)
        return error;
    if (!request_is_due(codec, &request))
        return -EPROTO;
    if (request.kind == REQUEST_HELLO && codec->seal)
        peer.sealed = true;
    said_prepare(
        codec->wire,
        encoding_of(codec, peer.sealed && request.kind != REQUEST_HELLO), &peer,
        &request, &said);
    if (!fits(codec, &said))
        return -EMSGSIZE;
    if (capacity == 0)
        return (ptrdiff_t)said.size;
    if (said.size > capacity)
        return -ENOBUFS;
    /* A seq is used up, whatever becomes of the message: it seals. */
    codec->peer.seq_out++;
    if (!said_write(codec->wire, &said, bytes))
        return -ENOMEM;
    codec->peer = peer;
    return (ptrdiff_t)said.size;
}

/* ---- What a server says ------------------------------------------------- */

/* What an event has of a message. */
enum {
    SAID = 1 << 0,   /* a server says it at all */
    BINARY = 1 << 1, /* text has no word for it */
    ROOM = 1 << 2,
    NICK = 1 << 3,
    TEXT = 1 << 4,
    NEW_NICK = 1 << 5, /* its text is one */
    CONTENT = 1 << 6,  /* its text is, of a content type */
    SEQ = 1 << 7,
    TIME = 1 << 8,
    STAMP = 1 << 9,
    COUNT = 1 << 10,
    ID = 1 << 11,
    CODE = 1 << 12,
};

struct form {
    unsigned has;
    enum event_kind event;
};

#define NOTICE (SAID | ROOM | NICK | SEQ)

static const struct form forms[] = {
    [RINGCHAT_SESSION_INIT] = {SAID | BINARY, EVENT_SESSION_INIT},
    [RINGCHAT_WELCOME] = {SAID | ROOM | NICK, EVENT_WELCOME},
    [RINGCHAT_PING] = {SAID | BINARY | STAMP, EVENT_PING},
    [RINGCHAT_PONG] = {SAID | BINARY | STAMP, EVENT_PONG},
    [RINGCHAT_MESSAGE] = {NOTICE | TIME | CONTENT, EVENT_MESSAGE},
    [RINGCHAT_PRIVATE] = {SAID | NICK | TIME | CONTENT, EVENT_PRIVATE},
    [RINGCHAT_REPLY] = {SAID | ID | TEXT, EVENT_REPLY},
    [RINGCHAT_ACK] = {SAID | BINARY | ID | SEQ, EVENT_ACK},
    [RINGCHAT_ERROR] = {SAID | ID | CODE | TEXT, EVENT_ERROR},
    [RINGCHAT_JOINED] = {NOTICE, EVENT_JOINED},
    [RINGCHAT_LEFT] = {NOTICE, EVENT_LEFT},
    [RINGCHAT_NICK] = {NOTICE | NEW_NICK, EVENT_NICK},
    [RINGCHAT_TOPIC] = {NOTICE | TEXT, EVENT_TOPIC},
    [RINGCHAT_LAGGED] = {SAID | ROOM | COUNT, EVENT_LAGGED},
    [RINGCHAT_DISCONNECT] = {SAID | BINARY, EVENT_DISCONNECT},
};

/* NULL: only clients say that, or nobody. */
static const struct form *form_of(enum ringchat_kind kind)
{
    if ((size_t)kind >= sizeof(forms) / sizeof(forms[0]) ||
        !(forms[kind].has & SAID))
        return NULL;
    return &forms[kind];
}

static struct slice part(bool has, struct ringchat_text text)
{
    return has ? text_slice(text) : SLICE("");
}

static struct event event_of_message(const struct ringchat_message *message,
                                     const struct form *form)
{
    unsigned has = form->has;

    return (struct event){
        .kind = form->event,
        .room = part(has & ROOM, message->room),
        .nick = part(has & NICK, message->nick),
        .text = part(has & (TEXT | NEW_NICK | CONTENT), message->text),
        .content_type = part(has & CONTENT, message->content_type),
        .seq = has & SEQ ? message->seq : 0,
        .time_us = has & TIME ? message->time_us : 0,
        .number = has & STAMP   ? message->stamp
                  : has & COUNT ? message->count
                                : 0,
        .id = has & ID ? message->id : 0,
        .code = has & CODE ? (enum error_code)message->code : ERROR_NONE,
        .more = message->more,
    };
}

static bool event_is_valid(const struct ringchat_codec *codec,
                           const struct event *event, unsigned has)
{
    return (!(has & ROOM) || room_name_is_valid(event->room)) &&
           (!(has & NICK) || nick_is_valid(event->nick)) &&
           (!(has & NEW_NICK) || nick_is_valid(event->text)) &&
           (!(has & TEXT) || is_clean(event->text)) &&
           (!(has & CONTENT) ||
            content_is_valid(event->text, event->content_type)) &&
           (!(has & CODE) || error_is_known(event->code)) &&
           (event->kind != EVENT_ACK || event->id != 0) &&
           number_is_valid(codec, event->seq) &&
           number_is_valid(codec, event->time_us) &&
           number_is_valid(codec, event->number);
}

/* ---- Saying that -------------------------------------------------------- */

/* SESSION_INIT is first, in the binary dialects; then a hello is answered. An
 * error may come at any time. */
static bool event_is_due(const struct ringchat_codec *codec,
                         enum event_kind kind)
{
    switch (kind) {
    case EVENT_SESSION_INIT:
        return codec->stage == STAGE_STRANGER;
    case EVENT_WELCOME:
        return codec->stage ==
               (is_binary(codec) ? STAGE_NAMED : STAGE_STRANGER);
    case EVENT_ERROR:
        return true;
    default:
        return codec->stage == STAGE_WELCOMED;
    }
}

/* Moves the connection on. */
static void follow_event(struct ringchat_codec *codec, enum event_kind kind)
{
    if (kind == EVENT_SESSION_INIT)
        codec->stage = STAGE_GREETED;
    if (kind != EVENT_WELCOME)
        return;
    codec->stage = STAGE_WELCOMED;
    if (is_binary(codec))
        decoder_welcome(&codec->decoder);
}

static bool is_to_room(enum event_kind kind)
{
    return kind <= EVENT_TOPIC;
}

static ptrdiff_t write_event(struct ringchat_codec *codec,
                             const struct event *event, unsigned char *bytes,
                             size_t capacity)
{
    struct wire_peer peer = codec->peer;
    struct outgoing outgoing;
    size_t size = wire_prepare(
        codec->wire,
        encoding_of(codec, peer.sealed && event->kind != EVENT_SESSION_INIT),
        is_to_room(event->kind) ? NULL : &peer, event, &outgoing);

    if (capacity == 0)
        return (ptrdiff_t)size;
    if (size > capacity)
        return -ENOBUFS;
    if (!wire_write(codec->wire, &outgoing, bytes))
        return -ENOMEM;
    codec->peer = peer;
    follow_event(codec, event->kind);
    return (ptrdiff_t)size;
}

static ptrdiff_t encode_event(struct ringchat_codec *codec,
                              const struct ringchat_message *message,
                              unsigned char *bytes, size_t capacity)
{
    const struct form *form = form_of(message->kind);
    struct event event;

    if (!form)
        return -EINVAL;
    event = event_of_message(message, form);
    if (!event_is_valid(codec, &event, form->has))
        return -EINVAL;
    if (form->has & BINARY && !is_binary(codec))
        return -ENOTSUP;
    if (!event_is_due(codec, event.kind))
        return -EPROTO;
    return write_event(codec, &event, bytes, capacity);
}

/* ---- Encoding ----------------------------------------------------------- */

ptrdiff_t ringchat_encode(struct ringchat_codec *codec,
                          const struct ringchat_message *theirs, void *bytes,
                          size_t capacity)
{
    struct ringchat_message message;

    if (!codec || !sized_take(&message, sizeof(message), theirs) ||
        (!bytes && capacity > 0) || !parts_are_there(&message))
        return -EINVAL;
    if (message.text.length > TEXT_BYTES_MAX)
        return -EMSGSIZE;
    return codec->role == RINGCHAT_CLIENT
               ? encode_request(codec, &message, bytes, capacity)
               : encode_event(codec, &message, bytes, capacity);
}
