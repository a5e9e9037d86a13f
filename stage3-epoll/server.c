/*
 * Stage 3: one thread, non-blocking sockets, readiness.
 *
 * The kernel is asked who has something to say or can be told something, and
 * each of them is served as far as that goes without waiting. One turn:
 *
 *     turn_wait      epoll_pwait2(2): what has happened, or a deadline
 *     accept_due     who comes is let in
 *     read_due       what has come is handed to the chat
 *     send_ready     what the chat has for them goes out
 *
 * All is read before anything is sent: what many have said in one turn goes to
 * each member in one send. A peer that takes no more is left alone until the
 * kernel says that it does; the chat keeps its place meanwhile.
 */
#include "stage3-epoll/server.h"

#include "common/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#define TABLE_SLOTS_MIN 64
#define STALL_NS (100 * 1000 * NS_PER_US)

/*
 * How far a connection has been read. The kernel says once that something has
 * come (epoll(7), edge-triggered), and then nothing until more comes: what is
 * known to be left must not be forgotten.
 *
 *     (nobody)
 *        |  on_open
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

/* A slot of the table, found by its descriptor. */
struct connection {
    struct session *session; /* NULL: the descriptor is no connection */
    int next;                /* behind it on the list of those due */
    uint16_t generation;     /* one more for each that has had this slot */
    enum reading reading : 4;
    bool listed : 1;   /* on that list; a slot stays on it when it is freed */
    bool read_out : 1; /* to be read to EAGAIN, 0 or an error: see on_receive */
    bool watching : 1; /* we want to hear when it can be written to */
};

_Static_assert(sizeof(struct connection) == 16, "an idle one costs little");

/* ---- The table ---------------------------------------------------------- */

void table_init(struct server *server)
{
    server->due_first = server->due_last = -1;
}

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

/* ---- Those to be read from ---------------------------------------------- */

static void due_add(struct server *server, int fd)
{
    struct connection *connection = connection_at(server, fd);

    connection->reading = READING_DUE;
    if (connection->listed)
        return;
    connection->listed = true;
    connection->next = -1;
    if (server->due_last < 0)
        server->due_first = fd;
    else
        connection_at(server, server->due_last)->next = fd;
    server->due_last = fd;
}

static int due_take(struct server *server)
{
    int fd = server->due_first;
    struct connection *connection = connection_at(server, fd);

    connection->listed = false;
    server->due_first = connection->next;
    if (server->due_first < 0)
        server->due_last = -1;
    return fd;
}

/* ---- What the kernel is asked ------------------------------------------- */

static uint64_t token(enum source source, uint32_t slot, uint16_t generation)
{
    return (uint64_t)source << 48 | (uint64_t)generation << 32 | slot;
}

/* epoll_ctl(2). ENOMEM, ENOSPC: the kernel has no memory, or this user has as
 * many descriptors watched as it may (/proc/sys/fs/epoll/max_user_watches). */
static int watch_token(const struct server *server, int operation, int fd,
                       uint32_t events, uint64_t token)
{
    struct epoll_event event = {.events = events, .data = {.u64 = token}};

    return epoll_ctl(server->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

int watch(const struct server *server, int fd, uint32_t events,
          enum source source, uint32_t slot)
{
    return watch_token(server, EPOLL_CTL_ADD, fd, events,
                       token(source, slot, 0));
}

/* Of each connection we hear once when bytes have come (EPOLLIN; EPOLLPRI if
 * some are urgent) or the stream has ended (EPOLLRDHUP; EPOLLHUP and EPOLLERR
 * come unasked), and, while it has not taken all that it was sent, when it can
 * be sent more (EPOLLOUT). */
static int watch_connection(struct server *server, int operation, int fd)
{
    const struct connection *connection = connection_at(server, fd);
    uint32_t events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

    if (connection->watching)
        events |= EPOLLOUT;
    return watch_token(
        server, operation, fd, events,
        token(SOURCE_CONNECTION, (uint32_t)fd, connection->generation));
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

/* close(2) takes the descriptor out of the epoll set, for nobody has a copy.
 * What stands behind us in this turn's events is for nobody then, or, if the
 * descriptor has gone to somebody else, of another generation. */
static void on_close(struct server *server, int fd, enum reason reason)
{
    struct connection *connection = connection_at(server, fd);

    session_close(connection->session, reason);
    session_free(connection->session);
    connection->session = NULL;
    server->count--;
    close(fd);
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
    connection->reading = READING_WAITS;
    connection->read_out = connection->watching = false;
    connection->generation++;
    if (watch_connection(server, EPOLL_CTL_ADD, fd) < 0)
        return false;
    connection->session = make_session(server, fd, dialect, from);
    if (!connection->session)
        return false;
    server->count++;
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

/* EPOLLOUT is asked for only while it says something: a Unix socket says it
 * whenever its peer has read, TCP in every event besides. EPOLL_CTL_MOD looks
 * anew, so what has become possible since the send is not missed. */
static void watch_writable(struct server *server, int fd, bool blocked)
{
    struct connection *connection = connection_at(server, fd);

    if (connection->watching == blocked)
        return;
    connection->watching = blocked;
    if (watch_connection(server, EPOLL_CTL_MOD, fd) < 0)
        on_close(server, fd, REASON_RESET);
}

/*
 * sendmsg(2) takes what fits the socket's buffer: all of it, or a part, or
 * nothing (EAGAIN). EPIPE and ECONNRESET: the peer is gone; MSG_NOSIGNAL: that
 * is no SIGPIPE. ENOBUFS, ENOMEM: the kernel has no memory for it, and the peer
 * is given up. The bytes lie in the room's log, and need not stay there when
 * it has returned.
 */
static void send_span(struct server *server, int fd, struct iovec *vectors,
                      size_t count)
{
    struct session *session = connection_at(server, fd)->session;
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN) {
        on_close(server, fd, REASON_RESET);
        return;
    }
    session_sent(session, sent > 0 ? (size_t)sent : 0);
    watch_writable(server, fd, session_blocked(session));
}

static void flush(struct server *server, int fd)
{
    struct session *session = connection_at(server, fd)->session;
    struct iovec vectors[2];
    int pending = session_pending(session, vectors, 2);

    if (pending > 0)
        send_span(server, fd, vectors, (size_t)pending);
    else if (pending == SESSION_SHUT)
        shutdown(fd, SHUT_WR); /* sends FIN; we still read */
    else if (pending == SESSION_END)
        on_close(server, fd, REASON_ENDED);
}

/* Sends what everybody is due. */
static void send_ready(struct server *server)
{
    struct session *session;

    while ((session = chat_next_ready(server->chat))) {
        int fd = fd_of(session_user(session));

        if (connection_at(server, fd)->reading == READING_PAUSED &&
            !session_paused(session))
            due_add(server, fd);
        flush(server, fd);
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
static void on_receive(struct server *server, int fd, size_t length)
{
    struct connection *connection = connection_at(server, fd);

    if (session_receive(connection->session, server->bytes, length) ==
        VERDICT_PAUSE)
        connection->reading = READING_PAUSED;
    else if (length == RECEIVE_BYTES || connection->read_out)
        due_add(server, fd);
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
static void read_some(struct server *server, int fd)
{
    struct connection *connection = connection_at(server, fd);
    struct iovec into = {server->bytes, RECEIVE_BYTES};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1};
    ssize_t length = recvmsg(fd, &message, 0);

    if (message.msg_flags & MSG_CTRUNC)
        connection->read_out = true;
    if (length > 0)
        on_receive(server, fd, (size_t)length);
    else if (length == 0)
        on_end(connection);
    else if (errno == EAGAIN)
        connection->reading = READING_WAITS;
    else
        on_close(server, fd, REASON_RESET);
}

/* Once from each: who has more to say is read from again in the next turn. */
static void read_due(struct server *server)
{
    int last = server->due_last;
    int fd = -1;

    while (server->due_first >= 0 && fd != last) {
        fd = due_take(server);
        if (connection_at(server, fd)->session &&
            connection_at(server, fd)->reading == READING_DUE)
            read_some(server, fd);
    }
}

/* ---- Events ------------------------------------------------------------- */

/* The descriptor that the token is about; -1 if the connection that it was made
 * for has been closed since, be it a moment ago in this very turn. */
static int connection_meant(struct server *server, uint64_t token)
{
    int fd = (int)(uint32_t)token;
    const struct connection *connection = connection_at(server, fd);

    return connection->session &&
                   connection->generation == (uint16_t)(token >> 32)
               ? fd
               : -1;
}

/*
 * EPOLLIN: bytes have come. EPOLLRDHUP: the peer will send no more; what it has
 * sent is still to be read. EPOLLHUP: both directions have ended, EPOLLERR: the
 * connection has failed; of these too, reading says what there was before, and
 * then how it ended. But a failure of one that we do not read from is its end
 * at once, with what it still had to say: nobody can be answered.
 */
static void on_readable(struct server *server, int fd, uint32_t events)
{
    struct connection *connection = connection_at(server, fd);

    if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection->read_out = true;
    if (connection->reading == READING_WAITS)
        due_add(server, fd);
    else if (connection->reading != READING_DUE && events & EPOLLERR)
        on_close(server, fd, REASON_RESET);
}

static void on_event(struct server *server, const struct epoll_event *event)
{
    uint64_t about = event->data.u64;
    int fd;

    switch ((enum source)(about >> 48)) {
    case SOURCE_SIGNALS:
        on_signals(server);
        break;
    case SOURCE_LISTENER:
        on_connecting(&server->acceptors[(uint32_t)about], server->turn_ns);
        break;
    case SOURCE_CONNECTION:
        fd = connection_meant(server, about);
        if (fd >= 0)
            on_readable(server, fd, event->events);
        break;
    }
}

/* The peer takes bytes again. It is sent them now, behind what was received in
 * this turn. */
static void on_writable(struct server *server, const struct epoll_event *event)
{
    int fd = -1;

    if (event->data.u64 >> 48 == SOURCE_CONNECTION && event->events & EPOLLOUT)
        fd = connection_meant(server, event->data.u64);
    if (fd >= 0 && session_blocked(connection_at(server, fd)->session))
        flush(server, fd);
}

/* ---- Turns -------------------------------------------------------------- */

/* When something has to be done, whether or not anything happens. */
static uint64_t deadline(struct server *server)
{
    uint64_t until_ns =
        earlier(chat_deadline(server->chat), accept_deadline(server));

    return server->stopping ? earlier(until_ns, server->cut_ns) : until_ns;
}

/*
 * epoll_pwait2(2), whose time-out is in nanoseconds: the number of events, 0
 * when the time is over. EINTR: the process was stopped and continued
 * (signal(7)); then nothing has happened either.
 */
static int turn_wait(struct server *server, uint64_t until_ns,
                     struct epoll_event events[EVENTS_MAX])
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout = {
        .tv_sec = (time_t)(ns / NS_PER_SECOND),
        .tv_nsec = (long)(ns % NS_PER_SECOND),
    };
    int count = epoll_pwait2(server->epoll_fd, events, EVENTS_MAX,
                             until_ns == UINT64_MAX ? NULL : &timeout, NULL);

    assert(count >= 0 || errno == EINTR);
    return count < 0 ? 0 : count;
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
        if (server->connections[fd].session)
            on_close(server, (int)fd, REASON_ENDED);
    }
}

static void turn(struct server *server)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t until_ns = deadline(server);
    bool busy = server->due_first >= 0;
    int count = turn_wait(server, busy ? 0 : until_ns, events);

    tell_time(server, until_ns);
    for (int i = 0; i < count; i++)
        on_event(server, &events[i]);
    accept_due(server);
    read_due(server);
    for (int i = 0; i < count; i++)
        on_writable(server, &events[i]);
    send_ready(server);
    if (server->stopping && server->turn_ns >= server->cut_ns)
        cut(server);
}

void serve(struct server *server)
{
    server->turn_ns = clock_mono_ns();
    while (!server->stopping || server->count > 0)
        turn(server);
}
