/*
 * Followings: the lanes of other workers' rooms that members of this one read.
 * follower.c reads; here is who is told of what comes of it.
 *
 *     (none)
 *        |  following_get: somebody is about to ask for a place
 *        v
 *     asked for       --following_refuse--> (none)
 *        |  following_join: the owner knows it from now on
 *        v
 *     known           tells the owner when all here have read everything
 *        |  nobody is left, nor asks: it tells that too
 *        v
 *     to be settled   --somebody asks again--> asked for, or known
 *        |  following_settled: the owner has forgotten it
 *        v
 *     (none)
 */
#include "common/chat/internal.h"

#include <assert.h>
#include <stdalign.h>

struct following *following_get(struct chat *chat, struct room *room,
                                enum encoding encoding)
{
    struct following *following = room->followings[encoding];

    if (following)
        return following;
    following = budget_alloc_aligned(chat->budget, alignof(struct following),
                                     sizeof(*following));
    if (!following)
        return NULL;
    *following = (struct following){.room = room, .encoding = encoding};
    follower_init(&following->follower, chat->worker);
    room->followings[encoding] = following;
    chat->followings++;
    return following;
}

static void following_free(struct chat *chat, struct following *following)
{
    struct room *room = following->room;

    room->followings[following->encoding] = NULL;
    chat->followings--;
    budget_free(chat->budget, following, sizeof(*following));
    room_settle(chat, room);
}

/* The owner is told that there is something to settle: one letter at a time. */
static void settle(struct chat *chat, struct following *following)
{
    if (!following->known) {
        if (following->follower.view.readers == 0)
            following_free(chat, following);
        return;
    }
    following->settle_again = following->settling;
    if (following->settling)
        return;
    following->settling = true;
    following->release = following->follower.view.readers == 0;
    waiter_send(chat, room_owner(chat, room_name(following->room)),
                &following->waiter, LETTER_SETTLE);
}

void following_settled(struct chat *chat, struct following *following,
                       bool released)
{
    bool is_unused = following->follower.view.readers == 0;

    following->settling = false;
    if (released)
        following->known = false;
    if (following->settle_again || is_unused)
        settle(chat, following);
}

void following_join(struct chat *chat, struct following *following,
                    struct shared_lane *shared, struct cursor cursor)
{
    if (!following->known)
        following->news_head = cursor;
    following->known = true;
    following->turn = chat->turn;
    if (follower_join(&following->follower, shared, cursor))
        settle(chat, following);
}

void following_refuse(struct chat *chat, struct following *following)
{
    if (follower_refuse(&following->follower))
        settle(chat, following);
}

void following_leave(struct chat *chat, struct following *following,
                     struct cursor cursor)
{
    if (follower_leave(&following->follower, cursor))
        settle(chat, following);
}

void following_skip(struct chat *chat, struct following *following,
                    struct cursor *cursor, struct cursor to)
{
    if (follower_skip(&following->follower, cursor, to))
        settle(chat, following);
}

void following_take(struct chat *chat, struct following *following,
                    struct cursor *cursor, uint64_t end, struct span *span)
{
    assert(following->turn == chat->turn);
    if (follower_take(&following->follower, cursor, end, span))
        settle(chat, following);
}

static void look(struct chat *chat, struct following *following)
{
    following->turn = chat->turn;
    follower_refresh(&following->follower);
}

void following_refresh(struct chat *chat, struct following *following)
{
    if (following->turn != chat->turn)
        look(chat, following);
}

void following_reach(struct chat *chat, struct following *following,
                     uint64_t position)
{
    if (following->follower.view.head.position < position)
        look(chat, following);
}

/* All who read here are looked at, in the room's turn (R3 in room.c). */
void following_news(struct chat *chat, struct reach *reach, struct cursor head)
{
    struct following *following =
        CONTAINER(struct following, follower.reach, reach);
    struct room *room = following->room;

    reach_heed(reach);
    look(chat, following);
    following->news_head = head;
    room->unvisited = room->readers;
    if (room->readers > 0)
        rooms_ready_add(chat, room);
}
