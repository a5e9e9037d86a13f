/*
 * What the threads of stage 2 share.
 *
 *   server.c   one connection: receive, chat, send
 *   accept.c   a listener's thread: who comes, and who cannot be served
 *   main.c     start, deadlines, signals, stop
 *
 * Threads: one per listener (accept_loop), two per connection: its reader
 * (serve), which owns it and frees it, and its writer (write_loop); one for
 * deadlines (keep_time), and main, which waits for signals.
 *
 * One lock, `chat_lock`, for the chat, all sessions and the list of
 * connections. It is never held across I/O that may wait, so everybody gets
 * through whoever stalls, and a stop needs no list with a lock of its own.
 */
#ifndef RINGCHAT_STAGE2_SERVER_H
#define RINGCHAT_STAGE2_SERVER_H

#include "common/base/limits.h"
#include "common/base/options.h"
#include "common/chat/chat.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>

#define STACK_BYTES (256 * KIB) /* a receive buffer, headers, a log line */

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

/* One client, served by two threads. */
struct connection {
    struct server *server;
    const struct acceptor *acceptor;
    int fd;
    struct sockaddr_storage address;
    size_t need; /* its reader only: what the next recv asks for */
    /* Under the chat's lock. */
    struct session *session;
    pthread_cond_t wake; /* due, may be read again, or over */
    bool due;            /* the writer is to look what there is to send */
    bool writing;        /* the writer has not ended */
    bool over;           /* both threads are to end, for `reason` */
    enum reason reason;
    struct connection *next, *previous;
};

struct server {
    /* Set before the first thread. */
    struct options options;
    struct acceptor acceptors[LISTENERS_MAX];
    /* Under chat_lock. */
    pthread_mutex_t chat_lock;
    struct chat *chat;
    struct connection *first;
    pthread_cond_t clock_due; /* keep_time has to look before its time */
    uint64_t clock_until_ns;  /* until when keep_time sleeps */
    bool stopping, quitting;
};

/* ---- server.c ---- */

/* A turn: the lock is taken and the time told; everybody who is due something
 * is woken to send it, and the lock let go. */
void turn_begin(struct server *);
void send_ready(struct server *);
void turn_end(struct server *);

/* A connection's reader: serves it, closes it, frees it. */
void *serve(void *argument);

/* What the kernel knows of a connection, `user`. */
void link_read(void *user, struct link_sample *);

/* A connection on `fd`, which it owns from then on, and on the server's list;
 * NULL without memory. */
struct connection *connection_create(const struct acceptor *, int fd,
                                     const struct sockaddr_storage *from);
/* Off the list; closes the descriptor. */
void connection_destroy(struct connection *);

/* Whether there are any, and the end of all of them. */
bool connections_left(struct server *);
void connections_cut(struct server *);

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
