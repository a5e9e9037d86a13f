/*
 * Time-outs: none comes early, none comes late. What the peer has to send in
 * time is measured by a clock that stands still while the chat does not read
 * from it. And the rate of what it asks for.
 */
#include "tests/sim/model_internal.h"
#include "tests/sim/workers.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

/* A peer that reads at once is told within so many turns. */
#define OVERDUE_TURNS_MAX 3
/* And so many more where a turn sends it one span: of each room that it is in
 * or has left, and of what is longer than a span. */
#define SPAN_TURNS_MAX (2 * MEMBERSHIPS_MAX)
#define PINGS_UNANSWERED_MAX 3

static bool is_text(const struct life *life)
{
    return life->state->voice.dialect == DIALECT_TEXT;
}

void deadlines_time(struct life *life)
{
    if (!life->paused)
        life->clock_ns += world.now_ns - life->clocked_ns;
    life->clocked_ns = world.now_ns;
}

void deadlines_pause(struct life *life, bool paused)
{
    deadlines_time(life);
    life->paused = paused;
}

bool is_within(const struct life *life)
{
    return life->state->handed > life->whole;
}

/* ---- Due ---------------------------------------------------------------- */

/* An engine that is held up does not tell the chat of each short wait: what it
 * does next is early by as much. */
#define AWAY_NS (200 * 1000 * NS_PER_US)

static bool has_passed(uint64_t since_ns, uint64_t now_ns, uint64_t timeout_ns)
{
    if (model.setup->away)
        now_ns += AWAY_NS;
    return timeout_ns > 0 && now_ns >= since_ns + timeout_ns;
}

static bool handshake_is_due(const struct life *life)
{
    return !is_text(life) && !life->welcomed &&
           has_passed(life->opened_ns, world.now_ns,
                      model.setup->config.handshake_timeout_ns);
}

static bool silence_is_due(const struct life *life, uint64_t line_ns)
{
    const struct chat_config *config = &model.setup->config;

    if (is_text(life))
        return has_passed(line_ns, life->clock_ns, config->idle_timeout_ns);
    return is_within(life) && has_passed(life->frame_ns - 1, life->clock_ns,
                                         config->frame_timeout_ns);
}

/* Of a send that holds up everything, or that is not over for the engine, the
 * peer has taken nothing for all the chat knows. */
static bool stall_is_due(const struct life *life)
{
    const struct setup *setup = model.setup;
    bool lasts = setup->away || setup->late || setup->ordered;

    return (life->waited || lasts) &&
           has_passed(life->taken_ns, world.now_ns,
                      model.setup->config.stall_timeout_ns);
}

/* Time-outs for another reason than pings that go unanswered. */
static bool is_due(const struct life *life)
{
    return handshake_is_due(life) || silence_is_due(life, life->known_ns) ||
           stall_is_due(life);
}

/* ---- Heartbeats --------------------------------------------------------- */

/* When what the peer is hearing had been sent; 0 if that is not known any
 * more. */
static uint64_t sent_ns(const struct life *life)
{
    uint64_t ns = life->clock_ns;

    for (uint32_t i = life->send_count; i > 0; i--) {
        const struct sent *sent = &life->sends[(i - 1) % SENDS_MAX];

        if (life->send_count - i == SENDS_MAX)
            return 0;
        if (sent->end < life->state->heard)
            return ns;
        ns = sent->clock_ns;
    }
    return ns;
}

void deadlines_pinged(struct life *life)
{
    if (++life->pings > life->ponged + PINGS_UNANSWERED_MAX)
        promise_broken("time-outs come", "peer %u is pinged on and on",
                       life->state->index);
    life->beaten_ns = life->clock_ns;
    life->overdue = 0;
    life->ping_ns = sent_ns(life);
}

/* Whether this `timeout` may be for pings: of those it has been sent three, the
 * last one an interval before. Who answers all at once is not told that. */
static bool heartbeats_were_due(const struct life *life)
{
    uint64_t heartbeat_ns = model.setup->config.heartbeat_ns;
    bool answers = !life->state->mute && !life->dribbles &&
                   life->prompt_since <= life->connected;

    return life->welcomed && !answers && life->pings >= 3 &&
           has_passed(life->ping_ns, sent_ns(life), heartbeat_ns);
}

/* Who has been sent all there is must be sent a ping when an interval is over,
 * and be closed when three have gone unanswered for one. */
static bool ping_is_due(const struct life *life)
{
    return life->beaten_ns > 0 && has_passed(life->beaten_ns, life->clock_ns,
                                             model.setup->config.heartbeat_ns);
}

/* In the middle of a frame it cannot answer, and gets one interval more. */
static void put_off_ping(struct life *life)
{
    if (is_within(life) && ping_is_due(life))
        life->beaten_ns = life->clock_ns;
}

/* ---- What has come, and what has gone ------------------------------------ */

/* One that is too long has come when that is known, before its end. */
static void line_came(struct life *life)
{
    life->line_ns = life->clock_ns;
    if (life->ops[life->handed - 1]->say != SAY_LONG_LINE)
        life->known_ns = life->clock_ns;
}

/* What was due before this came has had its effect. */
void deadlines_handed(struct life *life)
{
    bool was_within = life->frame_ns != 0;
    uint64_t whole = life->whole;

    life->was_due |= is_due(life);
    put_off_ping(life);
    while (life->pongs_from < life->pongs_to &&
           life->pongs[life->pongs_from % PINGS_MAX] <= life->state->handed)
        life->whole = life->pongs[life->pongs_from++ % PINGS_MAX];
    if (life->handed > 0 && life->ops[life->handed - 1]->end > life->whole)
        life->whole = life->ops[life->handed - 1]->end;
    if (life->whole > whole && is_text(life))
        line_came(life);
    if (!is_within(life))
        life->frame_ns = 0;
    else if (!was_within || life->whole > whole)
        life->frame_ns = life->clock_ns + 1; /* not 0 */
}

/* Where sends are over before the chat is told the time, they are so, for all
 * it knows, when it was told last. */
void deadlines_sent(struct life *life)
{
    uint64_t untold_ns = model.setup->ordered
                             ? world.now_ns - worker_of(life->state)->told_ns
                             : 0;

    deadlines_time(life);
    life->was_due |= is_due(life);
    life->taken_ns = world.now_ns - untold_ns;
    life->sends[life->send_count++ % SENDS_MAX] = (struct sent){
        .end = life->state->down.length,
        .clock_ns = life->clock_ns - (life->paused ? 0 : untold_ns),
    };
}

void deadlines_check_due(const struct life *life)
{
    if (life->was_due || is_due(life) || heartbeats_were_due(life))
        return;
    promise_broken("no time-out comes early", "peer %u is told `timeout`",
                   life->state->index);
}

/* ---- Kept --------------------------------------------------------------- */

/* Since when it takes nothing of what there is for it; now if it does. */
static uint64_t blocked_since(struct life *life)
{
    if (!life->state->blocked)
        life->blocked_ns = 0;
    else if (life->blocked_ns == 0)
        life->blocked_ns = world.now_ns;
    if (life->blocked_ns == 0)
        return world.now_ns;
    return life->blocked_ns > life->taken_ns ? life->blocked_ns
                                             : life->taken_ns;
}

/* Its socket has been full for so long that it is closed: the error that says
 * why is given up a second after a turn has seen that. */
static bool block_is_due(struct life *life)
{
    if (!has_passed(blocked_since(life), world.now_ns,
                    model.setup->config.stall_timeout_ns)) {
        life->stuck_ns = 0;
        return false;
    }
    if (life->stuck_ns == 0)
        life->stuck_ns = world.now_ns;
    return world.now_ns >= life->stuck_ns + NS_PER_SECOND;
}

/* Who has been told its last word is closed within a second. */
static bool end_is_due(const struct life *life)
{
    return life->over != OVER_NOT &&
           world.now_ns > life->over_ns + NS_PER_SECOND;
}

void deadlines_check_kept(struct life *life)
{
    uint32_t turns_max =
        OVERDUE_TURNS_MAX + (model.setup->ordered ? SPAN_TURNS_MAX : 0);
    bool prompt = life->prompt_since <= life->connected;
    bool due;

    put_off_ping(life);
    due = !life->paused && !life->state->eof_handed && prompt &&
          (handshake_is_due(life) || silence_is_due(life, life->line_ns) ||
           ping_is_due(life));

    due = life->over == OVER_NOT ? due : end_is_due(life);
    due |= block_is_due(life);
    if (life->closed || !due || model.setup->away || model.setup->late) {
        life->overdue = 0;
        return;
    }
    if (++life->overdue > turns_max)
        promise_broken("time-outs come", "peer %u is not told `timeout`",
                       life->state->index);
}

/* ---- Rate --------------------------------------------------------------- */

/* Twice what a second allows is served at once, then as time passes. */
void deadlines_served(struct life *life)
{
    double rate = model.setup->config.rate_per_second;
    double seconds = (double)(world.now_ns - life->began_ns) / 1e9;

    life->served_count++;
    if (rate > 0 && life->served_count > rate * (2 + seconds) + 1)
        promise_broken("rate", "peer %u is served %u requests in %.3f s",
                       life->state->index, life->served_count, seconds);
}
