/*
 * Lines that were typed: what is asked of the library for them.
 */
#include "client/talk_internal.h"

#include "client/command.h"
#include "common/base/digits.h"

#include <errno.h>
#include <string.h>

static void notice(struct talk *talk, const char *text)
{
    talk->notice.length = 0;
    build_string(&talk->notice, text);
    talk->beep = true;
}

/* A name as the library takes it. False: it is none. */
static bool name_string(struct slice name, char out[])
{
    if (name.length == 0 || name.length > CONVERSATION_NAME_BYTES_MAX)
        return false;
    memcpy(out, name.bytes, name.length);
    out[name.length] = '\0';
    return true;
}

/* ---- What was asked ----------------------------------------------------- */

static void asked_add(struct talk *talk, uint64_t ticket, enum asked_kind kind,
                      struct slice name)
{
    struct asked *asked = &talk->asked[talk->asked_next++ % ASKED_MAX];

    *asked = (struct asked){.ticket = ticket, .kind = kind};
    (void)name_string(name, asked->name);
}

static struct asked *find(struct talk *talk, uint64_t ticket)
{
    for (size_t i = 0; ticket != 0 && i < ASKED_MAX; i++) {
        if (talk->asked[i].ticket == ticket)
            return &talk->asked[i];
    }
    return NULL;
}

const struct asked *asked_find(struct talk *talk, uint64_t ticket)
{
    return find(talk, ticket);
}

bool asked_take(struct talk *talk, uint64_t ticket, struct asked *taken)
{
    struct asked *asked = find(talk, ticket);

    if (!asked)
        return false;
    *taken = *asked;
    asked->ticket = 0;
    return true;
}

/* Whether the library took it; if not, the notice says why. */
static bool took(struct talk *talk, int error)
{
    switch (error) {
    case 0:
        return true;
    case -EMSGSIZE:
        notice(talk, "that is longer than the server takes");
        return false;
    case -EAGAIN:
        notice(talk, "the server does not take more at the moment");
        return false;
    case -EINVAL:
        notice(talk, "that is no name");
        return false;
    default:
        notice(talk, strerrordesc_np(-error));
        return false;
    }
}

/* ---- Messages ----------------------------------------------------------- */

static int send_text(struct talk *talk, const struct conversation *to,
                     struct slice text, uint64_t *ticket)
{
    if (conversation_is_private(to))
        return ringchat_client_tell(talk->client, to->name + 1, text.bytes,
                                    text.length, ticket);
    return ringchat_client_say(talk->client, to->name, text.bytes, text.length,
                               ticket);
}

/* NULL: it can be said there now. */
static const char *hindrance(const struct talk *talk,
                             const struct conversation *to)
{
    if (ringchat_client_state(talk->client) != RINGCHAT_OPEN)
        return "not connected: the line stays";
    if (!to)
        return "you are in no room: /join ROOM";
    if (!conversation_is_private(to) && !to->is_member)
        return "you are not in that room any more: /join ROOM";
    if (talk->posts.count == POSTS_MAX)
        return "too much is not confirmed yet: the line stays";
    return NULL;
}

bool talk_say(struct talk *talk, struct conversation *to, struct slice text)
{
    const char *why = hindrance(talk, to);
    uint64_t ticket;

    if (why)
        notice(talk, why);
    if (why || !took(talk, send_text(talk, to, text, &ticket)))
        return false;
    if (!posts_add(&talk->posts, ticket, wall_us(), conversation_name(to),
                   text))
        notice(talk, "no memory: whether that arrives will not be seen");
    return true;
}

/* ---- Private conversations ---------------------------------------------- */

static struct conversation *private_with(struct talk *talk, struct slice nick)
{
    struct builder name = {.length = 0};
    struct conversation *made;

    build_string(&name, "@");
    build_slice(&name, nick);
    made = conversation_make(talk->conversations, builder_slice(&name));
    if (!made)
        notice(talk, "that is no nick, or there are too many conversations");
    return made;
}

/* ---- Commands ----------------------------------------------------------- */

static bool pass(struct talk *talk, struct slice command, enum asked_kind kind,
                 struct slice name)
{
    uint64_t ticket;

    if (command.length == 0) {
        notice(talk, "a command follows /; a second / says one");
        return false;
    }
    if (ringchat_client_state(talk->client) != RINGCHAT_OPEN) {
        notice(talk, "not connected: the line stays");
        return false;
    }
    if (!took(talk, ringchat_client_command(talk->client, command.bytes,
                                            command.length, &ticket)))
        return false;
    asked_add(talk, ticket, kind, name);
    return true;
}

void talk_learn(struct talk *talk, const struct conversation *room)
{
    static const char topic[] = "topic";
    struct builder who = {.length = 0};
    struct slice name = conversation_name(room);
    uint64_t ticket;

    nicks_doubt(room->nicks);
    build_string(&who, "who ");
    build_slice(&who, name);
    if (ringchat_client_command(talk->client, who.bytes, who.length, &ticket) ==
        0)
        asked_add(talk, ticket, ASKED_WHO, name);
    if (ringchat_client_command(talk->client, topic, strlen(topic), &ticket) ==
        0)
        asked_add(talk, ticket, ASKED_TOPIC, name);
}

static bool join(struct talk *talk, struct slice name)
{
    char room[CONVERSATION_NAME_BYTES_MAX + 1];
    uint64_t ticket;

    if (name.length > 0 && name.bytes[0] == '#')
        name = (struct slice){name.bytes + 1, name.length - 1};
    if (!name_string(name, room)) {
        notice(talk, "that is no room");
        return false;
    }
    if (!took(talk, ringchat_client_join(talk->client, room, &ticket)))
        return false;
    asked_add(talk, ticket, ASKED_JOIN, name);
    return true;
}

static bool leave(struct talk *talk, struct slice name)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    char room[CONVERSATION_NAME_BYTES_MAX + 1];
    uint64_t ticket;

    if (name.length == 0 && shown)
        name = conversation_name(shown);
    if (name.length == 0 || !name_string(name, room)) {
        notice(talk, "that is no room");
        return false;
    }
    if (shown && (room[0] == '@' || !shown->is_member) &&
        slice_equals(name, conversation_name(shown))) {
        conversation_close(talk->conversations, shown);
        return true;
    }
    if (!took(talk, ringchat_client_leave(talk->client, room, &ticket)))
        return false;
    asked_add(talk, ticket, ASKED_LEAVE, name);
    return true;
}

/* A command about a room, without one: that which is shown. */
static bool who(struct talk *talk, struct slice name)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct conversation *room = conversation_find(talk->conversations, name);
    struct builder command = {.length = 0};

    if (name.length == 0)
        room = shown;
    if (!room || conversation_is_private(room)) {
        notice(talk, "you are in no such room");
        return false;
    }
    build_string(&command, "who ");
    build_slice(&command, conversation_name(room));
    if (!pass(talk, builder_slice(&command), ASKED_LIST,
              conversation_name(room)))
        return false;
    nicks_doubt(room->nicks);
    return true;
}

/* It is the current room's, which the one that is shown becomes: by joining it
 * once more, of which nobody is told. */
static bool topic(struct talk *talk, const struct input *input)
{
    enum asked_kind kind = input->name.length > 0 ? ASKED_SET : ASKED;
    struct conversation *shown = conversations_shown(talk->conversations);
    uint64_t ticket;

    if (!shown || !shown->is_member) {
        notice(talk, "you are in no such room");
        return false;
    }
    if (!took(talk, ringchat_client_join(talk->client, shown->name, &ticket)))
        return false;
    asked_add(talk, ticket, ASKED_SET, conversation_name(shown));
    return pass(talk, input->text, kind, conversation_name(shown));
}

static bool window(struct talk *talk, struct slice name)
{
    struct conversation *found = conversation_find(talk->conversations, name);
    size_t number = 0;

    for (size_t i = 0; !found && i < name.length && is_digit(name.bytes[i]) &&
                       number <= CONVERSATIONS_MAX;
         i++)
        number = 10 * number + (size_t)(name.bytes[i] - '0');
    if (number > 0 && number <= conversations_count(talk->conversations))
        found = conversations_at(talk->conversations, number - 1);
    if (!found) {
        notice(talk, "there is no such conversation");
        return false;
    }
    talk_show(talk, found);
    return true;
}

static bool close_private(struct talk *talk)
{
    struct conversation *shown = conversations_shown(talk->conversations);

    if (!shown || (shown->is_member && !conversation_is_private(shown))) {
        notice(talk, "that is a room: /leave");
        return false;
    }
    conversation_close(talk->conversations, shown);
    return true;
}

static bool help(struct talk *talk)
{
    for (size_t i = 0; command_helps[i]; i++)
        talk_tell(talk, LINE_REPLY, slice_of(command_helps[i]));
    return ringchat_client_state(talk->client) != RINGCHAT_OPEN ||
           pass(talk, SLICE("help"), ASKED, SLICE(""));
}

static bool private_line(struct talk *talk, const struct input *input)
{
    struct conversation *with = private_with(talk, input->name);

    if (!with)
        return false;
    if (input->kind == INPUT_PRIVATE && !talk_say(talk, with, input->text))
        return false;
    talk_show(talk, with);
    return true;
}

bool talk_line(struct talk *talk, struct slice line)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct input input = input_parse(line);

    switch (input.kind) {
    case INPUT_NOTHING:
        return true;
    case INPUT_MESSAGE:
        return talk_say(talk, shown, input.text);
    case INPUT_PRIVATE:
    case INPUT_QUERY:
        return private_line(talk, &input);
    case INPUT_JOIN:
        return join(talk, input.name);
    case INPUT_LEAVE:
        return leave(talk, input.name);
    case INPUT_WHO:
        return who(talk, input.name);
    case INPUT_TOPIC:
        return topic(talk, &input);
    case INPUT_WINDOW:
        return window(talk, input.name);
    case INPUT_CLOSE:
        return close_private(talk);
    case INPUT_CLEAR:
        if (shown)
            scrollback_clear(shown->lines);
        return true;
    case INPUT_HELP:
        return help(talk);
    case INPUT_QUIT:
        talk_leave(talk, 0);
        return true;
    case INPUT_PASS:
        return pass(talk, input.text, ASKED, SLICE(""));
    }
    return true;
}
