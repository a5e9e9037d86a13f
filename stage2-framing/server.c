/*
 * Stage 2: two threads per connection, blocking calls, and no lock while
 * anything waits.
 *
 * Each connection's reader waits in recv(2), asks for no more than the next
 * request is known to need, takes the chat's lock and hands over what came. Who
 * is due something by that is told so; its writer takes the span from the chat,
 * lets the lock go, and sends. So one who does not read keeps its own writer
 * waiting and nobody else. The chat holds the bytes meanwhile: a span does not
 * move until the chat is told that it is gone.
 */
#include "stage2-framing/server.h"

#include "common/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#define RECEIVE_BYTES 16384

_Static_assert(RECEIVE_BYTES <= RECEIVE_BYTES_MAX, "one call takes it all");

/* ---- Sending: a connection's writer ------------------------------------- */

/* Both its threads are to end: wakes them wherever they wait. The first reason
 * is the one. */
static void on_over(struct connection *connection, enum reason reason)
{
    if (connection->over)
        return;
    connection->over = true;
    connection->reason = reason;
    shutdown(connection->fd, SHUT_RDWR); /* fails only if it is gone already */
    pthread_cond_broadcast(&connection->wake);
}

static void tell_time(struct server *server)
{
    chat_tick(server->chat, clock_mono_ns(), clock_wall_us());
}

/*
 * sendmsg(2) without the lock. First it does not wait, so that the chat, which
 * lets nobody talk on while others are being sent things, knows at once whether
 * the peer takes it all. The rest waits for the peer, but comes back when
 * SO_SNDTIMEO has passed (socket(7)), to say how much is gone and to look
 * whether it still should. Either may end with less, with EAGAIN, or with EINTR
 * when the process was stopped and continued (signal(7)). EPIPE and ECONNRESET:
 * the peer is gone, or the connection is over; MSG_NOSIGNAL: that is no
 * SIGPIPE.
 *
 * The chat holds the bytes until session_sent, and nobody frees the session
 * while its writer runs (on_close).
 */
static void send_span(struct connection *connection, struct iovec *vectors,
                      size_t count)
{
    struct server *server = connection->server;
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    bool waits = session_blocked(connection->session);
    ssize_t sent;
    int error;

    turn_end(server);
    sent = sendmsg(connection->fd, &message,
                   MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
    error = sent < 0 ? errno : 0;
    turn_begin(server);
    if (error != 0 && error != EAGAIN && error != EINTR)
        on_over(connection, REASON_RESET);
    else
        session_sent(connection->session, sent > 0 ? (size_t)sent : 0);
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

/* Sends what the connection is due now. A span that was begun is finished,
 * unless the chat gives up waiting for the peer. */
static void flush(struct connection *connection)
{
    connection->due = false;
    do
        flush_once(connection);
    while (!connection->over && session_blocked(connection->session));
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

/* The session has something to send, may be read again, or is to be closed:
 * both threads look which of these it is. */
static void on_ready(struct connection *connection)
{
    connection->due = true;
    pthread_cond_broadcast(&connection->wake);
}

/* Wakes everybody who is due something. */
void send_ready(struct server *server)
{
    struct session *session;

    while ((session = chat_next_ready(server->chat)))
        on_ready(session_user(session));
    if (chat_deadline(server->chat) >= server->clock_until_ns)
        return;
    server->clock_until_ns = chat_deadline(server->chat);
    pthread_cond_signal(&server->clock_due);
}

void turn_end(struct server *server)
{
    send_ready(server);
    pthread_mutex_unlock(&server->chat_lock);
}

/* From one turn to the next: waits in between, unless this turn has made the
 * connection due again. */
static void turn_wait(struct connection *connection)
{
    struct server *server = connection->server;

    send_ready(server);
    if (!connection->due && !connection->over)
        pthread_cond_wait(&connection->wake, &server->chat_lock);
    tell_time(server);
}

static void *write_loop(void *argument)
{
    struct connection *connection = argument;

    turn_begin(connection->server);
    while (!connection->over) {
        if (connection->due)
            flush(connection);
        turn_wait(connection);
    }
    connection->writing = false;
    pthread_cond_broadcast(&connection->wake);
    turn_end(connection->server);
    return NULL;
}

/* ---- One connection: its reader ----------------------------------------- */

static bool start_writer(struct connection *connection)
{
    pthread_t thread;

    connection->writing = true;
    if (thread_start(&thread, PTHREAD_CREATE_DETACHED, write_loop,
                     connection) == 0)
        return true;
    connection->writing = false;
    return false;
}

/* The writer comes first: who cannot be answered must not be seen to join. */
static void on_open(struct connection *connection)
{
    struct server *server = connection->server;
    char name[PEER_TEXT_BYTES];
    struct peer peer = {.user = connection, .name = name};

    if (!start_writer(connection))
        return;
    peer_text(&connection->address, name);
    peer.counted = peer_key(&connection->address, peer.address);
    turn_begin(server);
    connection->session =
        session_open(server->chat, connection->acceptor->dialect, &peer);
    if (connection->session)
        connection->need = session_need(connection->session);
    turn_end(server);
}

/* Hands over `length` bytes, 0 for the end of the stream. Returns whether to
 * go on reading; waits for that to be decided if it is not yet. */
static bool on_receive(struct connection *connection,
                       const unsigned char *bytes, size_t length)
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
    connection->need = session_need(session);
    over = connection->over;
    pthread_mutex_unlock(&server->chat_lock);
    return !over;
}

/* The writer has to end before the session may go: it may be in a send. */
static void on_close(struct connection *connection)
{
    struct server *server = connection->server;

    turn_begin(server);
    on_over(connection, REASON_ENDED);
    send_ready(server);
    while (connection->writing)
        pthread_cond_wait(&connection->wake, &server->chat_lock);
    tell_time(server);
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
    on_over(connection, REASON_RESET);
    turn_end(server);
}

/*
 * recv(2) waits for the peer: a count of bytes, 0 at the end of the stream (or
 * when somebody shut the socket down, see on_over), -1 when the connection has
 * failed (ECONNRESET, ETIMEDOUT).
 *
 * The read is exact: what it asks for ends where the next request, or its head,
 * ends, so there is never a second frame in the buffer (of lines, whose end
 * nobody knows, it asks for as many as fit). It takes less if less
 * has come: MSG_WAITALL would wait for the rest, and the chat, which has to
 * time that out, would not know that a request has begun.
 */
static ssize_t receive(const struct connection *connection,
                       unsigned char bytes[RECEIVE_BYTES])
{
    size_t need = connection->need;

    assert(need > 0); /* or 0 would not mean the end */
    return recv(connection->fd, bytes,
                need < RECEIVE_BYTES ? need : RECEIVE_BYTES, 0);
}

static void read_all(struct connection *connection)
{
    unsigned char bytes[RECEIVE_BYTES];
    ssize_t length;

    do {
        length = receive(connection, bytes);
        if (length < 0) {
            on_failure(connection);
            return;
        }
    } while (on_receive(connection, bytes, (size_t)length));
}

/* ---- All connections ---------------------------------------------------- */

static void connection_link(struct connection *connection)
{
    struct server *server = connection->server;

    pthread_mutex_lock(&server->chat_lock);
    connection->next = server->first;
    if (server->first)
        server->first->previous = connection;
    server->first = connection;
    pthread_mutex_unlock(&server->chat_lock);
}

static void connection_unlink(struct connection *connection)
{
    struct server *server = connection->server;

    pthread_mutex_lock(&server->chat_lock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    pthread_mutex_unlock(&server->chat_lock);
}

bool connections_left(struct server *server)
{
    bool left;

    pthread_mutex_lock(&server->chat_lock);
    left = server->first;
    pthread_mutex_unlock(&server->chat_lock);
    return left;
}

void connections_cut(struct server *server)
{
    turn_begin(server);
    for (struct connection *c = server->first; c; c = c->next)
        on_over(c, REASON_ENDED);
    turn_end(server);
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
    connection_link(connection);
    return connection;
}

/* Off the list first: its number may be another's as soon as it is closed.
 * From then on the thread touches nothing of the server's, which may end. */
void connection_destroy(struct connection *connection)
{
    assert(!connection->session && !connection->writing);
    connection_unlink(connection);
    pthread_cond_destroy(&connection->wake);
    close(connection->fd);
    free(connection);
}

void *serve(void *argument)
{
    struct connection *connection = argument;

    on_open(connection);
    if (connection->session)
        read_all(connection);
    else
        refuse(connection->acceptor, connection->fd, &connection->address);
    on_close(connection);
    connection_destroy(connection);
    return NULL;
}
