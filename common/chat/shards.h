/*
 * Several chats that are one: for an engine of several threads, its workers,
 * each of which has a chat of its own and calls into no other.
 *
 * Whoever comes belongs to the worker that opened the session. A room belongs
 * to the worker that its name falls to; the others' members read its log where
 * it lies, and what they say travels as letters (letters.h). The chats see to
 * that among themselves. What is left to the engine is to let them: a worker's
 * turn is
 *
 *     chat_announce          all that was pending before has been sent
 *     chat_tick              letters of the others are taken, deadlines pass
 *     session_receive ...    as chat.h says
 *     chat_next_ready ...
 *     chat_publish           what the others are due is theirs to see
 *     if (chat_sleep())      nothing has come meanwhile
 *         wait, until chat_deadline (asked now, for what has come may have to
 *         wait) or the wake-up of another worker, and chat_awake
 *
 * A wake-up counts even if it comes before the wait begins.
 */
#ifndef RINGCHAT_CHAT_SHARDS_H
#define RINGCHAT_CHAT_SHARDS_H

#include "common/chat/chat.h"

#include <stdbool.h>
#include <stdint.h>

struct shards;

/* As many chats, 1 to WORKERS_MAX, each for one thread. Before those threads;
 * NULL without memory. The config is copied. */
struct shards *shards_create(const struct chat_config *, uint32_t workers);

/* After those threads, when chats_are_done. Takes NULL. */
void shards_destroy(struct shards *);

struct chat *shards_chat(struct shards *, uint32_t worker);

/* A turn begins. What session_pending returned in earlier turns has been sent
 * as far as it ever will be, and session_sent has been told. May be left out in
 * a turn where that is not so. */
void chat_announce(struct chat *);

/* A turn is over: others may see what they are due, and are woken with the
 * config's `wake`. */
void chat_publish(struct chat *);

/* Whether the worker may wait; else something has come, or it is wanted at
 * once. Nothing that session_pending returned is unsent. */
bool chat_sleep(struct chat *);

/* The worker is awake, or did not wait after all. */
void chat_awake(struct chat *);

/* Whether no worker has a session, or owes another anything, so that none will
 * be needed any more: for the end of the process. Each worker takes turns until
 * then. The last one to find it so wakes the others. */
bool chats_are_done(struct chat *);

#endif
