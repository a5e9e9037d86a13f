/*
 * The program: start, deadlines, signals, stop.
 */
#include "stage1-blocking/server.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define DRAIN_LOOK_NS                                                          \
    (20 * 1000 * NS_PER_US) /* offers and looks in a drain                     \
                             */

static const struct program program = {"stage1-blocking", 1};

/* ---- Time: a thread that sleeps until the chat's next deadline ---------- */

static void begin_drain(struct server *server)
{
    uint64_t by_ns = atomic_load(&server->drain_by_ns);
    uint64_t now_ns = clock_mono_ns();

    atomic_store(&server->draining, true);
    chat_shutdown(server->chat, by_ns > now_ns ? by_ns - now_ns : 0);
}

/* Returns when to come again, CLOCK_MONOTONIC. */
static uint64_t clock_turn(struct server *server)
{
    uint64_t until_ns;

    turn_begin(server);
    if (atomic_exchange(&server->metrics_wanted, false))
        chat_log_metrics(server->chat);
    if (atomic_load(&server->stopping) && !atomic_load(&server->draining))
        begin_drain(server);
    send_ready(server);
    until_ns = chat_deadline(server->chat);
    server->clock_until_ns = until_ns;
    if (atomic_load(&server->draining)) {
        /* Sends do not wait now: who took nothing is offered it again. */
        table_visit(&server->table, flush);
        until_ns = clock_mono_ns() + DRAIN_LOOK_NS;
    }
    pthread_mutex_unlock(&server->chat_lock);
    return until_ns;
}

/* sem_clockwait(3) ends at the deadline (ETIMEDOUT) or when somebody has set an
 * earlier one. */
static void *keep_time(void *argument)
{
    struct server *server = argument;

    while (!atomic_load(&server->quitting)) {
        struct timespec until = clock_timespec(clock_turn(server));

        sem_clockwait(&server->clock_due, CLOCK_MONOTONIC, &until);
    }
    return NULL;
}

/* ---- Stopping: main ----------------------------------------------------- */

static void close_listeners(struct server *server)
{
    for (size_t i = 0; i < server->options.listener_count; i++)
        listener_close(&server->options.listeners[i]);
}

/* Sleeps for a moment; a second signal ends the program at once. */
static void drain_wait(struct server *server, const sigset_t *signals)
{
    struct timespec moment = {.tv_nsec = DRAIN_LOOK_NS};
    int signal = sigtimedwait(signals, NULL, &moment);

    if (signal != SIGTERM && signal != SIGINT)
        return;
    close_listeners(server);
    _exit(1);
}

/* Who has been in one and the same send since the last look, if anybody. */
static struct connection *stuck_sender(struct server *server, unsigned *sends)
{
    unsigned before = *sends;

    *sends = atomic_load(&server->sends);
    return *sends == before ? atomic_load(&server->sending) : NULL;
}

/*
 * Waits for every connection's thread to end: by itself for at most the drain
 * timeout and a second of lingering, then because its socket is shut down. The
 * drain cannot begin while a stalled peer holds the chat's lock: half the time
 * is for it, then it is cut off, and what is left is for the others.
 */
static void drain(struct server *server, const sigset_t *signals)
{
    uint64_t by_ns = atomic_load(&server->drain_by_ns);
    uint64_t cut_ns = by_ns - server->options.drain_timeout_ns / 2;
    unsigned sends = atomic_load(&server->sends);

    while (table_threads(&server->table) > 0) {
        uint64_t now_ns = clock_mono_ns();
        struct connection *stuck = stuck_sender(server, &sends);

        if (now_ns > by_ns + LINGER_NS)
            table_cut_all(&server->table);
        else if (now_ns > cut_ns && !atomic_load(&server->draining))
            table_cut(&server->table, stuck);
        drain_wait(server, signals);
    }
}

/* ---- Starting ----------------------------------------------------------- */

/* The signals we wait for reach no thread by themselves; a peer or a log
 * reader that has gone is an error of write(2), not a signal. */
static void signals_block(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Returns when it is time to stop. */
static void signals_wait(struct server *server, const sigset_t *signals)
{
    int signal = 0;

    while (signal != SIGTERM && signal != SIGINT) {
        signal = sigwaitinfo(signals, NULL); /* EINTR after a SIGCONT */
        if (signal != SIGUSR1)
            continue;
        atomic_store(&server->metrics_wanted, true);
        sem_post(&server->clock_due);
    }
}

static struct chat *make_chat(const struct options *options)
{
    struct chat_config config = chat_config_from(options);

    config.random = random_fill;
    config.link = link_read;
    config.log = log_event;
    return chat_create(&config);
}

static int start_failed(int error)
{
    fprintf(stderr, "%s: cannot start: %s\n", program.name,
            strerrordesc_np(-error));
    return EX_OSERR;
}

static int run(struct server *server, const sigset_t *signals)
{
    struct acceptor acceptors[LISTENERS_MAX];
    size_t count = server->options.listener_count;
    pthread_t clock;
    int error;

    error = thread_start(&clock, PTHREAD_CREATE_JOINABLE, keep_time, server);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = acceptor_start(&acceptors[i], server,
                               &server->options.listeners[i]);
    if (error != 0)
        return start_failed(error); /* and the process ends */
    log_event(LOG_INFO, "ready", NULL, 0);
    signals_wait(server, signals);
    log_event(LOG_INFO, "draining", NULL, 0);
    atomic_store(&server->drain_by_ns,
                 clock_mono_ns() + server->options.drain_timeout_ns);
    atomic_store(&server->stopping, true);
    for (size_t i = 0; i < count; i++)
        acceptor_stop(&acceptors[i]);
    sem_post(&server->clock_due);
    drain(server, signals);
    atomic_store(&server->quitting, true);
    sem_post(&server->clock_due);
    pthread_join(clock, NULL);
    chat_destroy(server->chat);
    log_event(LOG_INFO, "stopped", NULL, 0);
    return EX_OK;
}

int main(int argc, char **argv)
{
    static struct server server; /* outlives the last thread */
    sigset_t signals;
    int status;

    if (options_parse(&server.options, &program, argc, argv, &status) ==
        OPTIONS_EXIT)
        return status;
    log_init(server.options.log_level, server.options.log_format);
    signals_block(&signals);
    table_init(&server.table);
    pthread_mutex_init(&server.chat_lock, NULL);
    sem_init(&server.clock_due, 0, 0);
    server.chat = make_chat(&server.options);
    if (!server.chat)
        return start_failed(-ENOMEM);
    status = options_listen(&server.options, &program);
    if (status == EX_OK)
        status = run(&server, &signals);
    close_listeners(&server);
    return status;
}
