/*
 * How a worker goes to sleep without missing what another has for it, and how
 * the other knows whether it has to be woken: seldom, since waking costs a
 * system call. That call, and the sleeping, are the engine's. No I/O here.
 *
 *     who has news                        who has nothing left to do
 *
 *     publish it (queue_publish)          sleep_prepare(me)
 *     if (wake_needed(other))             look once more at all there may be
 *         wake it                         if there was nothing: sleep
 *                                         sleep_over(me)
 *
 *  1. No wake-up is lost: what was published before wake_needed is seen by the
 *     look after sleep_prepare, or who published it is told to wake.
 *  2. Of all who have news for one sleep, no more than one is told to wake.
 *
 * The engine's part is that a wake-up counts even if it comes before the sleep
 * begins, as do a completion that MSG_RING posts and what is written to an
 * eventfd. One that comes late, after a sleep that ended otherwise, ends a
 * later one for nothing: who wakes up looks, and sleeps again.
 *
 * Why none is lost. Two stores, each followed by a load of what the other
 * stores, is the litmus test "store buffering": both loads may find the old
 * values, on x86 as well, and both sides would believe that the other one acts.
 * Here nobody loads or stores `sleeping` but by an exchange. The exchanges of
 * one object have one order, each reads what the one before it wrote (C11
 * 7.17.3p12), and each releases and acquires: so each happens after all before
 * it (5.1.2.4p10-11, the release sequence: it would end at a plain store, which
 * is why sleep_over is an exchange too). Of a wake_needed W and a sleep_prepare
 * S either comes first:
 *
 *     W, then S: what was published before W happened before the look after S,
 *                which finds it.
 *     S, then W: W finds `true` and wakes; or another came between the two and
 *                took it: another W, whose caller wakes; or the sleep_over of
 *                one who is awake, and comes after W to its next S.
 *
 * That holds for all that was published before, whatever it is and wherever it
 * lies. The same comes of a sequentially consistent fence between store and
 * load on either side, as the Linux kernel has it (memory-barriers.txt, "Sleep
 * and wake-up functions"); but ThreadSanitizer does not know fences (gcc's
 * -Wtsan). And it comes of sequentially consistent stores and loads; but of all
 * of them, each place where news is published and where it is looked for, and
 * one that is weaker is not found by reading this file. An exchange costs what
 * a fence does, and the cache line of `sleeping`, once for each batch.
 */
#ifndef RINGCHAT_SHARD_WAKE_H
#define RINGCHAT_SHARD_WAKE_H

#include "common/base/cache_line.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

/* A worker's own, on a cache line of its own. */
struct sleeper {
    /* Whether it sleeps, or is about to, and nobody has been told to wake it.
     * Exchanged by all, acquire and release: publishes all that its writer did
     * before to whoever exchanges it later. */
    alignas(CACHE_LINE_BYTES) _Atomic bool sleeping;
};

/* Before any thread. Awake. */
void sleeper_init(struct sleeper *);

/* Whether the caller, who has published something, must wake the other. */
bool wake_needed(struct sleeper *other);

/* The caller sleeps unless its next look finds something to do. */
void sleep_prepare(struct sleeper *mine);

/* The caller is awake, or did not go to sleep after all. */
void sleep_over(struct sleeper *mine);

#endif
