/*
 * What the files of the io_uring engine share.
 *
 *   uring.c              orders, what is watched, wake-ups, turns
 *   uring_connection.c   who is connected: receive and send
 *   ring.c               the ring and the buffers that it fills
 */
#ifndef RINGCHAT_STAGE5_URING_H
#define RINGCHAT_STAGE5_URING_H

#include "stage5-threads/ring.h"
#include "stage5-threads/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* The signals or what is dealt, and the listeners. */
#define WATCHES_MAX (1 + LISTENERS_MAX)

struct connection;

/* A send that has been ordered: the kernel reads the message and the vectors
 * when it is submitted. */
struct send {
    struct msghdr message;
    struct iovec vectors[2];
};

/* A descriptor that is watched and is no connection. */
struct watch {
    enum source source;
    uint32_t index;
    int fd;
    bool wanted;
    bool ordered;
};

struct uring {
    struct worker *worker;
    /* Its descriptor is read by all who wake us; else its own thread only. */
    struct ring ring;
    struct watch watches[WATCHES_MAX];
    uint32_t watch_count;
    /* The table: as many slots as there have been connections at a time. */
    struct connection *connections;
    uint32_t slots, slots_allocated;
    uint32_t free_first; /* NO_SLOT: none */
    /* Ordered and not over: of all, and of no connection. */
    size_t operations;
    size_t sending; /* of them sends */
    bool refused;   /* an order has found no room since take_back_due */
    uint64_t owed;  /* the workers that are to be woken, a bit each */
    bool finishing; /* nobody looks later: wake-ups too are waited for */
    /* What is sent at the next turn_wait. */
    struct send sends[SENDS_MAX];
    size_t send_count;
};

_Static_assert(WORKERS_MAX <= 64, "`owed` has a bit for each");

/* What a completion is about. With the slot and its generation that makes the
 * token that the kernel keeps for us: one that tells a connection from another
 * that had the same slot a moment before. */
enum operation {
    OPERATION_WATCH,
    OPERATION_RECEIVE,
    OPERATION_SEND,
    OPERATION_WRITABLE,
    OPERATION_CANCEL,
    OPERATION_WAKE,      /* waking another has failed */
    OPERATION_LAST_WAKE, /* what has become of waking it at the end */
    OPERATION_WOKEN,     /* another has woken us */
};

/* ---- uring.c ---- */

/* An entry to be filled in, which is submitted with the next turn; NULL if the
 * kernel has no memory for those before it. */
struct io_uring_sqe *order(struct uring *);

/* What the kernel gives back with the completion. */
uint64_t token(enum operation, uint32_t slot, uint16_t generation);

/* Takes back what was ordered with the token `about`. False without memory for
 * the order: it goes on. */
bool order_cancel(struct uring *, uint64_t about);

/* Whether nothing will come of an order any more. */
static inline bool is_over(const struct io_uring_cqe *cqe)
{
    return !(cqe->flags & IORING_CQE_F_MORE);
}

/* ---- uring_connection.c ---- */

void table_init(struct uring *);
/* Its memory; every connection must have been closed. */
void table_release(struct uring *);

/* See `connect` in engine.h. */
bool uring_connect(struct worker *, int fd, enum dialect,
                   const struct sockaddr_storage *from);

/* What has been ordered for a connection is over, or goes on. */
void on_received(struct uring *, const struct io_uring_cqe *);
void on_writable(struct uring *, const struct io_uring_cqe *);
void on_sent(struct uring *, const struct io_uring_cqe *);

/* Takes back what could not be taken back when it was to be, for want of room
 * for the order. */
void take_back_due(struct uring *);

/* Orders what everybody is due. */
void send_ready(struct uring *);

/* Closes those that have not ended in time. */
void cut(struct uring *);

#endif
