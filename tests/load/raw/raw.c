/*
 * The least that a kernel allows: the limit that chat servers are held against.
 * One thread, epoll(7), and between a read and the sends that follow from it
 * nothing but a search for the last line feed. It is no chat: who has connected
 * is in the one room, nobody has a name, nothing is checked; and who stalls
 * stalls all others, for there are no queues but the kernel's.
 *
 *     raw relay    each read goes on to each client, the speaker too, in one
 *                  send; whole lines only, so that nobody's are torn by others'
 *     raw echo     each read goes back to its speaker
 *     raw blast    says the same to each client, each at its own pace, and
 *                  hears nothing: messages of speaker 0, numbered from 0 on,
 *                  as tests/load/message.h has them, each a line
 *
 * --listen URL: raw://HOST:PORT or raw+unix://PATH (raw://127.0.0.1:0). And of
 * blast alone:
 *
 *     --size BYTES   of a line, its line feed included (64)
 *     --count LINES  for each client, then its connection ends (0: no end)
 *     --clients N    it begins when so many have connected (1)
 *     --seed N       of the messages (1)
 *
 * `listening URL` on standard error says that it does, with the real port.
 * SIGTERM or SIGINT end it: exit status 0. 64 (EX_USAGE): the options are
 * wrong; 71 (EX_OSERR): the kernel refuses what it takes.
 */
#include "tests/load/raw/fail.h"
#include "tests/load/raw/listen.h"
#include "tests/load/raw/stream.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

#define EVENTS_MAX 256

/* A longer one is not prepared; who says one to a relay is cut off. */
#define LINE_BYTES_MAX (16 * MIB)
enum mode { MODE_RELAY, MODE_ECHO, MODE_BLAST };

struct plan {
    enum mode mode;
    const char *url;
    size_t size;
    uint64_t count;
    size_t clients;
    uint64_t seed;
};

struct client {
    int fd;          /* -1: gone, to be freed when the turn ends */
    size_t place;    /* in the server's clients */
    uint32_t events; /* that are waited for */
    /* What has been read and not passed on: echo, all; relay, whole lines that
     * are being passed on, and the beginning of one. */
    char *bytes;
    size_t length, allocated;
    size_t taken;      /* relay: of the lines that are being passed on, whoever
                          said them; echo: of `bytes` */
    uint64_t position; /* blast: bytes of the stream that it has taken */
    struct client *next_gone;
};

struct server {
    struct plan plan;
    struct stream stream;
    int listener_fd, signal_fd, epoll_fd;
    int writable_fd; /* relay: an epoll that tells who can take more */
    struct client **clients;
    size_t count, allocated;
    struct client *gone;
    bool begun; /* blast */
    bool stopping;
};

/* ---- Waiting ------------------------------------------------------------ */

/* epoll_ctl(2): it fails for want of memory or watches only (epoll(7),
 * max_user_watches). What happens is told with `who`. */
static void watch(int epoll_fd, int operation, int fd, uint32_t events,
                  void *who)
{
    struct epoll_event event = {.events = events, .data.ptr = who};

    if (epoll_ctl(epoll_fd, operation, fd, &event) < 0)
        fail("epoll_ctl");
}

/* epoll_wait(2), without end; EINTR: we were stopped and go on, or traced. */
static size_t await(int epoll_fd, struct epoll_event events[EVENTS_MAX])
{
    int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

    if (count < 0 && errno != EINTR)
        fail("epoll_wait");
    return count > 0 ? (size_t)count : 0;
}

/* EPOLLERR and EPOLLHUP are told even of who waits for nothing. */
static void client_await(struct server *server, struct client *client,
                         uint32_t events)
{
    if (client->events == events)
        return;
    client->events = events;
    watch(server->epoll_fd, EPOLL_CTL_MOD, client->fd, events, client);
}

/* ---- Clients ------------------------------------------------------------ */

static void client_open(struct server *server, int fd)
{
    struct client *client = reallocated(NULL, sizeof(*client));

    *client = (struct client){.fd = fd, .place = server->count};
    if (server->count == server->allocated) {
        server->allocated = server->allocated * 2 + 16;
        server->clients = reallocated(
            server->clients, server->allocated * sizeof(struct client *));
    }
    server->clients[server->count++] = client;
    client->events = server->plan.mode == MODE_BLAST ? 0 : EPOLLIN;
    watch(server->epoll_fd, EPOLL_CTL_ADD, fd, client->events, client);
    if (server->plan.mode == MODE_RELAY)
        watch(server->writable_fd, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLET,
              client);
}

/* close(2), which ends its watches too. What it has said may just be passed on,
 * and events of this turn may name it: it is freed later. The last client gets
 * its place, so whoever goes through all of them begins at the end. */
static void client_close(struct server *server, struct client *client)
{
    struct client *last = server->clients[--server->count];

    close(client->fd);
    client->fd = -1;
    last->place = client->place;
    server->clients[last->place] = last;
    client->next_gone = server->gone;
    server->gone = client;
}

static void free_gone(struct server *server)
{
    while (server->gone) {
        struct client *client = server->gone;

        server->gone = client->next_gone;
        free(client->bytes);
        free(client);
    }
}

/* accept4(2), as often as somebody is there. EAGAIN: nobody any more. EMFILE,
 * ENFILE, ENOBUFS, ENOMEM: somebody cannot be let in, and what is measured
 * without would be wrong. All else: who was there has gone. TCP_NODELAY, so
 * that nothing waits for an acknowledgement; a Unix socket has no such delay,
 * and does not know it. */
static void accept_all(struct server *server)
{
    int on = 1;

    while (true) {
        int fd = accept4(server->listener_fd, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            client_open(server, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            fail("accept");
        }
    }
}

static void make_room(struct client *client)
{
    if (client->allocated - client->length >= SEGMENT_BYTES)
        return;
    client->allocated = client->allocated * 2 + SEGMENT_BYTES;
    client->bytes = reallocated(client->bytes, client->allocated);
}

/* recv(2) behind what is there; returns how much more that is. EAGAIN: nothing.
 * 0: the peer has said its last; it goes then, even if it would still hear.
 * All else: it is gone. */
static size_t client_read(struct server *server, struct client *client)
{
    ssize_t got;

    make_room(client);
    got = recv(client->fd, client->bytes + client->length, SEGMENT_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        client_close(server, client);
    if (got <= 0)
        return 0;
    client->length += (size_t)got;
    return (size_t)got;
}

/* send(2) of as much as the client takes; returns how much that is. EAGAIN: it
 * takes nothing now. EPIPE (which would be a signal, but for MSG_NOSIGNAL),
 * ECONNRESET and all else: it is gone. */
static size_t client_send(struct server *server, struct client *client,
                          const char *bytes, size_t length)
{
    ssize_t sent = send(client->fd, bytes, length, MSG_NOSIGNAL);

    if (sent >= 0)
        return (size_t)sent;
    if (errno != EAGAIN)
        client_close(server, client);
    return 0;
}

/* ---- Relay -------------------------------------------------------------- */

/* What is being passed on: in the speaker's memory, which nobody reads into
 * until all have it. */
struct chunk {
    const char *bytes;
    size_t length;
};

/* Returns whether the client needs no more of it: it has all, or is gone. */
static bool pass(struct server *server, const struct chunk *chunk,
                 struct client *to)
{
    to->taken += client_send(server, to, chunk->bytes + to->taken,
                             chunk->length - to->taken);
    return to->fd < 0 || to->taken == chunk->length;
}

/* Waits for some who did not take all to take more; returns how many need no
 * more now. They are told of once, when they can, so that all clients can be
 * watched all the time (EPOLLET). */
static size_t pass_on(struct server *server, const struct chunk *chunk)
{
    struct epoll_event events[EVENTS_MAX];
    size_t count = await(server->writable_fd, events), done = 0;

    for (size_t i = 0; i < count; i++) {
        struct client *to = events[i].data.ptr;

        if (!to)
            server->stopping = true;
        else if (to->taken < chunk->length && pass(server, chunk, to))
            done++;
    }
    return done;
}

/* One send to each. While somebody has not taken all, nobody is read from. */
static void relay(struct server *server, struct chunk chunk)
{
    size_t behind = 0;

    for (size_t i = server->count; i > 0; i--) {
        struct client *to = server->clients[i - 1];

        to->taken = 0;
        if (!pass(server, &chunk, to))
            behind++;
    }
    while (behind > 0 && !server->stopping)
        behind -= pass_on(server, &chunk);
}

static void forget(struct client *client, size_t length)
{
    client->length -= length;
    memmove(client->bytes, client->bytes + length, client->length);
}

/* Who had connected when this was said has to hear it, so they are let in when
 * it has been read. The end of a line is looked for in what is new only. */
static void relay_from(struct server *server, struct client *from)
{
    size_t got = client_read(server, from);
    const char *end;

    if (got == 0)
        return;
    end = memrchr(from->bytes + from->length - got, '\n', got);
    if (end) {
        struct chunk chunk = {from->bytes, (size_t)(end + 1 - from->bytes)};

        accept_all(server);
        relay(server, chunk);
        forget(from, chunk.length);
    } else if (from->length > LINE_BYTES_MAX) {
        client_close(server, from);
    }
}

/* ---- Echo --------------------------------------------------------------- */

/* Who does not take all is not read from until it has: it stalls itself. */
static void echo(struct server *server, struct client *client)
{
    if (client->length == 0 && client_read(server, client) == 0)
        return;
    client->taken += client_send(server, client, client->bytes + client->taken,
                                 client->length - client->taken);
    if (client->fd < 0)
        return;
    if (client->taken == client->length)
        client->taken = client->length = 0;
    client_await(server, client, client->length > 0 ? EPOLLOUT : EPOLLIN);
}

/* ---- Blast -------------------------------------------------------------- */

/* shutdown(2): the peer sees the end when it has read all; it fails only if the
 * peer has gone, which we will be told. When it has closed too, that is a
 * hang-up, and the only event that is left. */
static void blast_end(struct server *server, struct client *client)
{
    shutdown(client->fd, SHUT_WR);
    client_await(server, client, 0);
}

static void blast_to(struct server *server, struct client *client)
{
    struct stream *stream = &server->stream;
    uint64_t first = client->position / stream->size;
    size_t offset = client->position % stream->size;
    size_t count = stream_reach(stream, first, server->plan.count - first);
    size_t length = count * stream->size - offset;
    const char *line = stream->lines + first % stream->places * stream->size;

    if (length > stream->send_bytes)
        length = stream->send_bytes;
    client->position += client_send(server, client, line + offset, length);
    if (client->position / stream->size == server->plan.count &&
        client->fd >= 0)
        blast_end(server, client);
}

/* Who comes later has its stream from the beginning too, at once. */
static void blast_begin(struct server *server)
{
    if (server->count >= server->plan.clients)
        server->begun = true;
    for (size_t i = 0; server->begun && i < server->count; i++) {
        if (server->clients[i]->position == 0)
            client_await(server, server->clients[i], EPOLLOUT);
    }
}

/* Who waits for the beginning, or has heard all, waits for no event: it has
 * hung up. */
static void blast(struct server *server, struct client *client)
{
    if (client->events == 0)
        client_close(server, client);
    else
        blast_to(server, client);
}

/* ---- Serving ------------------------------------------------------------ */

static void on_listener(struct server *server)
{
    accept_all(server);
    if (server->plan.mode == MODE_BLAST)
        blast_begin(server);
}

static void on_client(struct server *server, struct client *client)
{
    switch (server->plan.mode) {
    case MODE_RELAY:
        relay_from(server, client);
        break;
    case MODE_ECHO:
        echo(server, client);
        break;
    case MODE_BLAST:
        blast(server, client);
        break;
    }
}

static void serve(struct server *server)
{
    struct epoll_event events[EVENTS_MAX];

    while (!server->stopping) {
        size_t count = await(server->epoll_fd, events);

        for (size_t i = 0; i < count && !server->stopping; i++) {
            struct client *client = events[i].data.ptr;

            if (!client)
                server->stopping = true;
            else if (events[i].data.ptr == server)
                on_listener(server);
            else if (client->fd >= 0)
                on_client(server, client);
        }
        free_gone(server);
    }
}

/* ---- Starting ----------------------------------------------------------- */

/* Both signals reach us as bytes only. */
static int signals_open(void)
{
    sigset_t signals;
    int fd;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    sigprocmask(SIG_BLOCK, &signals, NULL);
    fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        fail("signalfd");
    return fd;
}

static int epoll_open(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        fail("epoll_create1");
    return fd;
}

/* setrlimit(2): as many descriptors as we may have. It cannot fail. */
static void raise_limit(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void server_open(struct server *server)
{
    server->signal_fd = signals_open();
    server->epoll_fd = epoll_open();
    server->writable_fd = epoll_open();
    server->listener_fd = listen_at(server->plan.url);
    watch(server->epoll_fd, EPOLL_CTL_ADD, server->signal_fd, EPOLLIN, NULL);
    watch(server->writable_fd, EPOLL_CTL_ADD, server->signal_fd, EPOLLIN, NULL);
    watch(server->epoll_fd, EPOLL_CTL_ADD, server->listener_fd, EPOLLIN,
          server);
}

static void server_close(struct server *server)
{
    const char *path = unix_path(server->plan.url);

    while (server->count > 0)
        client_close(server, server->clients[server->count - 1]);
    free_gone(server);
    free(server->clients);
    stream_release(&server->stream);
    close(server->listener_fd);
    close(server->writable_fd);
    close(server->epoll_fd);
    close(server->signal_fd);
    if (path)
        unlink(path);
}

/* ---- Options ------------------------------------------------------------ */

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: raw relay|echo [--listen URL]\n"
                    "       raw blast [--listen URL] [--size BYTES] "
                    "[--count LINES] [--clients N] [--seed N]\n"
                    "URL: raw://HOST:PORT or raw+unix://PATH\n");
    exit(EX_USAGE); /* NOLINT(concurrency-mt-unsafe): the only thread */
}

static uint64_t number_read(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    uint64_t number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        number < min || number > max)
        usage();
    return number;
}

static enum mode mode_read(const char *text)
{
    static const char *const names[] = {
        [MODE_RELAY] = "relay", [MODE_ECHO] = "echo", [MODE_BLAST] = "blast"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (text && strcmp(text, names[i]) == 0)
            return (enum mode)i;
    }
    usage();
}

static void option_read(struct plan *plan, int option)
{
    if (option != 'l' && plan->mode != MODE_BLAST)
        usage();
    if (option == 'l')
        plan->url = optarg;
    else if (option == 's')
        plan->size =
            (size_t)number_read(optarg, MESSAGE_NAME_BYTES + 1, LINE_BYTES_MAX);
    else if (option == 'c')
        plan->count = number_read(optarg, 0, UINT32_MAX);
    else if (option == 'n')
        plan->clients = (size_t)number_read(optarg, 1, UINT32_MAX);
    else if (option == 'r')
        plan->seed = number_read(optarg, 0, UINT64_MAX);
    else
        usage();
}

static struct plan plan_read(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"size", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'c'},
        {"clients", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    struct plan plan = {.mode = mode_read(argv[1]),
                        .url = "raw://127.0.0.1:0",
                        .size = 64,
                        .clients = 1,
                        .seed = 1};
    int option;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    while ((option = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1)
        option_read(&plan, option);
    if (optind != argc - 1)
        usage();
    if (plan.count == 0)
        plan.count = UINT64_MAX;
    return plan;
}

int main(int argc, char **argv)
{
    static struct server server; /* its matter is not for the stack */

    server.plan = plan_read(argc, argv);
    raise_limit();
    if (server.plan.mode == MODE_BLAST)
        stream_prepare(&server.stream, server.plan.size, server.plan.seed,
                       unix_path(server.plan.url) ? RING_BYTES : SEGMENT_BYTES);
    server_open(&server);
    listening_say(server.listener_fd, server.plan.url);
    serve(&server);
    server_close(&server);
    return EX_OK;
}
