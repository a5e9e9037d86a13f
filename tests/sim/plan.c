/*
 * Draws plans. First of all the swarm: which acts and sayings the history has
 * and how often, how large its texts are, how much its peers read; then the
 * setup, and then step after step by those weights. What is drawn depends on
 * the seed alone; what the steps come to is not known here, but for a guess at
 * who has gone: most steps are for those who have not.
 */
#include "tests/sim/plan.h"

#include "tests/sim/speech.h"
#include "tests/unit/support_random.h"

#include "common/base/limits.h"

#include <assert.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

#define STEPS_DRAWN_MAX 2000
#define PEERS_DRAWN_MAX 40
#define ADDRESSES 4

/* Bytes of text that all who hear it are sent, roughly: what is over it is
 * short. So a history takes a thousandth of a second, or a few. */
#define TEXT_BUDGET (512 * KIB)

enum text_size {
    TEXT_SHORT,
    TEXT_SEGMENT, /* about as long as small segments */
    TEXT_PAGE,
    TEXT_LIMIT, /* as long as may be, or nearly */
    TEXT_ANY,
    TEXT_WINDOW, /* more than the room's window, if it may */
    TEXT_SIZES,
};

#define DIALECTS 3

struct draw {
    struct rng rng;
    struct plan *plan;
    uint32_t step_count; /* aimed at */
    unsigned peers;      /* that come in all */
    unsigned come;       /* that have come: the first ones */
    uint64_t gone;       /* of them, a set: hardly worth a step any more */
    enum dialect dialect_of[PEERS_MAX];
    uint64_t text_budget;
    /* The swarm. */
    unsigned acts[ACTS], says[SAYS], texts[TEXT_SIZES], dialects[DIALECTS];
    unsigned waits[3];
    bool tight;     /* sockets take little */
    bool slow;      /* peers may read little, from the beginning */
    bool contested; /* nicks are wanted by several, in hellos too */
    bool strangers; /* binary peers may be late with the hello, or say two */
};

/* ---- Chance ------------------------------------------------------------- */

static bool one_in(struct draw *draw, size_t n)
{
    return rng_below(&draw->rng, n) == 0;
}

static uint64_t between(struct draw *draw, uint64_t min, uint64_t max)
{
    return min + rng_below(&draw->rng, (size_t)(max - min + 1));
}

/* Of any magnitude alike above the least. */
static uint64_t around(struct draw *draw, uint64_t min, uint64_t max)
{
    return min - 1 + rng_magnitude(&draw->rng, (size_t)(max - min + 1));
}

/* By weights, not all of which are 0. */
static unsigned pick(struct draw *draw, const unsigned weights[],
                     unsigned count)
{
    size_t sum = 0, at;
    unsigned i = 0;

    for (unsigned k = 0; k < count; k++)
        sum += weights[k];
    assert(sum > 0);
    at = rng_below(&draw->rng, sum);
    while (i + 1 < count && at >= weights[i])
        at -= weights[i++];
    return i;
}

/* ---- The swarm ---------------------------------------------------------- */

/* How often what is not left out happens. */
static const unsigned act_weights[ACTS] = {
    [ACT_CONNECT] = 8,   [ACT_SAY] = 100,      [ACT_APPETITE] = 8,
    [ACT_MUTE] = 1,      [ACT_HALF_CLOSE] = 2, [ACT_DRIBBLE] = 4,
    [ACT_RESET] = 2,     [ACT_TURN] = 60,      [ACT_WAIT] = 12,
    [ACT_OVERSLEEP] = 2, [ACT_STARVE] = 8,
};

/* A hello is said on connecting. Those that are not here: 1. */
static const unsigned say_weights[SAY_FATAL] = {
    [SAY_HELLO] = 0,      [SAY_MESSAGE] = 100, [SAY_TO_ROOM] = 30,
    [SAY_PRIVATE] = 20,   [SAY_JOIN] = 20,     [SAY_LEAVE] = 10,
    [SAY_NICK] = 6,       [SAY_TOPIC] = 6,     [SAY_WHO] = 6,
    [SAY_ROOMS] = 4,      [SAY_ECHO] = 8,      [SAY_TIME] = 2,
    [SAY_PING] = 3,       [SAY_HELP] = 3,      [SAY_METRICS] = 2,
    [SAY_THROUGHPUT] = 2, [SAY_BEAT] = 4,      [SAY_PONG] = 2,
    [SAY_UNKNOWN] = 2,    [SAY_USAGE] = 2,     [SAY_BAD_NAME] = 2,
    [SAY_BAD_TEXT] = 2,   [SAY_LONG_LINE] = 2, [SAY_TRANSFER] = 2,
    [SAY_ODD_TYPE] = 2,   [SAY_QUIT] = 2,      [SAY_DISCONNECT] = 1,
};

static const unsigned text_weights[TEXT_SIZES] = {
    [TEXT_SHORT] = 60, [TEXT_SEGMENT] = 10, [TEXT_PAGE] = 4,
    [TEXT_LIMIT] = 2,  [TEXT_ANY] = 4,      [TEXT_WINDOW] = 1,
};

/* A feature's weight in this history: half are left out, some come often. */
static unsigned swarmed(struct draw *draw, unsigned weight)
{
    static const unsigned factors[] = {0, 0, 0, 0, 1, 1, 1, 6};

    return weight * factors[rng_below(&draw->rng, 8)];
}

static void draw_acts(struct draw *draw)
{
    static const unsigned turns[] = {10, 60, 60, 120};

    for (unsigned i = 0; i < ACTS; i++)
        draw->acts[i] = swarmed(draw, act_weights[i]);
    draw->acts[ACT_CONNECT] = act_weights[ACT_CONNECT];
    draw->acts[ACT_SAY] = act_weights[ACT_SAY];
    draw->acts[ACT_TURN] = turns[rng_below(&draw->rng, 4)];
    draw->slow = draw->acts[ACT_APPETITE] > 0;
}

static void draw_says(struct draw *draw)
{
    bool fatal = one_in(draw, 4);

    for (unsigned i = 0; i < SAY_FATAL; i++)
        draw->says[i] = swarmed(draw, say_weights[i]);
    for (unsigned i = SAY_FATAL; fatal && i < SAYS; i++)
        draw->says[i] = swarmed(draw, 1);
    draw->says[SAY_MESSAGE] += say_weights[SAY_MESSAGE] / 2;
    draw->says[SAY_JOIN] += say_weights[SAY_JOIN] / 2;
}

static void draw_dialects(struct draw *draw)
{
    for (unsigned i = 0; i < DIALECTS; i++)
        draw->dialects[i] = swarmed(draw, 1);
    draw->dialects[rng_below(&draw->rng, DIALECTS)]++;
}

static void draw_texts(struct draw *draw)
{
    for (unsigned i = 0; i < TEXT_SIZES; i++)
        draw->texts[i] = swarmed(draw, text_weights[i]);
    draw->texts[TEXT_SHORT] += text_weights[TEXT_SHORT];
    draw->text_budget = TEXT_BUDGET;
}

static uint32_t draw_step_count(struct draw *draw)
{
    static const unsigned weights[] = {2, 13, 1};

    switch (pick(draw, weights, 3)) {
    case 0:
        return (uint32_t)between(draw, 20, 150);
    case 1:
        return (uint32_t)between(draw, 150, 400);
    default:
        return (uint32_t)between(draw, 400, STEPS_DRAWN_MAX);
    }
}

static void draw_swarm(struct draw *draw)
{
    draw->step_count = draw_step_count(draw);
    draw->peers = (unsigned)(one_in(draw, 6) ? around(draw, 1, PEERS_DRAWN_MAX)
                                             : between(draw, 2, 12));
    draw_acts(draw);
    draw_says(draw);
    draw_dialects(draw);
    draw_texts(draw);
    for (unsigned i = 0; i < 3; i++)
        draw->waits[i] = (unsigned)between(draw, 1, 4);
    draw->tight = one_in(draw, 4);
    draw->contested = one_in(draw, 3);
    draw->strangers = one_in(draw, 8);
}

/* ---- The setup ---------------------------------------------------------- */

/* Half of them are off; seconds, or a little less or more. */
static uint64_t draw_timeout(struct draw *draw)
{
    return one_in(draw, 2) ? 0 : around(draw, 200, 30000) * NS_PER_MS;
}

static uint64_t draw_window(struct draw *draw)
{
    if (one_in(draw, 8))
        return around(draw, 1, 4 * KIB);
    if (one_in(draw, 4)) /* nobody can lag */
        return 16 * MIB;
    return around(draw, 4 * KIB, one_in(draw, 2) ? 32 * KIB : MIB);
}

static uint64_t draw_presence_limit(struct draw *draw)
{
    static const uint64_t limits[] = {0, 1, 2, 3, 64, 64, 64, 64};

    return limits[rng_below(&draw->rng, 8)];
}

static void draw_limits(struct draw *draw, struct chat_config *config)
{
    bool few = one_in(draw, 10), near = one_in(draw, 10);

    config->sessions_max = few ? between(draw, 1, draw->peers) : PEERS_MAX;
    config->sessions_per_address_max = near ? between(draw, 1, 4) : 0;
    config->memory_bytes_max = UINT64_C(1024) * MIB;
    config->room_window_bytes = draw_window(draw);
    config->presence_members_max = draw_presence_limit(draw);
    config->rate_per_second =
        one_in(draw, 6) ? (double)around(draw, 5, 1000) : 0;
    config->slow_consumer =
        one_in(draw, 4) ? SLOW_CONSUMER_DISCONNECT : SLOW_CONSUMER_LAG;
}

/* A third of the histories have none: what ends a session then is certain. */
static void draw_timeouts(struct draw *draw, struct chat_config *config)
{
    config->drain_timeout_ns =
        one_in(draw, 3) ? 0 : around(draw, 1, 5000) * NS_PER_MS;
    if (one_in(draw, 3))
        return;
    config->handshake_timeout_ns = draw_timeout(draw);
    config->frame_timeout_ns = draw_timeout(draw);
    config->idle_timeout_ns = draw_timeout(draw);
    config->heartbeat_ns = draw_timeout(draw);
    config->stall_timeout_ns = draw_timeout(draw);
}

static void draw_wire(struct draw *draw, struct chat_config *config)
{
    config->wire = (struct wire_config){
        .line_bytes_max = (uint32_t)between(draw, 256, 4096),
        .frame_bytes_max = (uint32_t)around(draw, 300, FRAME_BODY_BYTES_MAX),
        .message_bytes_max = (uint32_t)around(draw, 512, 200000),
        .heartbeat_s =
            (uint32_t)((config->heartbeat_ns + NS_PER_S - 1) / NS_PER_S),
        .encryption_required = one_in(draw, 16),
        .key = speech_key,
        .key_length = sizeof(speech_key),
    };
}

/* Memory is short, or allocations fail one by one, or both. */
static void draw_starvation(struct draw *draw, struct setup *setup)
{
    setup->starved = one_in(draw, 8);
    if (!setup->starved)
        draw->acts[ACT_STARVE] = 0;
    else if (draw->acts[ACT_STARVE] == 0 || one_in(draw, 2))
        setup->config.memory_bytes_max = around(draw, 200 * KIB, 2 * MIB);
}

static void draw_setup(struct draw *draw, struct setup *setup)
{
    static const unsigned rooms[] = {1, 2, 2, 3, 3, 4, 4, ROOMS_MAX};
    static const unsigned workers[] = {1, 1, 1, 1, 2, 2, 3, WORKERS_DRAWN_MAX};
    unsigned engine = (unsigned)rng_below(&draw->rng, 4);

    *setup = (struct setup){
        .late = engine == 0,
        .away = engine == 1,
        .ordered = engine == 2,
        .exact = one_in(draw, 4) && engine != 2,
        .rooms = rooms[rng_below(&draw->rng, 8)],
        .workers = workers[rng_below(&draw->rng, 8)],
    };
    if (setup->away)
        setup->workers = 1; /* no stage has both */
    draw_limits(draw, &setup->config);
    draw_timeouts(draw, &setup->config);
    draw_wire(draw, &setup->config);
    draw_starvation(draw, setup);
}

/* ---- Steps -------------------------------------------------------------- */

static struct step *step_add(struct draw *draw, enum act act, unsigned peer)
{
    struct plan *plan = draw->plan;
    struct step *step;

    assert(plan->count < STEPS_MAX);
    step = &plan->steps[plan->count++];
    *step = (struct step){
        .act = act,
        .number = (uint32_t)plan->count,
        .peer = (uint8_t)peer,
        .salt = rng_next(&draw->rng),
    };
    return step;
}

/* One who has come, and most likely is still there. */
static unsigned pick_peer(struct draw *draw)
{
    unsigned peer = 0;

    for (int i = 0; i < 3; i++) {
        peer = (unsigned)rng_below(&draw->rng, draw->come);
        if (!(draw->gone & UINT64_C(1) << peer))
            break;
    }
    return peer;
}

/* How much a peer may say at a time: what else is in its request, the world
 * takes off. */
static uint32_t text_max(const struct draw *draw, unsigned peer)
{
    const struct wire_config *wire = &draw->plan->setup.config.wire;

    switch (draw->dialect_of[peer]) {
    case DIALECT_TEXT:
        return wire->line_bytes_max;
    case DIALECT_FRAME:
        return wire->frame_bytes_max;
    default:
        return wire->message_bytes_max;
    }
}

static uint64_t draw_text_size(struct draw *draw, uint64_t max)
{
    uint64_t window = draw->plan->setup.config.room_window_bytes;

    switch ((enum text_size)pick(draw, draw->texts, TEXT_SIZES)) {
    case TEXT_SEGMENT:
        return between(draw, 400, 600);
    case TEXT_PAGE:
        return between(draw, 3900, 4200);
    case TEXT_LIMIT:
        return max - (one_in(draw, 2) ? between(draw, 0, 50) : 0);
    case TEXT_ANY:
        return around(draw, OP_TEXT_MIN, max);
    case TEXT_WINDOW:
        return between(draw, window, window + 100);
    default:
        return between(draw, OP_TEXT_MIN, 100);
    }
}

/* Only so much is heard in all. */
static uint32_t draw_length(struct draw *draw, const struct step *step)
{
    uint64_t max = text_max(draw, step->peer);
    uint64_t length = draw_text_size(draw, max);
    unsigned hearers = step->say == SAY_ECHO ? 1 : draw->peers;

    if (length > max)
        length = max;
    if (length < OP_TEXT_MIN)
        length = OP_TEXT_MIN;
    if (length * hearers > draw->text_budget)
        return OP_TEXT_MIN;
    draw->text_budget -= length * hearers;
    return (uint32_t)length;
}

/* None, or one that no other step has. What became of a private message is not
 * told without one, if all went well. */
static uint32_t draw_id(struct draw *draw, const struct step *step)
{
    if (one_in(draw, 8) && step->say != SAY_PRIVATE)
        return 0;
    return one_in(draw, 4) ? UINT32_MAX - step->number : step->number;
}

static void go(struct draw *draw, unsigned peer)
{
    draw->gone |= UINT64_C(1) << peer;
}

static void draw_say(struct draw *draw)
{
    struct step *step = step_add(draw, ACT_SAY, pick_peer(draw));

    step->say = (enum say)pick(draw, draw->says, SAYS);
    step->room =
        (uint8_t)rng_below(&draw->rng, (size_t)draw->plan->setup.rooms);
    step->whom = (uint8_t)(one_in(draw, 16) ? rng_below(&draw->rng, draw->peers)
                                            : pick_peer(draw));
    step->named = one_in(draw, 2);
    step->typed = one_in(draw, 4);
    step->as_message = one_in(draw, 2);
    step->naming =
        draw->contested && one_in(draw, 2) ? NAMING_CONTESTED : NAMING_OWN;
    if (one_in(draw, 16))
        step->naming = NAMING_BAD;
    step->id = draw_id(draw, step);
    step->length = draw_length(draw, step);
    if (step->say >= SAY_QUIT)
        go(draw, step->peer);
}

static void draw_hello(struct draw *draw, unsigned peer)
{
    struct step *step = step_add(draw, ACT_SAY, peer);

    step->say = SAY_HELLO;
    step->length = OP_TEXT_MIN;
    step->naming = one_in(draw, 3) ? NAMING_GUEST : NAMING_OWN;
    if (draw->contested && one_in(draw, 2))
        step->naming = NAMING_CONTESTED;
    if (draw->strangers && one_in(draw, 8))
        step->naming = NAMING_BAD;
}

/* A secure peer has to be told its session first; what a frame peer says may
 * come with its connection. Who does not say hello here, or is refused the
 * nick, does so before it says something else: that is the world's. */
static void draw_greeting(struct draw *draw, unsigned peer)
{
    enum dialect dialect = draw->dialect_of[peer];

    if (dialect == DIALECT_TEXT || (draw->strangers && one_in(draw, 4)))
        return;
    if (dialect == DIALECT_SECURE || one_in(draw, 2))
        step_add(draw, ACT_TURN, 0);
    draw_hello(draw, peer);
    if (draw->strangers && one_in(draw, 4))
        draw_hello(draw, peer);
}

static void draw_appetite(struct draw *draw, unsigned peer)
{
    static const unsigned weights[] = {2, 2, 1};
    struct step *step = step_add(draw, ACT_APPETITE, peer);

    switch (pick(draw, weights, 3)) {
    case 0:
        step->value = UINT64_MAX;
        break;
    case 1:
        step->value = around(draw, 1, 8 * KIB);
        break;
    default:
        step->value = 0;
    }
}

static uint64_t draw_capacity(struct draw *draw)
{
    if (draw->tight && !one_in(draw, 4))
        return around(draw, 1, 4 * KIB);
    return one_in(draw, 8) ? around(draw, 1, 256 * KIB) : 64 * KIB;
}

static void draw_connect(struct draw *draw)
{
    unsigned peer = draw->come;
    struct step *step;

    if (peer == draw->peers)
        return;
    draw->come++;
    step = step_add(draw, ACT_CONNECT, peer);
    step->dialect = (enum dialect)pick(draw, draw->dialects, DIALECTS);
    step->sealed = step->dialect == DIALECT_SECURE && one_in(draw, 2);
    step->address = (uint8_t)rng_below(&draw->rng, ADDRESSES);
    step->value = draw_capacity(draw);
    draw->dialect_of[peer] = step->dialect;
    draw_greeting(draw, peer);
    if (draw->slow && one_in(draw, 3))
        draw_appetite(draw, peer);
}

static void draw_dribble(struct draw *draw)
{
    struct step *step = step_add(draw, ACT_DRIBBLE, pick_peer(draw));

    step->value =
        one_in(draw, 3) ? UINT64_MAX : around(draw, 1, RECEIVE_BYTES_MAX);
}

/* Of seconds few enough that no heartbeat comes a thousand times. */
static void draw_pause(struct draw *draw, enum act act)
{
    static const uint64_t units[] = {NS_PER_US, NS_PER_MS, NS_PER_S};
    static const uint64_t most[] = {1000, 1000, 40};
    unsigned scale = pick(draw, draw->waits, 3);
    uint64_t value = around(draw, 1, most[scale]) * units[scale];

    step_add(draw, act, 0)->value = value;
}

static void draw_end(struct draw *draw, enum act act)
{
    unsigned peer = pick_peer(draw);

    step_add(draw, act, peer);
    go(draw, peer);
}

static void draw_starve(struct draw *draw)
{
    uint64_t value = around(draw, 1, 100);

    step_add(draw, ACT_STARVE, 0)->value = value;
}

static void draw_step(struct draw *draw)
{
    enum act act = (enum act)pick(draw, draw->acts, ACTS);

    switch (act) {
    case ACT_CONNECT:
        draw_connect(draw);
        break;
    case ACT_SAY:
        draw_say(draw);
        break;
    case ACT_APPETITE:
        draw_appetite(draw, pick_peer(draw));
        break;
    case ACT_DRIBBLE:
        draw_dribble(draw);
        break;
    case ACT_RESET:
    case ACT_HALF_CLOSE:
        draw_end(draw, act);
        break;
    case ACT_WAIT:
    case ACT_OVERSLEEP:
        draw_pause(draw, act);
        break;
    case ACT_STARVE:
        draw_starve(draw);
        break;
    default:
        step_add(draw, act, act == ACT_MUTE ? pick_peer(draw) : 0);
    }
}

/* Everybody may still be there when the server stops, or nearly nobody. */
static void draw_shutdown(struct draw *draw)
{
    uint64_t more = between(draw, 10, 40);

    step_add(draw, ACT_SHUTDOWN, 0);
    for (uint64_t i = 0; i < more; i++)
        draw_step(draw);
}

void plan_draw(struct plan *plan, uint64_t seed)
{
    struct draw draw = {.rng = {seed}, .plan = plan};
    uint64_t first;

    plan->seed = seed;
    plan->count = 0;
    draw_swarm(&draw);
    draw_setup(&draw, &plan->setup);
    first = between(&draw, 1, draw.peers);
    for (uint64_t i = 0; i < first; i++)
        draw_connect(&draw);
    while (plan->count < draw.step_count)
        draw_step(&draw);
    if (one_in(&draw, 4))
        draw_shutdown(&draw);
}
