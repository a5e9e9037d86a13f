/*
 * What the files of stage 3 share.
 *
 *   server.c   the loop: events, receive, chat, send
 *   accept.c   who comes, and who cannot be served
 *   main.c     start, signals, stop
 *
 * One thread, and no call in it waits but epoll_pwait2(2). So there is no lock,
 * and whoever stalls is a descriptor that we hear nothing of.
 */
#ifndef RINGCHAT_STAGE3_SERVER_H
#define RINGCHAT_STAGE3_SERVER_H

#include "common/base/limits.h"
#include "common/base/options.h"
#include "common/chat/chat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* What a turn takes at most: events, connections from a listener, bytes from a
 * connection. What is left is there in the next one. */
#define EVENTS_MAX 512
#define ACCEPTS_MAX 64
#define RECEIVE_BYTES RECEIVE_BYTES_MAX

struct connection;

struct acceptor {
    struct listener *listener;
    enum dialect dialect;
    uint64_t due_ns; /* when to call accept4(2): UINT64_MAX when told to */
    int spare_fd;    /* given up to refuse somebody when there is no other */
    /* What is said to who cannot be served. */
    unsigned char refusal[REFUSAL_BYTES_MAX];
    size_t refusal_length;
};

struct server {
    struct options options;
    struct chat *chat;
    struct acceptor acceptors[LISTENERS_MAX];
    int epoll_fd, signal_fd;
    /* The table: a slot for every descriptor up to the highest ever seen. */
    struct connection *connections;
    size_t slots, slots_allocated;
    size_t count;            /* of them in use */
    int due_first, due_last; /* those to be read from; -1: none */
    uint64_t turn_ns;        /* when this turn began */
    bool stopping;
    uint64_t cut_ns; /* stopping: until when we wait for them to end */
    unsigned char bytes[RECEIVE_BYTES];
};

/* What an event is about. With the slot and its generation that makes the token
 * that the kernel keeps for us: one that tells a connection from another that
 * had the same descriptor a moment before. */
enum source {
    SOURCE_SIGNALS,
    SOURCE_LISTENER,
    SOURCE_CONNECTION,
};

/* ---- server.c ---- */

/* Takes turns until the server has been told to stop, and nobody is left. */
void serve(struct server *);

/* Begins to listen for events of a descriptor; 0 or -errno. */
int watch(const struct server *, int fd, uint32_t events, enum source,
          uint32_t slot);

/* A session for the connection on `fd`, which the server owns from then on. If
 * it cannot be served (false) the descriptor stays the caller's, to close. */
bool on_open(struct server *, int fd, enum dialect,
             const struct sockaddr_storage *from);

/* What the kernel knows of a connection. */
void link_read(void *user, struct link_sample *);

/* The table and its memory; every connection must have been closed. */
void table_init(struct server *);
void table_release(struct server *);

/* ---- accept.c ---- */

/* Returns 0 or -errno. */
int acceptor_prepare(struct acceptor *, const struct server *,
                     struct listener *);
void acceptor_stop(struct acceptor *);

/* Somebody may be waiting at the listener. */
void on_connecting(struct acceptor *, uint64_t now_ns);

/* Lets in who waits at those listeners where somebody may. */
void accept_due(struct server *);

/* When accept_due has something to do, UINT64_MAX for not yet. */
uint64_t accept_deadline(const struct server *);

/* ---- main.c ---- */

/* Signals have come. */
void on_signals(struct server *);

#endif
