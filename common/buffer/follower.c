/*
 * Followers. Invariants:
 *
 *   F1  while some reader is not at the view's head, or has asked for a place,
 *       what is published as reached stays before the lane's next record: the
 *       owner keeps the tail.
 *   F2  a segment pointer is followed only in the turn in which `oldest` led to
 *       it, or if `oldest` still does: what leaves a lane leaves it in order,
 *       so a segment that starts no earlier than `oldest` has not left.
 */
#include "common/buffer/follower.h"

#include <assert.h>

/* But for what is told to the owner. */
static void forget(struct follower *follower)
{
    follower->view = (struct view){.readers = 0};
    follower->newest_start = follower->start = 0;
    follower->shared = NULL;
}

void follower_init(struct follower *follower, uint32_t worker)
{
    forget(follower);
    reach_init(&follower->reach, worker);
}

/* ---- What is told to the owner ------------------------------------------ */

/* Release: what we did with the shared part is over. Partner:
 * followers_are_done and lane_dismiss in lane.c. */
static void publish_reached(struct follower *follower, uint64_t position)
{
    atomic_store_explicit(&follower->reach.position, position,
                          memory_order_release);
}

/* A reader has moved or gone; `caught_up`: nobody is behind any more. Returns
 * whether the owner should be told. */
static bool tell_owner(struct follower *follower, bool caught_up)
{
    if (follower->view.readers == 0) {
        if (follower->shared)
            publish_reached(follower, REACH_NONE);
        forget(follower);
        return true;
    }
    if (caught_up)
        publish_reached(follower, follower->view.head.position);
    return caught_up;
}

/* ---- What the owner tells ----------------------------------------------- */

/* From where on the newest segment is looked for: from where it was when last
 * we looked, if that has not left the lane (F2). */
static struct segment *search_from(const struct follower *follower,
                                   struct segment *oldest)
{
    struct segment *newest = follower->view.newest;

    return newest && follower->newest_start >= oldest->start ? newest : oldest;
}

static void find_records(struct follower *follower, struct segment *oldest,
                         uint64_t head)
{
    struct segment *newest = search_from(follower, oldest);

    while (segment_end(newest) < head)
        newest = newest->next;
    follower->view.oldest = oldest;
    follower->view.newest = newest;
    follower->newest_start = newest->start;
    if (head == follower->view.head.position)
        return;
    view_advance(&follower->view, segment_place(newest, head));
    assert(follower->view.head.position == head);
}

/*
 * The order of the loads matters. All are acquire; their partners are the
 * release stores of publish_record and publish_oldest in lane.c.
 *
 * The head first: if it is past what we have reached, then from here on the
 * owner keeps the tail (L2, F1), and whatever `oldest` we load after it leads
 * to any head that there will be (L4). If it is not, the tail may be gone at
 * any time: nothing is looked at, and nothing is due.
 *
 * The head again, after `oldest` and `start`: each of them was stored when the
 * head had come so far already (to where that segment starts, to that place),
 * so the view has no place after its head.
 */
void follower_refresh(struct follower *follower)
{
    struct shared_lane *shared = follower->shared;
    struct segment *oldest;
    uint64_t head;

    follower->view.oldest = NULL;
    if (!shared)
        return;
    head = atomic_load_explicit(&shared->head, memory_order_acquire);
    /* Our own, or the owner's of before it answered: nothing to order. */
    if (head ==
        atomic_load_explicit(&follower->reach.position, memory_order_relaxed))
        return;
    follower->start =
        atomic_load_explicit(&shared->start, memory_order_acquire);
    oldest = atomic_load_explicit(&shared->oldest, memory_order_acquire);
    head = atomic_load_explicit(&shared->head, memory_order_acquire);
    find_records(follower, oldest, head);
}

/* ---- Readers ------------------------------------------------------------ */

void follower_await(struct follower *follower)
{
    follower->view.readers++;
    follower->view.behind++;
}

static bool awaited_is_there(struct follower *follower)
{
    assert(follower->view.behind > 0);
    return --follower->view.behind == 0;
}

bool follower_join(struct follower *follower, struct shared_lane *shared,
                   struct cursor cursor)
{
    bool at_head;

    if (!follower->shared) {
        follower->shared = shared;
        follower->view.head = cursor;
    }
    assert(follower->shared == shared);
    follower_refresh(follower);
    assert(cursor.position <= follower->view.head.position);
    at_head = cursor.position == follower->view.head.position;
    return tell_owner(follower, at_head && awaited_is_there(follower));
}

bool follower_refuse(struct follower *follower)
{
    assert(follower->view.readers > 0);
    follower->view.readers--;
    return tell_owner(follower, awaited_is_there(follower));
}

bool follower_leave(struct follower *follower, struct cursor cursor)
{
    return tell_owner(follower, view_leave(&follower->view, cursor));
}

struct cursor follower_oldest(const struct follower *follower)
{
    return view_oldest(&follower->view, follower->start);
}

bool follower_take(struct follower *follower, struct cursor *cursor,
                   uint64_t end, struct span *span)
{
    return tell_owner(follower, view_take(&follower->view, cursor, end, span));
}

bool follower_skip(struct follower *follower, struct cursor *cursor,
                   struct cursor to)
{
    return tell_owner(follower, view_skip(&follower->view, cursor, to));
}
