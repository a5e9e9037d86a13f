/*
 * What the library tells: each text of it is tamed before it is kept.
 */
#include "client/talk_internal.h"

#include "client/content.h"
#include "client/gap.h"
#include "client/wait.h"
#include "common/wire/name.h"

#include <errno.h>
#include <stdlib.h>

/* Of what a server says of an error. */
#define ERROR_BYTES_MAX 256

static struct slice own_nick(const struct talk *talk)
{
    return slice_from(ringchat_client_nick(talk->client));
}

static bool is_own(const struct talk *talk, struct ringchat_text nick)
{
    return name_equals(own_nick(talk), slice_from(nick));
}

/* ---- Which conversations there are -------------------------------------- */

static bool is_room_of_client(const struct talk *talk, struct slice room)
{
    for (size_t i = 0;; i++) {
        struct slice each = slice_from(ringchat_client_room(talk->client, i));

        if (each.length == 0 || name_equals(each, room))
            return each.length > 0;
    }
}

/* Conversations for the rooms that it is in, by what the library says. */
static void follow_rooms(struct talk *talk)
{
    struct conversations *all = talk->conversations;
    struct slice room;

    for (size_t i = 0; i < conversations_count(all); i++) {
        struct conversation *each = conversations_at(all, i);

        each->is_member =
            each->is_member && is_room_of_client(talk, conversation_name(each));
    }
    for (size_t i = 0;; i++) {
        struct conversation *made;

        room = slice_from(ringchat_client_room(talk->client, i));
        if (room.length == 0)
            break;
        made = conversation_make(all, room);
        if (made && !made->is_member) {
            made->is_member = true;
            talk_learn(talk, made);
        }
    }
    talk->dirty = true;
}

/* A room's that we are in: none is made for what a server says else. */
static struct conversation *room_of(struct talk *talk,
                                    struct ringchat_text room)
{
    struct conversation *found =
        conversation_find(talk->conversations, slice_from(room));

    if (found || !is_room_of_client(talk, slice_from(room)))
        return found;
    follow_rooms(talk);
    return conversation_find(talk->conversations, slice_from(room));
}

static struct conversation *private_with(struct talk *talk,
                                         struct ringchat_text nick)
{
    struct builder name = {.length = 0};

    build_string(&name, "@");
    build_slice(&name, slice_from(nick));
    return conversation_make(talk->conversations, builder_slice(&name));
}

/* ---- The connection ----------------------------------------------------- */

static void gap_everywhere(struct talk *talk, struct slice text)
{
    for (size_t i = 0; i < conversations_count(talk->conversations); i++) {
        struct conversation *each = conversations_at(talk->conversations, i);

        if (each->is_member)
            talk_gap(talk, each, text);
    }
}

/* The room that was joined last; others may have been heard of before. */
static void show_last(struct talk *talk)
{
    for (size_t i = conversations_count(talk->conversations); i > 0; i--) {
        struct conversation *each =
            conversations_at(talk->conversations, i - 1);

        if (each->is_member) {
            talk_show(talk, each);
            return;
        }
    }
}

static void on_open(struct talk *talk, const struct ringchat_change *change)
{
    struct builder text = {.length = 0};

    if (change->again) {
        for (size_t i = 0; i < conversations_count(talk->conversations); i++)
            conversations_at(talk->conversations, i)->is_member = false;
    }
    follow_rooms(talk);
    if (change->again) {
        build_string(&text, RETURN_WORDS);
        build_duration(&text, (now_ns() - talk->lost_ns) / NS_PER_MS);
        gap_everywhere(talk, builder_slice(&text));
    } else {
        show_last(talk);
    }
    talk->opened = true;
    talk->notice.length = 0; /* that there is no connection */
}

/* Why it was lost, for the bar, the rooms, and the exit status. */
static void remember_why(struct talk *talk,
                         const struct ringchat_change *change)
{
    struct ending ending = {.code = change->code,
                            .error = change->error,
                            .detail = change->detail,
                            .opened = talk->opened};

    talk->why.length = 0;
    ending_say(&ending, &talk->why);
    ending.detail = (struct ringchat_text){NULL, 0};
    talk->ended = ending;
}

static void on_lost(struct talk *talk)
{
    struct builder text = {.length = 0};

    talk->lost_ns = now_ns();
    build_string(&text, "connection lost: ");
    build_slice(&text, builder_slice(&talk->why));
    gap_everywhere(talk, builder_slice(&text));
}

static void on_changed(struct ringchat_client *client,
                       const struct ringchat_change *change, void *user)
{
    struct talk *talk = user;

    (void)client;
    talk->dirty = true;
    if (change->to == RINGCHAT_OPEN)
        on_open(talk, change);
    if (change->to != RINGCHAT_WAITING && change->to != RINGCHAT_CLOSED)
        return;
    if (change->code != RINGCHAT_ERROR_NONE || change->error != 0)
        remember_why(talk, change);
    if (change->from == RINGCHAT_OPEN)
        on_lost(talk);
    talk->retry_ns = now_ns() + change->retry_ms * NS_PER_MS;
    if (change->to == RINGCHAT_CLOSED)
        talk_end(talk, talk->leave_ns != 0 ? talk->status
                                           : ending_status(&talk->ended));
    else if (!talk->opened) /* it never was there: say so, and end */
        talk_end(talk, ending_status(&talk->ended));
}

static void on_missed(struct ringchat_client *client,
                      const struct ringchat_missed *missed, void *user)
{
    struct talk *talk = user;
    struct conversation *room =
        conversation_find(talk->conversations, slice_from(missed->room));
    struct builder text = {.length = 0};

    (void)client;
    if (!room)
        return;
    build_gap(&text, missed->count, missed->away_ms);
    talk_gap(talk, room, builder_slice(&text));
}

/* ---- What is said ------------------------------------------------------- */

/* A line of its own, where there are so many conversations that the one with
 * its sender has no place. */
static void tell_private(struct talk *talk, struct slice nick,
                         struct slice text)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct builder marked = {.length = 0};
    struct line line = {.kind = LINE_MESSAGE,
                        .addressed = true,
                        .time_us = wall_us(),
                        .text = text};

    build_string(&marked, "(private) ");
    build_slice(&marked, nick);
    line.nick = builder_slice(&marked);
    if (shown)
        talk_add(talk, shown, &line);
}

static void on_message(struct ringchat_client *client,
                       const struct ringchat_message *message, void *user)
{
    struct talk *talk = user;
    bool is_private = message->kind == RINGCHAT_PRIVATE;
    struct conversation *conversation = is_private
                                            ? private_with(talk, message->nick)
                                            : room_of(talk, message->room);
    struct builder described = {.length = 0};
    char nick[SHOWN_NAME_BYTES_MAX];
    struct line line = {.kind = LINE_MESSAGE};

    (void)client;
    line.nick = talk_tame_name(slice_from(message->nick), nick);
    line.text = talk_tame(talk, content_text(message, &described));
    if (!conversation) {
        if (is_private)
            tell_private(talk, line.nick, line.text);
        return;
    }
    line.time_us = message->time_us > 0 ? message->time_us : wall_us();
    line.addressed = !is_private && !is_own(talk, message->nick) &&
                     is_addressed(line.text, own_nick(talk));
    talk_add(talk, conversation, &line);
    if (is_own(talk, message->nick))
        return;
    conversation_said(talk->conversations, conversation,
                      is_private || line.addressed);
    nicks_add(conversation->nicks, slice_from(message->nick), line.time_us);
}

/* ---- What happens in a room --------------------------------------------- */

static void on_nick(struct talk *talk, struct conversation *room,
                    const struct ringchat_message *notice)
{
    char old[SHOWN_NAME_BYTES_MAX], new[SHOWN_NAME_BYTES_MAX];
    struct slice before = talk_tame_name(slice_from(notice->nick), old);
    struct slice after = talk_tame_name(slice_from(notice->text), new);
    struct builder text = {.length = 0};
    struct line line = {.kind = LINE_NOTICE, .time_us = wall_us()};

    nicks_remove(room->nicks, slice_from(notice->nick));
    if (!is_own(talk, notice->text))
        nicks_add(room->nicks, slice_from(notice->text), line.time_us);
    if (nick_is_given(before) && (is_own(talk, notice->text) ||
                                  talk_presence_renamed(room, before, after)))
        return; /* in `text` nobody comes under its own nick */
    build_slice(&text, before);
    build_string(&text, " is now ");
    build_slice(&text, after);
    line.text = builder_slice(&text);
    talk_add(talk, room, &line);
}

static void on_topic(struct talk *talk, struct conversation *room,
                     const struct ringchat_message *notice)
{
    char text[SHOWN_NAME_BYTES_MAX + 32 + TOPIC_BYTES_MAX];
    struct line line = {.kind = LINE_NOTICE, .time_us = wall_us()};
    struct slice nick = talk_tame_name(slice_from(notice->nick), text);
    struct builder what = {.length = 0};

    conversation_set_topic(room, talk_tame(talk, slice_from(notice->text)));
    build_string(&what, room->topic_length > 0 ? " set the topic: "
                                               : " took the topic away");
    memcpy(text + nick.length, what.bytes, what.length);
    memcpy(text + nick.length + what.length, room->topic, room->topic_length);
    line.text =
        (struct slice){text, nick.length + what.length + room->topic_length};
    talk_add(talk, room, &line);
}

static void on_notice(struct ringchat_client *client,
                      const struct ringchat_message *notice, void *user)
{
    struct talk *talk = user;
    struct conversation *room = room_of(talk, notice->room);
    bool came = notice->kind == RINGCHAT_JOINED;
    char nick[SHOWN_NAME_BYTES_MAX];

    (void)client;
    if ((came || notice->kind == RINGCHAT_LEFT) && is_own(talk, notice->nick)) {
        follow_rooms(talk);
        return;
    }
    if (!room)
        return;
    if (notice->kind == RINGCHAT_NICK) {
        on_nick(talk, room, notice);
    } else if (notice->kind == RINGCHAT_TOPIC) {
        on_topic(talk, room, notice);
    } else {
        talk_presence(talk, room,
                      talk_tame_name(slice_from(notice->nick), nick),
                      came ? " joined" : " left");
        if (came)
            nicks_add(room->nicks, slice_from(notice->nick), 0);
        else
            nicks_remove(room->nicks, slice_from(notice->nick));
    }
}

/* ---- Answers ------------------------------------------------------------ */

/* "topic ROOM: TEXT" */
static void learn_topic(struct talk *talk, struct conversation *room,
                        struct slice reply)
{
    struct builder head = {.length = 0};

    build_string(&head, "topic ");
    build_slice(&head, conversation_name(room));
    build_string(&head, ": ");
    if (reply.length < head.length ||
        !name_equals((struct slice){reply.bytes, head.length},
                     builder_slice(&head)))
        return;
    conversation_set_topic(
        room, talk_tame(talk, (struct slice){reply.bytes + head.length,
                                             reply.length - head.length}));
    talk->dirty = true;
}

static void on_reply(struct ringchat_client *client, uint64_t ticket,
                     struct ringchat_text line, void *user)
{
    struct talk *talk = user;
    const struct asked *asked = asked_find(talk, ticket);
    struct slice text = slice_from(line);
    struct conversation *room =
        asked ? conversation_find(talk->conversations, slice_of(asked->name))
              : NULL;

    (void)client;
    if (!asked || asked->kind == ASKED)
        talk_tell(talk, LINE_REPLY, talk_tame(talk, text));
    else if (asked->kind == ASKED_TOPIC && room)
        learn_topic(talk, room, text);
    else if ((asked->kind == ASKED_LIST || asked->kind == ASKED_WHO) && room &&
             !name_equals(text, own_nick(talk)))
        nicks_add(room->nicks, text, 0);
}

/* "3 in tea: alice, bob, carol", in talk->tamed; so many as have room. */
static void list_nicks(struct talk *talk, struct conversation *room)
{
    struct slice nicks[NICKS_MAX];
    size_t count = nicks_list(room->nicks, nicks, NICKS_MAX), length;
    char own[SHOWN_NAME_BYTES_MAX];
    struct builder head = {.length = 0};

    build_number(&head, count + 1);
    build_string(&head, " in ");
    build_slice(&head, conversation_name(room));
    build_string(&head, ": ");
    build_slice(&head, talk_nick(talk, own));
    memcpy(talk->tamed, head.bytes, head.length);
    length = head.length;
    for (size_t i = 0; i < count; i++) {
        if (length + nicks[i].length + 2 > sizeof(talk->tamed))
            break;
        memcpy(talk->tamed + length, ", ", 2);
        memcpy(talk->tamed + length + 2, nicks[i].bytes, nicks[i].length);
        length += 2 + nicks[i].length;
    }
    talk_tell(talk, LINE_REPLY, (struct slice){talk->tamed, length});
}

/* "nick-in-use: bob" */
static void tell_error(struct talk *talk, enum ringchat_error code,
                       struct ringchat_text detail)
{
    char shown[ERROR_BYTES_MAX];
    struct tamed tamed =
        tame(TAME_CELLS, slice_from(detail), shown, sizeof(shown));
    struct builder text = {.length = 0};

    build_string(&text, ringchat_error_name(code));
    if (tamed.length > 0) {
        build_string(&text, ": ");
        build_slice(&text, (struct slice){shown, tamed.length});
    }
    talk_tell(talk, LINE_ERROR, builder_slice(&text));
}

/* What nobody has typed says nothing, whatever comes of it. */
static void on_asked(struct talk *talk, const struct asked *asked,
                     const struct ringchat_result *result)
{
    bool typed = asked->kind < ASKED_WHO;
    char nick[SHOWN_NAME_BYTES_MAX];
    struct conversation *room;

    if (result->error == -EPROTO && typed)
        tell_error(talk, result->code, result->detail);
    if (result->error != 0)
        return;
    if (typed)
        follow_rooms(talk);
    room = conversation_find(talk->conversations, slice_of(asked->name));
    if (!room)
        return;
    if (asked->kind == ASKED_LIST || asked->kind == ASKED_WHO)
        nicks_settle(room->nicks);
    if (asked->kind == ASKED_JOIN) {
        talk_presence(talk, room, talk_nick(talk, nick), " joined");
        talk_show(talk, room);
    } else if (asked->kind == ASKED_LEAVE) {
        conversation_close(talk->conversations, room);
    } else if (asked->kind == ASKED_LIST) {
        list_nicks(talk, room);
    }
}

/* The text, and that nobody is sure of it: in talk->tamed, which has room. */
static struct slice doubted(struct talk *talk, const struct post *post,
                            int error)
{
    struct builder doubt = {.length = 0};

    _Static_assert(POST_BYTES_MAX + sizeof(doubt.bytes) <= TAMED_BYTES_MAX,
                   "talk->tamed has room for both");
    build_string(&doubt, error == -ECONNRESET
                             ? " — not confirmed: it may have arrived"
                             : " — not sent");
    memcpy(talk->tamed, post->text, post->length);
    memcpy(talk->tamed + post->length, doubt.bytes, doubt.length);
    return (struct slice){talk->tamed, post->length + doubt.length};
}

/* What of a message is to be seen here: one's own, which no server sends back
 * if it is private, and what has gone wrong. */
static void on_posted(struct talk *talk, const struct post *post,
                      const struct ringchat_result *result)
{
    struct conversation *conversation =
        conversation_make(talk->conversations, slice_of(post->to));
    char nick[SHOWN_NAME_BYTES_MAX];
    struct line line = {.kind = LINE_MESSAGE, .time_us = wall_us()};

    /* While it leaves nobody sees what is drawn any more. */
    if (result->error != 0 &&
        ringchat_client_state(talk->client) >= RINGCHAT_CLOSING)
        talk->failed = true;
    if (result->error == -EPROTO)
        tell_error(talk, result->code, result->detail);
    if (!conversation || (result->error == 0 && post->to[0] != '@'))
        return;
    line.nick = talk_nick(talk, nick);
    line.text = (struct slice){post->text, post->length};
    if (result->error != 0) {
        line.kind = LINE_DOUBT;
        line.text = doubted(talk, post, result->error);
    }
    talk_add(talk, conversation, &line);
}

static void on_done(struct ringchat_client *client,
                    const struct ringchat_result *result, void *user)
{
    struct talk *talk = user;
    struct asked asked;
    struct post post;

    (void)client;
    talk->dirty = true;
    if (posts_take(&talk->posts, result->ticket, &post)) {
        on_posted(talk, &post, result);
        free(post.text);
    } else if (asked_take(talk, result->ticket, &asked)) {
        on_asked(talk, &asked, result);
    }
}

static void on_fault(struct ringchat_client *client,
                     const struct ringchat_message *fault, void *user)
{
    (void)client;
    tell_error(user, fault->code, fault->text);
}

const struct ringchat_client_callbacks talk_callbacks = {
    RINGCHAT_SIZED(talk_callbacks),
    .changed = on_changed,
    .message = on_message,
    .notice = on_notice,
    .missed = on_missed,
    .reply = on_reply,
    .done = on_done,
    .fault = on_fault,
};
