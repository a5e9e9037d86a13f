/*
 * The program: start, deadlines, signals, stop.
 */
#include "stage1-blocking/server.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stdio.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* How often, in a drain, what is left is offered. */
#define DRAIN_LOOK_NS (20 * 1000 * NS_PER_US)

#define SIGNAL_INTERRUPT SIGUSR2

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

static void want_metrics(struct server *server)
{
    atomic_store(&server->metrics_wanted, true);
    sem_post(&server->clock_due);
}

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

    if (signal == SIGUSR1)
        want_metrics(server);
    if (signal != SIGTERM && signal != SIGINT)
        return;
    close_listeners(server);
    _exit(1);
}

/*
 * The drain cannot begin while a send waits with the chat's lock. tgkill(2)
 * makes it return; a signal that comes just before the send does nothing, so it
 * is sent again and again. ESRCH: that thread has ended, all the better.
 */
static void interrupt_send(struct server *server)
{
    pid_t sender = atomic_load(&server->sender);

    if (sender != 0 && !atomic_load(&server->draining))
        tgkill(getpid(), sender, SIGNAL_INTERRUPT);
}

/*
 * Waits for every connection's thread to end: by itself for at most the drain
 * timeout and a second of lingering, then because its socket is shut down.
 */
static void drain(struct server *server, const sigset_t *signals)
{
    uint64_t by_ns = atomic_load(&server->drain_by_ns);

    while (table_threads(&server->table) > 0) {
        if (clock_mono_ns() > by_ns + LINGER_NS)
            table_cut_all(&server->table);
        interrupt_send(server);
        drain_wait(server, signals);
    }
}

/* ---- Starting ----------------------------------------------------------- */

/* Nothing: that the system call returns with EINTR is all that it is for. */
static void on_interrupt(int signal)
{
    (void)signal;
}

/* The signals we wait for reach no thread by themselves; a peer or a log
 * reader that has gone is an error of write(2), not a signal; one that
 * interrupts a send must not restart it (no SA_RESTART). */
static void signals_prepare(sigset_t *signals)
{
    struct sigaction interrupt = {.sa_handler = on_interrupt};

    sigaction(SIGNAL_INTERRUPT, &interrupt, NULL);
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
        if (signal == SIGUSR1)
            want_metrics(server);
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

/* First all that needs no thread: it has the chat for itself. */
static int start(struct server *server, pthread_t *clock)
{
    struct options *options = &server->options;
    int error = 0;

    for (size_t i = 0; error == 0 && i < options->listener_count; i++)
        error = acceptor_prepare(&server->acceptors[i], server,
                                 &options->listeners[i]);
    if (error == 0)
        error = thread_start(clock, PTHREAD_CREATE_JOINABLE, keep_time, server);
    for (size_t i = 0; error == 0 && i < options->listener_count; i++)
        error = acceptor_start(&server->acceptors[i]);
    return error;
}

static int run(struct server *server, const sigset_t *signals)
{
    pthread_t clock;
    int error = start(server, &clock);

    if (error != 0)
        return start_failed(error); /* and the process ends */
    log_event(LOG_INFO, "ready", NULL, 0);
    signals_wait(server, signals);
    log_event(LOG_INFO, "draining", NULL, 0);
    atomic_store(&server->drain_by_ns,
                 clock_mono_ns() + server->options.drain_timeout_ns);
    atomic_store(&server->stopping, true);
    for (size_t i = 0; i < server->options.listener_count; i++)
        acceptor_stop(&server->acceptors[i]);
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
    int status = stdio_reserve(); /* first: no socket gets number 2 */

    if (status != 0)
        return start_failed(status);
    if (options_parse(&server.options, &program, argc, argv, &status) ==
        OPTIONS_EXIT)
        return status;
    log_init(server.options.log_level, server.options.log_format);
    signals_prepare(&signals);
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
