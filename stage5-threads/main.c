/*
 * The program: options, signals, log, exit status.
 */
#include "stage5-threads/worker.h"

#include "common/base/log.h"
#include "common/base/stdio.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

static const struct program program = {"stage5-threads", 5};

/* ---- Signals ------------------------------------------------------------ */

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

/* Every worker stops, each in a turn of its own. A second signal ends the
 * program at once. */
static void on_stop(struct server *server)
{
    if (server->workers[0].stopping)
        _exit(1);
    log_event(LOG_INFO, "draining", NULL, 0);
    server_stop(server);
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

/* ---- Running ------------------------------------------------------------ */

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

static void log_io(const struct server *server, const char *why)
{
    struct log_field fields[2];

    fields[0] = log_string("engine", server->engine->name);
    if (why)
        fields[1] = log_string("why", why);
    log_event(LOG_INFO, "io", fields, why ? 2 : 1);
}

static int run(struct server *server, const char *why)
{
    int error = server_start(server);

    if (error != 0)
        return start_failed(error);
    log_event(LOG_INFO, "ready", NULL, 0);
    log_io(server, why);
    server_serve(server);
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
    const char *why;

    if (status != 0)
        return start_failed(status);
    if (options_parse(&server.options, &program, argc, argv, &status) ==
        OPTIONS_EXIT)
        return status;
    log_init(server.options.log_level, server.options.log_format);
    server.signal_fd = signals_open();
    if (server.signal_fd < 0)
        return start_failed(-errno);
    status = server_open(&server, &why);
    if (status != 0)
        return why && server.options.io == IO_URING ? ring_failed(why)
                                                    : start_failed(status);
    status = options_listen(&server.options, &program);
    if (status == EX_OK)
        status = run(&server, why);
    close_listeners(&server);
    return status;
}
