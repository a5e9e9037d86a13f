/*
 * A plan: all that will happen in a history, drawn from one seed before it
 * begins. No step depends on what came of another, so that any of them can be
 * left out and what remains is a plan again: that is what shrinking does.
 *
 * Swarm testing (Groce et al., ISSTA 2012): each plan leaves out much of what
 * could be, at random, so that the rest comes often.
 */
#ifndef RINGCHAT_SIM_PLAN_H
#define RINGCHAT_SIM_PLAN_H

#include "tests/sim/op.h"

#include "common/chat/chat.h"

#include <stdint.h>

#define WORKERS_DRAWN_MAX 4

/* What is so in the whole history. */
struct setup {
    struct chat_config config; /* limits; its functions are the world's */
    bool late;      /* a send is over some turns after it began (stage 2) */
    bool ordered;   /* sends are over when the next turn begins (stage 4) */
    bool exact;     /* a receive brings no more than session_need (stage 2) */
    bool away;      /* a send may hold up everything for a while (stage 1) */
    bool starved;   /* allocations fail, or memory is short: what needs some may
                       fail with `internal` or without a word */
    unsigned rooms; /* of ROOMS_MAX, in use */
    unsigned workers; /* chats that are one */
};

enum act {
    ACT_CONNECT,    /* peer; dialect, sealed; value: bytes its socket takes */
    ACT_SAY,        /* peer; op */
    ACT_APPETITE,   /* peer; value: bytes it reads in a turn, 0 to UINT64_MAX */
    ACT_MUTE,       /* peer: answers no pings from now on */
    ACT_HALF_CLOSE, /* peer: sends the end of its stream */
    ACT_DRIBBLE,    /* peer; value: bytes of its stream that arrive in a turn at
                       most */
    ACT_RESET,      /* peer: the connection fails */
    ACT_TURN,       /* the engine's; salt: in which order, and in what pieces */
    ACT_WAIT,       /* value: ns that pass, with a turn at each deadline */
    ACT_OVERSLEEP,  /* value: ns that pass without a turn */
    ACT_STARVE,     /* value: the nth allocation from now fails; salt:
                       and so many behind it */
    ACT_SHUTDOWN,
    ACTS,
};

struct step {
    enum act act;
    uint32_t number; /* its place in the plan as drawn, from 1 */
    uint8_t peer;
    enum dialect dialect;
    bool sealed;
    uint8_t address; /* connects from one of a few */
    uint64_t value, salt;
    enum say say;
    uint8_t room, whom;
    bool named, typed, as_message;
    enum naming naming;
    uint32_t id, length;
};

/* More than any plan has. */
#define STEPS_MAX 2200

/* A value without pointers: a copy is a plan of its own. */
struct plan {
    uint64_t seed;
    struct setup setup;
    size_t count;
    struct step steps[STEPS_MAX];
};

void plan_draw(struct plan *, uint64_t seed);

/* One line that says what the step does. */
void step_print(const struct step *, char *line, size_t space);
void setup_print(const struct setup *, char *line, size_t space);

#endif
