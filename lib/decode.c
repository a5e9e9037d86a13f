/*
 * From bytes to messages: requests for a server's codec, events for a client's.
 * What is handed out keeps to the rules of names and text, whoever sent it.
 */
#include "common/wire/hear.h"
#include "common/wire/name.h"
#include "lib/codec.h"
#include "lib/sized.h"

#include <stdint.h>

/* ---- What a client hears ------------------------------------------------ */

static enum ringchat_kind kind_of_event(enum event_kind kind)
{
    static const enum ringchat_kind kinds[] = {
        [EVENT_MESSAGE] = RINGCHAT_MESSAGE,
        [EVENT_JOINED] = RINGCHAT_JOINED,
        [EVENT_LEFT] = RINGCHAT_LEFT,
        [EVENT_NICK] = RINGCHAT_NICK,
        [EVENT_TOPIC] = RINGCHAT_TOPIC,
        [EVENT_LAGGED] = RINGCHAT_LAGGED,
        [EVENT_PRIVATE] = RINGCHAT_PRIVATE,
        [EVENT_REPLY] = RINGCHAT_REPLY,
        [EVENT_ECHO] = RINGCHAT_REPLY,
        [EVENT_ERROR] = RINGCHAT_ERROR,
        [EVENT_TOPIC_REPLY] = RINGCHAT_REPLY,
        [EVENT_WELCOME] = RINGCHAT_WELCOME,
        [EVENT_SESSION_INIT] = RINGCHAT_SESSION_INIT,
        [EVENT_PING] = RINGCHAT_PING,
        [EVENT_PONG] = RINGCHAT_PONG,
        [EVENT_ACK] = RINGCHAT_ACK,
        [EVENT_DISCONNECT] = RINGCHAT_DISCONNECT,
        [EVENT_OTHER] = RINGCHAT_OTHER,
    };

    return kinds[kind];
}

static struct ringchat_message message_of_event(const struct heard *heard)
{
    const struct event *event = &heard->event;
    struct ringchat_message message = {
        .kind = kind_of_event(event->kind),
        .code = (enum ringchat_error)event->code,
        .id = event->id,
        .more = event->more,
        .room = slice_text(event->room),
        .nick = slice_text(event->nick),
        .text = slice_text(event->text),
        .content_type = slice_text(event->content_type),
        .seq = event->seq,
        .time_us = event->time_us,
        .interval_s = heard->greeting.heartbeat_s,
        .bytes_max = heard->greeting.bytes_max,
    };

    if (message.kind == RINGCHAT_PING || message.kind == RINGCHAT_PONG)
        message.stamp = event->number;
    if (message.kind == RINGCHAT_LAGGED)
        message.count = event->number;
    return message;
}

/* Moves the connection on; false: out of memory. */
static bool follow_event(struct ringchat_codec *codec,
                         const struct heard *heard)
{
    if (heard->event.kind == EVENT_WELCOME)
        codec->stage = STAGE_WELCOMED;
    if (heard->event.kind != EVENT_SESSION_INIT)
        return true;
    codec->stage = STAGE_GREETED;
    if (heard->greeting.bytes_max < codec->peer_bytes_max)
        codec->peer_bytes_max = heard->greeting.bytes_max;
    return wire_greeted(codec->wire, &codec->peer, &heard->greeting);
}

static enum wire_outcome heard_to_message(struct ringchat_codec *codec,
                                          enum wire_outcome outcome,
                                          const struct heard *heard,
                                          struct ringchat_message *message,
                                          enum error_code *error)
{
    if (outcome == WIRE_READY && !follow_event(codec, heard)) {
        *error = ERROR_INTERNAL;
        return WIRE_INVALID;
    }
    if (outcome == WIRE_READY)
        *message = message_of_event(heard);
    else
        *message = (struct ringchat_message){.id = heard->event.id};
    return outcome;
}

static enum wire_outcome hear(struct ringchat_codec *codec,
                              const unsigned char **bytes, size_t *length,
                              struct ringchat_message *message,
                              enum error_code *error)
{
    struct heard heard;
    enum wire_outcome outcome =
        wire_hear(codec->wire, &codec->decoder, &codec->peer, bytes, length,
                  &heard, error);

    return heard_to_message(codec, outcome, &heard, message, error);
}

static enum wire_outcome hear_end(struct ringchat_codec *codec,
                                  struct ringchat_message *message,
                                  enum error_code *error)
{
    struct heard heard;
    enum wire_outcome outcome =
        wire_hear_end(codec->wire, &codec->decoder, &heard, error);

    return heard_to_message(codec, outcome, &heard, message, error);
}

/* ---- What a server is asked --------------------------------------------- */

/* What common/wire leaves to the chat: names that are none. */
static enum error_code check_names(struct request *request)
{
    struct slice name = request->name;

    if (request->kind == REQUEST_HELLO && name.length > 0)
        return nick_is_valid(name) && !nick_is_given(name) ? ERROR_NONE
                                                           : ERROR_BAD_NAME;
    if (request->kind != REQUEST_MESSAGE)
        return ERROR_NONE;
    if (request->target == TARGET_NICK && !nick_is_valid(name))
        return ERROR_BAD_NAME;
    if (request->target != TARGET_ROOM)
        return ERROR_NONE;
    request->name = room_name_plain(name);
    return room_name_is_valid(request->name) ? ERROR_NONE : ERROR_BAD_NAME;
}

static enum ringchat_kind kind_of_request(const struct request *request)
{
    static const enum ringchat_kind kinds[] = {
        [REQUEST_NOTHING] = RINGCHAT_NOTHING,
        [REQUEST_HELLO] = RINGCHAT_HELLO,
        [REQUEST_PING] = RINGCHAT_PING,
        [REQUEST_PONG] = RINGCHAT_PONG,
        [REQUEST_MESSAGE] = RINGCHAT_MESSAGE,
        [REQUEST_COMMAND] = RINGCHAT_COMMAND,
        [REQUEST_DISCONNECT] = RINGCHAT_DISCONNECT,
        [REQUEST_TRANSFER] = RINGCHAT_OTHER,
    };

    if (request->kind == REQUEST_MESSAGE && request->target == TARGET_NICK)
        return RINGCHAT_PRIVATE;
    return kinds[request->kind];
}

static struct ringchat_message message_of_request(const struct request *request)
{
    struct ringchat_message message = {
        .kind = kind_of_request(request),
        .id = request->id,
        .text = slice_text(request->text),
        .content_type = slice_text(request->content_type),
        .stamp = request->stamp,
    };

    if (message.kind == RINGCHAT_MESSAGE)
        message.room = slice_text(request->name);
    else
        message.nick = slice_text(request->name);
    return message;
}

static enum wire_outcome request_to_message(struct ringchat_codec *codec,
                                            enum wire_outcome outcome,
                                            struct request *request,
                                            struct ringchat_message *message,
                                            enum error_code *error)
{
    *message = (struct ringchat_message){.id = request->id};
    if (outcome != WIRE_READY)
        return outcome;
    *error = check_names(request);
    if (*error != ERROR_NONE)
        return WIRE_INVALID;
    if (request->kind == REQUEST_HELLO)
        codec->stage = STAGE_NAMED;
    *message = message_of_request(request);
    return WIRE_READY;
}

static enum wire_outcome ask(struct ringchat_codec *codec,
                             const unsigned char **bytes, size_t *length,
                             struct ringchat_message *message,
                             enum error_code *error)
{
    struct request request;
    enum wire_outcome outcome =
        wire_decode(codec->wire, &codec->decoder, &codec->peer, bytes, length,
                    &request, error);

    return request_to_message(codec, outcome, &request, message, error);
}

static enum wire_outcome ask_end(struct ringchat_codec *codec,
                                 struct ringchat_message *message,
                                 enum error_code *error)
{
    struct request request;
    enum wire_outcome outcome =
        wire_decode_end(codec->wire, &codec->decoder, &request, error);

    return request_to_message(codec, outcome, &request, message, error);
}

/* ---- Decoding ----------------------------------------------------------- */

/* Hands out what there is, and remembers what closes. */
static enum ringchat_outcome
hand_out(struct ringchat_codec *codec, enum wire_outcome outcome,
         const struct ringchat_message *message, enum error_code code,
         struct ringchat_message *theirs, enum ringchat_error *error)
{
    sized_give(theirs, message, sizeof(*message));
    if (outcome != WIRE_INVALID)
        return outcome == WIRE_READY ? RINGCHAT_READY : RINGCHAT_PARTIAL;
    if (error_closes(code))
        codec->over = code;
    *error = (enum ringchat_error)code;
    return RINGCHAT_INVALID;
}

/* A NULL where none may be. */
static enum ringchat_outcome refuse(enum ringchat_error *error)
{
    if (error)
        *error = RINGCHAT_ERROR_INTERNAL;
    return RINGCHAT_INVALID;
}

enum ringchat_outcome ringchat_decode(struct ringchat_codec *codec,
                                      const unsigned char **bytes,
                                      size_t *length,
                                      struct ringchat_message *theirs,
                                      enum ringchat_error *error)
{
    struct ringchat_message message = {0};
    enum error_code code = ERROR_INTERNAL;
    enum wire_outcome outcome = WIRE_INVALID;

    if (!codec || !bytes || !length || !theirs || !error ||
        (!*bytes && *length > 0))
        return refuse(error);
    if (codec->over != ERROR_NONE)
        code = codec->over;
    else if (codec->role == RINGCHAT_CLIENT)
        outcome = hear(codec, bytes, length, &message, &code);
    else
        outcome = ask(codec, bytes, length, &message, &code);
    return hand_out(codec, outcome, &message, code, theirs, error);
}

enum ringchat_outcome ringchat_decode_end(struct ringchat_codec *codec,
                                          struct ringchat_message *theirs,
                                          enum ringchat_error *error)
{
    struct ringchat_message message = {0};
    enum error_code code = ERROR_INTERNAL;
    enum wire_outcome outcome = WIRE_INVALID;

    if (!codec || !theirs || !error)
        return refuse(error);
    if (codec->over != ERROR_NONE)
        outcome = WIRE_PARTIAL;
    else if (codec->role == RINGCHAT_CLIENT)
        outcome = hear_end(codec, &message, &code);
    else
        outcome = ask_end(codec, &message, &code);
    return hand_out(codec, outcome, &message, code, theirs, error);
}

size_t ringchat_decode_need(const struct ringchat_codec *codec)
{
    return codec ? wire_need(&codec->decoder) : 0;
}
