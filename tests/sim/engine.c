/*
 * What an engine does for a session: opens and closes it, hands over what came,
 * sends what is due.
 *
 * A send lands in the peer's stream at once. With setup.late the chat learns
 * that in a later turn, and what it offered must not have changed by then; a
 * session closed meanwhile is freed then (`dying`). What is received comes in a
 * buffer that ends where its memory ends, and is overwritten after the call.
 */
#include "tests/sim/engine.h"

#include "tests/sim/model.h"
#include "tests/sim/peer.h"
#include "tests/sim/promise.h"
#include "tests/sim/workers.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define AWAY_MS_MAX 500
#define STALL_NS (100 * NS_PER_MS) /* as stage 1's */
#define PIECES_MAX 32              /* that come in a turn from one peer */
#define SLOW_TURNS 64              /* that some sends take, about */

static struct {
    unsigned char *receive_buffer; /* no byte behind it is mapped */
    struct rng rngs[PEERS_MAX];    /* for this round of turns */
} engine;

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static struct rng *rng_for(const struct peer_state *peer)
{
    return &engine.rngs[peer->index];
}

/* One time in `n`, and never when the history comes to rest. */
static bool seldom(struct rng *rng, size_t n)
{
    return !world.calm && rng_below(rng, n) == 0;
}

/* ---- Held up ------------------------------------------------------------- */

/* A send held everything up, as stage 1's do: after_wait there. */
static void after_wait(struct worker *worker, uint64_t waited_ns)
{
    if (waited_ns < STALL_NS)
        return;
    world.stamp++;
    chat_was_away(worker->chat, waited_ns);
    worker_tick(worker);
}

static uint64_t send_wait(struct rng *rng)
{
    uint64_t waited_ns;

    if (!world.plan->setup.away || !seldom(rng, 16))
        return 0;
    waited_ns = rng_magnitude(rng, AWAY_MS_MAX) * NS_PER_MS;
    world_note("    a send takes %llu ms",
               (unsigned long long)(waited_ns / NS_PER_MS));
    world_pass(waited_ns);
    if (waited_ns >= STALL_NS)
        model_away(waited_ns);
    return waited_ns;
}

/* ---- Open and close ------------------------------------------------------ */

void engine_open(struct peer_state *peer, enum dialect dialect)
{
    struct peer from = {.user = peer, .name = "sim", .counted = true};

    memcpy(from.address + ADDRESS_BYTES - sizeof(peer->address), &peer->address,
           sizeof(peer->address));
    if (worker_accepts(worker_of(peer))) {
        worker_rouse(worker_of(peer));
        world.stamp++;
        peer->session = session_open(worker_of(peer)->chat, dialect, &from);
    }
    peer->reading = peer->session;
    if (!peer->session)
        peer->end = END_TURNED_AWAY;
}

static void session_gone(struct session *session)
{
    world.stamp++;
    session_free(session);
}

void engine_close(struct peer_state *peer, enum reason reason)
{
    struct session *session = peer->session;

    worker_rouse(worker_of(peer));
    world.stamp++;
    session_close(session, reason);
    peer->session = NULL;
    if (peer->flying_count > 0)
        peer->dying = session;
    else
        session_gone(session);
    peer_over(peer, reason == REASON_ENDED ? END_SERVER : END_RESET);
}

/* ---- A send -------------------------------------------------------------- */

static size_t offered_by(const struct peer_state *peer)
{
    size_t length = 0;

    for (int i = 0; i < peer->flying_count; i++)
        length += peer->flying[i].iov_len;
    return length;
}

/* What the socket takes: what there is room for, sometimes less. */
static size_t taken_of(const struct peer_state *peer, size_t offered)
{
    uint64_t waiting = peer->down.length - peer->taken;
    uint64_t room = waiting < peer->capacity ? peer->capacity - waiting : 0;
    size_t taken = (size_t)smaller(offered, room);

    if (taken == 0 || !seldom(rng_for(peer), 8))
        return taken;
    return rng_magnitude(rng_for(peer), taken);
}

static void land(struct peer_state *peer, size_t length)
{
    for (int i = 0; length > 0; i++) {
        const struct iovec *from = &peer->flying[i];
        size_t piece = (size_t)smaller(length, from->iov_len);

        world_trace(from->iov_base, piece);
        bytes_append(&peer->down, from->iov_base, piece);
        length -= piece;
    }
}

static void check_offer(const struct peer_state *peer, size_t offered)
{
    for (int i = 0; i < peer->flying_count; i++) {
        if (peer->flying[i].iov_len == 0)
            promise_broken("offer", "peer %u: an empty vector", peer->index);
    }
    if (offered > SPAN_BYTES_MAX)
        promise_broken("offer", "peer %u: %zu bytes", peer->index, offered);
}

/* Keeps a copy of what is offered, to find it unchanged. */
static void flight_begin(struct peer_state *peer)
{
    world.flights++;
    bytes_forget(&peer->flight, peer->flight.length);
    for (int i = 0; i < peer->flying_count; i++)
        bytes_append(&peer->flight, peer->flying[i].iov_base,
                     peer->flying[i].iov_len);
}

static void flight_end(struct peer_state *peer)
{
    uint64_t at = peer->flight.base;

    for (int i = 0; i < peer->flying_count; i++) {
        const struct iovec *held = &peer->flying[i];

        if (memcmp(bytes_at(&peer->flight, at), held->iov_base,
                   held->iov_len) != 0)
            promise_broken("held bytes",
                           "peer %u: they changed while they were sent",
                           peer->index);
        at += held->iov_len;
    }
    world.flights--;
}

/* The chat learns how much is gone. */
static void send_end(struct peer_state *peer)
{
    size_t offered = offered_by(peer);

    peer->flying_count = 0;
    world.stamp++;
    session_sent(peer->session, peer->landed);
    peer->blocked = session_blocked(peer->session);
    if (peer->blocked != (peer->landed < offered))
        promise_broken("blocked", "peer %u took %zu of %zu", peer->index,
                       peer->landed, offered);
    model_sent(peer, peer->landed);
    model_acted(peer);
}

/* Whether the chat learns later that it is over; and when, in turns, about. */
static bool send_lasts(struct peer_state *peer)
{
    const struct setup *setup = &world.plan->setup;

    peer->flight_turns = 1;
    if (setup->ordered)
        return true;
    if (!setup->late || world.calm)
        return false;
    peer->flight_turns = seldom(rng_for(peer), 8) ? SLOW_TURNS : 2;
    return true;
}

/* Whether the session may be asked for more at once. */
static bool send_begin(struct peer_state *peer)
{
    size_t offered = offered_by(peer);
    uint64_t waited_ns;

    worker_of(peer)->sends_left--;
    check_offer(peer, offered);
    peer->landed = taken_of(peer, offered);
    peer->cut = peer->landed < offered || offered == SPAN_BYTES_MAX;
    land(peer, peer->landed);
    if (send_lasts(peer)) {
        flight_begin(peer);
        return false;
    }
    waited_ns = send_wait(rng_for(peer));
    send_end(peer);
    after_wait(worker_of(peer), waited_ns);
    return !peer->blocked;
}

bool engine_complete(struct peer_state *peer)
{
    if (peer->flying_count == 0 ||
        (!world.calm && rng_below(rng_for(peer), peer->flight_turns) != 0))
        return false;
    flight_end(peer);
    if (peer->session) {
        send_end(peer);
        return true;
    }
    peer->flying_count = 0;
    session_gone(peer->dying);
    peer->dying = NULL;
    return true;
}

/* ---- Flushing ------------------------------------------------------------ */

static void on_shut(struct peer_state *peer)
{
    if (peer->shut)
        promise_broken("shut once", "peer %u", peer->index);
    if (session_paused(peer->session))
        promise_broken("paused", "peer %u: what it sends is not dropped",
                       peer->index);
    peer->shut = true;
    world_note("    peer %u: the chat ends its stream", peer->index);
}

static int ask_pending(struct peer_state *peer)
{
    struct rng *rng = rng_for(peer);
    int max = seldom(rng, 4) ? 2 + (int)rng_below(rng, VECTORS_MAX - 1) : 2;
    int count;

    world.stamp++;
    count = session_pending(peer->session, peer->flying, max);
    model_acted(peer);
    if (count > max)
        promise_broken("offer", "peer %u: %d vectors", peer->index, count);
    return count;
}

/* Whether the session may be asked again at once. */
static bool flush_once(struct peer_state *peer)
{
    int count = ask_pending(peer);

    if (count > 0) {
        peer->flying_count = count;
        return send_begin(peer);
    }
    if (count == SESSION_SHUT)
        on_shut(peer);
    else if (count == SESSION_END)
        engine_close(peer, REASON_ENDED);
    return false;
}

/* Some engines ask on until there is nothing, others rely on being told that
 * there is more. */
static void flush(struct peer_state *peer)
{
    bool once = rng_below(rng_for(peer), 2) == 0;

    if (peer->flying_count > 0)
        return;
    while (flush_once(peer) && !once)
        ;
}

void engine_serve_ready(struct peer_state *peer)
{
    if (!session_paused(peer->session))
        peer->reading = true;
    flush(peer);
}

/* ---- Receiving ----------------------------------------------------------- */

static void map_receive_buffer(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *buffer = mmap(NULL, RECEIVE_BYTES_MAX + page, PROT_READ | PROT_WRITE,
                        /* cppcheck-suppress invalidFunctionArg; see mmap(2) */
                        MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0); /* cppcheck-suppress invalidFunctionArg */

    if (buffer == MAP_FAILED)
        abort();
    engine.receive_buffer = buffer;
    if (mprotect(engine.receive_buffer + RECEIVE_BYTES_MAX, page, PROT_NONE))
        abort();
}

static void hand(struct peer_state *peer, size_t length)
{
    unsigned char *bytes = engine.receive_buffer + RECEIVE_BYTES_MAX - length;
    enum verdict verdict;

    worker_tell_time(worker_of(peer)); /* a send may have held us up */
    memcpy(bytes, bytes_at(&peer->up, peer->handed), length);
    peer->handed += length;
    bytes_forget(&peer->up, peer->handed);
    world.stamp++;
    model_handed(peer);
    verdict = session_receive(peer->session, bytes, length);
    memset(bytes, 0xdd, length);
    peer->reading = verdict == VERDICT_CONTINUE;
    if (session_paused(peer->session) == peer->reading)
        promise_broken("paused", "peer %u: not as session_receive says",
                       peer->index);
    model_acted(peer);
}

/* In which pieces a peer's bytes come in a turn. */
enum cut { CUT_NOT, CUT_BYTES, CUT_ANYWHERE, CUTS };

static size_t piece_length(const struct peer_state *peer, enum cut cut,
                           uint64_t left)
{
    size_t length = (size_t)smaller(left, RECEIVE_BYTES_MAX);

    if (world.plan->setup.exact)
        length = (size_t)smaller(length, session_need(peer->session));
    if (length == 0)
        promise_broken("need", "peer %u: nothing to be read", peer->index);
    if (cut == CUT_BYTES)
        return 1;
    return cut == CUT_ANYWHERE ? rng_magnitude(rng_for(peer), length) : length;
}

static bool receive(struct peer_state *peer)
{
    struct rng *rng = rng_for(peer);
    uint64_t left = smaller(peer->up.length - peer->handed, peer->dribble);
    enum cut cut = world.calm ? CUT_NOT : (enum cut)rng_below(rng, CUTS);
    unsigned pieces = seldom(rng, 4) ? 1 : PIECES_MAX;
    bool moved = false;

    for (; left > 0 && pieces > 0 && peer->reading; pieces--) {
        size_t length = piece_length(peer, cut, left);

        hand(peer, length);
        left -= length;
        moved = true;
    }
    return moved;
}

/* Some engines see the end while they do not read. */
static bool receive_end(struct peer_state *peer)
{
    if (!peer->half_closed || peer->eof_handed ||
        peer->handed < peer->up.length ||
        (!peer->reading && !seldom(rng_for(peer), 4)))
        return false;
    worker_tell_time(worker_of(peer));
    peer->eof_handed = true;
    world.stamp++;
    model_eof(peer);
    session_eof(peer->session);
    model_acted(peer);
    return true;
}

/* ---- In a turn ----------------------------------------------------------- */

static bool has_space(const struct peer_state *peer)
{
    return peer->down.length - peer->taken < peer->capacity;
}

/* Its socket can be written to again. */
static bool write_rest(struct peer_state *peer)
{
    if (!peer->blocked || peer->flying_count > 0 ||
        worker_of(peer)->sends_left == 0 || !has_space(peer))
        return false;
    flush(peer);
    return true;
}

bool engine_serve(struct peer_state *peer)
{
    bool moved = !world.plan->setup.ordered && engine_complete(peer);

    if (peer->session)
        moved |= receive(peer);
    if (peer->session)
        moved |= receive_end(peer);
    if (peer->session)
        moved |= write_rest(peer);
    return moved;
}

bool engine_has_news(const struct peer_state *peer)
{
    bool has_come = peer->handed < peer->up.length
                        ? peer->dribble > 0
                        : peer->half_closed && !peer->eof_handed;

    return peer->session &&
           ((peer->reading && has_come) || (peer->blocked && has_space(peer)));
}

void engine_draw(uint64_t salt)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        engine.rngs[i] = rng_of(salt, i);
}

bool engine_read(struct peer_state *peer)
{
    return peer->session && peer_read(peer, rng_for(peer));
}

void engine_begin(void)
{
    if (!engine.receive_buffer)
        map_receive_buffer();
}
