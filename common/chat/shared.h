/*
 * What the chats of a process have in common: tables of who is there, under one
 * lock that nobody takes on the way of a message; the mail between workers, and
 * what tells them apart. A chat that is alone has it for itself.
 */
#ifndef RINGCHAT_CHAT_SHARED_H
#define RINGCHAT_CHAT_SHARED_H

#include "common/buffer/budget.h"
#include "common/buffer/turns.h"
#include "common/chat/internal.h"
#include "common/chat/nicks.h"
#include "common/chat/shards.h"
#include "common/shard/queue.h"
#include "common/shard/wake.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

/* From one worker to one other. */
struct mail {
    struct queue requests, answers;
    /* How far the receiver has read the answers when all whom it serves had
     * been sent what they were due, last. Written by it, release: it has passed
     * on all the news before. Read by the sender, acquire: its turn is over
     * when this has come to the last news of that turn. */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t served;
};

/* A source address with its sessions. */
struct address {
    UT_hash_handle by_key;
    uint8_t key[ADDRESS_BYTES];
    uint32_t sessions;
};

struct shards {
    uint32_t count;
    struct chat *chats[WORKERS_MAX];
    struct sleeper sleepers[WORKERS_MAX];
    struct turns turns;
    struct budget budget; /* of what peers make us hold */
    struct budget fixed;  /* of the queues: made once */
    struct mail *mail;    /* from * count + to */
    /* Each worker's own segments that are out of their logs and not free yet,
     * in bytes. Written by it, read by all when memory is short: relaxed. */
    struct {
        alignas(CACHE_LINE_BYTES) _Atomic uint64_t bytes;
    } retired[WORKERS_MAX];
    /* Workers, a bit each, that are not needed any more. Each adds its own with
     * acquire and release: who finds all of them comes after all the others had
     * done what they had to. */
    _Atomic uint64_t done;
    /* Workers that are past STOP_FREEZING, and past STOP_HEARING. Each adds
     * itself with release: what it has published comes before. Partner: the
     * acquire load in all_arrived. */
    _Atomic uint32_t frozen, heard;
    /* Numbers sessions; nothing is ordered by it: relaxed. */
    _Atomic uint64_t last_id;

    pthread_mutex_t lock;
    /* Under the lock. A nick is changed under it too, by its own worker, which
     * may read it without. */
    struct nicks nicks;
    struct address *addresses;
    uint32_t sessions, refused, uncounted;
};

static inline struct mail *mail_between(const struct shards *shards,
                                        uint32_t from, uint32_t to)
{
    return &shards->mail[from * shards->count + to];
}

#endif
