/*
 * What the threads of stage 1 share.
 *
 *   server.c   one connection: receive, chat, send
 *   accept.c   a listener's thread: who comes, and who cannot be served
 *   main.c     start, deadlines, signals, stop
 *   table.c    which connections there are
 *
 * Threads: one per listener (accept_loop), one per connection (serve), one for
 * deadlines (keep_time), and main, which waits for signals and never takes the
 * chat's lock, so that a stop gets through whoever stalls.
 *
 * Locks: `chat_lock` for the chat and all sessions, held across sends that
 * wait; the table's own, never. Order: the chat's before the table's.
 */
#ifndef RINGCHAT_STAGE1_SERVER_H
#define RINGCHAT_STAGE1_SERVER_H

#include "common/base/limits.h"
#include "common/base/options.h"
#include "common/chat/chat.h"
#include "stage1-blocking/table.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define STACK_BYTES (256 * KIB) /* a receive buffer, a log line, and calls */

struct server;

struct acceptor {
    struct server *server;
    struct listener *listener;
    enum dialect dialect;
    /* What is said to who cannot be served. */
    unsigned char refusal[REFUSAL_BYTES_MAX];
    size_t refusal_length;
    pthread_t thread;
    /* Its own thread only. */
    int spare_fd; /* given up to refuse somebody when there is no other */
};

struct server {
    /* Set before the first thread. */
    struct options options;
    struct acceptor acceptors[LISTENERS_MAX];
    /* With locks of their own. */
    struct table table;
    sem_t clock_due; /* posted when keep_time has to look before its time */
    /* Set by main, read by the others. */
    atomic_bool stopping, metrics_wanted, quitting;
    _Atomic uint64_t drain_by_ns; /* CLOCK_MONOTONIC; set before `stopping` */
    /* Set under chat_lock; read under it, and by main without. */
    atomic_bool draining;  /* every session has been told */
    _Atomic(pid_t) sender; /* the thread that is in a send, 0: none */
    /* Under chat_lock. */
    pthread_mutex_t chat_lock;
    struct chat *chat;
    uint64_t clock_until_ns; /* until when keep_time sleeps */
};

/* ---- server.c ---- */

/* A turn: the lock is taken and the time told; everybody is sent what is due
 * and the lock let go. */
void turn_begin(struct server *);
void send_ready(struct server *);
void turn_end(struct server *);

/* Sends what the connection is due now. The chat's lock is held. */
void flush(struct connection *);

/* A connection's thread: serves it, closes it, frees it. */
void *serve(void *argument);

/* What the kernel knows of a connection, `user`. */
void link_read(void *user, struct link_sample *);

/* A connection on `fd`, which it owns from then on; NULL without memory. */
struct connection *connection_create(const struct acceptor *, int fd,
                                     const struct sockaddr_storage *from);
/* Closes the descriptor. */
void connection_destroy(struct connection *);

/* ---- accept.c ---- */

/* Says `server-full` to a connection that cannot be served, without waiting.
 * The descriptor stays the caller's, who closes it. */
void refuse(const struct acceptor *, int fd,
            const struct sockaddr_storage *from);

/* To be called before the first thread; 0 or -errno. */
int acceptor_prepare(struct acceptor *, struct server *, struct listener *);

/* Starts the listener's thread; 0 or -errno. */
int acceptor_start(struct acceptor *);

/* Makes accept(2) return for good, and waits for the thread. The server is
 * stopping. */
void acceptor_stop(struct acceptor *);

/* Starts a thread with a small stack; 0 or -errno. */
int thread_start(pthread_t *, int detach_state, void *(*run)(void *),
                 void *argument);

#endif
