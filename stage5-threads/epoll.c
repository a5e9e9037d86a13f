/*
 * One of the two engines: non-blocking calls, readiness. It is that of stage 3.
 *
 * The kernel is asked who has something to say or can be told something, and
 * each of them is served as far as that goes without waiting. One turn:
 *
 *     turn_wait      epoll_pwait2(2): what has happened, or a deadline
 *     on_event       what is watched is seen to; connections are noted
 *     worker_accept  who comes is let in
 *     read_due       what has come is handed to the chat
 *     send_ready     what the chat has for them goes out
 *     chat_publish   what it has for other workers is theirs to see
 *
 * All is read before anything is sent: what many have said in one turn goes to
 * each member in one send. A peer that takes no more is left alone until the
 * kernel says that it does; the chat keeps its place meanwhile.
 */
#include "stage5-threads/worker.h"

#include "common/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* What a turn takes at most: events, bytes from a connection. What is left is
 * there in the next one. */
#define EVENTS_MAX 512
#define RECEIVE_BYTES RECEIVE_BYTES_MAX

#define TABLE_SLOTS_MIN 64
#define NO_SLOT UINT32_MAX

/*
 * How far a connection has been read. The kernel says once that something has
 * come (epoll(7), edge-triggered), and then nothing until more comes: what is
 * known to be left must not be forgotten.
 *
 *     (nobody)
 *        |  epoll_connect
 *        v               on_readable: the kernel says so
 *     READING_WAITS ---------------------------------+
 *        ^                                           v
 *        |  on_receive: less came than was      READING_DUE <---+
 *        |  asked for; read_some: EAGAIN          | | |  |      |
 *        +----------------------------------------+ | |  +------+ on_receive:
 *                                                   | |  ^        there is more
 *     READING_ENDED <-------------------------------+ |  |
 *           on_end: the peer sends no more            v  | send_ready: the chat
 *                                         READING_PAUSED-+ takes more
 *                                  on_receive: the chat takes no more for now
 *
 * From every state on_close leads back to nobody.
 */
enum reading {
    READING_WAITS,
    READING_DUE,
    READING_PAUSED,
    READING_ENDED,
};

/* A slot of the table. */
struct connection {
    struct session *session; /* NULL: the slot is free */
    int fd;
    uint32_t next;       /* behind it on the list of those due */
    uint32_t next_free;  /* behind it on the list of those free */
    uint16_t generation; /* one more for each that has had this slot */
    enum reading reading : 4;
    bool listed : 1;   /* among those due; a slot stays so when it is freed */
    bool read_out : 1; /* to be read to EAGAIN, 0 or an error: see on_receive */
    bool watching : 1; /* we want to hear when it can be written to */
};

_Static_assert(sizeof(struct connection) == 24, "an idle one costs little");

struct epoll {
    struct worker *worker;
    int epoll_fd;
    int wake_fd; /* written to by who wakes us; never changes */
    /* The table: as many slots as there have been connections at a time. */
    struct connection *connections;
    uint32_t slots, slots_allocated;
    uint32_t free_first;          /* NO_SLOT: none */
    uint32_t due_first, due_last; /* those to be read from; NO_SLOT: none */
    unsigned char bytes[RECEIVE_BYTES];
};

/* What an event is about. With the slot and its generation, or with the index
 * of what is watched, that makes the token that the kernel keeps for us: one
 * that tells a connection from another that had the same slot a moment before.
 */
#define TOKEN_WAKE UINT64_C(0x100)
#define TOKEN_CONNECTION UINT64_C(0x101)

/* ---- The table ---------------------------------------------------------- */

static struct connection *connection_at(struct epoll *epoll, uint32_t slot)
{
    assert(slot < epoll->slots);
    return &epoll->connections[slot];
}

/* False without memory. */
static bool table_grow(struct epoll *epoll)
{
    uint32_t slots =
        epoll->slots_allocated ? epoll->slots_allocated * 2 : TABLE_SLOTS_MIN;
    struct connection *connections =
        realloc(epoll->connections, slots * sizeof(*connections));

    if (!connections)
        return false;
    epoll->connections = connections;
    epoll->slots_allocated = slots;
    return true;
}

/* A slot that is free, which stays so until it has a session; NO_SLOT without
 * memory. Descriptors are numbered through all workers: a table by those would
 * be as long for each worker as for all. */
static uint32_t slot_find(struct epoll *epoll)
{
    if (epoll->free_first != NO_SLOT)
        return epoll->free_first;
    if (epoll->slots == epoll->slots_allocated && !table_grow(epoll))
        return NO_SLOT;
    epoll->connections[epoll->slots] =
        (struct connection){.next_free = NO_SLOT};
    epoll->free_first = epoll->slots++;
    return epoll->free_first;
}

static void slot_take(struct epoll *epoll, uint32_t slot)
{
    assert(epoll->free_first == slot);
    epoll->free_first = connection_at(epoll, slot)->next_free;
    epoll->worker->connections++;
}

static void slot_free(struct epoll *epoll, uint32_t slot)
{
    struct connection *connection = connection_at(epoll, slot);

    connection->session = NULL;
    connection->next_free = epoll->free_first;
    epoll->free_first = slot;
    epoll->worker->connections--;
    deal_gone(epoll->worker);
}

/* ---- Those to be read from ---------------------------------------------- */

static void due_add(struct epoll *epoll, uint32_t slot)
{
    struct connection *connection = connection_at(epoll, slot);

    connection->reading = READING_DUE;
    if (connection->listed)
        return;
    connection->listed = true;
    connection->next = NO_SLOT;
    if (epoll->due_last == NO_SLOT)
        epoll->due_first = slot;
    else
        connection_at(epoll, epoll->due_last)->next = slot;
    epoll->due_last = slot;
}

static uint32_t due_take(struct epoll *epoll)
{
    uint32_t slot = epoll->due_first;
    struct connection *connection = connection_at(epoll, slot);

    connection->listed = false;
    epoll->due_first = connection->next;
    if (epoll->due_first == NO_SLOT)
        epoll->due_last = NO_SLOT;
    return slot;
}

/* ---- What the kernel is asked ------------------------------------------- */

static uint64_t token(uint64_t about, uint32_t slot, uint16_t generation)
{
    return about << 48 | (uint64_t)generation << 32 | slot;
}

/* epoll_ctl(2). ENOMEM, ENOSPC: the kernel has no memory, or this user has as
 * many descriptors watched as it may (/proc/sys/fs/epoll/max_user_watches). */
static int watch_token(const struct epoll *epoll, int operation, int fd,
                       uint32_t events, uint64_t token)
{
    struct epoll_event event = {.events = events, .data = {.u64 = token}};

    return epoll_ctl(epoll->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

static int epoll_watch(struct worker *worker, enum source source,
                       uint32_t index, int fd)
{
    return watch_token(worker->io, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET,
                       token(source, index, 0));
}

/* EPOLL_CTL_DEL: it fails if it is not watched, and then all is well. */
static void epoll_unwatch(struct worker *worker, enum source source,
                          uint32_t index, int fd)
{
    (void)source;
    (void)index;
    watch_token(worker->io, EPOLL_CTL_DEL, fd, 0, 0);
}

/* Of each connection we hear once when bytes have come (EPOLLIN; EPOLLPRI if
 * some are urgent) or the stream has ended (EPOLLRDHUP; EPOLLHUP and EPOLLERR
 * come unasked), and, while it has not taken all that it was sent, when it can
 * be sent more (EPOLLOUT). */
static int watch_connection(struct epoll *epoll, int operation, uint32_t slot)
{
    const struct connection *connection = connection_at(epoll, slot);
    uint32_t events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

    if (connection->watching)
        events |= EPOLLOUT;
    return watch_token(epoll, operation, connection->fd, events,
                       token(TOKEN_CONNECTION, slot, connection->generation));
}

/* ---- Open and close ----------------------------------------------------- */

/* close(2) takes the descriptor out of the epoll set, for nobody has a copy.
 * What stands behind us in this turn's events is for nobody then, or, if the
 * slot has gone to somebody else, of another generation. */
static void on_close(struct epoll *epoll, uint32_t slot, enum reason reason)
{
    struct connection *connection = connection_at(epoll, slot);

    session_close(connection->session, reason);
    session_free(connection->session);
    close(connection->fd);
    slot_free(epoll, slot);
}

static bool epoll_connect(struct worker *worker, int fd, enum dialect dialect,
                          const struct sockaddr_storage *from)
{
    struct epoll *epoll = worker->io;
    uint32_t slot = slot_find(epoll);
    struct connection *connection;

    if (slot == NO_SLOT)
        return false;
    connection = connection_at(epoll, slot);
    connection->fd = fd;
    connection->reading = READING_WAITS;
    connection->read_out = connection->watching = false;
    connection->generation++;
    if (watch_connection(epoll, EPOLL_CTL_ADD, slot) < 0)
        return false;
    connection->session =
        make_session(worker, user_of(slot, fd), dialect, from);
    if (!connection->session)
        return false;
    slot_take(epoll, slot);
    return true;
}

/* ---- Sending ------------------------------------------------------------ */

/* EPOLLOUT is asked for only while it says something: a Unix socket says it
 * whenever its peer has read, TCP in every event besides. EPOLL_CTL_MOD looks
 * anew, so what has become possible since the send is not missed. */
static void watch_writable(struct epoll *epoll, uint32_t slot, bool blocked)
{
    struct connection *connection = connection_at(epoll, slot);

    if (connection->watching == blocked)
        return;
    connection->watching = blocked;
    if (watch_connection(epoll, EPOLL_CTL_MOD, slot) < 0)
        on_close(epoll, slot, REASON_RESET);
}

/*
 * sendmsg(2) takes what fits the socket's buffer: all of it, or a part, or
 * nothing (EAGAIN). EPIPE and ECONNRESET: the peer is gone; MSG_NOSIGNAL: that
 * is no SIGPIPE. ENOBUFS, ENOMEM: the kernel has no memory for it, and the peer
 * is given up. The bytes lie in the room's log, be it another worker's, and
 * need not stay there when it has returned.
 */
static void send_span(struct epoll *epoll, uint32_t slot, struct iovec *vectors,
                      size_t count)
{
    const struct connection *connection = connection_at(epoll, slot);
    struct session *session = connection->session;
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    ssize_t sent =
        sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN) {
        on_close(epoll, slot, REASON_RESET);
        return;
    }
    session_sent(session, sent > 0 ? (size_t)sent : 0);
    watch_writable(epoll, slot, session_blocked(session));
}

static void flush(struct epoll *epoll, uint32_t slot)
{
    const struct connection *connection = connection_at(epoll, slot);
    struct iovec vectors[2];
    int pending = session_pending(connection->session, vectors, 2);

    if (pending > 0)
        send_span(epoll, slot, vectors, (size_t)pending);
    else if (pending == SESSION_SHUT)
        shutdown(connection->fd, SHUT_WR); /* sends FIN; we still read */
    else if (pending == SESSION_END)
        on_close(epoll, slot, REASON_ENDED);
}

/* Sends what everybody is due. */
static void send_ready(struct epoll *epoll)
{
    struct session *session;

    while ((session = chat_next_ready(epoll->worker->chat))) {
        uint32_t slot = slot_of(session_user(session));

        if (connection_at(epoll, slot)->reading == READING_PAUSED &&
            !session_paused(session))
            due_add(epoll, slot);
        flush(epoll, slot);
    }
}

/* ---- Receiving ---------------------------------------------------------- */

/*
 * Less than we asked for is all there was (epoll(7), the last question), which
 * saves the call that would say EAGAIN. Not so if the stream has ended behind
 * it, where urgent data stand (tcp(7)), and on a Unix socket behind what came
 * with descriptors (unix(7)): those who do such things are read on until there
 * is nothing.
 */
static void on_receive(struct epoll *epoll, uint32_t slot, size_t length)
{
    struct connection *connection = connection_at(epoll, slot);

    if (session_receive(connection->session, epoll->bytes, length) ==
        VERDICT_PAUSE)
        connection->reading = READING_PAUSED;
    else if (length == RECEIVE_BYTES || connection->read_out)
        due_add(epoll, slot);
    else
        connection->reading = READING_WAITS;
}

static void on_end(struct connection *connection)
{
    connection->reading = READING_ENDED;
    session_eof(connection->session);
}

/*
 * recvmsg(2): a count of bytes, 0 at the end of the stream, EAGAIN when all has
 * been read. ECONNRESET, ETIMEDOUT: the connection has failed. MSG_CTRUNC:
 * there were descriptors with it, which we have not taken.
 */
static void read_some(struct epoll *epoll, uint32_t slot)
{
    struct connection *connection = connection_at(epoll, slot);
    struct iovec into = {epoll->bytes, RECEIVE_BYTES};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1};
    ssize_t length = recvmsg(connection->fd, &message, MSG_DONTWAIT);

    if (message.msg_flags & MSG_CTRUNC)
        connection->read_out = true;
    if (length > 0)
        on_receive(epoll, slot, (size_t)length);
    else if (length == 0)
        on_end(connection);
    else if (errno == EAGAIN)
        connection->reading = READING_WAITS;
    else
        on_close(epoll, slot, REASON_RESET);
}

/* Once from each: who has more to say is read from again in the next turn. */
static void read_due(struct epoll *epoll)
{
    uint32_t last = epoll->due_last;
    uint32_t slot = NO_SLOT;

    while (epoll->due_first != NO_SLOT && slot != last) {
        slot = due_take(epoll);
        if (connection_at(epoll, slot)->session &&
            connection_at(epoll, slot)->reading == READING_DUE)
            read_some(epoll, slot);
    }
}

/* ---- Events ------------------------------------------------------------- */

/* The slot that the token is about; NO_SLOT if the connection that it was made
 * for has been closed since, be it a moment ago in this very turn. */
static uint32_t connection_meant(struct epoll *epoll, uint64_t token)
{
    uint32_t slot = (uint32_t)token;
    const struct connection *connection = connection_at(epoll, slot);

    return connection->session &&
                   connection->generation == (uint16_t)(token >> 32)
               ? slot
               : NO_SLOT;
}

/*
 * EPOLLIN: bytes have come. EPOLLRDHUP: the peer will send no more; what it has
 * sent is still to be read. EPOLLHUP: both directions have ended, EPOLLERR: the
 * connection has failed; of these too, reading says what there was before, and
 * then how it ended. But a failure of one that we do not read from is its end
 * at once, with what it still had to say: nobody can be answered.
 */
static void on_readable(struct epoll *epoll, uint32_t slot, uint32_t events)
{
    struct connection *connection = connection_at(epoll, slot);

    if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection->read_out = true;
    if (connection->reading == READING_WAITS)
        due_add(epoll, slot);
    else if (connection->reading != READING_DUE && events & EPOLLERR)
        on_close(epoll, slot, REASON_RESET);
}

static void on_event(struct epoll *epoll, const struct epoll_event *event)
{
    uint64_t token = event->data.u64;
    uint64_t about = token >> 48;
    uint32_t slot;

    if (about == TOKEN_CONNECTION) {
        slot = connection_meant(epoll, token);
        if (slot != NO_SLOT)
            on_readable(epoll, slot, event->events);
    } else if (about != TOKEN_WAKE) { /* to have woken us was all it is for */
        on_watched(epoll->worker, (enum source)about, (uint32_t)token);
    }
}

/* The peer takes bytes again. It is sent them now, behind what was received in
 * this turn. */
static void on_writable(struct epoll *epoll, const struct epoll_event *event)
{
    uint32_t slot = NO_SLOT;

    if (event->data.u64 >> 48 == TOKEN_CONNECTION && event->events & EPOLLOUT)
        slot = connection_meant(epoll, event->data.u64);
    if (slot != NO_SLOT && session_blocked(connection_at(epoll, slot)->session))
        flush(epoll, slot);
}

/* ---- Turns -------------------------------------------------------------- */

/*
 * epoll_pwait2(2), whose time-out is in nanoseconds: the number of events, 0
 * when the time is over. EINTR: the process was stopped and continued
 * (signal(7)); then nothing has happened either.
 */
static int wait_until(struct epoll *epoll, uint64_t until_ns,
                      struct epoll_event events[EVENTS_MAX])
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout = {
        .tv_sec = (time_t)(ns / NS_PER_SECOND),
        .tv_nsec = (long)(ns % NS_PER_SECOND),
    };
    int count = epoll_pwait2(epoll->epoll_fd, events, EVENTS_MAX,
                             until_ns == UINT64_MAX ? NULL : &timeout, NULL);

    assert(count >= 0 || errno == EINTR);
    return count < 0 ? 0 : count;
}

/* Who has more to read does not wait, nor does who finds news in chat_sleep. */
static int turn_wait(struct epoll *epoll, struct epoll_event events[EVENTS_MAX])
{
    struct worker *worker = epoll->worker;
    bool sleeps = epoll->due_first == NO_SLOT && chat_sleep(worker->chat);
    uint64_t until_ns = worker_deadline(worker);
    int count = wait_until(epoll, sleeps ? until_ns : 0, events);

    if (sleeps)
        chat_awake(worker->chat);
    return count;
}

/* Those that have not ended in time. */
static void cut(struct epoll *epoll)
{
    for (uint32_t slot = 0; slot < epoll->slots; slot++) {
        if (epoll->connections[slot].session)
            on_close(epoll, slot, REASON_ENDED);
    }
}

/* Each send was over when it returned: so nothing is pending from before. */
static void turn(struct epoll *epoll)
{
    struct worker *worker = epoll->worker;
    struct epoll_event events[EVENTS_MAX];
    int count = turn_wait(epoll, events);

    chat_announce(worker->chat);
    worker_begin(worker);
    for (int i = 0; i < count; i++)
        on_event(epoll, &events[i]);
    worker_accept(worker);
    read_due(epoll);
    for (int i = 0; i < count; i++)
        on_writable(epoll, &events[i]);
    send_ready(epoll);
    if (worker_cuts(worker))
        cut(epoll);
    chat_publish(worker->chat);
}

static void epoll_serve(struct worker *worker)
{
    worker->turn_ns = clock_mono_ns();
    while (worker_is_serving(worker))
        turn(worker->io);
}

/* write(2) to an eventfd(2), which only counts: it fails when it has counted to
 * 2^64. Edge-triggered, each write is an event, be the last one read or not: so
 * nobody reads them. */
static void epoll_wake(struct worker *worker, struct worker *other)
{
    static const uint64_t once = 1;
    const struct epoll *epoll = other->io;
    ssize_t written = write(epoll->wake_fd, &once, sizeof(once));

    (void)worker;
    assert(written == sizeof(once));
}

/* ---- Starting ----------------------------------------------------------- */

/* epoll_create1(2), eventfd(2): they fail for want of descriptors or memory. */
static int open_events(struct epoll *epoll)
{
    static const struct timespec no_time;
    struct epoll_event event;

    epoll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->epoll_fd < 0)
        return -errno;
    epoll->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (epoll->wake_fd < 0)
        return -errno;
    /* ENOSYS, EPERM: not before Linux 5.11, or not in this container. */
    if (epoll_pwait2(epoll->epoll_fd, &event, 1, &no_time, NULL) < 0)
        return -errno;
    return watch_token(epoll, EPOLL_CTL_ADD, epoll->wake_fd, EPOLLIN | EPOLLET,
                       token(TOKEN_WAKE, 0, 0));
}

static void release(struct epoll *epoll)
{
    if (epoll->wake_fd >= 0)
        close(epoll->wake_fd);
    if (epoll->epoll_fd >= 0)
        close(epoll->epoll_fd);
    free(epoll->connections);
    free(epoll);
}

static int epoll_open(struct worker *worker)
{
    struct epoll *epoll = calloc(1, sizeof(*epoll));
    int error;

    if (!epoll)
        return -ENOMEM;
    epoll->worker = worker;
    epoll->epoll_fd = epoll->wake_fd = -1;
    epoll->free_first = epoll->due_first = epoll->due_last = NO_SLOT;
    error = open_events(epoll);
    if (error != 0) {
        release(epoll);
        return error;
    }
    worker->io = epoll;
    return 0;
}

static void epoll_close(struct worker *worker)
{
    assert(worker->connections == 0);
    release(worker->io);
}

const struct engine engine_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .watch = epoll_watch,
    .unwatch = epoll_unwatch,
    .connect = epoll_connect,
    .serve = epoll_serve,
    .wake = epoll_wake,
};
