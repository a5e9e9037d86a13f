/*
 * The model's side of the world's calls: each peer's life, from its connection
 * to how that is over.
 */
#include "tests/sim/model_internal.h"

#include "tests/sim/alloc.h"

#include "common/base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct model model;

/* What a chat may take beside what it counts: itself, the memory in which
 * headers are parsed, its tables' buckets, and the mail for each other. */
#define TABLES_BYTES_MAX (MIB)

void model_begin(const struct setup *setup)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        memset(&model.lives[i], 0, offsetof(struct life, ops));
    memset(model.by_number, 0, sizeof(model.by_number));
    memset(model.views, 0, sizeof(model.views));
    memset(model.name_buckets, 0, sizeof(model.name_buckets));
    model.setup = setup;
    model.op_count = model.name_count = model.stay_count = 0;
    model.holding_count = model.seen_count = model.listed_count = 0;
    model.fresh_from = model.fresh_to = model.turns = 0;
    model.stopped = model.stopped_all = NEVER;
    model.stopped_count = 0;
    model.bytes_before = alloc_bytes();
}

/* Where the index of the op of that number is; NULL if none has such. */
static uint16_t *index_of(uint32_t number)
{
    uint32_t step = number & ~HELLO_NUMBER;

    return step < OPS_MAX ? &model.by_number[number != step][step] : NULL;
}

struct op *op_numbered(uint32_t number)
{
    const uint16_t *index = index_of(number);

    return index && *index ? &model.ops[*index - 1] : NULL;
}

/* ---- Beginning ---------------------------------------------------------- */

/* Those that may have a place, the refused ones not yet heard of included. */
static unsigned sessions_at_most(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < PEERS_MAX; i++) {
        const struct life *life = life_of(i);

        count += life->state && !life->closed && life->over != OVER_REFUSED;
    }
    return count;
}

void model_connected(const struct peer_state *peer)
{
    struct life *life = life_of(peer->index);

    life->state = peer;
    life->connected = world.stamp;
    life->crowd = sessions_at_most();
    life->sure = world.stamp;
    life->eof_begun = life->eof_done = life->ended = life->served = NEVER;
    life->clocked_ns = life->opened_ns = life->taken_ns = world.now_ns;
    life->began_ns = world.now_ns;
    life->prompt_since =
        peer->appetite == UINT64_MAX && peer->capacity >= 4 * KIB ? 0 : NEVER;
    if (peer->end == END_TURNED_AWAY) {
        life->closed = true;
        life->over = OVER_REFUSED;
    }
}

struct op *model_op(void)
{
    if (model.op_count == OPS_MAX)
        return NULL;
    model.ops[model.op_count] = (struct op){0};
    model.facts[model.op_count] = (struct fact){
        .begun = NEVER,
        .done = NEVER,
        .room = ROOM_UNKNOWN,
    };
    return &model.ops[model.op_count];
}

void model_said(const struct peer_state *peer, struct op *op)
{
    struct life *life = life_of(peer->index);

    *index_of(op->number) = (uint16_t)++model.op_count;
    if (life->asked == PEER_OPS_MAX)
        promise_broken("simulator", "a peer says too much");
    life->ops[life->asked++] = op;
}

const char *model_nick_of(unsigned whom)
{
    const struct life *life = life_of(whom);

    return life->nick ? model.names[life->nick].text : "nobody";
}

/* ---- Handing over ------------------------------------------------------- */

static void hand_over(struct life *life)
{
    const struct op *op = life->ops[life->handed++];
    struct fact *fact = fact_of(op);

    fact->begun = world.stamp;
    fact->begun_us = world.wall_us;
    if (fact->first == 0)
        fact->first = world.stamp;
    life->leaves |= op->say == SAY_LEAVE;
}

void model_handed(const struct peer_state *peer)
{
    struct life *life = life_of(peer->index);

    while (life->handed < life->asked &&
           life->ops[life->handed]->end <= peer->handed)
        hand_over(life);
    deadlines_handed(life);
    if (life->handed < life->asked && is_within(life) &&
        fact_of(life->ops[life->handed])->first == 0)
        fact_of(life->ops[life->handed])->first = world.stamp;
}

void model_eof(const struct peer_state *peer)
{
    struct life *life = life_of(peer->index);

    /* A last line counts without its end. */
    while (life->handed < life->asked)
        hand_over(life);
    life->eof_begun = world.stamp;
}

void model_acted(const struct peer_state *peer)
{
    struct life *life = life_of(peer->index);

    if (!peer->session)
        return;
    deadlines_pause(life, session_paused(peer->session));
    if (life->paused || is_shared())
        return;
    effects_done(life);
    if (life->eof_begun != NEVER && life->eof_done == NEVER)
        life->eof_done = world.stamp;
}

void model_ponged(const struct peer_state *peer, uint64_t stamp, uint64_t end)
{
    struct life *life = life_of(peer->index);

    (void)stamp;
    life->ponged = life->pings;
    if (life->pongs_to - life->pongs_from < PINGS_MAX)
        life->pongs[life->pongs_to++ % PINGS_MAX] = end;
}

void model_sent(const struct peer_state *peer, size_t length)
{
    struct life *life = life_of(peer->index);

    life->waits = peer->blocked || length == 0;
    life->waited |= life->waits;
    if (length > 0)
        deadlines_sent(life);
    if (life->over != OVER_NOT)
        life->over_ns = world.now_ns; /* the chat learns only now that it is */
    if (life->waits)
        life->prompt_since = NEVER;
}

/* ---- Ending ------------------------------------------------------------- */

static void interval_end(struct interval *time, stamp_t begun, stamp_t done)
{
    if (time->out_begun > begun)
        time->out_begun = begun;
    if (time->out_done > done)
        time->out_done = done;
}

static void void_rest(struct life *life)
{
    for (uint32_t i = life->answered; i < life->asked; i++)
        fact_of(life->ops[i])->fate = FATE_VOID;
}

void life_over(struct life *life, enum over over, enum error_code error,
               stamp_t begun, stamp_t done)
{
    life->over = over;
    life->error = error;
    life->served = begun;
    life->over_ns = world.now_ns;
    life->ended = done;
    life->complete =
        over == OVER_ASKED || (over == OVER_ERROR && error != ERROR_LAGGED);
    for (unsigned i = 0; i < life->place_count; i++)
        interval_end(&life->places[i]->time, begun, effects_seen(done));
    if (life->holding)
        interval_end(&life->holding->time, begun, done);
    life->place_count = 0;
    life->holding = NULL;
}

/* A text peer whose welcome nobody has read was in the lobby, perhaps. */
static void never_welcomed(struct life *life)
{
    struct stay *stay;

    if (life->state->voice.dialect != DIALECT_TEXT || life->welcomed)
        return;
    stay = stay_begin(life->state->index, 0, life->connected, NEVER);
    life->places[life->place_count++] = stay;
}

/* The chat ends it for no request of the peer's: what it was last asked may
 * have been acted on, or not. */
static void life_cut(struct life *life, enum over over, enum error_code error,
                     stamp_t begun)
{
    never_welcomed(life);
    answers_give_up(life, effects_seen(world.stamp));
    life_over(life, over, error, begun, world.stamp);
}

/* Whether nothing but what it asked for can have ended it. */
static bool is_undisturbed(const struct life *life)
{
    const struct chat_config *config = &model.setup->config;

    return config->idle_timeout_ns == 0 && config->frame_timeout_ns == 0 &&
           config->handshake_timeout_ns == 0 && config->heartbeat_ns == 0 &&
           config->stall_timeout_ns == 0 && !model.setup->starved &&
           config->slow_consumer == SLOW_CONSUMER_LAG && !world.stopping &&
           life->eof_begun == NEVER;
}

/* Nor is anything open that it asked for. */
static bool is_certain(const struct life *life)
{
    return is_undisturbed(life) && life->answered == life->handed;
}

/* ---- What it hears ------------------------------------------------------ */

static void refused_heard(struct life *life, enum error_code code)
{
    const struct chat_config *config = &model.setup->config;

    if (code == ERROR_SHUTDOWN && !world.stopping)
        promise_broken("last words", "peer %u is told `shutdown`",
                       life->state->index);
    if (code == ERROR_SERVER_FULL && !model.setup->starved &&
        config->sessions_per_address_max == 0 &&
        life->crowd <= config->sessions_max)
        promise_broken("last words", "peer %u is told `server-full`",
                       life->state->index);
    life->over = OVER_REFUSED;
    life->over_ns = world.now_ns;
    life->error = code;
    void_rest(life);
}

/* What is not offered in time, for the engine does not come to it, is given
 * up. */
static bool may_oversleep(void)
{
    for (size_t i = 0; i < world.plan->count; i++) {
        if (world.plan->steps[i].act == ACT_OVERSLEEP)
            return true;
    }
    return model.setup->away;
}

/* Nobody is told before what was said to any worker is in its room; but who
 * oversleeps is not waited for. */
static stamp_t served_until(void)
{
    return is_shared() && !may_oversleep() ? world.stamp : model.stopped;
}

/* Everything that was queued has been sent first. */
static void shutdown_heard(struct life *life)
{
    if (!world.stopping)
        promise_broken("last words", "peer %u is told `shutdown`",
                       life->state->index);
    answers_settle(life, model.stopped);
    answers_give_up(life, effects_seen(model.stopped));
    life_over(life, OVER_ERROR, ERROR_SHUTDOWN, served_until(),
              is_shared() ? world.stamp : model.stopped);
}

static void closing_heard(struct life *life, enum error_code code,
                          uint32_t heard_id)
{
    if (!life->greeted &&
        (code == ERROR_SERVER_FULL || code == ERROR_SHUTDOWN)) {
        refused_heard(life, code);
        return;
    }
    if (code == ERROR_SHUTDOWN) {
        shutdown_heard(life);
        return;
    }
    if (code == ERROR_TIMEOUT)
        deadlines_check_due(life);
    if ((code == ERROR_LAGGED &&
         model.setup->config.slow_consumer != SLOW_CONSUMER_DISCONNECT) ||
        (code == ERROR_INTERNAL && !model.setup->starved))
        promise_broken("last words", "peer %u is told error %d",
                       life->state->index, code);
    if (heard_id != 0 && code != ERROR_INTERNAL)
        promise_broken("last words", "peer %u: error %d answers %u",
                       life->state->index, code, heard_id);
    life_cut(life, OVER_ERROR, code, life->sure);
}

static bool is_closing(const struct heard *heard)
{
    return heard->kind == HEARD_ERROR &&
           (heard->code == ERROR_TIMEOUT || heard->code == ERROR_LAGGED ||
            heard->code == ERROR_SERVER_FULL || heard->code == ERROR_SHUTDOWN ||
            heard->code == ERROR_INTERNAL);
}

/* A text peer is in the lobby as it comes; or when it is welcomed, if another
 * worker has a part in that. */
static void text_welcomed(struct life *life, const struct heard *heard)
{
    uint16_t name = name_of(heard->nick.bytes, heard->nick.length);

    life->welcomed = true;
    life->nick = name;
    name_claim(name, life->state->index);
    life->holding = holding_begin(life->state->index, name, life->connected,
                                  life->connected);
    life->places[life->place_count++] =
        stay_begin(life->state->index, 0, life->connected,
                   is_shared() ? world.stamp : life->connected);
}

static void greeting_heard(struct life *life, const struct heard *heard)
{
    bool is_text = life->state->voice.dialect == DIALECT_TEXT;

    if (heard->kind != (is_text ? HEARD_WELCOME : HEARD_INIT))
        promise_broken("first words", "peer %u is told something else first",
                       life->state->index);
    life->greeted = true;
    if (is_text)
        text_welcomed(life, heard);
}

static void check_alive(const struct life *life, const struct heard *heard)
{
    char line[256];

    if (life->over == OVER_NOT)
        return;
    heard_print(heard, line, sizeof(line));
    promise_broken("last words", "peer %u is told %s after its last word",
                   life->state->index, line);
}

void model_heard(const struct peer_state *peer, const struct heard *heard)
{
    struct life *life = life_of(peer->index);

    check_alive(life, heard);
    if (is_closing(heard)) {
        closing_heard(life, heard->code, heard->id);
        return;
    }
    if (!life->greeted) {
        greeting_heard(life, heard);
        return;
    }
    switch (heard->kind) {
    case HEARD_MESSAGE:
        room_message_heard(life, heard);
        return;
    case HEARD_PRIVATE:
        private_heard(life, heard);
        return;
    case HEARD_JOINED:
    case HEARD_LEFT:
    case HEARD_NICK:
    case HEARD_TOPIC:
    case HEARD_LAGGED:
        room_notice_heard(life, heard);
        return;
    case HEARD_PING:
        deadlines_pinged(life);
        return;
    default:
        answer_heard(life, heard);
    }
}

/* ---- Closed ------------------------------------------------------------- */

static bool may_miss_last_word(const struct life *life)
{
    return model.setup->starved || model.setup->late || world.stopping ||
           life->waited || may_oversleep();
}

/* The chat closes without a word after the peer's end of stream, when it has
 * answered all; or when the peer takes nothing. */
static void ended_silently(struct life *life)
{
    if (may_miss_last_word(life)) {
        life_cut(life, OVER_ASKED, ERROR_NONE, life->sure);
        life->complete = false;
        return;
    }
    if (life->eof_begun == NEVER)
        promise_broken("last words", "peer %u is closed without one",
                       life->state->index);
    answers_settle(life, NEVER);
    life_over(life, OVER_ASKED, ERROR_NONE, life->eof_begun,
              life->eof_done == NEVER ? world.stamp : life->eof_done);
}

static void reset(struct life *life)
{
    stamp_t begun = is_certain(life) ? world.stamp : life->sure;

    life_cut(life, OVER_ASKED, ERROR_NONE, begun);
    life->complete = false;
}

void model_closed(const struct peer_state *peer)
{
    struct life *life = life_of(peer->index);

    if (life->over == OVER_NOT) {
        if (peer->end == END_RESET)
            reset(life);
        else
            ended_silently(life);
    }
    life->closed = true;
}

/* ---- Time and turns ----------------------------------------------------- */

void model_time(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        if (life_of(i)->state)
            deadlines_time(life_of(i));
    }
}

void model_away(uint64_t ns)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        struct life *life = life_of(i);

        if (!life->state)
            continue;
        life->opened_ns += ns;
        if (!life->paused)
            life->clock_ns -= ns;
    }
}

void model_stopping(void)
{
    if (model.stopped_count++ == 0)
        model.stopped = world.stamp;
    if (model.stopped_count == model.setup->workers)
        model.stopped_all = world.stamp;
}

static void check_memory(void)
{
    size_t workers = model.setup->workers;
    size_t most = model.bytes_before + TABLES_BYTES_MAX * workers * workers +
                  (size_t)model.setup->config.memory_bytes_max;

    if (alloc_bytes() > most)
        promise_broken("memory is bounded", "%zu bytes, and %zu are the limit",
                       alloc_bytes(), most);
}

static void note_prompt(struct life *life)
{
    if (life->state->appetite != UINT64_MAX)
        life->prompt_since = NEVER;
    life->dribbles |=
        life->state->dribble != UINT64_MAX || life->pongs_from < life->pongs_to;
}

void model_turn_over(unsigned worker)
{
    model.turns++;
    check_memory();
    for (unsigned i = 0; i < world.peer_count; i++) {
        struct life *life = life_of(i);

        if (!life->state || life->state->worker != worker)
            continue;
        note_prompt(life);
        if (!is_shared())
            deadlines_check_kept(life);
    }
    /* Where a turn sends a peer one span, its replies and its other rooms have
     * their turns as well. */
    if (!model.setup->late && !model.setup->away && !model.setup->ordered &&
        !is_shared())
        rooms_check_prompt(model.turns);
}

/* ---- The end ------------------------------------------------------------ */

void model_settled(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        struct life *life = life_of(i);

        if (life->state && life->state->session)
            answers_settle(life, NEVER);
    }
    if (!world.stopping)
        verdict_settled();
}

void model_end(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        const struct life *life = life_of(i);

        if (life->state && !life->closed)
            promise_broken("drain", "peer %u is not closed", i);
    }
    verdict();
}
