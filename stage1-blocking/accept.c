/*
 * Accepting: a thread per listener, in blocking accept4(2). It gives each
 * connection a thread; whom it cannot serve (no descriptor, no thread, no
 * memory) it tells `server-full`, and goes on.
 */
#include "stage1-blocking/server.h"

#include "common/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define WANT_NS (20 * 1000 * 1000) /* a pause when the kernel wants memory */
#define DROP_READS_MAX 64

/* What the peer has sent by now is dropped, so that close(2) sends no reset
 * over what we said; not more than one burst, for it must not keep us here. */
static void drop_received(int fd)
{
    char bytes[4096];

    for (int i = 0; i < DROP_READS_MAX; i++) {
        if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
            return;
    }
}

static void log_refused(const struct sockaddr_storage *from)
{
    char name[PEER_TEXT_BYTES];
    struct log_field fields[2];

    peer_text(from, name);
    fields[0] = log_string("peer", name);
    fields[1] = log_string("reason", error_name(ERROR_SERVER_FULL));
    log_event(LOG_INFO, "refused", fields, 2);
}

/* send(2) to a new connection, whose buffer is empty, fails only if the peer
 * has gone. */
void refuse(const struct acceptor *acceptor, int fd,
            const struct sockaddr_storage *from)
{
    send(fd, acceptor->refusal, acceptor->refusal_length,
         MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    drop_received(fd);
    log_refused(from);
}

/* SO_SNDTIMEO bounds each send; TCP_NODELAY, for we coalesce ourselves (it
 * fails on a Unix socket, which has no such delay). */
static void set_socket_options(int fd, const struct options *options)
{
    uint64_t us = (options->send_timeout_ns + NS_PER_US - 1) / NS_PER_US;
    struct timeval timeout = {
        .tv_sec = (time_t)(us / US_PER_SECOND),
        .tv_usec = (suseconds_t)(us % US_PER_SECOND),
    };
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int thread_start(pthread_t *thread, int detach_state, void *(*run)(void *),
                 void *argument)
{
    pthread_attr_t attributes;
    int failure;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, detach_state);
    failure = pthread_create(thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return -failure;
}

/* The thread that serves the connection owns it from here on. EAGAIN from
 * pthread_create(3): no memory for a stack, or no more threads allowed. */
static void on_accept(struct acceptor *acceptor, int fd,
                      const struct sockaddr_storage *from)
{
    struct server *server = acceptor->server;
    struct connection *connection;
    pthread_t thread;

    connection = connection_create(acceptor, fd, from);
    if (!connection) {
        refuse(acceptor, fd, from);
        close(fd);
        return;
    }
    set_socket_options(fd, &server->options);
    table_add(&server->table, connection);
    if (thread_start(&thread, PTHREAD_CREATE_DETACHED, serve, connection) == 0)
        return;
    table_remove(&server->table, connection);
    refuse(acceptor, fd, from);
    connection_destroy(connection);
    table_thread_ends(&server->table);
}

/* accept4(2): the next connection, or -1. */
static int accept_next(struct acceptor *acceptor, struct sockaddr_storage *from)
{
    socklen_t length = sizeof(*from);

    *from = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    return accept4(acceptor->listener->fd, (struct sockaddr *)from, &length,
                   SOCK_CLOEXEC);
}

/* The spare descriptor, unless we have it. */
static void spare_open(struct acceptor *acceptor)
{
    if (acceptor->spare_fd < 0)
        acceptor->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void spare_close(struct acceptor *acceptor)
{
    if (acceptor->spare_fd >= 0)
        close(acceptor->spare_fd);
    acceptor->spare_fd = -1;
}

/* Gives up the spare descriptor to let one client in, tells it `server-full`,
 * and takes the descriptor back, unless another thread was faster. */
static void refuse_with_spare(struct acceptor *acceptor)
{
    struct sockaddr_storage from;
    int fd;

    spare_close(acceptor);
    fd = accept_next(acceptor, &from);
    if (fd >= 0) {
        refuse(acceptor, fd, &from);
        close(fd);
    }
    spare_open(acceptor);
    if (fd < 0 && acceptor->spare_fd < 0)
        nanosleep(&(struct timespec){.tv_nsec = WANT_NS}, NULL);
}

/*
 * EMFILE, ENFILE: no descriptor is free, and accept(2) says so at once whether
 * or not somebody waits, so to call it again and again would spin. We wait for
 * somebody first; by then a descriptor may be free.
 */
static void accept_without_descriptors(struct acceptor *acceptor)
{
    struct pollfd readable = {.fd = acceptor->listener->fd, .events = POLLIN};
    struct sockaddr_storage from;
    int fd;

    poll(&readable, 1, -1); /* fails only on our own errors */
    fd = accept_next(acceptor, &from);
    if (fd >= 0)
        on_accept(acceptor, fd, &from);
    else if (errno == EMFILE || errno == ENFILE)
        refuse_with_spare(acceptor);
}

/* Whether there is a point in accepting on after accept(2) failed so. */
static bool accept_failed(struct acceptor *acceptor, int error)
{
    struct log_field why = log_string("cause", strerrorname_np(error));

    if (atomic_load(&acceptor->server->stopping))
        return false; /* EINVAL: main has shut the listener down */
    switch (error) {
    case EMFILE:
    case ENFILE:
        accept_without_descriptors(acceptor);
        break;
    case ENOBUFS:
    case ENOMEM: /* the kernel's memory: give it time */
        nanosleep(&(struct timespec){.tv_nsec = WANT_NS}, NULL);
        break;
    default: /* ECONNABORTED and what the network passes up: this client's */
        log_event(LOG_DEBUG, "accept-failed", &why, 1);
        break;
    }
    return true;
}

static void *accept_loop(void *argument)
{
    struct acceptor *acceptor = argument;
    int error;

    do {
        struct sockaddr_storage from;
        int fd;

        spare_open(acceptor);
        fd = accept_next(acceptor, &from);
        error = fd < 0 ? errno : 0;
        if (fd >= 0)
            on_accept(acceptor, fd, &from);
    } while (error == 0 || accept_failed(acceptor, error));
    return NULL;
}

/* The refusal is made now, for it takes the chat, and when it is needed there
 * may be no memory for it. */
int acceptor_prepare(struct acceptor *acceptor, struct server *server,
                     struct listener *listener)
{
    acceptor->server = server;
    acceptor->listener = listener;
    dialect_named(listener->scheme, &acceptor->dialect);
    acceptor->spare_fd = -1;
    spare_open(acceptor);
    acceptor->refusal_length =
        chat_refusal(server->chat, acceptor->dialect, acceptor->refusal);
    return acceptor->refusal_length > 0 ? 0 : -ENOMEM;
}

int acceptor_start(struct acceptor *acceptor)
{
    return thread_start(&acceptor->thread, PTHREAD_CREATE_JOINABLE, accept_loop,
                        acceptor);
}

/* shutdown(2) on a listening socket makes accept(2) and poll(2) on it return;
 * the descriptor stays open until nobody can be in a call on it. */
void acceptor_stop(struct acceptor *acceptor)
{
    shutdown(acceptor->listener->fd, SHUT_RDWR);
    pthread_join(acceptor->thread, NULL);
    spare_close(acceptor);
}
