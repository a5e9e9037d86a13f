/*
 * Conversations: the rooms one is in, and whom one speaks to in private, in the
 * order in which they came; which is shown; what of the others is unread. Whom
 * each room has, as far as was heard, is in its `nicks`.
 */
#ifndef RINGCHAT_CLIENT_CONVERSATION_H
#define RINGCHAT_CLIENT_CONVERSATION_H

#include "client/nicks.h"
#include "client/scrollback.h"
#include "client/view.h"
#include "common/base/limits.h"
#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 16 rooms, and the rest private or left. */
#define CONVERSATIONS_MAX 64
#define TOPIC_BYTES_MAX 512
/* "tea", "@bob" */
#define CONVERSATION_NAME_BYTES_MAX ROOM_NAME_BYTES_MAX

_Static_assert(CONVERSATION_NAME_BYTES_MAX > NICK_BYTES_MAX,
               "a nick and its @ are a name");

struct conversation {
    char name[CONVERSATION_NAME_BYTES_MAX + 1];
    bool is_member;     /* of the room, as far as is known */
    uint32_t unread;    /* messages since it was last shown */
    uint32_t addressed; /* of these, those that name us or are private */
    uint64_t heard_us;  /* when something came last */
    struct view view;
    size_t topic_length;
    char topic[TOPIC_BYTES_MAX];
    struct scrollback *lines;
    struct nicks *nicks;
};

bool conversation_is_private(const struct conversation *);
struct slice conversation_name(const struct conversation *);

/* Cut to TOPIC_BYTES_MAX at a character; `topic` is tamed. */
void conversation_set_topic(struct conversation *, struct slice topic);

struct conversations;

struct conversations *conversations_create(void); /* NULL without memory */
void conversations_destroy(struct conversations *);

/* The one of that name, whatever the case; NULL: there is none. */
struct conversation *conversation_find(struct conversations *, struct slice);

/* The same, or a new one. NULL: no memory, no such name, or as many as there
 * may be, of which none gives way: the one heard of longest ago does of those
 * that are read, not shown, and private or left. */
struct conversation *conversation_make(struct conversations *, struct slice);

/* The one before is shown instead, if it was shown. */
void conversation_close(struct conversations *, struct conversation *);

/* NULL: there is none at all. */
struct conversation *conversations_shown(const struct conversations *);
/* With that it is read. */
void conversations_show(struct conversations *, struct conversation *);

size_t conversations_count(const struct conversations *);
struct conversation *conversations_at(const struct conversations *, size_t);
size_t conversation_index(const struct conversations *,
                          const struct conversation *);

/* The next one that is unread, of those addressed first. NULL: all is read. */
struct conversation *conversations_unread(const struct conversations *);

/* Something was said there: unread, unless it is shown. */
void conversation_said(const struct conversations *, struct conversation *,
                       bool addressed);

/* Whether `text` names `nick`: as a word, whatever the case. */
bool is_addressed(struct slice text, struct slice nick);

#endif
