/*
 * What a server says, and what becomes of it: an answer to a request, a change
 * of the dialogue's phase, something that the caller is told. Whatever it says
 * out of place is passed over, or ends the connection.
 */
#include "lib/internal.h"

#include <assert.h>
#include <errno.h>

static bool tell(struct told *told, enum told_kind kind,
                 const struct ringchat_message *message)
{
    *told = (struct told){.kind = kind, .message = *message};
    return true;
}

static void lose(struct dialogue *dialogue,
                 const struct ringchat_message *message, uint64_t now_ns)
{
    dialogue_lose(dialogue, message->code, 0, message->text, now_ns);
}

static void out_of_order(struct dialogue *dialogue, enum ringchat_error code,
                         uint64_t now_ns)
{
    dialogue_lose(dialogue, code, 0, TEXT(""), now_ns);
}

/* It goes; of its own accord, if it has not said why. */
static void hear_disconnect(struct dialogue *dialogue,
                            const struct ringchat_message *message,
                            uint64_t now_ns)
{
    int error = message->code == RINGCHAT_ERROR_NONE ? -ECONNRESET : 0;

    dialogue_lose(dialogue, message->code, error, message->text, now_ns);
}

/* ---- Coming in ---------------------------------------------------------- */

/* Somebody else has the nick, or the connection that was lost still does:
 * first of all, to be in. */
static bool hear_nick_in_use(struct dialogue *dialogue,
                             const struct ringchat_message *error,
                             uint64_t now_ns, struct told *told)
{
    struct ringchat_message hello = {RINGCHAT_SIZED(hello),
                                     .kind = RINGCHAT_HELLO};

    dialogue->as_guest = true;
    saying_retort(dialogue, &hello, now_ns);
    /* Without a codec, `error` is gone with it. */
    return dialogue->codec && !dialogue->been_open &&
           tell(told, TOLD_FAULT, error);
}

static bool hear_early_error(struct dialogue *dialogue,
                             const struct ringchat_message *error,
                             uint64_t now_ns, struct told *told)
{
    if (dialogue->phase == PHASE_NAMING && !dialogue->as_guest &&
        error->code == RINGCHAT_ERROR_NICK_IN_USE)
        return hear_nick_in_use(dialogue, error, now_ns, told);
    lose(dialogue, error, now_ns);
    return false;
}

static void hear_welcome(struct dialogue *dialogue,
                         const struct ringchat_message *welcome,
                         uint64_t now_ns)
{
    struct name room;

    if (!name_set(&dialogue->belonging.nick, welcome->nick) ||
        !name_set(&room, welcome->room))
        out_of_order(dialogue, RINGCHAT_ERROR_BAD_FRAME, now_ns);
    else
        dialogue_welcomed(dialogue, &room, now_ns);
}

static void hear_session_init(struct dialogue *dialogue,
                              const struct ringchat_message *init,
                              uint64_t now_ns)
{
    dialogue->content_bytes_max = init->bytes_max;
    dialogue_greeted(dialogue, now_ns);
}

static bool is_next(const struct dialogue *dialogue, enum ringchat_kind kind)
{
    bool text = dialogue->manner.dialect == RINGCHAT_TEXT;

    if (kind == RINGCHAT_SESSION_INIT)
        return dialogue->phase == PHASE_GREETING && !text;
    return kind == RINGCHAT_WELCOME &&
           dialogue->phase == (text ? PHASE_GREETING : PHASE_NAMING);
}

/* Before WELCOME. */
static bool hear_early(struct dialogue *dialogue,
                       const struct ringchat_message *message, uint64_t now_ns,
                       struct told *told)
{
    if (message->kind == RINGCHAT_ERROR)
        return hear_early_error(dialogue, message, now_ns, told);
    if (message->kind == RINGCHAT_DISCONNECT)
        hear_disconnect(dialogue, message, now_ns);
    else if (!is_next(dialogue, message->kind))
        out_of_order(dialogue, RINGCHAT_ERROR_HANDSHAKE, now_ns);
    else if (message->kind == RINGCHAT_WELCOME)
        hear_welcome(dialogue, message, now_ns);
    else
        hear_session_init(dialogue, message, now_ns);
    return false;
}

/* ---- Inside ------------------------------------------------------------- */

/* While it comes in, it is in rooms that it does not want to be in. */
static bool is_of_no_interest(struct dialogue *dialogue,
                              const struct ringchat_message *message)
{
    return dialogue->phase == PHASE_JOINING &&
           !belonging_find(&dialogue->belonging, message->room);
}

/* What is missing before it is told first. */
static void hear_in_room(struct dialogue *dialogue,
                         const struct ringchat_message *message,
                         uint64_t now_ns)
{
    if (is_of_no_interest(dialogue, message))
        return;
    if (!belonging_heard(&dialogue->belonging, message->room, message->seq,
                         message->kind == RINGCHAT_MESSAGE)) {
        out_of_order(dialogue, RINGCHAT_ERROR_REPLAY, now_ns);
        return;
    }
    if (message->kind == RINGCHAT_MESSAGE)
        dialogue->figures.messages_in++;
    dialogue->held = *message;
    dialogue->holds = true;
}

bool hearing_held(struct dialogue *dialogue, struct told *told)
{
    bool message = dialogue->held.kind == RINGCHAT_MESSAGE;

    if (!dialogue->holds)
        return false;
    dialogue->holds = false;
    return tell(told, message ? TOLD_MESSAGE : TOLD_NOTICE, &dialogue->held);
}

/* One's own new nick is known by this, too, if the server has given it. */
static void hear_nick(struct dialogue *dialogue,
                      const struct ringchat_message *notice, uint64_t now_ns)
{
    struct belonging *belonging = &dialogue->belonging;
    struct name nick;

    if (name_is(&belonging->nick, notice->nick) &&
        name_set(&nick, notice->text))
        belonging->nick = nick;
    hear_in_room(dialogue, notice, now_ns);
}

static void hear_ping(struct dialogue *dialogue,
                      const struct ringchat_message *ping, uint64_t now_ns)
{
    struct ringchat_message pong = {
        RINGCHAT_SIZED(pong),
        .kind = RINGCHAT_PONG,
        .stamp = ping->stamp,
    };

    saying_retort(dialogue, &pong, now_ns);
}

/* It answers one ping, and those before it will not be. */
static void hear_pong(struct dialogue *dialogue, uint64_t stamp,
                      uint64_t now_ns)
{
    unsigned i = 0;

    while (i < dialogue->pings && dialogue->pinged_ns[i] / NS_PER_US != stamp)
        i++;
    if (i == dialogue->pings)
        return;
    dialogue->figures.rtt_us = (now_ns - dialogue->pinged_ns[i]) / NS_PER_US;
    dialogue->pings -= i + 1;
    memmove(dialogue->pinged_ns, dialogue->pinged_ns + i + 1,
            dialogue->pings * sizeof(dialogue->pinged_ns[0]));
}

static bool hear_inside(struct dialogue *dialogue,
                        const struct ringchat_message *message, uint64_t now_ns,
                        struct told *told)
{
    switch (message->kind) {
    case RINGCHAT_PRIVATE:
        dialogue->figures.messages_in++;
        return tell(told, TOLD_MESSAGE, message);
    case RINGCHAT_REPLY:
    case RINGCHAT_ACK:
        return answers_hear(dialogue, message, now_ns, told);
    case RINGCHAT_ERROR:
        if (!ringchat_error_closes(message->code))
            return answers_hear(dialogue, message, now_ns, told);
        lose(dialogue, message, now_ns);
        return false;
    case RINGCHAT_MESSAGE:
    case RINGCHAT_JOINED:
    case RINGCHAT_LEFT:
    case RINGCHAT_TOPIC:
        hear_in_room(dialogue, message, now_ns);
        return false;
    case RINGCHAT_NICK:
        hear_nick(dialogue, message, now_ns);
        return false;
    case RINGCHAT_LAGGED:
        belonging_lagged(&dialogue->belonging, message->room, message->count);
        return false;
    case RINGCHAT_PING:
        hear_ping(dialogue, message, now_ns);
        return false;
    case RINGCHAT_PONG:
        hear_pong(dialogue, message->stamp, now_ns);
        return false;
    case RINGCHAT_DISCONNECT:
        hear_disconnect(dialogue, message, now_ns);
        return false;
    default: /* another greeting, or what a later protocol says */
        return false;
    }
}

/* ---- From bytes --------------------------------------------------------- */

static enum ringchat_outcome take(struct dialogue *dialogue,
                                  struct ringchat_message *message,
                                  enum ringchat_error *error)
{
    if (dialogue->input_length > 0)
        return ringchat_decode(dialogue->codec, &dialogue->input,
                               &dialogue->input_length, message, error);
    if (dialogue->stream_ended)
        return ringchat_decode_end(dialogue->codec, message, error);
    return RINGCHAT_PARTIAL;
}

/* What is no first line of a server's is another protocol's. Inside, what is
 * dropped may have been an answer: then that is all there will be. */
static bool hear_invalid(struct dialogue *dialogue, uint32_t id,
                         enum ringchat_error code, uint64_t now_ns,
                         struct told *told)
{
    const struct ringchat_message fault = {
        RINGCHAT_SIZED(fault),
        .kind = RINGCHAT_ERROR,
        .code = code,
        .id = id,
    };

    if (ringchat_error_closes(code))
        out_of_order(dialogue, code, now_ns);
    else if (dialogue->phase < PHASE_JOINING)
        out_of_order(dialogue, RINGCHAT_ERROR_WRONG_PROTOCOL, now_ns);
    else if (id > 0)
        return answers_hear(dialogue, &fault, now_ns, told);
    else
        return tell(told, TOLD_FAULT, &fault);
    return false;
}

enum heard hearing_next(struct dialogue *dialogue, uint64_t now_ns,
                        struct told *told)
{
    struct ringchat_message message = {RINGCHAT_SIZED(message)};
    enum ringchat_error error = RINGCHAT_ERROR_NONE;
    bool is_told;

    if (!dialogue->codec)
        return HEARD_NOTHING;
    switch (take(dialogue, &message, &error)) {
    case RINGCHAT_READY:
        is_told = dialogue->phase < PHASE_JOINING
                      ? hear_early(dialogue, &message, now_ns, told)
                      : hear_inside(dialogue, &message, now_ns, told);
        return is_told ? HEARD_TO_TELL : HEARD;
    case RINGCHAT_INVALID:
        is_told = hear_invalid(dialogue, message.id, error, now_ns, told);
        return is_told ? HEARD_TO_TELL : HEARD;
    case RINGCHAT_PARTIAL:
        break;
    }
    if (!dialogue->stream_ended)
        return HEARD_NOTHING;
    dialogue_lose(dialogue, RINGCHAT_ERROR_NONE, -ECONNRESET, TEXT(""), now_ns);
    return HEARD;
}
