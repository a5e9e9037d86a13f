/*
 * Conversations in an array, in which one is found by looking: there are few.
 */
#include "client/conversation.h"

#include "common/base/digits.h"
#include "common/wire/name.h"

#include <assert.h>
#include <stdlib.h>

struct conversations {
    size_t count;
    struct conversation *shown;
    struct conversation *all[CONVERSATIONS_MAX];
};

bool conversation_is_private(const struct conversation *conversation)
{
    return conversation->name[0] == '@';
}

struct slice conversation_name(const struct conversation *conversation)
{
    return slice_of(conversation->name);
}

void conversation_set_topic(struct conversation *conversation,
                            struct slice topic)
{
    size_t length = topic.length;

    if (length > TOPIC_BYTES_MAX) {
        length = TOPIC_BYTES_MAX;
        while (length > 0 &&
               ((unsigned char)topic.bytes[length] & 0xC0) == 0x80)
            length--;
    }
    if (length > 0)
        memcpy(conversation->topic, topic.bytes, length);
    conversation->topic_length = length;
}

/* ---- One and all -------------------------------------------------------- */

static void destroy(struct conversation *conversation)
{
    scrollback_destroy(conversation->lines);
    nicks_destroy(conversation->nicks);
    free(conversation);
}

static struct conversation *create(struct slice name)
{
    struct conversation *made = calloc(1, sizeof(*made));

    if (!made)
        return NULL;
    memcpy(made->name, name.bytes, name.length);
    made->lines = scrollback_create();
    made->nicks = nicks_create();
    if (made->lines && made->nicks)
        return made;
    destroy(made);
    return NULL;
}

struct conversations *conversations_create(void)
{
    return calloc(1, sizeof(struct conversations));
}

void conversations_destroy(struct conversations *conversations)
{
    if (!conversations)
        return;
    for (size_t i = 0; i < conversations->count; i++)
        destroy(conversations->all[i]);
    free(conversations);
}

struct conversation *conversation_find(struct conversations *conversations,
                                       struct slice name)
{
    for (size_t i = 0; i < conversations->count; i++) {
        struct conversation *each = conversations->all[i];

        if (name_equals(conversation_name(each), name))
            return each;
    }
    return NULL;
}

size_t conversation_index(const struct conversations *conversations,
                          const struct conversation *conversation)
{
    size_t i = 0;

    while (i < conversations->count && conversations->all[i] != conversation)
        i++;
    assert(i < conversations->count);
    return i;
}

void conversation_close(struct conversations *conversations,
                        struct conversation *conversation)
{
    size_t at = conversation_index(conversations, conversation);

    conversations->count--;
    for (size_t i = at; i < conversations->count; i++)
        conversations->all[i] = conversations->all[i + 1];
    if (conversations->shown == conversation) {
        conversations->shown = NULL;
        if (conversations->count > 0)
            conversations_show(conversations,
                               conversations->all[at > 0 ? at - 1 : 0]);
    }
    destroy(conversation);
}

static bool gives_way(const struct conversations *conversations,
                      const struct conversation *conversation)
{
    return conversation != conversations->shown && conversation->unread == 0 &&
           (conversation_is_private(conversation) || !conversation->is_member);
}

static void make_place(struct conversations *conversations)
{
    struct conversation *oldest = NULL;

    for (size_t i = 0; i < conversations->count; i++) {
        struct conversation *each = conversations->all[i];

        if (gives_way(conversations, each) &&
            (!oldest || each->heard_us < oldest->heard_us))
            oldest = each;
    }
    if (oldest)
        conversation_close(conversations, oldest);
}

static bool is_name(struct slice name)
{
    struct slice nick = {name.bytes + 1, name.length - 1};

    return room_name_is_valid(name) ||
           (name.length > 0 && name.bytes[0] == '@' && nick_is_valid(nick));
}

struct conversation *conversation_make(struct conversations *conversations,
                                       struct slice name)
{
    struct conversation *made = conversation_find(conversations, name);

    if (made || !is_name(name))
        return made;
    if (conversations->count == CONVERSATIONS_MAX)
        make_place(conversations);
    if (conversations->count == CONVERSATIONS_MAX)
        return NULL;
    made = create(name);
    if (!made)
        return NULL;
    conversations->all[conversations->count++] = made;
    if (!conversations->shown)
        conversations->shown = made;
    return made;
}

/* ---- Which is shown, what is unread ------------------------------------- */

struct conversation *
conversations_shown(const struct conversations *conversations)
{
    return conversations->shown;
}

void conversations_show(struct conversations *conversations,
                        struct conversation *conversation)
{
    conversations->shown = conversation;
    conversation->unread = conversation->addressed = 0;
}

size_t conversations_count(const struct conversations *conversations)
{
    return conversations->count;
}

struct conversation *conversations_at(const struct conversations *conversations,
                                      size_t at)
{
    assert(at < conversations->count);
    return conversations->all[at];
}

/* From behind the one that is shown, round to it. */
struct conversation *
conversations_unread(const struct conversations *conversations)
{
    struct conversation *unread = NULL;
    size_t begin;

    if (!conversations->shown)
        return NULL;
    begin = conversation_index(conversations, conversations->shown);
    for (size_t i = 1; i < conversations->count; i++) {
        struct conversation *each =
            conversations->all[(begin + i) % conversations->count];

        if (each->addressed > 0)
            return each;
        if (each->unread > 0 && !unread)
            unread = each;
    }
    return unread;
}

void conversation_said(const struct conversations *conversations,
                       struct conversation *conversation, bool addressed)
{
    if (conversation == conversations->shown)
        return;
    if (conversation->unread < UINT32_MAX)
        conversation->unread++;
    if (addressed && conversation->addressed < UINT32_MAX)
        conversation->addressed++;
}

/* What may stand in a nick, or in a word of another script. */
static bool goes_on(char c)
{
    char folded;

    name_fold((struct slice){&c, 1}, &folded);
    return (folded >= 'a' && folded <= 'z') || is_digit(c) || c == '_' ||
           c == '-' || (unsigned char)c >= 0x80;
}

bool is_addressed(struct slice text, struct slice nick)
{
    if (nick.length == 0)
        return false;
    for (size_t at = 0; at + nick.length <= text.length; at++) {
        size_t end = at + nick.length;

        if (name_equals((struct slice){text.bytes + at, nick.length}, nick) &&
            (at == 0 || !goes_on(text.bytes[at - 1])) &&
            (end == text.length || !goes_on(text.bytes[end])))
            return true;
    }
    return false;
}
