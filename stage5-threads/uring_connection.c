/*
 * The io_uring engine, as far as it is about who is connected: the table, and
 * what is ordered for a connection, and means to it when it is over. When that
 * is submitted, and fetched, is in uring.c.
 */
#include "stage5-threads/uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define TABLE_SLOTS_MIN 64
#define NO_SLOT UINT32_MAX

/*
 * How a connection is read. A receive brings bytes once, and is ordered again
 * if the chat wants more.
 *
 *     (nobody)
 *        |  uring_connect
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

/* A slot of the table. */
struct connection {
    struct session *session; /* NULL: the slot is free */
    union {
        int fd;
        uint32_t next_free; /* of a free slot: behind it on their list */
    };
    uint16_t generation; /* one more for each that has had this slot */
    uint8_t operations;  /* ordered, and not over */
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

void table_init(struct uring *uring)
{
    uring->free_first = NO_SLOT;
}

void table_release(struct uring *uring)
{
    assert(uring->worker->connections == 0);
    free(uring->connections);
}

static struct connection *connection_at(struct uring *uring, uint32_t slot)
{
    assert(slot < uring->slots);
    return &uring->connections[slot];
}

/* False without memory. */
static bool table_grow(struct uring *uring)
{
    uint32_t slots =
        uring->slots_allocated ? uring->slots_allocated * 2 : TABLE_SLOTS_MIN;
    struct connection *connections =
        realloc(uring->connections, slots * sizeof(*connections));

    if (!connections)
        return false;
    uring->connections = connections;
    uring->slots_allocated = slots;
    return true;
}

/* A slot that is free, which stays so until it is taken; NO_SLOT without
 * memory. Descriptors are numbered through all workers: a table by those would
 * be as long for each worker as for all. */
static uint32_t slot_find(struct uring *uring)
{
    if (uring->free_first != NO_SLOT)
        return uring->free_first;
    if (uring->slots == uring->slots_allocated && !table_grow(uring))
        return NO_SLOT;
    uring->connections[uring->slots] =
        (struct connection){.next_free = NO_SLOT};
    uring->free_first = uring->slots++;
    return uring->free_first;
}

static void slot_take(struct uring *uring, uint32_t slot)
{
    assert(uring->free_first == slot);
    uring->free_first = connection_at(uring, slot)->next_free;
    uring->worker->connections++;
}

static void slot_free(struct uring *uring, uint32_t slot)
{
    struct connection *connection = connection_at(uring, slot);

    connection->session = NULL;
    connection->next_free = uring->free_first;
    uring->free_first = slot;
    uring->worker->connections--;
    deal_gone(uring->worker);
}

/* ---- What the kernel is told -------------------------------------------- */

static void on_close(struct uring *, uint32_t slot, enum reason);

/* An order that is about a connection. Without memory for it (NULL) the peer
 * is given up. */
static struct io_uring_sqe *order_for(struct uring *uring, uint32_t slot)
{
    struct io_uring_sqe *sqe = order(uring);

    if (!sqe) {
        on_close(uring, slot, REASON_RESET);
        return NULL;
    }
    connection_at(uring, slot)->operations++;
    uring->operations++;
    return sqe;
}

static uint64_t token_of(struct uring *uring, enum operation operation,
                         uint32_t slot)
{
    return token(operation, slot, connection_at(uring, slot)->generation);
}

/* The slot that a completion's token is about. It is still that of the one that
 * the token was made for: on_closed waits for all that was ordered. */
static uint32_t connection_meant(struct uring *uring, uint64_t token)
{
    uint32_t slot = (uint32_t)token;
    const struct connection *connection = connection_at(uring, slot);

    assert(connection->session &&
           connection->generation == (uint16_t)(token >> 32));
    return slot;
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
static void order_receive(struct uring *uring, uint32_t slot)
{
    struct io_uring_sqe *sqe = order_for(uring, slot);
    struct connection *connection;

    if (!sqe)
        return;
    connection = connection_at(uring, slot);
    io_uring_prep_recv(sqe, connection->fd, NULL, 0, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
    sqe->buf_group = connection->bulk ? GROUP_LARGE : GROUP_SMALL;
    io_uring_sqe_set_data64(sqe, token_of(uring, OPERATION_RECEIVE, slot));
    connection->reading = READING_ORDERED;
}

/* IORING_OP_POLL_ADD, multishot: each time that the socket can be written to
 * again. Once would not do: a poll is also over when the peer has sent its
 * last (POLLRDHUP), and would be at once, again and again. */
static void order_writable(struct uring *uring, uint32_t slot)
{
    struct io_uring_sqe *sqe = order_for(uring, slot);
    struct connection *connection;

    if (!sqe)
        return;
    connection = connection_at(uring, slot);
    io_uring_prep_poll_multishot(sqe, connection->fd, POLLOUT);
    io_uring_sqe_set_data64(sqe, token_of(uring, OPERATION_WRITABLE, slot));
    connection->watching = true;
}

/* IORING_OP_ASYNC_CANCEL, ASYNC_CANCEL_FD and CANCEL_ALL: of all that is
 * ordered for a descriptor, as order_cancel. */
static bool order_cancel_fd(struct uring *uring, int fd)
{
    struct io_uring_sqe *sqe = order(uring);

    if (!sqe)
        return false;
    io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(sqe, token(OPERATION_CANCEL, 0, 0));
    return true;
}

/* What is ordered for a connection that closes; of one that does not, the
 * watch. False without memory for the order: it stays due. */
static bool take_back(struct uring *uring, uint32_t slot)
{
    struct connection *connection = connection_at(uring, slot);

    if (connection->closing)
        connection->due = !order_cancel_fd(uring, connection->fd);
    else
        connection->due =
            !order_cancel(uring, token_of(uring, OPERATION_WRITABLE, slot));
    return !connection->due;
}

/* What could not be taken back when it was to be. */
void take_back_due(struct uring *uring)
{
    if (!uring->refused)
        return;
    uring->refused = false;
    for (uint32_t slot = 0; slot < uring->slots; slot++) {
        const struct connection *connection = &uring->connections[slot];

        if (connection->session && connection->due && !take_back(uring, slot))
            return;
    }
}

/* ---- Open and close ----------------------------------------------------- */

/* Nothing is ordered for it any more: nobody hears of this slot again until it
 * is somebody else's. close(2) before would end nothing: what is ordered keeps
 * the connection open. */
static void on_closed(struct uring *uring, uint32_t slot)
{
    struct connection *connection = connection_at(uring, slot);

    session_free(connection->session);
    close(connection->fd);
    slot_free(uring, slot);
}

/* shutdown(2) ends what is ordered for it but the watch, and the order to take
 * it all back ends it soon, whatever there is to receive. */
static void stop_operations(struct uring *uring, uint32_t slot)
{
    shutdown(connection_at(uring, slot)->fd, SHUT_RDWR);
    take_back(uring, slot);
}

static void on_close(struct uring *uring, uint32_t slot, enum reason reason)
{
    struct connection *connection = connection_at(uring, slot);

    assert(!connection->closing);
    session_close(connection->session, reason);
    connection->closing = true;
    if (connection->operations > 0)
        stop_operations(uring, slot);
    else
        on_closed(uring, slot);
}

/* One of those that were ordered for it is over. Returns whether it is still to
 * be looked after. */
static bool operation_over(struct uring *uring, uint32_t slot)
{
    struct connection *connection = connection_at(uring, slot);

    assert(connection->operations > 0);
    connection->operations--;
    uring->operations--;
    if (!connection->closing)
        return true;
    if (connection->operations == 0)
        on_closed(uring, slot);
    return false;
}

bool uring_connect(struct worker *worker, int fd, enum dialect dialect,
                   const struct sockaddr_storage *from)
{
    struct uring *uring = worker->io;
    uint32_t slot = slot_find(uring);
    struct connection *connection;
    struct session *session;

    if (slot == NO_SLOT)
        return false;
    session = make_session(worker, user_of(slot, fd), dialect, from);
    if (!session)
        return false;
    slot_take(uring, slot);
    connection = connection_at(uring, slot);
    connection->session = session;
    connection->fd = fd;
    connection->generation++;
    connection->operations = 0;
    connection->sending = connection->watching = connection->due = false;
    connection->failed = connection->closing = connection->bulk = false;
    order_receive(uring, slot);
    return true;
}

/* ---- Sending ------------------------------------------------------------ */

/* POLLOUT is asked for only while it says something: a Unix socket says it
 * whenever its peer has read. */
static void watch_writable(struct uring *uring, uint32_t slot, bool blocked)
{
    bool watching = connection_at(uring, slot)->watching;

    if (blocked && !watching)
        order_writable(uring, slot);
    else if (!blocked && watching)
        take_back(uring, slot);
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

static void send_span(struct uring *uring, uint32_t slot, struct send *send,
                      size_t count)
{
    struct io_uring_sqe *sqe = order_for(uring, slot);
    struct connection *connection;

    if (!sqe)
        return;
    connection = connection_at(uring, slot);
    prepare_send(sqe, connection->fd, send, count);
    io_uring_sqe_set_data64(sqe, token_of(uring, OPERATION_SEND, slot));
    connection->sending = true;
    uring->send_count++;
    uring->sending++;
}

/* There is one send at a time: the next when it is over (sends_over). */
static void flush(struct uring *uring, uint32_t slot)
{
    struct connection *connection = connection_at(uring, slot);
    struct send *send = &uring->sends[uring->send_count];
    int pending;

    assert(uring->send_count < SENDS_MAX);
    if (connection->sending || connection->closing)
        return;
    pending = session_pending(connection->session, send->vectors, 2);
    if (pending > 0)
        send_span(uring, slot, send, (size_t)pending);
    else if (pending == SESSION_SHUT)
        shutdown(connection->fd, SHUT_WR); /* sends FIN; we still read */
    else if (pending == SESSION_END)
        on_close(uring, slot, REASON_ENDED);
}

void send_ready(struct uring *uring)
{
    struct session *session;

    while (uring->send_count < SENDS_MAX &&
           (session = chat_next_ready(uring->worker->chat))) {
        uint32_t slot = slot_of(session_user(session));

        if (connection_at(uring, slot)->reading == READING_PAUSED &&
            !session_paused(session))
            order_receive(uring, slot);
        flush(uring, slot);
    }
}

/* EPIPE, ECONNRESET: the peer is gone. ENOBUFS, ENOMEM: the kernel has no
 * memory for it, and the peer is given up. What it has still said is heard:
 * receiving will say that it is the end, and shutdown(2) sees to that. */
static void on_send_failed(struct uring *uring, uint32_t slot)
{
    struct connection *connection = connection_at(uring, slot);

    if (connection->failed || connection->reading != READING_ORDERED) {
        on_close(uring, slot, REASON_RESET);
        return;
    }
    connection->failed = true;
    shutdown(connection->fd, SHUT_RDWR);
    session_sent(connection->session, 0);
}

/* A count of bytes: all of them, a part, or none (EAGAIN). */
void on_sent(struct uring *uring, const struct io_uring_cqe *cqe)
{
    uint32_t slot = connection_meant(uring, cqe->user_data);
    struct connection *connection = connection_at(uring, slot);
    int32_t sent = cqe->res;

    connection->sending = false;
    uring->sending--;
    if (!operation_over(uring, slot))
        return;
    if (sent < 0 && sent != -EAGAIN) {
        on_send_failed(uring, slot);
        return;
    }
    session_sent(connection->session, sent > 0 ? (size_t)sent : 0);
    watch_writable(uring, slot, session_blocked(connection->session));
}

/* ---- Receiving ---------------------------------------------------------- */

static void on_receive(struct uring *uring, uint32_t slot, const void *bytes,
                       size_t length)
{
    struct connection *connection = connection_at(uring, slot);

    if (session_receive(connection->session, bytes, length) == VERDICT_CONTINUE)
        order_receive(uring, slot);
    else if (connection->failed)
        on_close(uring, slot,
                 REASON_RESET); /* nothing it waits for will come */
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
void on_received(struct uring *uring, const struct io_uring_cqe *cqe)
{
    uint32_t slot = connection_meant(uring, cqe->user_data);
    struct connection *connection = connection_at(uring, slot);
    bool served = operation_over(uring, slot);
    const void *bytes = NULL;

    if (cqe->flags & IORING_CQE_F_BUFFER)
        bytes = buffer_take(&uring->ring, cqe);
    connection->bulk = cqe->res >= SMALL_BYTES;
    if (served && cqe->res > 0)
        on_receive(uring, slot, bytes, (size_t)cqe->res);
    else if (served && cqe->res == -ENOBUFS)
        order_receive(uring, slot);
    else if (served && cqe->res == 0 && !connection->failed)
        on_end(connection);
    else if (served)
        on_close(uring, slot, REASON_RESET);
    if (bytes)
        buffer_return(&uring->ring, cqe);
}

/* The peer takes bytes again, or the connection has failed, as sending says;
 * POLLRDHUP alone says neither. If as much has been ordered as a turn may, what
 * is watched is asked for anew, and says it again. */
void on_writable(struct uring *uring, const struct io_uring_cqe *cqe)
{
    uint32_t slot = connection_meant(uring, cqe->user_data);
    struct connection *connection = connection_at(uring, slot);
    bool writable = cqe->res > 0 && cqe->res & (POLLOUT | POLLERR | POLLHUP);

    connection->watching = !is_over(cqe);
    if (is_over(cqe) && !operation_over(uring, slot))
        return;
    if (connection->closing || !session_blocked(connection->session))
        return;
    if (writable && uring->send_count < SENDS_MAX)
        flush(uring, slot);
    else
        watch_writable(uring, slot, is_over(cqe) || !writable);
}

/* ---- The end ------------------------------------------------------------ */

void cut(struct uring *uring)
{
    for (uint32_t slot = 0; slot < uring->slots; slot++) {
        const struct connection *connection = &uring->connections[slot];

        if (connection->session && !connection->closing)
            on_close(uring, slot, REASON_ENDED);
    }
}
