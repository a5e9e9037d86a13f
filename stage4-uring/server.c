/*
 * Stage 4: one thread, one ring, completion.
 *
 * The kernel is told what to do, for all at once, and tells what has been done.
 * A receive stands ordered for each connection; a send is ordered when there is
 * something to send. One turn:
 *
 *     turn_wait      io_uring_enter(2): what has been ordered, what is over
 *     sends_over     what has become of the last turn's sends
 *     on_completion  what has come is handed to the chat
 *     accept_due     who comes is let in
 *     send_ready     what the chat has for them is ordered
 *
 * All is read before anything is sent: what many have said in one turn goes to
 * each member in one send. A peer that takes no more is left alone until the
 * kernel says that it does; the chat keeps its place meanwhile.
 */
#include "stage4-uring/server.h"

#include "common/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define TABLE_SLOTS_MIN 64
#define STALL_NS (100 * 1000 * NS_PER_US)

/*
 * How a connection is read. A receive brings bytes once, and is ordered again
 * if the chat wants more.
 *
 *     (nobody)
 *        |  on_open
 *        v
 *     READING_ORDERED <------ send_ready: the chat takes more ------+
 *        |  |   |  ^                                                |
 *        |  |   +--+ on_receive: the chat takes more                |
 *        |  |                                                       |
 *        |  +-- on_receive: the chat takes no more for now --> READING_PAUSED
 *        v
 *     READING_ENDED   on_end: the peer sends no more
 *
 * From every state on_close leads back to nobody, when on_closed finds that all
 * that was ordered for it is over.
 */
enum reading {
    READING_ORDERED,
    READING_PAUSED,
    READING_ENDED,
};

/* A slot of the table, found by its descriptor. */
struct connection {
    struct session *session; /* NULL: the descriptor is no connection */
    uint16_t generation;     /* one more for each that has had this slot */
    uint8_t operations;      /* ordered, and not over */
    enum reading reading : 2;
    bool sending : 1;  /* a send is ordered */
    bool watching : 1; /* so is to hear when it can be written to */
    bool failed : 1;   /* it cannot be sent to: read on until that ends too */
    bool closing : 1;  /* closed, but for what is ordered */
    bool due : 1;      /* what is to be taken back: see take_back */
    bool bulk : 1;     /* what came last would have filled a small buffer: the
                          next is received into a large one */
};

_Static_assert(sizeof(struct connection) == 16, "an idle one costs little");

/* ---- The table ---------------------------------------------------------- */

void table_release(struct server *server)
{
    assert(server->count == 0);
    free(server->connections);
}

static struct connection *connection_at(struct server *server, int fd)
{
    assert(fd >= 0 && (size_t)fd < server->slots);
    return &server->connections[fd];
}

/* Descriptors are small numbers (the lowest that is free: open(2)), so a table
 * is the simplest thing to find a connection in. False without memory. */
static bool table_reserve(struct server *server, int fd)
{
    size_t slots =
        server->slots_allocated ? server->slots_allocated : TABLE_SLOTS_MIN;
    struct connection *connections;

    while (slots <= (size_t)fd)
        slots *= 2;
    if (slots > server->slots_allocated) {
        connections =
            realloc(server->connections, slots * sizeof(*connections));
        if (!connections)
            return false;
        server->connections = connections;
        server->slots_allocated = slots;
    }
    while (server->slots <= (size_t)fd)
        server->connections[server->slots++] = (struct connection){0};
    return true;
}

/* ---- What the kernel is told -------------------------------------------- */

uint64_t token(enum operation operation, uint32_t slot, uint16_t generation)
{
    return (uint64_t)operation << 48 | (uint64_t)generation << 32 | slot;
}

/* When there is no room for one more, what there is goes to the kernel now. */
struct io_uring_sqe *order(struct server *server)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&server->ring.uring);

    if (sqe)
        return sqe;
    ring_submit(&server->ring);
    sqe = io_uring_get_sqe(&server->ring.uring);
    if (!sqe)
        server->refused = true;
    return sqe;
}

/* IORING_OP_ASYNC_CANCEL of what has the token: ECANCELED will be its end.
 * CQE_SKIP_SUCCESS: that says enough. ENOENT, EALREADY: it was over just then,
 * or is about to be. */
bool order_cancel(struct server *server, uint64_t about)
{
    struct io_uring_sqe *sqe = order(server);

    if (!sqe)
        return false;
    io_uring_prep_cancel64(sqe, about, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(sqe, token(OPERATION_CANCEL, 0, 0));
    return true;
}

static void on_close(struct server *, int fd, enum reason);

/* An order that is about a connection. Without memory for it (NULL) the peer
 * is given up. */
static struct io_uring_sqe *order_for(struct server *server, int fd)
{
    struct io_uring_sqe *sqe = order(server);

    if (!sqe) {
        on_close(server, fd, REASON_RESET);
        return NULL;
    }
    connection_at(server, fd)->operations++;
    server->operations++;
    return sqe;
}

static uint64_t token_of(struct server *server, enum operation operation,
                         int fd)
{
    return token(operation, (uint32_t)fd,
                 connection_at(server, fd)->generation);
}

/* The descriptor that a completion's token is about. It is still the one that
 * the token was made for: on_closed waits for all that was ordered. */
static int connection_meant(struct server *server, uint64_t token)
{
    int fd = (int)(uint32_t)token;
    const struct connection *connection = connection_at(server, fd);

    assert(connection->session &&
           connection->generation == (uint16_t)(token >> 32));
    return fd;
}

/*
 * IORING_OP_RECV. IOSQE_BUFFER_SELECT: into a buffer of a pool, when there is
 * something to put in it, so that a connection that is silent has none.
 *
 * Once, not multishot: so no peer has more than its part of a turn, nothing
 * comes that the chat does not want, and each order looks anew whether the
 * stream has ended. (A multishot receive may miss that, if it comes right
 * behind the last bytes.)
 */
static void order_receive(struct server *server, int fd)
{
    struct io_uring_sqe *sqe = order_for(server, fd);

    if (!sqe)
        return;
    io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
    sqe->buf_group =
        connection_at(server, fd)->bulk ? GROUP_LARGE : GROUP_SMALL;
    io_uring_sqe_set_data64(sqe, token_of(server, OPERATION_RECEIVE, fd));
    connection_at(server, fd)->reading = READING_ORDERED;
}

/* IORING_OP_POLL_ADD, multishot: each time that the socket can be written to
 * again. Once would not do: a poll is also over when the peer has sent its
 * last (POLLRDHUP), and would be at once, again and again. */
static void order_writable(struct server *server, int fd)
{
    struct io_uring_sqe *sqe = order_for(server, fd);

    if (!sqe)
        return;
    io_uring_prep_poll_multishot(sqe, fd, POLLOUT);
    io_uring_sqe_set_data64(sqe, token_of(server, OPERATION_WRITABLE, fd));
    connection_at(server, fd)->watching = true;
}

/* IORING_OP_ASYNC_CANCEL, ASYNC_CANCEL_FD and CANCEL_ALL: of all that is
 * ordered for a descriptor, as order_cancel. */
static bool order_cancel_fd(struct server *server, int fd)
{
    struct io_uring_sqe *sqe = order(server);

    if (!sqe)
        return false;
    io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(sqe, token(OPERATION_CANCEL, 0, 0));
    return true;
}

/* What is ordered for a connection that closes; of one that does not, the
 * watch. False without memory for the order: it stays due. */
static bool take_back(struct server *server, int fd)
{
    struct connection *connection = connection_at(server, fd);

    if (connection->closing)
        connection->due = !order_cancel_fd(server, fd);
    else
        connection->due =
            !order_cancel(server, token_of(server, OPERATION_WRITABLE, fd));
    return !connection->due;
}

/* What could not be taken back when it was to be. */
static void take_back_due(struct server *server)
{
    if (!server->refused)
        return;
    server->refused = false;
    for (size_t fd = 0; fd < server->slots; fd++) {
        const struct connection *connection = &server->connections[fd];

        if (connection->session && connection->due &&
            !take_back(server, (int)fd))
            return;
    }
}

/* ---- Open and close ----------------------------------------------------- */

/* The engine's name for a session is its descriptor. */
static void *user_of(int fd)
{
    return (void *)(intptr_t)fd;
}

static int fd_of(void *user)
{
    return (int)(intptr_t)user;
}

/* Nothing is ordered for it any more: nobody hears of this descriptor again
 * until it is somebody else's. close(2) before would end nothing: what is
 * ordered keeps the connection open. */
static void on_closed(struct server *server, int fd)
{
    struct connection *connection = connection_at(server, fd);

    session_free(connection->session);
    connection->session = NULL;
    server->count--;
    close(fd);
}

/* shutdown(2) ends what is ordered for it but the watch, and the order to take
 * it all back ends it soon, whatever there is to receive. */
static void stop_operations(struct server *server, int fd)
{
    shutdown(fd, SHUT_RDWR);
    take_back(server, fd);
}

static void on_close(struct server *server, int fd, enum reason reason)
{
    struct connection *connection = connection_at(server, fd);

    assert(!connection->closing);
    session_close(connection->session, reason);
    connection->closing = true;
    if (connection->operations > 0)
        stop_operations(server, fd);
    else
        on_closed(server, fd);
}

/* One of those that were ordered for it is over. Returns whether it is still to
 * be looked after. */
static bool operation_over(struct server *server, int fd)
{
    struct connection *connection = connection_at(server, fd);

    assert(connection->operations > 0);
    connection->operations--;
    server->operations--;
    if (!connection->closing)
        return true;
    if (connection->operations == 0)
        on_closed(server, fd);
    return false;
}

static struct session *make_session(struct server *server, int fd,
                                    enum dialect dialect,
                                    const struct sockaddr_storage *from)
{
    char name[PEER_TEXT_BYTES];
    struct peer peer = {.user = user_of(fd), .name = name};

    peer_text(from, name);
    peer.counted = peer_key(from, peer.address);
    return session_open(server->chat, dialect, &peer);
}

bool on_open(struct server *server, int fd, enum dialect dialect,
             const struct sockaddr_storage *from)
{
    struct connection *connection;

    if (!table_reserve(server, fd))
        return false;
    connection = connection_at(server, fd);
    assert(!connection->session);
    connection->session = make_session(server, fd, dialect, from);
    if (!connection->session)
        return false;
    connection->generation++;
    connection->operations = 0;
    connection->sending = connection->watching = connection->due = false;
    connection->failed = connection->closing = connection->bulk = false;
    server->count++;
    order_receive(server, fd);
    return true;
}

/* getsockopt(2), TCP_INFO: fails on a Unix socket, of which there is nothing to
 * know. */
void link_read(void *user, struct link_sample *sample)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);

    if (getsockopt(fd_of(user), IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return;
    sample->rtt_us = info.tcpi_rtt;
    sample->retransmits = info.tcpi_total_retrans;
    sample->segments_out = info.tcpi_segs_out;
}

/* ---- Sending ------------------------------------------------------------ */

/* POLLOUT is asked for only while it says something: a Unix socket says it
 * whenever its peer has read. */
static void watch_writable(struct server *server, int fd, bool blocked)
{
    bool watching = connection_at(server, fd)->watching;

    if (blocked && !watching)
        order_writable(server, fd);
    else if (!blocked && watching)
        take_back(server, fd);
}

/*
 * IORING_OP_SEND of what lies in one piece, as nearly all does: the kernel need
 * not copy a message and its vectors first. Else IORING_OP_SENDMSG.
 * MSG_DONTWAIT: what does not fit the socket's buffer now is not waited for. So
 * it is over, and the room's log free of it, as soon as io_uring_enter(2) has
 * submitted it. MSG_NOSIGNAL: a peer that has gone is an error, no SIGPIPE.
 */
static void prepare_send(struct io_uring_sqe *sqe, int fd, struct send *send,
                         size_t count)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const struct iovec *first = &send->vectors[0];

    if (count == 1) {
        io_uring_prep_send(sqe, fd, first->iov_base, first->iov_len, flags);
        return;
    }
    send->message = (struct msghdr){
        .msg_iov = send->vectors,
        .msg_iovlen = count,
    };
    io_uring_prep_sendmsg(sqe, fd, &send->message, (unsigned)flags);
}

static void send_span(struct server *server, int fd, struct send *send,
                      size_t count)
{
    struct io_uring_sqe *sqe = order_for(server, fd);

    if (!sqe)
        return;
    prepare_send(sqe, fd, send, count);
    io_uring_sqe_set_data64(sqe, token_of(server, OPERATION_SEND, fd));
    connection_at(server, fd)->sending = true;
    server->send_count++;
}

/* There is one send at a time: the next when it is over (sends_over). */
static void flush(struct server *server, int fd)
{
    struct connection *connection = connection_at(server, fd);
    struct send *send = &server->sends[server->send_count];
    int pending;

    assert(server->send_count < SENDS_MAX);
    if (connection->sending || connection->closing)
        return;
    pending = session_pending(connection->session, send->vectors, 2);
    if (pending > 0)
        send_span(server, fd, send, (size_t)pending);
    else if (pending == SESSION_SHUT)
        shutdown(fd, SHUT_WR); /* sends FIN; we still read */
    else if (pending == SESSION_END)
        on_close(server, fd, REASON_ENDED);
}

/* Orders what everybody is due. */
static void send_ready(struct server *server)
{
    struct session *session;

    while (server->send_count < SENDS_MAX &&
           (session = chat_next_ready(server->chat))) {
        int fd = fd_of(session_user(session));

        if (connection_at(server, fd)->reading == READING_PAUSED &&
            !session_paused(session))
            order_receive(server, fd);
        flush(server, fd);
    }
}

/* EPIPE, ECONNRESET: the peer is gone. ENOBUFS, ENOMEM: the kernel has no
 * memory for it, and the peer is given up. What it has still said is heard:
 * receiving will say that it is the end, and shutdown(2) sees to that. */
static void on_send_failed(struct server *server, int fd)
{
    struct connection *connection = connection_at(server, fd);

    if (connection->failed || connection->reading != READING_ORDERED) {
        on_close(server, fd, REASON_RESET);
        return;
    }
    connection->failed = true;
    shutdown(fd, SHUT_RDWR);
    session_sent(connection->session, 0);
}

/* A count of bytes: all of them, a part, or none (EAGAIN). */
static void on_sent(struct server *server, int fd, int32_t sent)
{
    struct connection *connection = connection_at(server, fd);

    connection->sending = false;
    if (!operation_over(server, fd))
        return;
    if (sent < 0 && sent != -EAGAIN) {
        on_send_failed(server, fd);
        return;
    }
    session_sent(connection->session, sent > 0 ? (size_t)sent : 0);
    watch_writable(server, fd, session_blocked(connection->session));
}

/* Before anything else, so that who waited for others to be sent something is
 * read from again. What was submitted has been read by the kernel: there is
 * room for more. */
static void sends_over(struct server *server, unsigned count)
{
    const struct io_uring_cqe *cqes = server->ring.completions;

    for (unsigned i = 0; i < count; i++) {
        if (cqes[i].user_data >> 48 == OPERATION_SEND)
            on_sent(server, connection_meant(server, cqes[i].user_data),
                    cqes[i].res);
    }
    if (server->ring.submitted)
        server->send_count = 0;
}

/* ---- Receiving ---------------------------------------------------------- */

static void on_receive(struct server *server, int fd, const void *bytes,
                       size_t length)
{
    struct connection *connection = connection_at(server, fd);

    if (session_receive(connection->session, bytes, length) == VERDICT_CONTINUE)
        order_receive(server, fd);
    else if (connection->failed)
        on_close(server, fd, REASON_RESET); /* nothing it waits for will come */
    else
        connection->reading = READING_PAUSED;
}

static void on_end(struct connection *connection)
{
    connection->reading = READING_ENDED;
    session_eof(connection->session);
}

/*
 * A count of bytes, in the buffer that CQE_F_BUFFER says it has; 0 at the end
 * of the stream. ENOBUFS: its pool was empty. Ordered again, for a small one;
 * all are back when that is submitted. ECONNRESET, ETIMEDOUT: the connection
 * has failed.
 */
static void on_received(struct server *server, int fd,
                        const struct io_uring_cqe *cqe)
{
    struct connection *connection = connection_at(server, fd);
    bool served = operation_over(server, fd);
    const void *bytes = NULL;

    if (cqe->flags & IORING_CQE_F_BUFFER)
        bytes = buffer_take(&server->ring, cqe);
    connection->bulk = cqe->res >= SMALL_BYTES;
    if (served && cqe->res > 0)
        on_receive(server, fd, bytes, (size_t)cqe->res);
    else if (served && cqe->res == -ENOBUFS)
        order_receive(server, fd);
    else if (served && cqe->res == 0 && !connection->failed)
        on_end(connection);
    else if (served)
        on_close(server, fd, REASON_RESET);
    if (bytes)
        buffer_return(&server->ring, cqe);
}

/* ---- Completions -------------------------------------------------------- */

/* The peer takes bytes again, or the connection has failed, as sending says;
 * POLLRDHUP alone says neither. If as much has been ordered as a turn may, what
 * is watched is asked for anew, and says it again. */
static void on_writable(struct server *server, int fd,
                        const struct io_uring_cqe *cqe)
{
    struct connection *connection = connection_at(server, fd);
    bool writable = cqe->res > 0 && cqe->res & (POLLOUT | POLLERR | POLLHUP);

    connection->watching = !is_over(cqe);
    if (is_over(cqe) && !operation_over(server, fd))
        return;
    if (connection->closing || !session_blocked(connection->session))
        return;
    if (writable && server->send_count < SENDS_MAX)
        flush(server, fd);
    else
        watch_writable(server, fd, is_over(cqe) || !writable);
}

static void on_completion(struct server *server, const struct io_uring_cqe *cqe)
{
    uint64_t about = cqe->user_data;

    switch ((enum operation)(about >> 48)) {
    case OPERATION_SIGNALS:
        on_signals(server, cqe);
        break;
    case OPERATION_ACCEPT:
        on_accepted(server, &server->acceptors[(uint32_t)about], cqe);
        break;
    case OPERATION_RECEIVE:
        on_received(server, connection_meant(server, about), cqe);
        break;
    case OPERATION_WRITABLE:
        on_writable(server, connection_meant(server, about), cqe);
        break;
    case OPERATION_SEND:   /* sends_over has seen to it */
    case OPERATION_CANCEL: /* what it was about says how it ended */
        break;
    }
}

/* ---- Turns -------------------------------------------------------------- */

/* When something has to be done, whether or not anything happens. */
static uint64_t deadline(struct server *server)
{
    uint64_t until_ns =
        earlier(chat_deadline(server->chat), accept_deadline(server));

    return server->stopping ? earlier(until_ns, server->cut_ns) : until_ns;
}

/* io_uring_enter(2), in ring_turn: submits, and waits, with a time-out in
 * nanoseconds; the number of completions. */
static unsigned wait_until(struct server *server, uint64_t until_ns)
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct __kernel_timespec timeout = {
        .tv_sec = (long long)(ns / NS_PER_SECOND),
        .tv_nsec = (long long)(ns % NS_PER_SECOND),
    };

    return ring_turn(&server->ring, until_ns == UINT64_MAX ? NULL : &timeout);
}

/* Who could order no more sends does not wait, for others may be ready, and if
 * the kernel has taken these, but not all behind them, nothing comes of what is
 * left; nor does who has been refused an order: what that was for is due. */
static unsigned turn_wait(struct server *server, uint64_t until_ns)
{
    bool waits = server->send_count < SENDS_MAX && !server->refused;

    return wait_until(server, waits ? until_ns : 0);
}

/* If we are late, be it that a turn took long or that the process was stopped,
 * peers may have been in time: nobody was read from meanwhile. */
static void tell_time(struct server *server, uint64_t until_ns)
{
    uint64_t now_ns = clock_mono_ns();

    if (now_ns > until_ns && now_ns - until_ns > STALL_NS)
        chat_was_away(server->chat, now_ns - server->turn_ns);
    server->turn_ns = now_ns;
    chat_tick(server->chat, now_ns, clock_wall_us());
}

/* Those that have not ended in time. */
static void cut(struct server *server)
{
    for (size_t fd = 0; fd < server->slots; fd++) {
        struct connection *connection = &server->connections[fd];

        if (connection->session && !connection->closing)
            on_close(server, (int)fd, REASON_ENDED);
    }
}

/* A receive that found its pool empty. */
static bool found_none(const struct io_uring_cqe *cqe)
{
    return cqe->user_data >> 48 == OPERATION_RECEIVE && cqe->res == -ENOBUFS;
}

/* Those that found none are ordered again before those that took them all, or
 * they might find none for ever. */
static void completions_due(struct server *server, unsigned count)
{
    const struct io_uring_cqe *cqes = server->ring.completions;

    for (unsigned i = 0; i < count; i++) {
        if (found_none(&cqes[i]))
            on_completion(server, &cqes[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        if (!found_none(&cqes[i]))
            on_completion(server, &cqes[i]);
    }
}

static void turn(struct server *server)
{
    uint64_t until_ns = deadline(server);
    unsigned count = turn_wait(server, until_ns);

    sends_over(server, count);
    tell_time(server, until_ns);
    completions_due(server, count);
    take_back_due(server);
    signals_due(server);
    accept_due(server);
    send_ready(server);
    if (server->stopping && server->turn_ns >= server->cut_ns)
        cut(server);
}

/* IORING_OP_ASYNC_CANCEL, ASYNC_CANCEL_ANY: of all that is still ordered. The
 * kernel would do that by itself, but some time after we have exited, and keep
 * our ports until then. */
static void order_cancel_all(struct server *server)
{
    struct io_uring_sqe *sqe = order(server);

    if (!sqe)
        return;
    io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(sqe, token(OPERATION_CANCEL, 0, 0));
}

bool is_serving(const struct server *server)
{
    return !server->stopping || server->count > 0;
}

void serve(struct server *server)
{
    server->turn_ns = clock_mono_ns();
    signals_due(server);
    accept_due(server);
    while (is_serving(server))
        turn(server);
    while (server->operations > 0) {
        order_cancel_all(server);
        turn(server);
    }
}
