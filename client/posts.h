/*
 * What was said and is not confirmed yet: by its ticket where it went, and the
 * text, which is needed again when it was refused or nobody knows.
 */
#ifndef RINGCHAT_CLIENT_POSTS_H
#define RINGCHAT_CLIENT_POSTS_H

#include "client/conversation.h"
#include "client/edit.h"
#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POSTS_MAX 64
#define POST_BYTES_MAX EDIT_BYTES_MAX /* a line that was typed or pasted */

struct post {
    uint64_t ticket;
    uint64_t said_us;
    char to[CONVERSATION_NAME_BYTES_MAX + 1];
    char *text;
    size_t length;
};

struct posts {
    size_t count;
    struct post all[POSTS_MAX];
};

void posts_init(struct posts *);
void posts_release(struct posts *);

/* False: there are POSTS_MAX, or there is no memory. */
bool posts_add(struct posts *, uint64_t ticket, uint64_t said_us,
               struct slice to, struct slice text);

/* The one of that ticket, which is no more in there: its text is the caller's
 * to free. False: there is none. */
bool posts_take(struct posts *, uint64_t ticket, struct post *);

/* How many have waited since `until_us` or longer. */
size_t posts_late(const struct posts *, uint64_t until_us);

#endif
