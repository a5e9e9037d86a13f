/*
 * What the files of stage 4 share.
 *
 *   server.c   the loop: completions, receive, chat, send
 *   accept.c   who comes, and who cannot be served
 *   ring.c     the ring and the buffers that it fills
 *   main.c     start, signals, stop
 *
 * One thread, and no call in it waits but io_uring_enter(2). So there is no
 * lock, and whoever stalls is an order that has not been carried out yet.
 */
#ifndef RINGCHAT_STAGE4_SERVER_H
#define RINGCHAT_STAGE4_SERVER_H

#include "common/base/limits.h"
#include "common/base/options.h"
#include "common/chat/chat.h"
#include "stage4-uring/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct connection;

/* A send that has been ordered: the kernel reads the message and the vectors
 * when it is submitted. */
struct send {
    struct msghdr message;
    struct iovec vectors[2];
};

struct acceptor {
    struct listener *listener;
    enum dialect dialect;
    uint64_t due_ns; /* when to order accepts: UINT64_MAX when they are */
    int spare_fd;    /* given up to refuse somebody when there is no other */
    /* What is said to who cannot be served. */
    unsigned char refusal[REFUSAL_BYTES_MAX];
    size_t refusal_length;
};

struct server {
    struct options options;
    struct chat *chat;
    struct acceptor acceptors[LISTENERS_MAX];
    struct ring ring;
    int signal_fd;
    /* The table: a slot for every descriptor up to the highest ever seen. */
    struct connection *connections;
    size_t slots, slots_allocated;
    size_t count;      /* of them in use */
    size_t operations; /* ordered and not over: of all, and of no connection */
    bool refused;      /* an order has found no room since take_back_due */
    uint64_t turn_ns;  /* when this turn began */
    bool watching;     /* to hear of signals is ordered */
    bool stopping;
    uint64_t cut_ns; /* stopping: until when we wait for them to end */
    /* What is sent at the next turn_wait. */
    struct send sends[SENDS_MAX];
    size_t send_count;
};

/* What a completion is about. With the slot and its generation that makes the
 * token that the kernel keeps for us: one that tells a connection from another
 * that had the same descriptor a moment before. */
enum operation {
    OPERATION_SIGNALS,
    OPERATION_ACCEPT,
    OPERATION_RECEIVE,
    OPERATION_SEND,
    OPERATION_WRITABLE,
    OPERATION_CANCEL,
};

/* ---- server.c ---- */

/* Takes turns until the server has been told to stop, and nobody and nothing
 * that was ordered is left. */
void serve(struct server *);

/* An entry to be filled in, which is submitted with the next turn; NULL if the
 * kernel has no memory for those before it. */
struct io_uring_sqe *order(struct server *);

/* What the kernel gives back with the completion. */
uint64_t token(enum operation, uint32_t slot, uint16_t generation);

/* Takes back what was ordered with the token `about`. False without memory for
 * the order: it goes on. */
bool order_cancel(struct server *, uint64_t about);

/* Whether anybody may still be served. */
bool is_serving(const struct server *);

/* A session for the connection on `fd`, which the server owns from then on. If
 * it cannot be served (false) the descriptor stays the caller's, to close. */
bool on_open(struct server *, int fd, enum dialect,
             const struct sockaddr_storage *from);

/* What the kernel knows of a connection. */
void link_read(void *user, struct link_sample *);

/* The table's memory; every connection must have been closed. */
void table_release(struct server *);

/* ---- accept.c ---- */

/* Returns 0 or -errno. */
int acceptor_prepare(struct acceptor *, const struct server *,
                     struct listener *);
void acceptor_stop(struct server *, struct acceptor *);

/* Somebody has been let in, or could not be. */
void on_accepted(struct server *, struct acceptor *,
                 const struct io_uring_cqe *);

/* Orders accepts where they are not. */
void accept_due(struct server *);

/* When accept_due has something to do, UINT64_MAX for not yet. */
uint64_t accept_deadline(const struct server *);

/* ---- main.c ---- */

/* Orders to hear of signals, if that is not ordered. */
void signals_due(struct server *);

/* Signals have come, or it is over. */
void on_signals(struct server *, const struct io_uring_cqe *);

/* Whether nothing will come of an order any more. */
static inline bool is_over(const struct io_uring_cqe *cqe)
{
    return !(cqe->flags & IORING_CQE_F_MORE);
}

#endif
