/*
 * The program: start, deadlines, signals, stop.
 */
#include "stage2-framing/server.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stdio.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* How often, in a drain, we look who is left. */
#define DRAIN_LOOK_NS (20 * 1000 * NS_PER_US)

static const struct program program = {"stage2-framing", 2};

/* ---- Time: a thread that sleeps until the chat's next deadline ---------- */

/* pthread_cond_clockwait(3) ends at the deadline (ETIMEDOUT) or when somebody
 * has set an earlier one. Returns whether to go on. */
static bool clock_turn(struct server *server)
{
    struct timespec until;
    bool quitting;

    turn_begin(server);
    send_ready(server);
    server->clock_until_ns = chat_deadline(server->chat);
    until = clock_timespec(server->clock_until_ns);
    if (!server->quitting)
        pthread_cond_clockwait(&server->clock_due, &server->chat_lock,
                               CLOCK_MONOTONIC, &until);
    quitting = server->quitting;
    pthread_mutex_unlock(&server->chat_lock);
    return !quitting;
}

static void *keep_time(void *argument)
{
    while (clock_turn(argument))
        ;
    return NULL;
}

/* ---- Stopping: main ----------------------------------------------------- */

static void log_metrics(struct server *server)
{
    turn_begin(server);
    chat_log_metrics(server->chat);
    turn_end(server);
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
        log_metrics(server);
    if (signal != SIGTERM && signal != SIGINT)
        return;
    close_listeners(server);
    _exit(1);
}

/*
 * Tells every session, and waits for every connection to end: by itself for at
 * most the drain timeout and a second of lingering, then because its socket is
 * shut down.
 */
static void drain(struct server *server, const sigset_t *signals)
{
    uint64_t within_ns = server->options.drain_timeout_ns;
    uint64_t by_ns = clock_mono_ns() + within_ns + LINGER_NS;

    turn_begin(server);
    chat_shutdown(server->chat, within_ns);
    turn_end(server);
    while (connections_left(server)) {
        if (clock_mono_ns() > by_ns)
            connections_cut(server);
        drain_wait(server, signals);
    }
}

static void stop_accepting(struct server *server)
{
    pthread_mutex_lock(&server->chat_lock);
    server->stopping = true;
    pthread_mutex_unlock(&server->chat_lock);
    for (size_t i = 0; i < server->options.listener_count; i++)
        acceptor_stop(&server->acceptors[i]);
}

static void stop_clock(struct server *server, pthread_t clock)
{
    pthread_mutex_lock(&server->chat_lock);
    server->quitting = true;
    pthread_cond_signal(&server->clock_due);
    pthread_mutex_unlock(&server->chat_lock);
    pthread_join(clock, NULL);
}

/* ---- Starting ----------------------------------------------------------- */

/* The signals we wait for reach no thread by themselves; a peer or a log
 * reader that has gone is an error of write(2), not a signal. */
static void signals_prepare(sigset_t *signals)
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
        if (signal == SIGUSR1)
            log_metrics(server);
    }
}

static struct chat *make_chat(struct options *options)
{
    struct chat_config config = chat_config_from(options);
    struct chat *chat;

    config.random = random_fill;
    config.link = link_read;
    config.log = log_event;
    chat = chat_create(&config);
    key_wipe(&options->key); /* the chat has what it needs of it */
    return chat;
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
    stop_accepting(server);
    drain(server, signals);
    stop_clock(server, clock);
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
    pthread_mutex_init(&server.chat_lock, NULL);
    pthread_cond_init(&server.clock_due, NULL);
    server.chat = make_chat(&server.options);
    if (!server.chat)
        return start_failed(-ENOMEM);
    status = options_listen(&server.options, &program);
    if (status == EX_OK)
        status = run(&server, &signals);
    close_listeners(&server);
    return status;
}
