/*
 * Accepting: ordered once for each listener, and going on by itself. Whom the
 * server cannot serve (no descriptor, no memory) it tells `server-full`, and
 * goes on.
 */
#include "stage4-uring/server.h"

#include "common/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

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

/* getsockopt(2), SO_PEERNAME: the ring says nothing of who it is, and
 * getpeername(2) not of one that has gone again. The length must be right; of a
 * Unix socket, which has no name, it is not, and the family is all there is. */
static struct sockaddr_storage peer_of(const struct acceptor *acceptor, int fd)
{
    const struct listener *listener = acceptor->listener;
    struct sockaddr_storage from = {.ss_family = listener->address.ss_family};
    socklen_t length = listener->address_length;

    getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &from, &length);
    return from;
}

/* TCP_NODELAY, for we coalesce ourselves; it fails on a Unix socket, which has
 * no such delay. A client that has taken the last descriptor, with the spare
 * one given up for it, is refused, and the spare one is there again. */
static void on_accept(struct server *server, struct acceptor *acceptor, int fd)
{
    struct sockaddr_storage from = peer_of(acceptor, fd);
    int on = 1;

    spare_open(acceptor);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (acceptor->spare_fd >= 0 &&
        on_open(server, fd, acceptor->dialect, &from))
        return;
    refuse(acceptor, fd, &from);
    close(fd);
    spare_open(acceptor);
}

/*
 * EMFILE, ENFILE: no descriptor is free, and the kernel says so at once whether
 * or not somebody waits. The spare one is given up, and the next client will
 * have that. If it is given up already, or something else is lacking (ENOBUFS,
 * ENOMEM), the kernel gets time; also if only this client has gone
 * (ECONNABORTED, and what the network passes up), which the next one hardly
 * notices.
 */
static void accept_failed(struct acceptor *acceptor, int error, uint64_t now_ns)
{
    struct log_field why;

    if ((error == EMFILE || error == ENFILE) && acceptor->spare_fd >= 0) {
        spare_close(acceptor);
        return;
    }
    acceptor->due_ns = now_ns + WANT_NS;
    why = log_string("cause", strerrorname_np(error));
    log_event(LOG_DEBUG, "accept-failed", &why, 1);
}

/* CQE_F_MORE: there will be others. If not, it is to be ordered again: at once,
 * or when what is lacking has had its time. */
void on_accepted(struct server *server, struct acceptor *acceptor,
                 const struct io_uring_cqe *cqe)
{
    if (is_over(cqe)) {
        server->operations--;
        acceptor->due_ns = server->stopping ? UINT64_MAX : server->turn_ns;
    }
    if (cqe->res >= 0 && server->stopping)
        close(cqe->res);
    else if (cqe->res >= 0)
        on_accept(server, acceptor, cqe->res);
    else if (!server->stopping)
        accept_failed(acceptor, -cqe->res, server->turn_ns);
}

static uint64_t token_of(const struct server *server,
                         const struct acceptor *acceptor)
{
    return token(OPERATION_ACCEPT, (uint32_t)(acceptor - server->acceptors), 0);
}

/* IORING_OP_ACCEPT, multishot: a completion for each client. Without memory for
 * the order it stays due. */
static void order_accept(struct server *server, struct acceptor *acceptor)
{
    struct io_uring_sqe *sqe = order(server);

    if (!sqe) {
        acceptor->due_ns = server->turn_ns + WANT_NS;
        return;
    }
    io_uring_prep_multishot_accept(sqe, acceptor->listener->fd, NULL, NULL,
                                   SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, token_of(server, acceptor));
    acceptor->due_ns = UINT64_MAX;
    server->operations++;
}

void accept_due(struct server *server)
{
    for (size_t i = 0; i < server->options.listener_count; i++) {
        if (server->acceptors[i].due_ns <= server->turn_ns)
            order_accept(server, &server->acceptors[i]);
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

/* The refusal is made now: when it is needed there may be no memory for it. */
int acceptor_prepare(struct acceptor *acceptor, const struct server *server,
                     struct listener *listener)
{
    acceptor->listener = listener;
    acceptor->due_ns = 0;
    dialect_named(listener->scheme, &acceptor->dialect);
    acceptor->spare_fd = -1;
    spare_open(acceptor);
    acceptor->refusal_length =
        chat_refusal(server->chat, acceptor->dialect, acceptor->refusal);
    return acceptor->refusal_length > 0 ? 0 : -ENOMEM;
}

/* The order to accept keeps the socket open until it is taken back. */
void acceptor_stop(struct server *server, struct acceptor *acceptor)
{
    acceptor->due_ns = UINT64_MAX;
    order_cancel(server, token_of(server, acceptor));
    listener_close(acceptor->listener);
    spare_close(acceptor);
}
