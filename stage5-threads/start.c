/*
 * A server's start and end: the engine, the chats, the workers, and where they
 * meet. It knows no signals, prints nothing and ends no program: that is for
 * who calls it (main.c).
 */
#include "stage5-threads/worker.h"

#include "common/base/clock.h"
#include "common/base/cpus.h"
#include "common/base/log.h"

#include <errno.h>
#include <signal.h>

#define STACK_BYTES ((size_t)MIB)

/* ---- Stopping ----------------------------------------------------------- */

/* Those that were prepared: all, unless the start has failed. */
static void stop_accepting(struct server *server)
{
    for (size_t i = 0; i < server->options.listener_count; i++) {
        if (server->acceptors[i].listener)
            acceptor_stop(server, &server->acceptors[i]);
    }
}

/* Release: see struct server. */
static void tell_others(struct server *server, _Atomic bool *what)
{
    atomic_store_explicit(what, true, memory_order_release);
    for (uint64_t i = 1; i < server->options.workers; i++)
        server->engine->wake(&server->workers[0], &server->workers[i]);
}

void server_stop(struct server *server)
{
    stop_accepting(server);
    tell_others(server, &server->stopping);
    worker_stop(&server->workers[0]);
}

void server_cut(struct server *server)
{
    tell_others(server, &server->cutting);
}

/* ---- Engine and chats --------------------------------------------------- */

static void workers_init(struct server *server)
{
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        server->workers[i].server = server;
        server->workers[i].index = i;
    }
}

/* Worker 0 tries what the others will have. `*why`, not NULL: io_uring is not
 * to be had. Returns 0 or -errno. */
static int engine_open(struct server *server, const char **why)
{
    enum io_engine wanted = server->options.io;
    int error;

    *why = NULL;
    if (wanted != IO_EPOLL) {
        server->engine = &engine_uring;
        error = engine_uring.open(&server->workers[0]);
        if (error == 0)
            return 0;
        *why = ring_explain(error);
        if (wanted == IO_URING || !*why)
            return error;
    }
    server->engine = &engine_epoll;
    return engine_epoll.open(&server->workers[0]);
}

/* chat_config's. */
static void wake(void *engine, uint32_t from, uint32_t to)
{
    struct server *server = engine;

    server->engine->wake(&server->workers[from], &server->workers[to]);
}

/* Returns 0 or -errno. */
static int make_chats(struct server *server)
{
    struct chat_config config = chat_config_from(&server->options);
    uint32_t count = (uint32_t)server->options.workers;

    config.random = random_fill;
    config.link = link_read;
    config.log = log_event;
    config.wake = wake;
    config.engine = server;
    config.application = server->application;
    server->shards = shards_create(&config, count);
    key_wipe(&server->options.key); /* the chats have what they need of it */
    if (!server->shards)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        server->workers[i].chat = shards_chat(server->shards, i);
    return 0;
}

int server_open(struct server *server, const char **why)
{
    int error;

    workers_init(server);
    error = engine_open(server, why);
    if (error != 0)
        return error;
    error = make_chats(server);
    if (error != 0)
        server->engine->close(&server->workers[0]);
    return error;
}

/* ---- Starting ----------------------------------------------------------- */

static int watch_all(struct server *server)
{
    int error = server->engine->watch(&server->workers[0], SOURCE_SIGNALS, 0,
                                      server->signal_fd);

    for (uint32_t i = 0; error == 0 && i < server->options.listener_count; i++)
        error = acceptor_prepare(server, i);
    return error;
}

/* pthread_create(3). A stack of less than a huge page is no huge page. EAGAIN:
 * there are as many threads as may be. Returns 0 or -errno. */
static int start_other(struct worker *worker)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);

    if (error != 0)
        return -error;
    error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (error == 0)
        error =
            pthread_create(&worker->thread, &attributes, worker_main, worker);
    pthread_attr_destroy(&attributes);
    return -error;
}

/* With all signals blocked, for they are worker 0's. Returns how many workers
 * there are, this one included; 0 or -errno in `*error`. */
static uint32_t start_others(struct server *server, int *error)
{
    uint32_t count = (uint32_t)server->options.workers;
    sigset_t all, before;
    uint32_t started = 1;

    *error = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (*error == 0 && started < count) {
        *error = start_other(&server->workers[started]);
        if (*error == 0)
            started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void join_others(struct server *server, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        pthread_join(server->workers[i].thread, NULL);
}

/* Starts all workers, or none. This one is bound to a processor when the others
 * have started, for they have from it which ones there are. */
static int start_workers(struct server *server)
{
    int error;
    uint32_t started = start_others(server, &error);

    if (error != 0)
        gate_expect(&server->gate, started);
    else if (server->options.pin)
        error = cpu_bind(0);
    error = gate_meet(&server->gate, error);
    if (error != 0)
        join_others(server, started);
    return error;
}

static void release(struct server *server)
{
    server->engine->close(&server->workers[0]);
    shards_destroy(server->shards);
}

int server_start(struct server *server)
{
    int error = gate_init(&server->gate, (uint32_t)server->options.workers);

    if (error != 0)
        goto release;
    error = deal_open(server);
    if (error == 0)
        error = watch_all(server);
    if (error == 0)
        error = start_workers(server);
    if (error == 0)
        return 0;
    stop_accepting(server);
    deal_close(server);
    gate_destroy(&server->gate);
release:
    release(server);
    return error;
}

/* ---- Serving ------------------------------------------------------------ */

void server_serve(struct server *server)
{
    server->engine->serve(&server->workers[0]);
    gate_meet(&server->gate, 0);
    join_others(server, (uint32_t)server->options.workers);
    release(server);
    deal_close(server);
    gate_destroy(&server->gate);
}
