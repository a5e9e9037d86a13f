/*
 * The program: start, signals, stop.
 */
#include "stage5-threads/worker.h"

#include "common/base/clock.h"
#include "common/base/cpus.h"
#include "common/base/log.h"
#include "common/base/stdio.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)MIB)

static const struct program program = {"stage5-threads", 5};

/* ---- Stopping ----------------------------------------------------------- */

static void stop_accepting(struct server *server)
{
    for (size_t i = 0; i < server->options.listener_count; i++)
        acceptor_stop(server, &server->acceptors[i]);
}

static void stop_others(struct server *server)
{
    /* Release: see struct server. */
    atomic_store_explicit(&server->stopping, true, memory_order_release);
    for (uint64_t i = 1; i < server->options.workers; i++)
        server->engine->wake(&server->workers[0], &server->workers[i]);
}

/* Every worker stops, each in a turn of its own. A second signal ends the
 * program at once. */
static void on_stop(struct server *server)
{
    if (server->workers[0].stopping)
        _exit(1);
    log_event(LOG_INFO, "draining", NULL, 0);
    stop_accepting(server);
    stop_others(server);
    worker_stop(&server->workers[0]);
}

/* read(2) of a signalfd(2): one signal, EAGAIN when there is none. */
void on_signals(struct server *server)
{
    struct signalfd_siginfo info;

    while (read(server->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGUSR1)
            chat_log_metrics(server->workers[0].chat);
        else
            on_stop(server);
    }
}

/* ---- Starting ----------------------------------------------------------- */

/* The signals that we read as bytes reach us in no other way; a peer or a log
 * reader that has gone is an error of write(2), not a signal. */
static int signals_open(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int start_failed(int error)
{
    fprintf(stderr, "%s: cannot start: %s\n", program.name,
            strerrordesc_np(-error));
    return EX_OSERR;
}

/* No ring: one line that says why, and what to do. */
static int ring_failed(const char *why)
{
    fprintf(stderr, "%s: no io_uring: %s\n", program.name, why);
    return EX_UNAVAILABLE;
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

static void log_io(const struct server *server, const char *why)
{
    struct log_field fields[2];

    fields[0] = log_string("engine", server->engine->name);
    if (why)
        fields[1] = log_string("why", why);
    log_event(LOG_INFO, "io", fields, why ? 2 : 1);
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
    server->shards = shards_create(&config, count);
    key_wipe(&server->options.key); /* the chats have what they need of it */
    if (!server->shards)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        server->workers[i].chat = shards_chat(server->shards, i);
    return 0;
}

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

static int start(struct server *server)
{
    int error = gate_init(&server->gate, (uint32_t)server->options.workers);

    if (error == 0)
        error = deal_open(server);
    if (error == 0)
        error = watch_all(server);
    return error == 0 ? start_workers(server) : error;
}

static void release(struct server *server)
{
    server->engine->close(&server->workers[0]);
    shards_destroy(server->shards);
    deal_close(server);
    gate_destroy(&server->gate);
    close(server->signal_fd);
}

static int run(struct server *server, const char *why)
{
    int error = start(server);

    if (error != 0)
        return start_failed(error);
    log_event(LOG_INFO, "ready", NULL, 0);
    log_io(server, why);
    server->engine->serve(&server->workers[0]);
    gate_meet(&server->gate, 0);
    join_others(server, (uint32_t)server->options.workers);
    release(server);
    log_event(LOG_INFO, "stopped", NULL, 0);
    return EX_OK;
}

static void close_listeners(struct server *server)
{
    for (size_t i = 0; i < server->options.listener_count; i++)
        listener_close(&server->options.listeners[i]);
}

static void workers_init(struct server *server)
{
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        server->workers[i].server = server;
        server->workers[i].index = i;
    }
}

int main(int argc, char **argv)
{
    static struct server server;  /* too large for the stack */
    int status = stdio_reserve(); /* first: no socket gets number 2 */
    const char *why;

    if (status != 0)
        return start_failed(status);
    if (options_parse(&server.options, &program, argc, argv, &status) ==
        OPTIONS_EXIT)
        return status;
    log_init(server.options.log_level, server.options.log_format);
    workers_init(&server);
    server.signal_fd = signals_open();
    if (server.signal_fd < 0)
        return start_failed(-errno);
    status = engine_open(&server, &why);
    if (status != 0)
        return why && server.options.io == IO_URING ? ring_failed(why)
                                                    : start_failed(status);
    status = make_chats(&server);
    if (status != 0)
        return start_failed(status);
    status = options_listen(&server.options, &program);
    if (status == EX_OK)
        status = run(&server, why);
    close_listeners(&server);
    return status;
}
