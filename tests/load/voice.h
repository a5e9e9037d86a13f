/*
 * What a speaker has said, and which audiences have it. The thread that has the
 * speaker says; all threads tell it when an audience has heard.
 *
 * A message is complete when all audiences of its room have it. So the window
 * of a speaker is kept, and each place of the ring is used again.
 */
#ifndef RINGCHAT_LOAD_VOICE_H
#define RINGCHAT_LOAD_VOICE_H

#include "tests/load/run.h"

/* A message that is on its way. */
struct utterance {
    _Atomic uint64_t due_ns; /* when it was said, or due to be */
    /* The number of the message whose place this is, and how many audiences
     * have not heard it; none: it is complete. */
    _Atomic uint64_t state;
};

struct voice {
    struct room *room;
    struct client *client;           /* who speaks */
    const struct audience *audience; /* who hear it where it is */
    struct worker *worker;           /* and the thread it is on */
    uint32_t mask;                   /* of the ring */
    struct utterance *ring;
    /* the worker only */
    uint32_t oldest;      /* all before it are complete */
    bool is_ready;        /* it is in its worker's list of those to speak */
    struct voice *ready;  /* the next in that list */
    _Atomic bool is_mute; /* its client has gone for good */
    /* all threads: messages said; those that are not complete */
    _Atomic uint32_t said, outstanding;
    /* all threads: in its worker's inbox, and the next there */
    _Atomic bool is_called;
    struct voice *called;
};

/* How many messages it can have on their way: a power of two. */
void voice_init(struct voice *, uint32_t places);
void voice_release(struct voice *);

/* Whether one more fits. */
bool voice_has_place(struct voice *);

/* One more is said: its number. */
uint32_t voice_say(struct voice *, uint64_t due_ns);

/* When the message was due; 0 if that is no longer known. */
uint64_t voice_due_ns(const struct voice *, uint32_t number);

/* An audience has it. Returns whether it is complete now. */
bool voice_heard(struct voice *, uint32_t number);

/* Takes those for complete that were due before; how many. */
uint32_t voice_give_up(struct voice *, uint64_t before_ns);

#endif
