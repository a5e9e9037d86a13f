/*
 * What the files of stage 5 share.
 *
 *   main.c     the program: options, signals, log, exit status
 *   start.c    how a server starts, serves and stops
 *   worker.c   a worker's turn, as far as it is the same with either engine
 *   accept.c   who comes, and who cannot be served
 *   deal.c     which worker serves whom
 *   gate.c     where the workers wait for each other, at the start and the end
 *   engine.h   what a worker needs of the kernel; given by
 *     uring.c, uring_connection.c, ring.c    io_uring, or
 *     epoll.c                                epoll
 *
 * N threads, and each is a server like that of stage 3 or 4: it has a table of
 * connections, a chat and an engine of its own, and calls no other's. Workers
 * meet in four places: the chats among themselves (shards.h); connections,
 * which worker 0 accepts and deals out through pipes; the counts that it deals
 * by; and the end. So there is no lock here, but for the start and the end; the
 * chats have one, which nobody takes on the way of a message.
 *
 * Worker 0 is the thread that main runs in. It serves as the others do, and
 * beside that hears the signals and accepts.
 */
#ifndef RINGCHAT_STAGE5_WORKER_H
#define RINGCHAT_STAGE5_WORKER_H

#include "common/base/cache_line.h"
#include "common/base/limits.h"
#include "common/base/options.h"
#include "common/chat/chat.h"
#include "common/chat/shards.h"
#include "stage5-threads/engine.h"
#include "stage5-threads/gate.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct acceptor {
    /* Worker 0 only. */
    struct listener *listener;
    uint64_t due_ns; /* when to call accept4(2): UINT64_MAX when told to */
    int spare_fd;    /* given up to refuse somebody when there is no other */
    /* Written before the workers start, read by all. */
    uint32_t index;
    enum dialect dialect;
    sa_family_t family; /* of the listener, and who comes to it */
    socklen_t address_length;
    /* What is said to who cannot be served. */
    size_t refusal_length;
    unsigned char refusal[REFUSAL_BYTES_MAX];
};

struct worker {
    /* Written before it starts, read by all. */
    struct server *server;
    uint32_t index;
    struct chat *chat;
    int dealt_fd; /* where it reads what it is dealt; -1: worker 0 */
    int deal_fd;  /* and where worker 0 writes that */
    pthread_t thread;
    /* The engine's own; written before it serves. Of the others, who wakes it
     * looks how. */
    void *io;

    /* Its own thread only. */
    alignas(CACHE_LINE_BYTES) size_t connections;
    uint64_t turn_ns;  /* when this turn began */
    uint64_t until_ns; /* when it was to begin at the latest */
    bool stopping;
    uint64_t cut_ns; /* stopping: until when we wait for them to end */

    /* How many of those it has been dealt it does not have any more. Written by
     * its own thread, read by worker 0, to guess how busy it is: relaxed, for
     * it publishes nothing but itself. It is never read as more than have been
     * dealt: what comes back has come before through the pipe. */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t gone;
};

struct server {
    struct options options;
    const struct application *application; /* NULL: rooms */
    const struct engine *engine;
    struct shards *shards;
    struct gate gate;
    struct worker workers[WORKERS_MAX];

    /* Worker 0 only, but for what acceptor says. */
    struct acceptor acceptors[LISTENERS_MAX];
    uint64_t dealt[WORKERS_MAX]; /* connections, to each since the start */
    int signal_fd;

    /* Whether to end. Written once, by worker 0 (release), read by each at the
     * beginning of its turns (acquire): so who finds it set finds in its pipe
     * all that it has been dealt. The wake-up that follows makes sure that
     * there is a turn. */
    alignas(CACHE_LINE_BYTES) _Atomic bool stopping;
    /* Whether to wait for nobody any more: likewise, but read when it has been
     * seen to stop. */
    _Atomic bool cutting;
};

/* ---- worker.c ---- */

/* A thread's beginning: all but worker 0 serve in this. `user` is the worker.
 */
void *worker_main(void *user);

/* Whether it is needed any more. */
bool worker_is_serving(const struct worker *);

/* When something has to be done, whether or not anything happens: to be asked
 * right before each wait (after chat_sleep, see shards.h), for the turn after
 * it looks whether we are late. */
uint64_t worker_deadline(struct worker *);

/* A turn begins, after the wait: time passes, and it may be time to stop. */
void worker_begin(struct worker *);

/* What is watched can be read from. */
void on_watched(struct worker *, enum source, uint32_t index);

/* Lets in who waits, if that is for this worker to do. */
void worker_accept(struct worker *);

/* Whether those that have not ended yet have had their time. */
bool worker_cuts(const struct worker *);

/* Begins to stop: its sessions are told, and end. */
void worker_stop(struct worker *);

/* The engine's name for a session: its slot in the worker's table, and its
 * descriptor. */
void *user_of(uint32_t slot, int fd);
uint32_t slot_of(void *user);

/* What the kernel knows of a connection. */
void link_read(void *user, struct link_sample *);

/* NULL without memory, as session_open. */
struct session *make_session(struct worker *, void *user, enum dialect,
                             const struct sockaddr_storage *from);

/* ---- accept.c ---- */

/* Returns 0 or -errno. */
int acceptor_prepare(struct server *, uint32_t index);
void acceptor_stop(struct server *, struct acceptor *);

/* Somebody may be waiting at the listener. */
void on_connecting(struct acceptor *, uint64_t now_ns);

/* Lets in who waits at those listeners where somebody may. */
void accept_due(struct server *);

/* When accept_due has something to do, UINT64_MAX for not yet. */
uint64_t accept_deadline(const struct server *);

/* A new connection becomes one of the worker's, or is refused. */
void on_accept(struct worker *, const struct acceptor *, int fd);

/* ---- deal.c ---- */

/* The pipes of all workers but the first. Returns 0 or -errno; after that too
 * they are to be closed. */
int deal_open(struct server *);
void deal_close(struct server *);

/* Gives a new connection to the worker that has the fewest. */
void deal(struct server *, const struct acceptor *, int fd);

/* Takes what the worker has been dealt. */
void deal_take(struct worker *);

/* A connection that the worker had, or was dealt, is no more. */
void deal_gone(struct worker *);

/* ---- start.c: in the thread that is to be worker 0 ---- */

/* An engine, which the other workers will have too, and the chats; the key is
 * wiped. `*why`, not NULL: why io_uring is not to be had. Returns 0 or -errno;
 * then there is nothing to close. */
int server_open(struct server *, const char **why);

/* When it is open, and its listeners are: starts all workers. Returns 0 or
 * -errno; then there are none, and all is closed but some of the listeners. */
int server_start(struct server *);

/* Serves until it has stopped, and closes all. */
void server_serve(struct server *);

/* Begins to stop: every worker does, each in a turn of its own. Once. */
void server_stop(struct server *);

/* It has begun to stop; those that have not ended yet are not waited for. */
void server_cut(struct server *);

/* ---- main.c ---- */

/* Signals have come: `signal_fd` can be read. */
void on_signals(struct server *);

#endif
