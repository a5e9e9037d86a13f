/*
 * A history from its beginning to its end: the plan's steps; then rest, until
 * everybody has all that is due; then the stop, until nobody is connected; then
 * the chat goes, and must have kept nothing.
 */
#include "tests/sim/world.h"

#include "tests/sim/alloc.h"
#include "tests/sim/engine.h"
#include "tests/sim/model.h"
#include "tests/sim/peer.h"
#include "tests/sim/promise.h"
#include "tests/sim/workers.h"

#include "common/base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define START_NS (1000 * NS_PER_SECOND)
#define START_US UINT64_C(1795238741123456) /* in November 2026 */
#define WAIT_TURNS_MAX 2000
#define STILL_TURNS_MAX 50
#define STARVED_MAX 8 /* allocations in a row that fail */
#define REST_TURNS_MAX 200000
/* Until everybody has all that is due, where no rate slows them. */
#define REST_NS (120 * NS_PER_SECOND)
/* How long who has been told `shutdown` may linger, and a little more. */
#define LINGER_NS_MAX (2 * NS_PER_SECOND)

struct world world;

static bool printed;
static uint64_t trace;
static struct rng chat_random;
static struct speech_limits limits;

/* ---- What is kept of a history ------------------------------------------- */

void world_print(bool on)
{
    printed = on;
}

bool world_is_printed(void)
{
    return printed;
}

/* Each line begins with the time since the start in milliseconds. */
void world_note(const char *format, ...)
{
    uint64_t us = (world.now_ns - START_NS) / NS_PER_US;
    va_list arguments;

    if (!printed)
        return;
    printf("%8" PRIu64 ".%03u  ", us / 1000, (unsigned)(us % 1000));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static void trace_word(uint64_t word)
{
    trace = (trace ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    trace ^= trace >> 29;
}

void world_trace(const void *bytes, size_t length)
{
    const unsigned char *from = bytes;
    uint64_t word;

    for (; length >= sizeof(word); length -= sizeof(word)) {
        memcpy(&word, from, sizeof(word));
        trace_word(word);
        from += sizeof(word);
    }
    word = length;
    for (size_t i = 0; i < length; i++)
        word = word << 8 | from[i];
    trace_word(word);
}

void world_pass(uint64_t ns)
{
    world.now_ns += ns;
    world.wall_us = START_US + (world.now_ns - START_NS) / NS_PER_US;
    model_time();
}

/* ---- What the chat is given ---------------------------------------------- */

/* A guest's nick: often one that another has, else one that nobody has had. */
static uint32_t guest_digits(void)
{
    return rng_below(&chat_random, 2) ? 0 : ++world.guests;
}

static void give_random(void *bytes, size_t length)
{
    unsigned char *out = bytes;
    uint32_t digits;

    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)rng_next(&chat_random);
    if (length == sizeof(digits)) {
        digits = guest_digits();
        memcpy(out, &digits, length);
    }
}

static void give_link(void *user, struct link_sample *sample)
{
    const struct peer_state *peer = user;

    *sample = (struct link_sample){
        .rtt_us = 100 + peer->index,
        .retransmits = peer->index % 4,
        .segments_out = 1000,
    };
}

static void note_log(const char *event, const struct log_field *fields,
                     size_t count)
{
    char line[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < count && used < sizeof(line); i++) {
        const struct log_field *field = &fields[i];
        bool is_text = field->kind == LOG_TEXT;
        char number[24];

        (void)snprintf(number, sizeof(number), "%" PRIu64, field->number);
        used += (size_t)snprintf(line + used, sizeof(line) - used, " %s=%.*s",
                                 field->key, is_text ? (int)field->length : 24,
                                 is_text ? field->text : number);
    }
    world_note("    log: %s%s", event, line);
}

static void keep_log(enum log_level level, const char *event,
                     const struct log_field *fields, size_t count)
{
    (void)level;
    world_trace(event, strlen(event));
    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind == LOG_TEXT)
            world_trace(fields[i].text, fields[i].length);
        else
            trace_word(fields[i].number);
    }
    if (printed)
        note_log(event, fields, count);
}

static struct chat_config config_of(const struct setup *setup)
{
    struct chat_config config = setup->config;

    config.random = give_random;
    config.link = give_link;
    config.log = keep_log;
    config.wire.key = speech_key;
    config.wire.key_length = sizeof(speech_key);
    config.wire.heartbeat_s =
        (uint32_t)((config.heartbeat_ns + NS_PER_SECOND - 1) / NS_PER_SECOND);
    return config;
}

/* ---- Steps --------------------------------------------------------------- */

static uint64_t salt_of(uint64_t salt, unsigned turn)
{
    struct rng rng = rng_of(salt, turn);

    return rng_next(&rng);
}

static void connect_peer(struct peer_state *peer, const struct step *step)
{
    if (peer->connected)
        return;
    *peer = (struct peer_state){
        .index = step->peer,
        .worker = (uint8_t)(step->salt % world.plan->setup.workers),
        .connected = true,
        .sealed = step->sealed && step->dialect == DIALECT_SECURE,
        .capacity = step->value > 0 ? step->value : 1,
        .appetite = UINT64_MAX,
        .dribble = UINT64_MAX,
        .address = step->address,
    };
    voice_init(&peer->voice, step->dialect, peer->sealed, &limits);
    if (world.peer_count <= step->peer)
        world.peer_count = step->peer + 1U;
    engine_open(peer, step->dialect);
    model_connected(peer);
}

/* The connection fails, or (the chat makes no difference) the engine gives it
 * up. */
static void reset_peer(struct peer_state *peer, uint64_t salt)
{
    if (peer->session)
        engine_close(peer, salt % 2 ? REASON_RESET : REASON_SEND_TIMEOUT);
}

/* To the next deadline, if that is not after `until_ns`. */
static bool pass_to_deadline(uint64_t until_ns)
{
    uint64_t deadline = workers_deadline();

    if (deadline > until_ns)
        return false;
    if (deadline > world.now_ns)
        world_pass(deadline - world.now_ns);
    return true;
}

/* Turns while anything moves: an engine does not let time pass with work to do,
 * unless there is no end to it. */
static unsigned turns_until_still(uint64_t salt, unsigned turns)
{
    unsigned last = turns + STILL_TURNS_MAX;

    while (workers_round(salt_of(salt, turns++)) && turns < last)
        ;
    workers_finish();
    return turns;
}

/* As at once, so at each deadline. */
static void wait_turns(const struct step *step)
{
    uint64_t until_ns = world.now_ns + step->value;
    unsigned turns = turns_until_still(step->salt, 0);

    while (turns < WAIT_TURNS_MAX && pass_to_deadline(until_ns))
        turns = turns_until_still(step->salt, turns);
    if (until_ns > world.now_ns)
        world_pass(until_ns - world.now_ns);
}

static void shut_down(void)
{
    if (world.stopping)
        return;
    world.stopping = true;
    workers_stop();
}

static void note_step(const struct step *step)
{
    char line[512];

    if (!printed)
        return;
    step_print(step, line, sizeof(line));
    world_note("%s", line);
}

static void take_step(const struct step *step)
{
    struct peer_state *peer = &world.peers[step->peer % PEERS_MAX];

    switch (step->act) {
    case ACT_CONNECT:
        connect_peer(peer, step);
        break;
    case ACT_SAY:
        peer_say(peer, step);
        break;
    case ACT_APPETITE:
        peer->appetite = step->value;
        break;
    case ACT_MUTE:
        peer->mute = true;
        break;
    case ACT_HALF_CLOSE:
        peer_half_close(peer, step);
        break;
    case ACT_DRIBBLE:
        peer->dribble = step->value;
        break;
    case ACT_RESET:
        reset_peer(peer, step->salt);
        break;
    case ACT_TURN:
        workers_round(step->salt);
        break;
    case ACT_WAIT:
        wait_turns(step);
        break;
    case ACT_OVERSLEEP:
        workers_finish();
        world_pass(step->value);
        break;
    case ACT_STARVE:
        alloc_fail_at(step->value, 1 + step->salt % STARVED_MAX);
        break;
    case ACT_SHUTDOWN:
        shut_down();
        break;
    case ACTS:
        break;
    }
}

static void take_steps(void)
{
    for (size_t i = 0; i < world.plan->count; i++) {
        const struct step *step = &world.plan->steps[i];

        world.step = step->number;
        trace_word((uint64_t)step->number << 8 | step->act);
        note_step(step);
        take_step(step);
    }
}

/* ---- Rest, and the end --------------------------------------------------- */

static void calm_down(void)
{
    world.calm = true;
    alloc_fail_at(0, 0);
}

/* Everybody reads and answers, and nothing is held up any more. */
static void free_peers(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        struct peer_state *peer = &world.peers[i];

        peer->appetite = peer->capacity = peer->dribble = UINT64_MAX;
        peer->mute = false;
    }
}

/* Nothing is on its way to or from the peer. Who has ended its side is served
 * to its end, and closed. */
static bool is_at_rest(const struct peer_state *peer)
{
    if (!peer->session)
        return true;
    return !peer->half_closed && peer->handed == peer->up.length &&
           !session_paused(peer->session) && !peer->blocked &&
           peer->taken == peer->down.length;
}

static bool all_are_at_rest(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        if (!is_at_rest(&world.peers[i]))
            return false;
    }
    return world.flights == 0 && workers_are_quiet();
}

static bool all_are_gone(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        if (world.peers[i].session)
            return false;
    }
    return world.flights == 0 && workers_are_over();
}

/* Turns, and time from deadline to deadline, until nothing moves and it is
 * done. Sends end in a turn, some not soon. */
static void run_until(bool (*is_done)(void), uint64_t until_ns,
                      const char *promise)
{
    for (unsigned turns = 0; turns < REST_TURNS_MAX; turns++) {
        if (workers_round(salt_of(world.plan->seed + until_ns, turns)))
            continue;
        if (is_done())
            return;
        if (!pass_to_deadline(until_ns) && world.flights == 0)
            promise_broken(promise, "not within %" PRIu64 " ms",
                           (until_ns - START_NS) / (NS_PER_US * 1000));
    }
    promise_broken(promise, "not within %d turns", REST_TURNS_MAX);
}

/* Under a rate limit, what is said takes its time. */
static uint64_t rest_ns(void)
{
    double rate = world.plan->setup.config.rate_per_second;
    uint64_t seconds =
        rate > 0 ? (uint64_t)(2 * (double)world.plan->count / rate) : 0;

    return REST_NS + seconds * NS_PER_SECOND;
}

/* Of what the chat has sent, nothing is a part. */
static void check_heard(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        const struct peer_state *peer = &world.peers[i];

        if (peer->session && peer->heard < peer->down.length)
            promise_broken("whole messages", "peer %u has part of one", i);
    }
}

static void rest(void)
{
    world_note("the peers come to rest");
    calm_down();
    free_peers();
    run_until(all_are_at_rest, world.now_ns + rest_ns(), "progress");
    check_heard();
    model_settled();
}

/* Half of the histories that the stop finds busy end without rest: those who
 * do not read then, never do. */
static bool ends_busy(void)
{
    return world.stopping && world.plan->seed % 2;
}

/* Those that are slow are not any more, or there would be a turn for each of
 * their bytes. Who does not read at all still does not. */
static void hurry_peers(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        struct peer_state *peer = &world.peers[i];

        peer->dribble = UINT64_MAX;
        if (peer->appetite > 0)
            peer->appetite = peer->capacity = UINT64_MAX;
    }
}

static void stop(void)
{
    uint64_t drain_ns = world.plan->setup.config.drain_timeout_ns;

    world_note("the chat stops");
    alloc_fail_at(0, 0);
    hurry_peers();
    world.calm |= world.plan->setup.away; /* or time would pass unseen */
    shut_down();
    run_until(all_are_gone, world.now_ns + drain_ns + LINGER_NS_MAX,
              "the stop ends");
    model_end();
}

/* ---- The whole ----------------------------------------------------------- */

static void begin(const struct plan *plan)
{
    const struct wire_config *wire = &plan->setup.config.wire;

    world = (struct world){.plan = plan, .now_ns = START_NS};
    world.wall_us = START_US;
    trace = plan->seed;
    chat_random = (struct rng){plan->seed};
    limits = (struct speech_limits){
        .line_bytes_max = wire->line_bytes_max,
        .frame_bytes_max = wire->frame_bytes_max,
        .message_bytes_max = wire->message_bytes_max,
    };
    alloc_fail_at(0, 0);
    engine_begin();
    model_begin(&plan->setup);
}

static void release_peers(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        bytes_release(&world.peers[i].up);
        bytes_release(&world.peers[i].down);
        bytes_release(&world.peers[i].flight);
    }
}

static void live(void)
{
    struct chat_config config = config_of(&world.plan->setup);

    workers_begin(&config, world.plan->setup.workers);
    take_steps();
    if (!ends_busy())
        rest();
    stop();
    workers_end();
}

uint64_t world_run(const struct plan *plan)
{
    size_t bytes, blocks;

    begin(plan);
    bytes = alloc_bytes();
    blocks = alloc_blocks();
    live();
    if (alloc_bytes() != bytes || alloc_blocks() != blocks)
        promise_broken("nothing left", "%zu bytes in %zu blocks",
                       alloc_bytes() - bytes, alloc_blocks() - blocks);
    release_peers();
    return trace;
}
