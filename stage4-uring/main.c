/*
 * The program: start, signals, stop.
 */
#include "stage4-uring/server.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stdio.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

static const struct program program = {"stage4-uring", 4};

/* ---- Stopping ----------------------------------------------------------- */

static void stop_accepting(struct server *server)
{
    for (size_t i = 0; i < server->options.listener_count; i++)
        acceptor_stop(server, &server->acceptors[i]);
}

/* Every session is told, and ends by itself in the drain timeout and a second
 * of lingering, or is cut. A second signal ends the program at once. */
static void on_stop(struct server *server)
{
    uint64_t within_ns = server->options.drain_timeout_ns;

    if (server->stopping)
        _exit(1);
    log_event(LOG_INFO, "draining", NULL, 0);
    server->stopping = true;
    server->cut_ns = clock_mono_ns() + within_ns + LINGER_NS;
    stop_accepting(server);
    chat_shutdown(server->chat, within_ns);
}

/* IORING_OP_POLL_ADD, multishot: a completion each time that signals have come,
 * with CQE_F_MORE as long as more will. */
void signals_due(struct server *server)
{
    struct io_uring_sqe *sqe;

    if (server->watching || !is_serving(server))
        return;
    sqe = order(server);
    if (!sqe)
        return;
    io_uring_prep_poll_multishot(sqe, server->signal_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, token(OPERATION_SIGNALS, 0, 0));
    server->watching = true;
    server->operations++;
}

/* read(2) of a signalfd(2): one signal, EAGAIN when there is none. */
void on_signals(struct server *server, const struct io_uring_cqe *cqe)
{
    struct signalfd_siginfo info;

    while (read(server->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGUSR1)
            chat_log_metrics(server->chat);
        else
            on_stop(server);
    }
    if (!is_over(cqe))
        return;
    server->watching = false;
    server->operations--;
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
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
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

/* No ring: one line that says why, and what to do. */
static int ring_failed(int error)
{
    const char *why = ring_explain(error);

    if (!why)
        return start_failed(error);
    fprintf(stderr, "%s: no io_uring: %s\n", program.name, why);
    return EX_UNAVAILABLE;
}

static int start(struct server *server)
{
    struct options *options = &server->options;
    int error = 0;

    for (size_t i = 0; error == 0 && i < options->listener_count; i++)
        error = acceptor_prepare(&server->acceptors[i], server,
                                 &options->listeners[i]);
    return error;
}

static int run(struct server *server)
{
    int error = start(server);

    if (error != 0)
        return start_failed(error);
    log_event(LOG_INFO, "ready", NULL, 0);
    serve(server);
    chat_destroy(server->chat);
    table_release(server);
    ring_close(&server->ring);
    close(server->signal_fd);
    log_event(LOG_INFO, "stopped", NULL, 0);
    return EX_OK;
}

static void close_listeners(struct server *server)
{
    for (size_t i = 0; i < server->options.listener_count; i++)
        listener_close(&server->options.listeners[i]);
}

int main(int argc, char **argv)
{
    static struct server server;  /* too large for the stack */
    int status = stdio_reserve(); /* first: no socket gets number 2 */

    if (status != 0)
        return start_failed(status);
    if (options_parse(&server.options, &program, argc, argv, &status) ==
        OPTIONS_EXIT)
        return status;
    log_init(server.options.log_level, server.options.log_format);
    server.signal_fd = signals_open();
    if (server.signal_fd < 0)
        return start_failed(-errno);
    status = ring_open(&server.ring);
    if (status != 0)
        return ring_failed(status);
    server.chat = make_chat(&server.options);
    if (!server.chat)
        return start_failed(-ENOMEM);
    status = options_listen(&server.options, &program);
    if (status == EX_OK)
        status = run(&server);
    close_listeners(&server);
    return status;
}
