/*
 * Who has which nick: a hash table of sessions that grows by one bucket at a
 * time.
 *
 * Finding costs two looks on average, adding never fails, and no session waits
 * while all others are moved. It costs 8 bytes in each session and 4 in the
 * table.
 *
 * Linear hashing: Litwin, "Linear Hashing: A New Tool for File and Table
 * Addressing" (VLDB 1980); in memory, Larson, "Dynamic Hash Tables" (CACM 31,
 * 1988).
 */
#ifndef RINGCHAT_CHAT_NICKS_H
#define RINGCHAT_CHAT_NICKS_H

#include "common/base/slice.h"
#include "common/buffer/budget.h"

#include <stdbool.h>
#include <stdint.h>

struct chat;
struct session;

/* All of it with the lock held (shared.h). */
struct nicks {
    struct session **buckets; /* chains, linked by session->nick_next */
    uint32_t used, capacity;  /* buckets, in use and in memory */
    uint32_t count;           /* sessions */
};

/* An empty table; false without memory. */
bool nicks_init(struct nicks *, struct budget *);

/* It must be empty. */
void nicks_release(struct nicks *, struct budget *);

/* Whoever has the nick, whatever the case of its letters; NULL if nobody does,
 * or nobody could. */
struct session *nick_find(const struct chat *, struct slice nick);

/* The session is found by its nick from now on. Nobody else has it. */
void nick_add(struct session *);

/* The session is found no more. */
void nick_remove(struct session *);

#endif
