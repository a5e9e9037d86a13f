/*
 * Whose turn it is, and how far it comes.
 */
#include "tests/sim/workers.h"

#include "tests/sim/engine.h"
#include "tests/sim/model.h"
#include "tests/sim/peer.h"
#include "tests/sim/promise.h"
#include "tests/unit/support_random.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/chat/shards.h"

#include <limits.h>

#define FEW_SENDS 3      /* that some turns order at most */
#define READY_MAX 100000 /* sessions that one turn serves */
/* One time in so many. */
#define HELD_UP 32
#define OVERHEARD 4

static struct {
    struct shards *shards;
    struct worker workers[WORKERS_DRAWN_MAX];
    unsigned count;
} crew;

static unsigned index_of(const struct worker *worker)
{
    return (unsigned)(worker - crew.workers);
}

static bool is_alone(void)
{
    return crew.count == 1;
}

struct worker *worker_of(const struct peer_state *peer)
{
    return &crew.workers[peer->worker];
}

/* One time in `n`, and never when the history comes to rest. */
static bool seldom(struct rng *rng, size_t n)
{
    return !world.calm && rng_below(rng, n) == 0;
}

/* ---- Its peers ----------------------------------------------------------- */

static bool is_its(const struct worker *worker, const struct peer_state *peer)
{
    return peer->worker == index_of(worker) && (peer->session || peer->dying);
}

/* Whether one of its peers is so. */
static bool any_peer(const struct worker *worker,
                     bool (*is_so)(const struct peer_state *))
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        if (is_its(worker, &world.peers[i]) && is_so(&world.peers[i]))
            return true;
    }
    return false;
}

static bool is_there(const struct peer_state *peer)
{
    (void)peer;
    return true;
}

static bool is_sending(const struct peer_state *peer)
{
    return peer->flying_count > 0;
}

/* The order of those who are there is the same whoever else is. */
static void draw_order(struct worker *worker, struct rng *rng)
{
    worker->first = (unsigned)rng_below(rng, PEERS_MAX);
    worker->stride = 1 + 2 * (unsigned)rng_below(rng, PEERS_MAX / 2);
    worker->at = 0;
}

static struct peer_state *next_peer(struct worker *worker)
{
    while (worker->at < PEERS_MAX) {
        unsigned place = worker->first + worker->at++ * worker->stride;
        struct peer_state *peer = &world.peers[place % PEERS_MAX];

        if (is_its(worker, peer))
            return peer;
    }
    return NULL;
}

/* ---- Time ---------------------------------------------------------------- */

void worker_tick(struct worker *worker)
{
    world.stamp++;
    chat_tick(worker->chat, world.now_ns, world.wall_us);
    worker->told_ns = world.now_ns;
    for (unsigned i = 0; i < world.peer_count; i++) {
        if (is_its(worker, &world.peers[i]))
            model_acted(&world.peers[i]);
    }
}

void worker_tell_time(struct worker *worker)
{
    if (worker->told_ns != world.now_ns)
        worker_tick(worker);
}

/* Who sleeps has set its alarm. */
static uint64_t deadline_of(const struct worker *worker)
{
    return worker->asleep ? worker->until_ns : chat_deadline(worker->chat);
}

uint64_t workers_deadline(void)
{
    uint64_t first = UINT64_MAX;

    for (unsigned i = 0; i < crew.count; i++) {
        if (!crew.workers[i].over)
            first = earlier(first, deadline_of(&crew.workers[i]));
    }
    return first;
}

/* ---- Sleep --------------------------------------------------------------- */

static void wake(void *engine, uint32_t from, uint32_t to)
{
    (void)engine;
    world_note("    worker %u wakes worker %u", from, to);
    crew.workers[to].woken = true;
}

/* What session_pending returned before has been sent. */
static void announce(struct worker *worker)
{
    if (!is_alone() && !any_peer(worker, is_sending))
        chat_announce(worker->chat);
}

static void rise(struct worker *worker)
{
    chat_awake(worker->chat);
    worker->asleep = worker->woken = false;
}

bool worker_accepts(const struct worker *worker)
{
    return is_alone() ? !worker->over : !worker->stopped;
}

/* Whether it is not needed any more. */
static bool is_over(const struct worker *worker)
{
    return worker->stopped && !any_peer(worker, is_there) &&
           chats_are_done(worker->chat);
}

/* After its turn: it waits, but for what has come meanwhile. */
static void go_to_sleep(struct worker *worker)
{
    worker->over = is_over(worker);
    if (worker->over || is_alone() || any_peer(worker, is_sending))
        return;
    worker->asleep = chat_sleep(worker->chat);
    worker->moved |= !worker->asleep; /* or it will have */
}

/* ---- One turn ------------------------------------------------------------ */

static bool sends_over(struct worker *worker)
{
    bool moved = false;

    if (!world.plan->setup.ordered)
        return false;
    for (unsigned i = 0; i < world.peer_count; i++) {
        if (is_its(worker, &world.peers[i]))
            moved |= engine_complete(&world.peers[i]);
    }
    return moved;
}

static void learn_of_stop(struct worker *worker)
{
    if (!world.stopping || worker->stopped)
        return;
    world.stamp++;
    chat_shutdown(worker->chat, world.plan->setup.config.drain_timeout_ns);
    worker->stopped = worker->moved = true;
    model_stopping();
}

static void turn_begin(struct worker *worker, struct rng *rng)
{
    worker->served = 0;
    worker->sends_left = UINT_MAX;
    draw_order(worker, rng);
    if (world.plan->setup.ordered && seldom(rng, 8))
        worker->sends_left = 1 + (unsigned)rng_below(rng, FEW_SENDS);
    worker->moved = sends_over(worker);
    announce(worker);
    worker_tick(worker);
    learn_of_stop(worker);
}

/* Whether there was one. */
static bool serve_next(struct worker *worker)
{
    struct peer_state *peer = next_peer(worker);

    if (peer)
        worker->moved |= engine_serve(peer);
    return peer;
}

/* Whether there was one, and may be another. */
static bool serve_next_ready(struct worker *worker)
{
    struct session *session;
    struct peer_state *peer;

    if (worker->sends_left == 0) {
        worker->moved = true;
        return false;
    }
    world.stamp++;
    session = chat_next_ready(worker->chat);
    if (!session)
        return false;
    peer = session_user(session);
    if (peer->session != session || worker->served++ == READY_MAX)
        promise_broken("turns end", "peer %u is ready again", peer->index);
    engine_serve_ready(peer);
    worker->moved = true;
    return true;
}

/* Does the next step; whether the turn goes on. */
static bool step(struct worker *worker, struct rng *rng)
{
    switch (worker->phase) {
    case PHASE_BEGIN:
        turn_begin(worker, rng);
        worker->phase = PHASE_SERVE;
        return true;
    case PHASE_SERVE:
        if (!serve_next(worker))
            worker->phase = PHASE_READY;
        return true;
    case PHASE_READY:
        if (serve_next_ready(worker))
            return true;
        if (worker->sends_left > 0)
            model_turn_over(index_of(worker));
        worker->phase = is_alone() ? PHASE_SLEEP : PHASE_PUBLISH;
        return true;
    case PHASE_PUBLISH:
        world.stamp++;
        chat_publish(worker->chat);
        worker->phase = PHASE_SLEEP;
        return true;
    case PHASE_SLEEP:
        world.stamp++;
        go_to_sleep(worker);
        worker->phase = PHASE_ALARM;
        return true;
    case PHASE_ALARM:
        worker->until_ns = chat_deadline(worker->chat);
        worker->phase = PHASE_BEGIN;
        return false;
    }
    return false;
}

/* Its turn goes to its end. */
static void finish(struct worker *worker)
{
    struct rng none = {0}; /* to begin with only */

    while (worker->phase != PHASE_BEGIN)
        step(worker, &none);
}

/* What comes up behind the sends of a turn would wait for another. */
void worker_rouse(struct worker *worker)
{
    if (worker->phase > PHASE_READY)
        finish(worker);
    if (worker->asleep) {
        rise(worker);
        announce(worker);
    }
    worker_tell_time(worker);
}

/* ---- All of them --------------------------------------------------------- */

static bool is_called(const struct worker *worker)
{
    return worker->woken || any_peer(worker, engine_has_news);
}

static bool is_due(const struct worker *worker)
{
    return worker->phase != PHASE_BEGIN || !worker->asleep ||
           is_called(worker) || worker->until_ns <= world.now_ns;
}

/* Whether one who sleeps is to take a turn before time goes on. */
static bool any_is_called(void)
{
    for (unsigned i = 0; i < crew.count; i++) {
        if (!crew.workers[i].over && crew.workers[i].asleep &&
            is_called(&crew.workers[i]))
            return true;
    }
    return false;
}

/* Whether the worker, which is due, comes to it in this round. */
static bool comes(struct worker *worker, struct rng *rng)
{
    if (worker->phase != PHASE_BEGIN || !worker->asleep)
        return true;
    if (seldom(rng, OVERHEARD))
        return false;
    rise(worker);
    return true;
}

/* Those whose turn it is, a set, and whether all of those who are due come. */
static bool draw_running(uint32_t *running, struct rng *rng)
{
    bool all = true;

    *running = 0;
    for (unsigned i = 0; i < crew.count; i++) {
        struct worker *worker = &crew.workers[i];

        if (worker->over || !is_due(worker))
            continue;
        if (comes(worker, rng))
            *running |= UINT32_C(1) << i;
        else
            all = false;
    }
    return all;
}

static unsigned pick(uint32_t set, struct rng *rng)
{
    size_t skip = rng_below(rng, (size_t)(unsigned)__builtin_popcount(set));

    while (skip-- > 0)
        set &= set - 1;
    return (unsigned)__builtin_ctz(set);
}

/* When nothing moves, the engine may wait: or it would spin. */
static void check_deadline(void)
{
    if (workers_deadline() <= world.now_ns)
        promise_broken("rest", "the next turn is due at once");
}

/* Those who run are at their next turn's beginning, or held up. */
static bool run(uint32_t running, struct rng *rng)
{
    bool moved = false;

    while (running) {
        unsigned i = pick(running, rng);
        struct worker *worker = &crew.workers[i];
        bool goes_on = step(worker, rng);

        if (goes_on && (is_alone() || !seldom(rng, HELD_UP)))
            continue;
        running &= ~(UINT32_C(1) << i);
        moved |= goes_on || worker->moved;
    }
    return moved;
}

bool workers_are_quiet(void)
{
    if (is_alone())
        return true;
    for (unsigned i = 0; i < crew.count; i++) {
        if (!crew.workers[i].asleep && !crew.workers[i].over)
            return false;
    }
    return workers_deadline() > world.now_ns + TURN_LOOK_NS;
}

static bool read_all(void)
{
    bool moved = false;

    for (unsigned i = 0; i < world.peer_count; i++)
        moved |= engine_read(&world.peers[i]);
    return moved;
}

bool workers_round(uint64_t salt)
{
    struct rng rng = rng_of(salt, PEERS_MAX);
    uint32_t running;
    bool moved;

    engine_draw(salt);
    world_trace(&world.now_ns, sizeof(world.now_ns));
    moved = !draw_running(&running, &rng);
    moved |= run(running, &rng);
    moved |= read_all();
    if (moved || any_is_called())
        return true;
    check_deadline();
    if (!is_alone() && workers_are_quiet())
        model_quiet();
    return false;
}

void workers_finish(void)
{
    for (unsigned i = 0; i < crew.count; i++)
        finish(&crew.workers[i]);
}

/* ---- The beginning, and the end ------------------------------------------ */

void workers_begin(const struct chat_config *config, unsigned count)
{
    struct chat_config own = *config;

    own.wake = wake;
    crew.count = count;
    crew.shards = shards_create(&own, count);
    if (!crew.shards)
        promise_broken("starts", "no chat");
    for (unsigned i = 0; i < count; i++) {
        crew.workers[i] = (struct worker){.chat = shards_chat(crew.shards, i)};
        announce(&crew.workers[i]);
        worker_tick(&crew.workers[i]);
    }
}

void workers_stop(void)
{
    for (unsigned i = 0; i < crew.count; i++)
        crew.workers[i].woken = true;
}

bool workers_are_over(void)
{
    for (unsigned i = 0; i < crew.count; i++) {
        if (!crew.workers[i].over)
            return false;
    }
    return true;
}

void workers_end(void)
{
    shards_destroy(crew.shards);
}
