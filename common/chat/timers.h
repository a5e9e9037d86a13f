/*
 * Deadlines of sessions: a binary heap with the earliest on top.
 *
 * A deadline that moves later (a peer that keeps talking) is left where it is:
 * when it comes up, its session is asked again. So a message costs no heap
 * operation. The heap knows sessions only as pointers with an index.
 */
#ifndef RINGCHAT_CHAT_TIMERS_H
#define RINGCHAT_CHAT_TIMERS_H

#include "common/buffer/budget.h"

#include <stdbool.h>
#include <stdint.h>

struct session;

struct timer {
    uint64_t deadline_ns;
    struct session *session;
};

struct timers {
    struct timer *heap;
    uint32_t count, capacity;
};

/* Room for one more session; false without memory. */
bool timers_reserve(struct timers *, struct budget *);
void timers_release(struct timers *, struct budget *);

/* A session enters, with room reserved; it knows its place by
 * session->timer_index, which the heap keeps. */
void timers_add(struct timers *, struct session *, uint64_t deadline_ns);
void timers_remove(struct timers *, struct session *);

/* Moves the session's deadline to exactly `deadline_ns`. */
void timers_set(struct timers *, struct session *, uint64_t deadline_ns);

/* Moves it only if that is earlier. */
void timers_advance(struct timers *, struct session *, uint64_t deadline_ns);

/* The earliest deadline, UINT64_MAX if there is none. */
uint64_t timers_next(const struct timers *);

#endif
