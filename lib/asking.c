/*
 * What a caller may ask of a client: looked through here, so that nothing is
 * queued that could never be sent, and queued.
 */
#include "lib/codec.h"
#include "lib/internal.h"
#include "lib/sized.h"

#include "common/wire/internal.h"
#include "common/wire/name.h"

#include <errno.h>

/* ---- Queueing ----------------------------------------------------------- */

static bool is_over(const struct ringchat_client *client)
{
    return client->dialogue.closing ||
           dialogue_state(&client->dialogue) == RINGCHAT_CLOSED;
}

static int ask(struct ringchat_client *client, const struct wanted *wanted,
               uint64_t *ticket)
{
    struct dialogue *dialogue = &client->dialogue;
    struct errand *errand;
    int error;

    if (is_over(client))
        return -ESHUTDOWN;
    if (dialogue->content_bytes_max > 0 &&
        wanted->text.length > dialogue->content_bytes_max)
        return -EMSGSIZE;
    error = errands_make(&dialogue->errands, wanted, &errand);
    if (error < 0)
        return error;
    errand->ticketed = ticket != NULL;
    if (ticket)
        *ticket = errand->number;
    errands_queue(&dialogue->errands, errand);
    return 0;
}

static bool is_there(struct ringchat_text text)
{
    return text.bytes || text.length == 0;
}

static bool is_text(struct ringchat_text text)
{
    return text.bytes && text.length > 0 && ringchat_text_is_clean(text);
}

/* ---- Messages ----------------------------------------------------------- */

static int ask_content(struct ringchat_client *client,
                       const struct wanted *wanted, uint64_t *ticket)
{
    if (!content_type_is_valid(text_slice(wanted->content_type)))
        return -EINVAL;
    if (content_is_text(text_slice(wanted->content_type))) {
        if (!is_text(wanted->text))
            return -EINVAL;
    } else if (client->dialogue.manner.dialect != RINGCHAT_SECURE) {
        return -ENOTSUP;
    } else if (!wanted->text.bytes || wanted->text.length == 0) {
        return -EINVAL;
    }
    return ask(client, wanted, ticket);
}

static int ask_in_room(struct ringchat_client *client,
                       struct ringchat_text room, struct ringchat_text text,
                       struct ringchat_text content_type, uint64_t *ticket)
{
    struct wanted wanted = {
        .kind = ERRAND_SAY, .text = text, .content_type = content_type};

    if (room.length > 0 &&
        (!ringchat_room_is_valid(room) || !name_set(&wanted.name, room)))
        return -EINVAL;
    return ask_content(client, &wanted, ticket);
}

/* A guest's nick, which nobody can ask for, can be written to. */
static int ask_in_private(struct ringchat_client *client,
                          struct ringchat_text nick, struct ringchat_text text,
                          struct ringchat_text content_type, uint64_t *ticket)
{
    struct wanted wanted = {
        .kind = ERRAND_TELL, .text = text, .content_type = content_type};

    if (!nick_is_valid(text_slice(nick)) || !name_set(&wanted.name, nick))
        return -EINVAL;
    return ask_content(client, &wanted, ticket);
}

int ringchat_client_say(struct ringchat_client *client, const char *room,
                        const void *text, size_t length, uint64_t *ticket)
{
    if (!client || (room && room[0] == '\0'))
        return -EINVAL;
    return ask_in_room(client, room_plain(room),
                       (struct ringchat_text){text, length}, TEXT(""), ticket);
}

int ringchat_client_tell(struct ringchat_client *client, const char *nick,
                         const void *text, size_t length, uint64_t *ticket)
{
    if (!client || !nick)
        return -EINVAL;
    return ask_in_private(client, text_of(nick),
                          (struct ringchat_text){text, length}, TEXT(""),
                          ticket);
}

int ringchat_client_post(struct ringchat_client *client,
                         const struct ringchat_message *theirs,
                         uint64_t *ticket)
{
    struct ringchat_message message;

    if (!client || !sized_take(&message, sizeof(message), theirs) ||
        !is_there(message.nick) || !is_there(message.content_type))
        return -EINVAL;
    if (message.kind == RINGCHAT_MESSAGE)
        return ask_in_room(client, message.room, message.text,
                           message.content_type, ticket);
    if (message.kind == RINGCHAT_PRIVATE)
        return ask_in_private(client, message.nick, message.text,
                              message.content_type, ticket);
    return -EINVAL;
}

/* ---- Rooms and nicks ---------------------------------------------------- */

static int ask_to_move(struct ringchat_client *client, enum errand_kind kind,
                       struct ringchat_text name, uint64_t *ticket)
{
    struct wanted wanted = {.kind = kind};
    bool valid = kind == ERRAND_RENAME ? ringchat_nick_is_valid(name)
                                       : ringchat_room_is_valid(name);

    if (!valid || !name_set(&wanted.name, name))
        return -EINVAL;
    return ask(client, &wanted, ticket);
}

int ringchat_client_join(struct ringchat_client *client, const char *room,
                         uint64_t *ticket)
{
    if (!client || !room)
        return -EINVAL;
    return ask_to_move(client, ERRAND_JOIN, room_plain(room), ticket);
}

int ringchat_client_leave(struct ringchat_client *client, const char *room,
                          uint64_t *ticket)
{
    if (!client || !room)
        return -EINVAL;
    return ask_to_move(client, ERRAND_LEAVE, room_plain(room), ticket);
}

int ringchat_client_rename(struct ringchat_client *client, const char *nick,
                           uint64_t *ticket)
{
    if (!client || !nick)
        return -EINVAL;
    return ask_to_move(client, ERRAND_RENAME, text_of(nick), ticket);
}

/* ---- Commands ----------------------------------------------------------- */

/* A command's word, and what follows it without the spaces around. */
static struct ringchat_text split(struct ringchat_text line,
                                  struct ringchat_text *rest)
{
    const char *space = memchr(line.bytes, ' ', line.length);
    size_t length = space ? (size_t)(space - line.bytes) : line.length;

    *rest = (struct ringchat_text){line.bytes + length, line.length - length};
    while (rest->length > 0 && rest->bytes[0] == ' ') {
        rest->bytes++;
        rest->length--;
    }
    while (rest->length > 0 && rest->bytes[rest->length - 1] == ' ')
        rest->length--;
    return (struct ringchat_text){line.bytes, length};
}

static bool is_word(struct ringchat_text word, const char *literal)
{
    return slice_equals(text_slice(word), slice_of(literal));
}

/* It is done with that: what else has been asked for comes first. */
static int ask_to_quit(struct ringchat_client *client, uint64_t *ticket)
{
    struct errands *errands = &client->dialogue.errands;
    struct errand *errand;
    int error = ask(client, &(struct wanted){.kind = ERRAND_COMMAND}, ticket);

    if (error < 0)
        return error;
    errand = errands->queued.last;
    errands_finish(errands, errand, 0, RINGCHAT_ERROR_NONE);
    ringchat_client_close(client);
    return 0;
}

/* What comes back of an echo in `text` must not look like anything else that a
 * server says (docs/protocol.md), nor like a token (answers.c). */
static bool is_ambiguous(const struct ringchat_client *client,
                         struct ringchat_text word, struct ringchat_text rest)
{
    static const char *const forms[] = {"[", "(private) ", "* ", "! ", "~"};

    if (client->dialogue.manner.dialect != RINGCHAT_TEXT ||
        !is_word(word, "echo"))
        return false;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct slice form = slice_of(forms[i]);

        if (rest.length >= form.length &&
            memcmp(rest.bytes, form.bytes, form.length) == 0)
            return true;
    }
    return false;
}

/* Those that change where it is or how it is called: in a form that the server
 * would refuse, they go there as they are. To leave, without a room, is to
 * leave the current one, which is known when it is sent. */
static int ask_to_move_by(struct ringchat_client *client,
                          struct ringchat_text word, struct ringchat_text name,
                          uint64_t *ticket)
{
    if (is_word(word, "nick"))
        return ask_to_move(client, ERRAND_RENAME, name, ticket);
    if (is_word(word, "leave") && name.length == 0)
        return ask(client, &(struct wanted){.kind = ERRAND_LEAVE}, ticket);
    if (name.length > 0 && name.bytes[0] == '#')
        name = (struct ringchat_text){name.bytes + 1, name.length - 1};
    if (is_word(word, "join"))
        return ask_to_move(client, ERRAND_JOIN, name, ticket);
    if (is_word(word, "leave"))
        return ask_to_move(client, ERRAND_LEAVE, name, ticket);
    return -EINVAL;
}

int ringchat_client_command(struct ringchat_client *client, const void *line,
                            size_t length, uint64_t *ticket)
{
    struct ringchat_text text = {line, length}, word, rest;
    int result;

    if (!client || !is_text(text) || text.bytes[0] == '/')
        return -EINVAL;
    word = split(text, &rest);
    if (is_word(word, "quit") && rest.length == 0)
        return ask_to_quit(client, ticket);
    if (is_ambiguous(client, word, rest))
        return -EINVAL;
    result = ask_to_move_by(client, word, rest, ticket);
    if (result != -EINVAL)
        return result;
    return ask(client, &(struct wanted){.kind = ERRAND_COMMAND, .text = text},
               ticket);
}
