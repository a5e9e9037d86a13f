/*
 * A worker: what its turns begin and end with, whichever engine carries them
 * out, and what both engines know of a connection. No I/O on connections.
 */
#include "stage5-threads/worker.h"

#include "common/base/clock.h"
#include "common/base/cpus.h"

#include <linux/tcp.h>
#include <netinet/in.h>

#define STALL_NS (100 * 1000 * NS_PER_US)

/* ---- Connections -------------------------------------------------------- */

_Static_assert(sizeof(void *) == 8, "a slot and a descriptor fit");

void *user_of(uint32_t slot, int fd)
{
    return (void *)((uintptr_t)slot << 32 | (uint32_t)fd);
}

uint32_t slot_of(void *user)
{
    return (uint32_t)((uintptr_t)user >> 32);
}

static int fd_of(void *user)
{
    return (int)(uint32_t)(uintptr_t)user;
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

struct session *make_session(struct worker *worker, void *user,
                             enum dialect dialect,
                             const struct sockaddr_storage *from)
{
    char name[PEER_TEXT_BYTES];
    struct peer peer = {.user = user, .name = name};

    peer_text(from, name);
    peer.counted = peer_key(from, peer.address);
    return session_open(worker->chat, dialect, &peer);
}

/* ---- Turns -------------------------------------------------------------- */

/* Worker 0 beside all else accepts. */
static bool accepts(const struct worker *worker)
{
    return worker->index == 0;
}

uint64_t worker_deadline(struct worker *worker)
{
    worker->until_ns = chat_deadline(worker->chat);
    if (accepts(worker))
        worker->until_ns =
            earlier(worker->until_ns, accept_deadline(worker->server));
    if (worker->stopping)
        worker->until_ns = earlier(worker->until_ns, worker->cut_ns);
    return worker->until_ns;
}

/* If we are late, be it that a turn took long or that the process was stopped,
 * peers may have been in time: nobody was read from meanwhile. */
static void tell_time(struct worker *worker)
{
    uint64_t now_ns = clock_mono_ns();

    if (now_ns > worker->until_ns && now_ns - worker->until_ns > STALL_NS)
        chat_was_away(worker->chat, now_ns - worker->turn_ns);
    worker->turn_ns = now_ns;
    chat_tick(worker->chat, now_ns, clock_wall_us());
}

void worker_begin(struct worker *worker)
{
    tell_time(worker);
    /* Acquire: see struct server. */
    if (!worker->stopping &&
        atomic_load_explicit(&worker->server->stopping, memory_order_acquire))
        worker_stop(worker);
}

void on_watched(struct worker *worker, enum source source, uint32_t index)
{
    struct server *server = worker->server;

    switch (source) {
    case SOURCE_SIGNALS:
        on_signals(server);
        break;
    case SOURCE_LISTENER:
        on_connecting(&server->acceptors[index], worker->turn_ns);
        break;
    case SOURCE_DEALT:
        deal_take(worker);
        break;
    }
}

void worker_accept(struct worker *worker)
{
    if (accepts(worker))
        accept_due(worker->server);
}

/* ---- The end ------------------------------------------------------------ */

/* Every session is told, and ends by itself in the drain timeout and a second
 * of lingering, or is cut. So is who has been dealt and not taken yet. */
void worker_stop(struct worker *worker)
{
    uint64_t within_ns = worker->server->options.drain_timeout_ns;

    if (!accepts(worker))
        deal_take(worker);
    worker->stopping = true;
    worker->cut_ns = clock_mono_ns() + within_ns + LINGER_NS;
    chat_shutdown(worker->chat, within_ns);
}

/* Acquire: see struct server. */
bool worker_cuts(const struct worker *worker)
{
    return worker->stopping && (worker->turn_ns >= worker->cut_ns ||
                                atomic_load_explicit(&worker->server->cutting,
                                                     memory_order_acquire));
}

/* While others have sessions, they may need what we have: our rooms. */
bool worker_is_serving(const struct worker *worker)
{
    return !worker->stopping || worker->connections > 0 ||
           !chats_are_done(worker->chat);
}

/* ---- The thread --------------------------------------------------------- */

/* What only its own thread can do: a ring is the thread's that opened it. */
static int worker_open(struct worker *worker)
{
    const struct engine *engine = worker->server->engine;
    int error = 0;

    if (worker->server->options.pin)
        error = cpu_bind(worker->index);
    if (error == 0)
        error = engine->open(worker);
    if (error != 0)
        return error;
    error = engine->watch(worker, SOURCE_DEALT, 0, worker->dealt_fd);
    if (error != 0)
        engine->close(worker);
    return error;
}

void *worker_main(void *user)
{
    struct worker *worker = user;
    struct server *server = worker->server;
    int error = worker_open(worker);

    if (gate_meet(&server->gate, error) == 0) {
        server->engine->serve(worker);
        gate_meet(&server->gate, 0);
    }
    if (error == 0)
        server->engine->close(worker);
    return NULL;
}
