/*
 * In the order in which they were said, in which they are mostly confirmed.
 */
#include "client/posts.h"

#include <assert.h>
#include <stdlib.h>

void posts_init(struct posts *posts)
{
    posts->count = 0;
}

void posts_release(struct posts *posts)
{
    for (size_t i = 0; i < posts->count; i++)
        free(posts->all[i].text);
    posts->count = 0;
}

bool posts_add(struct posts *posts, uint64_t ticket, uint64_t said_us,
               struct slice to, struct slice text)
{
    struct post *post = &posts->all[posts->count];

    assert(to.length < sizeof(post->to));
    assert(text.length > 0 && text.length <= POST_BYTES_MAX);
    if (posts->count == POSTS_MAX)
        return false;
    *post = (struct post){.ticket = ticket, .said_us = said_us};
    post->text = malloc(text.length);
    if (!post->text)
        return false;
    memcpy(post->to, to.bytes, to.length);
    memcpy(post->text, text.bytes, text.length);
    post->length = text.length;
    posts->count++;
    return true;
}

bool posts_take(struct posts *posts, uint64_t ticket, struct post *taken)
{
    for (size_t i = 0; i < posts->count; i++) {
        if (posts->all[i].ticket != ticket)
            continue;
        *taken = posts->all[i];
        posts->count--;
        memmove(posts->all + i, posts->all + i + 1,
                (posts->count - i) * sizeof(*posts->all));
        return true;
    }
    return false;
}

size_t posts_late(const struct posts *posts, uint64_t until_us)
{
    size_t count = 0;

    while (count < posts->count && posts->all[count].said_us <= until_us)
        count++;
    return count;
}
