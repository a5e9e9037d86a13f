/*
 * Stage 1: a thread per connection, blocking calls, one lock for the chat.
 *
 * Each connection's thread waits in recv(2), takes the chat's lock, hands over
 * what came, and sends what everybody is now due, itself, with blocking
 * sendmsg(2), before it lets the lock go. That is easy to follow and has one
 * great flaw, which stage 2 cures: while one peer does not read, the send
 * waits, the lock is held, and everyone waits, until --send-timeout cuts that
 * peer.
 */
#include "stage1-blocking/server.h"

#include "common/base/clock.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#define RECEIVE_BYTES 16384
#define STALL_NS (100 * 1000 * NS_PER_US)
#define TICK_NS (10 * 1000 * NS_PER_US)

_Static_assert(RECEIVE_BYTES <= RECEIVE_BYTES_MAX, "one call takes it all");

/* ---- Sending: with the chat's lock held --------------------------------- */

/* The connection's own thread will close it: wake it wherever it waits. */
static void on_over(struct connection *connection, enum reason reason)
{
    connection->over = true;
    connection->reason = reason;
    shutdown(connection->fd, SHUT_RDWR); /* fails only if it is gone already */
}

static void tell_time(struct server *server)
{
    chat_tick(server->chat, clock_mono_ns(), clock_wall_us());
}

/*
 * While a send held the lock we read from nobody: the chat is told, so that no
 * one is closed for silence that we did not listen to. A send that does not
 * stall is not worth telling.
 */
static void after_wait(struct server *server, uint64_t waited_ns)
{
    if (waited_ns < STALL_NS)
        return;
    chat_was_away(server->chat, waited_ns);
    tell_time(server);
}

/* gettid(2), asked once a thread. */
static pid_t thread_id(void)
{
    static _Thread_local pid_t id;

    if (id == 0)
        id = gettid();
    return id;
}

/* Whether a send that took so long has used up its time. The kernel counts in
 * ticks of up to 10 ms, of which the first may have begun already. */
static bool send_timed_out(const struct server *server, uint64_t waited_ns)
{
    uint64_t timeout_ns = server->options.send_timeout_ns;

    return timeout_ns > 0 && waited_ns + TICK_NS >= timeout_ns;
}

/*
 * Waits in sendmsg(2) until the kernel has taken all of the span. It returns
 * with less, or with EAGAIN, when SO_SNDTIMEO has passed (socket(7)), and then
 * the peer is cut off; or earlier with less, or with EINTR, when the process
 * was stopped and continued (signal(7)), or when main wants to stop
 * (interrupt_send): from then on nobody is waited for. EPIPE and ECONNRESET:
 * the peer is gone; MSG_NOSIGNAL: that is no SIGPIPE.
 */
static void send_span(struct connection *connection, struct iovec *vectors,
                      size_t count)
{
    struct server *server = connection->server;
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    bool stopping = atomic_load(&server->stopping);
    uint64_t start_ns = clock_mono_ns();
    uint64_t waited_ns;
    ssize_t sent;

    atomic_store(&server->sender, thread_id());
    sent = sendmsg(connection->fd, &message,
                   MSG_NOSIGNAL | (stopping ? MSG_DONTWAIT : 0));
    atomic_store(&server->sender, 0);
    waited_ns = clock_mono_ns() - start_ns;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        on_over(connection, REASON_RESET);
    else
        session_sent(connection->session, sent > 0 ? (size_t)sent : 0);
    if (!stopping && session_blocked(connection->session) &&
        send_timed_out(server, waited_ns))
        on_over(connection, REASON_SEND_TIMEOUT);
    after_wait(server, waited_ns);
}

static void flush_once(struct connection *connection)
{
    struct iovec vectors[2];
    int pending = session_pending(connection->session, vectors, 2);

    if (pending > 0)
        send_span(connection, vectors, (size_t)pending);
    else if (pending == SESSION_SHUT)
        shutdown(connection->fd, SHUT_WR); /* sends FIN; we still read */
    else if (pending == SESSION_END)
        on_over(connection, REASON_ENDED);
}

/* A span that was begun is finished, unless we are stopping: then keep_time
 * offers the rest again. */
void flush(struct connection *connection)
{
    if (!connection->session || connection->over)
        return;
    do
        flush_once(connection);
    while (!connection->over && session_blocked(connection->session) &&
           !atomic_load(&connection->server->stopping));
    pthread_cond_signal(&connection->wake);
}

/* getsockopt(2), TCP_INFO: fails on a Unix socket, of which there is nothing to
 * know. */
void link_read(void *user, struct link_sample *sample)
{
    const struct connection *connection = user;
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);

    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return;
    sample->rtt_us = info.tcpi_rtt;
    sample->retransmits = info.tcpi_total_retrans;
    sample->segments_out = info.tcpi_segs_out;
}

/* ---- Turns -------------------------------------------------------------- */

void turn_begin(struct server *server)
{
    pthread_mutex_lock(&server->chat_lock);
    tell_time(server);
}

/* Sends what everybody is due. */
void send_ready(struct server *server)
{
    struct session *session;

    while ((session = chat_next_ready(server->chat)))
        flush(session_user(session));
    if (chat_deadline(server->chat) >= server->clock_until_ns)
        return;
    server->clock_until_ns = chat_deadline(server->chat);
    sem_post(&server->clock_due);
}

void turn_end(struct server *server)
{
    send_ready(server);
    pthread_mutex_unlock(&server->chat_lock);
}

/* ---- One connection: its own thread ------------------------------------- */

static void on_open(struct connection *connection)
{
    struct server *server = connection->server;
    char name[PEER_TEXT_BYTES];
    struct peer peer = {.user = connection, .name = name};

    peer_text(&connection->address, name);
    peer.counted = peer_key(&connection->address, peer.address);
    turn_begin(server);
    connection->session =
        session_open(server->chat, connection->acceptor->dialect, &peer);
    connection->over = !connection->session;
    turn_end(server);
}

/* Hands over `length` bytes, 0 for the end of the stream. Returns whether to
 * go on reading; waits for that to be decided if it is not yet. */
static bool on_receive(struct connection *connection, const char *bytes,
                       size_t length)
{
    struct server *server = connection->server;
    struct session *session = connection->session;
    bool over;

    turn_begin(server);
    /* What comes from a connection that is over is no longer the peer's: an
     * end of stream may be our own shutdown. */
    if (!connection->over && length > 0)
        session_receive(session, bytes, length);
    else if (!connection->over)
        session_eof(session);
    send_ready(server);
    while (!connection->over && (length == 0 || session_paused(session)))
        pthread_cond_wait(&connection->wake, &server->chat_lock);
    over = connection->over;
    pthread_mutex_unlock(&server->chat_lock);
    return !over;
}

static void on_close(struct connection *connection)
{
    struct server *server = connection->server;

    turn_begin(server);
    if (connection->session) {
        session_close(connection->session, connection->reason);
        session_free(connection->session);
        connection->session = NULL;
    }
    turn_end(server);
}

static void on_failure(struct connection *connection)
{
    struct server *server = connection->server;

    turn_begin(server);
    if (!connection->over)
        on_over(connection, REASON_RESET);
    turn_end(server);
}

/*
 * recv(2) waits for the peer: a count of bytes, 0 at the end of the stream (or
 * when somebody shut the socket down, see on_over), -1 when the connection has
 * failed (ECONNRESET, ETIMEDOUT). EINTR: a signal that was meant for a send.
 */
static ssize_t receive(int fd, char *bytes, size_t size)
{
    ssize_t length;

    do
        length = recv(fd, bytes, size, 0);
    while (length < 0 && errno == EINTR);
    return length;
}

static void read_all(struct connection *connection)
{
    char bytes[RECEIVE_BYTES];
    ssize_t length;

    do {
        length = receive(connection->fd, bytes, sizeof(bytes));
        if (length < 0) {
            on_failure(connection);
            return;
        }
    } while (on_receive(connection, bytes, (size_t)length));
}

struct connection *connection_create(const struct acceptor *acceptor, int fd,
                                     const struct sockaddr_storage *from)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return NULL;
    connection->server = acceptor->server;
    connection->acceptor = acceptor;
    connection->fd = fd;
    connection->address = *from;
    pthread_cond_init(&connection->wake, NULL);
    return connection;
}

void connection_destroy(struct connection *connection)
{
    pthread_cond_destroy(&connection->wake);
    close(connection->fd);
    free(connection);
}

void *serve(void *argument)
{
    struct connection *connection = argument;
    struct server *server = connection->server;

    on_open(connection);
    if (connection->session)
        read_all(connection);
    else
        refuse(connection->acceptor, connection->fd, &connection->address);
    on_close(connection);
    table_remove(&server->table, connection);
    connection_destroy(connection);
    table_thread_ends(&server->table);
    return NULL;
}
