/*
 * Accepting: worker 0, from each listener in turn, without waiting. Whom the
 * server cannot serve (no descriptor, no memory) it tells `server-full`, and
 * goes on; a worker that cannot serve whom it has been dealt does likewise.
 */
#include "stage5-threads/worker.h"

#include "common/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

/* What a turn takes at most from a listener. What is left is there in the next
 * one. */
#define ACCEPTS_MAX 64
/* A pause when the kernel is in want. */
#define WANT_NS (20 * 1000 * NS_PER_US)
#define DROP_READS_MAX 64

/* What the peer has sent by now is dropped, so that close(2) sends no reset
 * over what we said; not more than one burst, for it must not keep us here.
 */
static void drop_received(int fd)
{
    char bytes[4096];

    for (int i = 0; i < DROP_READS_MAX; i++) {
        if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
            return;
    }
}

/* getsockopt(2), SO_PEERNAME: getpeername(2) says nothing of one that has gone
 * again. The length must be right; of a Unix socket, which has no name, it is
 * not, and the family is all there is. */
static struct sockaddr_storage peer_of(const struct acceptor *acceptor, int fd)
{
    struct sockaddr_storage from = {.ss_family = acceptor->family};
    socklen_t length = acceptor->address_length;

    getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &from, &length);
    return from;
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
static void refuse(const struct acceptor *acceptor, int fd,
                   const struct sockaddr_storage *from)
{
    send(fd, acceptor->refusal, acceptor->refusal_length,
         MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    drop_received(fd);
    log_refused(from);
    close(fd);
}

/* TCP_NODELAY, for we coalesce ourselves; it fails on a Unix socket, which has
 * no such delay. */
void on_accept(struct worker *worker, const struct acceptor *acceptor, int fd)
{
    struct sockaddr_storage from = peer_of(acceptor, fd);
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (worker->server->engine->connect(worker, fd, acceptor->dialect, &from))
        return;
    refuse(acceptor, fd, &from);
    deal_gone(worker);
}

/* accept4(2): the next connection, or -1. */
static int accept_next(const struct acceptor *acceptor)
{
    return accept4(acceptor->listener->fd, NULL, NULL, SOCK_CLOEXEC);
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

/*
 * EMFILE, ENFILE: no descriptor is free, and accept(2) says so at once whether
 * or not somebody waits. Gives up the spare one to let one client in, tells it
 * `server-full`, and takes the descriptor back, unless somebody else was
 * faster. Returns whether to try again at once; if not, errno says why.
 */
static bool refuse_with_spare(struct acceptor *acceptor)
{
    struct sockaddr_storage from;
    int error = 0;
    int fd;

    spare_close(acceptor);
    fd = accept_next(acceptor);
    if (fd >= 0) {
        from = peer_of(acceptor, fd);
        refuse(acceptor, fd, &from);
    } else {
        error = errno;
    }
    spare_open(acceptor);
    errno = error;
    return fd >= 0;
}

/* Whether to try again at once after accept(2) failed. If nobody is there, the
 * kernel will say when somebody is. Otherwise it lacks something (EMFILE,
 * ENFILE, ENOBUFS, ENOMEM), and gets time; or this client has gone
 * (ECONNABORTED, and what the network passes up), which the next one hardly
 * notices. */
static bool accept_failed(struct acceptor *acceptor, uint64_t now_ns)
{
    struct log_field why;

    if ((errno == EMFILE || errno == ENFILE) && refuse_with_spare(acceptor))
        return true;
    acceptor->due_ns = UINT64_MAX;
    if (errno == EAGAIN)
        return false;
    acceptor->due_ns = now_ns + WANT_NS;
    why = log_string("cause", strerrorname_np(errno));
    log_event(LOG_DEBUG, "accept-failed", &why, 1);
    return false;
}

/* As many as there are, but no more than a turn may take: then it stays due. */
static void accept_some(struct server *server, struct acceptor *acceptor)
{
    spare_open(acceptor);
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept_next(acceptor);

        if (fd >= 0)
            deal(server, acceptor, fd);
        else if (!accept_failed(acceptor, server->workers[0].turn_ns))
            return;
    }
}

/* The listener may have been closed by what came before in the same turn. */
void on_connecting(struct acceptor *acceptor, uint64_t now_ns)
{
    if (acceptor->listener->fd >= 0)
        acceptor->due_ns = now_ns;
}

void accept_due(struct server *server)
{
    for (size_t i = 0; i < server->options.listener_count; i++) {
        if (server->acceptors[i].due_ns <= server->workers[0].turn_ns)
            accept_some(server, &server->acceptors[i]);
    }
}

uint64_t accept_deadline(const struct server *server)
{
    uint64_t earliest_ns = UINT64_MAX;

    for (size_t i = 0; i < server->options.listener_count; i++) {
        if (server->acceptors[i].due_ns < earliest_ns)
            earliest_ns = server->acceptors[i].due_ns;
    }
    return earliest_ns;
}

/* A listener that blocks would keep us when a client has gone again before
 * accept4(2) (accept(2), notes). The refusal is made now: when it is needed
 * there may be no memory for it. */
int acceptor_prepare(struct server *server, uint32_t index)
{
    struct acceptor *acceptor = &server->acceptors[index];
    struct listener *listener = &server->options.listeners[index];
    struct worker *worker = &server->workers[0];
    int flags = fcntl(listener->fd, F_GETFL);

    if (flags < 0 || fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    acceptor->listener = listener;
    acceptor->due_ns = UINT64_MAX;
    acceptor->index = index;
    dialect_named(listener->scheme, &acceptor->dialect);
    acceptor->family = listener->address.ss_family;
    acceptor->address_length = listener->address_length;
    acceptor->spare_fd = -1;
    spare_open(acceptor);
    acceptor->refusal_length =
        chat_refusal(worker->chat, acceptor->dialect, acceptor->refusal);
    if (acceptor->refusal_length == 0)
        return -ENOMEM;
    return server->engine->watch(worker, SOURCE_LISTENER, index, listener->fd);
}

void acceptor_stop(struct server *server, struct acceptor *acceptor)
{
    acceptor->due_ns = UINT64_MAX;
    server->engine->unwatch(&server->workers[0], SOURCE_LISTENER,
                            acceptor->index, acceptor->listener->fd);
    listener_close(acceptor->listener);
    spare_close(acceptor);
}
