/*
 * What an application may do with a peer: what common/chat/application.h says,
 * in the words of the library.
 */
#include "lib/server.h"

#include "common/wire/error.h"
#include "lib/codec.h"
#include "lib/sized.h"

#include <errno.h>
#include <string.h>

/* What is handed over has bytes, unless it is empty. */
static bool is_there(struct ringchat_text text)
{
    return text.bytes || text.length == 0;
}

int ringchat_peer_say(struct ringchat_peer *peer, const void *text,
                      size_t length)
{
    struct event event = {.kind = EVENT_MESSAGE, .text = {text, length}};

    if (!peer || !text)
        return -EINVAL;
    return application_say(peer_session(peer), &event);
}

int ringchat_peer_post(struct ringchat_peer *peer,
                       const struct ringchat_message *theirs)
{
    struct ringchat_message message;
    struct event event = {.kind = EVENT_MESSAGE};

    if (!peer || !sized_take(&message, sizeof(message), theirs))
        return -EINVAL;
    if (!is_there(message.nick) || !is_there(message.text) ||
        !is_there(message.content_type))
        return -EINVAL;
    if (message.kind == RINGCHAT_PRIVATE)
        event.kind = EVENT_PRIVATE;
    else if (message.kind != RINGCHAT_MESSAGE)
        return -EINVAL;
    event.nick = text_slice(message.nick);
    event.text = text_slice(message.text);
    event.content_type = text_slice(message.content_type);
    return application_say(peer_session(peer), &event);
}

int ringchat_peer_reply(struct ringchat_peer *peer, const void *text,
                        size_t length, bool more)
{
    if (!peer || (!text && length > 0))
        return -EINVAL;
    return application_reply(peer_session(peer), (struct slice){text, length},
                             more);
}

int ringchat_peer_refuse(struct ringchat_peer *peer, enum ringchat_error code,
                         const char *detail)
{
    if (!peer || !error_is_known(code))
        return -EINVAL;
    return application_refuse(peer_session(peer), (enum error_code)code,
                              detail ? slice_of(detail) : SLICE(""));
}

void ringchat_peer_close(struct ringchat_peer *peer)
{
    if (peer)
        application_end(peer_session(peer));
}

static const struct session *session_of(const struct ringchat_peer *peer)
{
    return (const struct session *)(const void *)peer;
}

void *ringchat_peer_user(const struct ringchat_peer *peer)
{
    return peer ? application_data(session_of(peer)) : NULL;
}

void ringchat_peer_set_user(struct ringchat_peer *peer, void *user)
{
    if (peer)
        application_set_data(peer_session(peer), user);
}

struct ringchat_text ringchat_peer_nick(const struct ringchat_peer *peer)
{
    return peer ? slice_text(application_nick(session_of(peer)))
                : (struct ringchat_text){0};
}

_Static_assert((int)DIALECT_TEXT == RINGCHAT_TEXT &&
                   (int)DIALECT_FRAME == RINGCHAT_FRAME &&
                   (int)DIALECT_SECURE == RINGCHAT_SECURE,
               "one is cast to the other");

enum ringchat_dialect ringchat_peer_dialect(const struct ringchat_peer *peer)
{
    return peer ? (enum ringchat_dialect)application_dialect(session_of(peer))
                : RINGCHAT_TEXT;
}

uint32_t ringchat_peer_worker(const struct ringchat_peer *peer)
{
    return peer ? application_worker(session_of(peer)) : 0;
}
