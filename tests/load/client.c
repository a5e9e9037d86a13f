/*
 * A client's connection: see client.h. What it hears is in hearing.c.
 */
#include "tests/load/client.h"
#include "tests/load/worker.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const struct plan *plan_of(const struct client *client)
{
    return client->worker->run->plan;
}

static bool is_visitor(const struct client *client)
{
    return plan_is_churn(plan_of(client));
}

/* ---- epoll -------------------------------------------------------------- */

/* epoll_ctl(2): to be told when there is something to read, unless it stalls,
 * and when it can be written to, if there is something to write. It fails for
 * want of memory or watches (ENOMEM, ENOSPC): nothing works without. */
static void watch(struct client *client)
{
    uint32_t events = EPOLLERR | (client->is_stalled ? 0 : EPOLLIN);
    struct epoll_event event = {.data.ptr = client};
    int operation = client->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (client->state == CLIENT_CONNECTING || out_length(&client->out) > 0)
        events |= EPOLLOUT;
    if (client->events == events)
        return;
    event.events = events;
    if (epoll_ctl(client->worker->epoll_fd, operation, client->fd, &event) < 0)
        no_memory();
    client->events = events;
}

/* ---- Coming ------------------------------------------------------------- */

void client_is_away(struct client *client)
{
    client->away = client->worker->away;
    client->worker->away = client;
}

/* bind(2), of the source address: a server's address and one of ours make no
 * more connections than there are ports, 28,232 by default
 * (net.ipv4.ip_local_port_range). IP_BIND_ADDRESS_NO_PORT (ip(7)): the port is
 * chosen by connect(2), which knows that others may have it too. */
static int choose_source(const struct client *client, int fd)
{
    struct sockaddr_in source = {.sin_family = AF_INET};
    uint32_t sources = plan_of(client)->sources;
    int one = 1;

    if (sources <= 1 || !target_is_loopback(client->target))
        return 0;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + client->number % sources);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    return bind(fd, (const struct sockaddr *)&source, sizeof(source)) < 0
               ? -errno
               : 0;
}

/* socket(2): EMFILE, ENFILE, ENOMEM. TCP_NODELAY: what is said is sent at once
 * (tcp(7)). */
static int open_socket(const struct client *client)
{
    int family = client->target->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1, error;

    if (fd < 0)
        return -errno;
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    error = choose_source(client, fd);
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

static bool prepare(struct client *client)
{
    uint32_t first = is_visitor(client) ? NUMBER_ANY : 0;
    struct audience *audience = client->audience;

    if (!tally_init(&client->tally, audience->speakers, first))
        return false;
    if (client->voice) {
        uint32_t own = (uint32_t)(client->voice - audience->voices);

        client->tally.due[own] = audience->hears_itself
                                     ? atomic_load(&client->voice->said)
                                     : NUMBER_ANY;
    }
    client->wanted = 0;
    client->speaker.step = 0;
    return true;
}

static void stop_coming(struct client *client)
{
    client->worker->coming--;
    if (!is_visitor(client))
        atomic_fetch_sub(&client->worker->run->coming, 1);
}

/* A visitor comes again; others do not. Not at once, or it might do nothing
 * else. */
static void comes_later(struct client *client)
{
    if (is_visitor(client)) {
        client->away = client->worker->later;
        client->worker->later = client;
    } else if (client->voice) {
        atomic_store(&client->voice->is_mute, true);
    }
}

static void refused(struct client *client, const char *why)
{
    struct worker *worker = client->worker;

    worker->counts.refused++;
    worker_complain(worker, "client %u could not get in: %s", client->number,
                    why);
    if (client->state == CLIENT_AWAY)
        worker->coming++;
    client->came_ns = 0;
    stop_coming(client);
    comes_later(client);
}

bool client_is_late(const struct client *client, uint64_t now_ns)
{
    return now_ns > client->came_ns + plan_patience_ns(plan_of(client));
}

/* connect(2). EINPROGRESS: epoll tells. EAGAIN: a Unix socket's backlog is
 * full: later, while there is patience. */
bool client_come(struct client *client)
{
    const struct target *target = client->target;
    int fd = open_socket(client);

    if (client->came_ns == 0)
        client->came_ns = clock_ns();
    if (fd < 0) {
        refused(client, strerrordesc_np(-fd));
        return true;
    }
    if (connect(fd, (const struct sockaddr *)&target->address, target->length) <
            0 &&
        errno != EINPROGRESS) {
        int error = errno;

        close(fd);
        if (error == EAGAIN && !client_is_late(client, clock_ns()))
            return false;
        refused(client, strerrordesc_np(error));
        return true;
    }
    if (!prepare(client))
        no_memory();
    client->fd = fd;
    client->state = CLIENT_CONNECTING;
    client->events = 0;
    client->worker->coming++;
    watch(client);
    return true;
}

/* getsockopt(2), SO_ERROR: how connect(2) has ended. */
static void on_connected(struct client *client)
{
    int error = 0;
    socklen_t length = sizeof(error);

    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
        client_gone(client, strerrordesc_np(error));
        return;
    }
    client->state = CLIENT_ENTERING;
    if (client->speaker.dialect->enter)
        client->speaker.dialect->enter(&client->speaker, &client->out);
    else
        client_entered(client);
    client_flush(client);
}

void client_entered(struct client *client)
{
    struct worker *worker = client->worker;
    struct audience *audience = client->audience;

    assert(client->state == CLIENT_CONNECTING ||
           client->state == CLIENT_ENTERING);
    stop_coming(client);
    atomic_fetch_add(&worker->run->present, 1);
    histogram_add(&worker->entering, clock_ns() - client->came_ns);
    worker->counts.entered++;
    client->state = CLIENT_IN_ROOM;
    audience_join(audience, &client->follower, is_visitor(client));
    if (is_visitor(client))
        client_say(client, clock_ns());
    else if (!client->is_slow && audience->waited_for++ == 0)
        atomic_fetch_add(&audience->room->audiences, 1);
}

/* ---- Going -------------------------------------------------------------- */

static void on_cut(struct client *client, const char *why)
{
    struct worker *worker = client->worker;

    worker->counts.cut++;
    atomic_fetch_sub(&worker->run->present, 1);
    worker_complain(worker, "client %u was cut off: %s", client->number, why);
    client_hears_no_more(client);
    comes_later(client);
}

static void on_left(struct client *client)
{
    if (!is_visitor(client) || client->worker->phase == PHASE_OVER)
        return;
    client->worker->counts.visits++;
    client_is_away(client);
}

/* close(2): also takes it out of epoll. */
void client_gone(struct client *client, const char *why)
{
    if (client->state == CLIENT_IN_ROOM)
        on_cut(client, why);
    else if (client->state == CLIENT_LEAVING)
        on_left(client);
    else
        refused(client, why);
    if (client->state == CLIENT_IN_ROOM || client->state == CLIENT_LEAVING) {
        client_add_up(client);
        audience_leave(client->audience, &client->follower);
    }
    close(client->fd);
    client->state = CLIENT_AWAY;
    client->came_ns = 0;
    follower_release(&client->follower);
    out_release(&client->out);
    tally_release(&client->tally);
    if (client->speaker.dialect->release)
        client->speaker.dialect->release(&client->speaker);
}

/* shutdown(2), where there is no word for it: the server reads the end of the
 * stream, and closes. */
void client_leave(struct client *client)
{
    client->state = CLIENT_LEAVING;
    if (client->speaker.dialect->leave)
        client->speaker.dialect->leave(&client->speaker, &client->out);
    else
        shutdown(client->fd, SHUT_WR);
}

/* What it has not heard will not come any more. A visitor has waited for its
 * own alone. */
static void hear_the_end(struct client *client)
{
    struct audience *audience = client->audience;

    if (plan_of(client)->workload == WORKLOAD_LISTEN)
        return;
    for (uint32_t i = 0; i < audience->speakers; i++) {
        const struct voice *voice = &audience->voices[i];

        if (!is_visitor(client) || voice == client->voice)
            tally_end(&client->tally, i, atomic_load(&voice->said));
    }
}

/* It has not heard its own message, or was not let go. */
static void stays_too_long(struct client *client)
{
    client->worker->counts.overdue++;
    worker_complain(client->worker, "client %u: its visit does not end",
                    client->number);
}

void client_end(struct client *client)
{
    bool is_in =
        client->state == CLIENT_IN_ROOM || client->state == CLIENT_LEAVING;

    if (is_in && is_visitor(client))
        stays_too_long(client);
    if (client->state == CLIENT_IN_ROOM)
        hear_the_end(client);
    if (client->state == CLIENT_IN_ROOM)
        client->state = CLIENT_LEAVING;
    if (client->state != CLIENT_AWAY)
        client_gone(client, "the run is over");
}

/* ---- Speaking ----------------------------------------------------------- */

void client_say(struct client *client, uint64_t due_ns)
{
    struct worker *worker = client->worker;
    const struct plan *plan = plan_of(client);
    struct voice *voice = client->voice;
    uint32_t number = voice_say(voice, due_ns);
    uint32_t name = (uint32_t)(voice - worker->run->voices);

    message_write(&plan->matter, name, number, worker->text);
    client->speaker.dialect->say(&client->speaker, worker->text,
                                 message_size(&plan->matter, number),
                                 &client->out);
    worker->counts.published++;
    if (!client->audience->hears_itself && client->audience->waited_for == 1)
        voice_heard(voice, number); /* there is nobody here but itself */
}

/* send(2). EAGAIN: the server does not take more now; epoll tells when.
 * MSG_NOSIGNAL: a connection that is gone is an error, no SIGPIPE. */
void client_flush(struct client *client)
{
    struct out *out = &client->out;

    while (client->state != CLIENT_AWAY && out_length(out) > 0) {
        ssize_t sent = send(client->fd, out->bytes + out->begin,
                            out_length(out), MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            client_gone(client, strerrordesc_np(errno));
            return;
        }
        client->worker->counts.bytes_out += (uint64_t)sent;
        out_sent(out, (size_t)sent);
    }
    if (client->state != CLIENT_AWAY)
        watch(client);
}

void client_stall(struct client *client, bool is_stalled)
{
    if (client->is_stalled == is_stalled)
        return;
    client->is_stalled = is_stalled;
    if (client->state != CLIENT_AWAY)
        watch(client);
}

/* ---- Events ------------------------------------------------------------- */

/* recv(2). EAGAIN: there was nothing after all. 0: the server has ended the
 * stream. ECONNRESET and others: the connection has failed. */
static void on_readable(struct client *client)
{
    struct worker *worker = client->worker;
    ssize_t count = recv(client->fd, worker->bytes, RECEIVE_BYTES, 0);
    uint64_t now_ns = clock_ns(), delivered;

    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        client_gone(client, count < 0 ? strerrordesc_np(errno)
                                      : "the server has closed the connection");
        return;
    }
    worker->counts.bytes_in += (uint64_t)count;
    delivered = worker->counts.delivered;
    client_hear(client, worker->bytes, (size_t)count, now_ns);
    if (worker->counts.delivered > delivered)
        worker->heard_ns = now_ns;
    if (client->state != CLIENT_AWAY && out_length(&client->out) > 0)
        client_flush(client);
}

void client_on_events(struct client *client, uint32_t events)
{
    if (client->state == CLIENT_CONNECTING) {
        on_connected(client);
        return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        on_readable(client);
    if (events & EPOLLOUT && client->state != CLIENT_AWAY)
        client_flush(client);
}
