/*
 * Faults between a ring and the kernel, by a seed: orders that fail, come
 * short, go on for less long than they could, or are not taken at all;
 * completions that come late and in another order; wake-ups that fail, or that
 * a sleeper is slow to follow. For a build of its own (FAULTS=1), whose rings
 * are tiny besides (RING_TINY), so that queues run over and buffers run out all
 * the time, for real.
 *
 *   seed.c         what is to happen, and how often
 *   orders.c       on the way to the kernel
 *   completions.c  on the way back
 *   ring.h         which stage's ring it is
 *
 * The linker leads here (--wrap): ring_open and ring_turn, liburing's functions
 * that submit, and accept4, which stage 5 calls where stage 4 orders it. A
 * liburing put in the real one's place could not do it: most of it is inline,
 * loads and stores in memory that the kernel shares with us, and its system
 * calls are instructions of its own, not calls. An order could be changed by
 * none of its functions, and a completion is seen by none. But all orders pass
 * those that submit, and all completions ring_turn. Nothing is played: an order
 * that is changed is carried out by the kernel, as what it has been changed to,
 * so what comes of it is what a kernel says.
 *
 * RINGCHAT_FAULTS says which: "7" is a seed of faults that harm nobody, that
 * is, nobody is to notice; "deadly:7" one of those besides by which single
 * connections end (resets, no memory); "partly:7" one of none but sends and
 * orders that are not taken, and of those very many; "hardly:7" one of those
 * alone too, but they are not taken either when there is no room for one more,
 * by which connections end. Without it there are none, but the rings are tiny.
 * A seed makes the same choices in the same order, for each ring its own; what
 * they fall upon is up to the kernel and the clients.
 *
 * A ring is one thread's, and so is all that is kept about it here: no two
 * threads meet, but to be numbered when they begin.
 */
#ifndef RINGCHAT_FAULTS_FAULTS_H
#define RINGCHAT_FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What may happen, each as often as the seed says: some often, others never. */
enum fault {
    FAULT_ONCE,          /* what would go on by itself ends after one */
    FAULT_NO_BUFFER,     /* a receive finds none */
    FAULT_RECEIVE_SHORT, /* brings a part of what there is */
    FAULT_NO_ACCEPT,     /* no memory, or a client that has gone */
    FAULT_NO_POLL,       /* no memory to wait with */
    FAULT_SEND_SHORT,    /* goes in part */
    FAULT_SEND_NOTHING,  /* EAGAIN */
    FAULT_NOT_SUBMITTED, /* orders stay where they are, some or all */
    FAULT_WAKE,          /* a turn begins early, for nothing */
    FAULT_LATE,          /* what is over is told some turns later */
    FAULT_NO_WAKE,       /* no memory to wake another with */
    FAULT_NO_ROOM,       /* the other has no room for what wakes it */
    FAULT_OVERSLEPT,     /* it is, but its turn begins late */
    FAULT_DEADLY,        /* a connection fails, or no descriptor is free */
    FAULTS_COUNT
};

/* Whether there are any. */
bool faults_on(void);

/* A thread opens its ring: what happens to it has a course of its own from now
 * on, by the seed and by how many have begun before. With two workers that is
 * always the same one; of more, who comes first among those behind worker 0 is
 * up to the scheduler. */
void faults_begin(void);

/* Whether it happens this time. */
bool fault_happens(enum fault);

/* Whether orders are refused also if somebody is given up for that. */
bool faults_refuse(void);

/* 0 to `bound` - 1; and 1 to `max`, of any magnitude alike. */
unsigned fault_below(unsigned bound);
size_t fault_magnitude(size_t max);

struct io_uring;

/* That there is no other way to the kernel than by orders.c: if liburing has
 * more functions that submit, add them there. */
void orders_all_seen(const struct io_uring *);

/* Nothing will come any more of what was ordered with the token. */
void order_over(uint64_t token);

/*
 * What orders.c tells completions.c, in bits of the token that the server does
 * not use: that who is woken is to be slow, that it is of a send, and the error
 * to be told in place of success, if any.
 */
#define MARK_OVERSLEPT (UINT64_C(1) << 54)
#define MARK_SEND (UINT64_C(1) << 55)
#define MARK_ERROR_SHIFT 56
#define MARKS (~(MARK_OVERSLEPT - 1))

#endif
