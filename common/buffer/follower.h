/*
 * A follower: the view that a worker has of another's lane, and its readers
 * there. It reads the records where they lie, with no lock, no copy and no
 * count; what it finds is good for the turn in which it was found (turns.h).
 *
 * A follower is brought up to date by follower_refresh: in each turn, before it
 * is asked for anything. Its readers are cursors, as those of a lane are. To
 * join takes the owner: the worker asks it (how is not our business), it admits
 * the worker to the lane and answers with the lane's shared part and the place
 * to begin at.
 *
 *     worker                                   owner
 *     follower_await     -- asks -->
 *                                              appends a notice, lane_admit
 *     follower_join      <-- answers --
 *      ...
 *     nobody is left     -- asks -->
 *                                              lane_dismiss
 *     frees it           <-- answers --
 *
 * A span that is taken from a follower is borrowed. Where it cannot be sent
 * within the turn, span_keep has to be called before the turn ends.
 *
 * Functions that return bool say whether there is nothing left for this
 * worker to read: then the owner should be told to settle the lane.
 */
#ifndef RINGCHAT_BUFFER_FOLLOWER_H
#define RINGCHAT_BUFFER_FOLLOWER_H

#include "common/buffer/lane.h"
#include "common/buffer/view.h"

#include <stdbool.h>
#include <stdint.h>

/* Its worker only. */
struct follower {
    /* As of the last refresh. Those who have asked to join and have no answer
     * yet are counted among the readers, and as behind. */
    struct view view;
    uint64_t newest_start;      /* of view.newest, which may be gone */
    uint64_t start;             /* where the window begins */
    struct shared_lane *shared; /* NULL: nobody reads here */
    struct reach reach;
};

void follower_init(struct follower *, uint32_t worker);

/* Somebody is about to ask the owner for a place. */
void follower_await(struct follower *);
/* The owner has answered: this is the place. */
bool follower_join(struct follower *, struct shared_lane *, struct cursor);
/* The owner has answered that there is none. */
bool follower_refuse(struct follower *);

/* Brings the view up to date. Once a turn, and when there is news. */
void follower_refresh(struct follower *);

/* As with lanes. */
bool follower_leave(struct follower *, struct cursor);
struct cursor follower_oldest(const struct follower *);
bool follower_take(struct follower *, struct cursor *, uint64_t end,
                   struct span *);
bool follower_skip(struct follower *, struct cursor *, struct cursor to);

#endif
