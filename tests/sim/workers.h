/*
 * The workers of a history: each drives one of the chats that are one, through
 * turns as common/chat/shards.h has them. A turn is cut into steps:
 *
 *     begin       announce, tick: letters are taken, deadlines pass
 *     serve       peer by peer
 *     ready       bytes go out, session by session
 *     publish     what the others are due is theirs to see
 *     sleep       but for what has come meanwhile
 *     alarm       the deadline of the sleep
 *
 * Between any two, steps of other workers may come; and a worker may be held up
 * there, until a later round. Who sleeps begins its next turn when it is woken,
 * which may be seen late, when a deadline is over, or when a socket has news.
 *
 * A worker that is alone has no turns to announce, and never sleeps, as in the
 * stages with one thread. With setup.ordered all sends are over when a turn
 * begins, before the chat is told the time, and some turns order few sends, and
 * leave the rest to the next.
 */
#ifndef RINGCHAT_SIM_WORKERS_H
#define RINGCHAT_SIM_WORKERS_H

#include "tests/sim/world.h"

enum phase {
    PHASE_BEGIN,
    PHASE_SERVE,
    PHASE_READY,
    PHASE_PUBLISH,
    PHASE_SLEEP,
    PHASE_ALARM,
};

struct worker {
    struct chat *chat;
    uint64_t told_ns;    /* the time that its chat knows */
    unsigned sends_left; /* that this turn orders at most */
    /* workers.c's own. */
    enum phase phase;       /* the step that comes next */
    unsigned first, stride; /* in which order peers are served in this turn */
    unsigned at;            /* how many have been, those of others included */
    unsigned served;        /* sessions that were ready */
    bool moved;             /* anything, in this turn */
    bool asleep, woken;     /* woken perhaps before it sleeps */
    uint64_t until_ns;      /* asleep until then */
    bool stopped, over;     /* it knows of the stop; it is not needed again */
};

/* Makes as many chats. */
void workers_begin(const struct chat_config *, unsigned count);
void workers_end(void);

struct worker *worker_of(const struct peer_state *);

/* What the chat knows is what the clock says. */
void worker_tick(struct worker *);
void worker_tell_time(struct worker *);

/* Whether a session may be opened: who knows of the stop is dealt none. */
bool worker_accepts(const struct worker *);

/* Something has come up beside its peers' sockets: it is awake, and knows the
 * time. */
void worker_rouse(struct worker *);

/* All who are due take a turn, or as much of it as they come to. Whether
 * anything moved, or is to. Who comes when, and how the peers' bytes are cut,
 * the salt decides. */
bool workers_round(uint64_t salt);

/* After a round in which nothing moved: whether no worker waits for another,
 * and looks again soon whether that has done its part. */
bool workers_are_quiet(void);

/* Turns that have begun are over. */
void workers_finish(void);

/* The next one, of any chat. */
uint64_t workers_deadline(void);

/* Each learns of the stop as its next turn begins. */
void workers_stop(void);

/* Whether none is needed any more: all know of the stop, and nobody is left. */
bool workers_are_over(void);

#endif
