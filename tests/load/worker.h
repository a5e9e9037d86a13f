/*
 * A thread: its clients, and its turns.
 */
#ifndef RINGCHAT_LOAD_WORKER_H
#define RINGCHAT_LOAD_WORKER_H

#include "tests/load/client.h"

#include <pthread.h>

#define RECEIVE_BYTES (256 * 1024)

struct worker {
    struct run *run;
    pthread_t thread;
    int epoll_fd, wake_fd;
    struct client *clients;
    uint32_t clients_count;
    struct audience *audiences; /* by room and target */
    struct voice **voices;      /* of the clients that speak */
    uint32_t voices_count;

    /* this thread only */
    enum phase phase;
    struct client *later; /* who may come at the next tick */
    struct client *away;  /* who may come */
    uint32_t coming;      /* clients that are about to */
    struct voice *ready;  /* who may have something to say */
    uint32_t due;         /* whose turn it is, where there is a schedule */
    uint64_t due_number;  /* and with which message */
    bool is_held;         /* but it cannot speak now */
    uint64_t tick_ns;
    uint64_t heard_ns; /* when bytes came last */
    bool has_drained;
    unsigned char *bytes; /* RECEIVE_BYTES */
    char *text;
    unsigned complaints;
    struct counts counts;
    struct histogram latency, entering;

    /* of the time measured; read when the thread has ended */
    struct counts before, after;
    uint64_t begin_ns, end_ns;
    double cpu_begin_s, cpu_end_s;

    /* all threads: voices that wait to be heard of */
    _Atomic(struct voice *) inbox;

    pthread_mutex_t lock;
    struct counts shown; /* under the lock: of a moment ago */
    struct histogram shown_latency;
};

/* 0 or -errno. */
int worker_open(struct worker *);
void worker_close(struct worker *);

void *worker_main(void *);

/* Ends its wait. */
void worker_wake(struct worker *);

/* The voice may speak again; called on any thread. */
void voice_call(struct voice *, struct worker *by);

/* A line on standard error, of the first few. */
__attribute__((format(printf, 2, 3))) void
worker_complain(struct worker *, const char *format, ...);

#endif
