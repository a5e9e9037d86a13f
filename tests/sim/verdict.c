/*
 * When all is over: whether there is one order of each room that everybody saw,
 * whether each member was sent all that was said while it was there or told how
 * much it missed, and whether who came, went, and was called what fits
 * together.
 *
 * A promise is held to be broken only if it is in every order of what took
 * effect that the stamps allow.
 */
#include "tests/sim/model_internal.h"

#include "common/base/limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- One order ---------------------------------------------------------- */

struct placed {
    struct op *root, *op;
    int64_t place;
};

static struct placed placed[OPS_MAX];

static int compare_placed(const void *a, const void *b)
{
    const struct placed *p = a, *q = b;

    if (p->root != q->root)
        return p->root < q->root ? -1 : 1;
    return (p->place > q->place) - (p->place < q->place);
}

static bool is_message(const struct op *op)
{
    return op->say == SAY_MESSAGE || op->say == SAY_TO_ROOM;
}

/* Messages whose place relative to others somebody has told. */
static size_t place_all(void)
{
    size_t count = 0;

    for (uint32_t i = 0; i < model.op_count; i++) {
        struct op *op = &model.ops[i];
        struct placed *next = &placed[count];

        if (!is_message(op) || model.facts[i].room == ROOM_UNKNOWN ||
            (model.facts[i].heard_by == 0 && !model.facts[i].anchored))
            continue;
        *next = (struct placed){.op = op};
        next->root = position_root(op, &next->place);
        count++;
    }
    qsort(placed, count, sizeof(*placed), compare_placed);
    return count;
}

static void check_neighbours(const struct placed *a, const struct placed *b)
{
    if (a->place == b->place)
        promise_broken("one order", "m%u and m%u have one place", a->op->number,
                       b->op->number);
    if (fact_of(a->op)->room != fact_of(b->op)->room)
        promise_broken("one order", "m%u and m%u have one order in two rooms",
                       a->op->number, b->op->number);
}

/* From `from` on as far as there is one root. Nothing stands behind what began
 * when it was done, and what one peer says stands in the order of saying. */
static size_t check_order(size_t from, size_t count)
{
    uint32_t said[PEERS_MAX] = {0};
    stamp_t begun = 0;
    size_t i = from;

    for (; i < count && placed[i].root == placed[from].root; i++) {
        const struct op *op = placed[i].op;
        const struct fact *fact = fact_of(op);

        if (i > from)
            check_neighbours(&placed[i - 1], &placed[i]);
        if (fact->done < begun)
            promise_broken("one order", "m%u was over when one before it began",
                           op->number);
        if (op->number < said[op->peer])
            promise_broken("one order", "m%u stands behind m%u, said later",
                           op->number, said[op->peer]);
        said[op->peer] = op->number;
        begun = fact->begun > begun ? fact->begun : begun;
    }
    return i;
}

static void check_orders(void)
{
    size_t count = place_all();

    for (size_t i = 0; i < count;)
        i = check_order(i, count);
}

/* ---- Nothing lost ------------------------------------------------------- */

/* Messages that a member has not heard: surely meant for it, possibly. */
struct unheard {
    uint64_t surely, possibly;
    uint32_t number; /* one of the former */
};

/* One's own are said in one's own stay, whatever the stamps allow. */
static void count_unheard(const struct op *op, unsigned peer,
                          const struct stays *stays, struct unheard *unheard)
{
    const struct fact *fact = fact_of(op);
    bool own = op->peer == peer;

    if (!own && !were_possibly(stays, fact->begun, fact->done))
        return;
    unheard->possibly++;
    if ((fact->fate != FATE_DONE && fact->heard_by == 0) ||
        (!own && !were_surely(stays, fact->begun, fact->done)))
        return;
    unheard->surely++;
    unheard->number = op->number;
}

static void check_heard(const struct op *op, unsigned peer,
                        const struct stays *stays)
{
    const struct fact *fact = fact_of(op);

    if (op->peer != peer && !were_possibly(stays, fact->begun, fact->done))
        promise_broken("members alone", "peer %u hears m%u, and is not there",
                       peer, op->number);
}

static bool may_concern(const struct op *op, unsigned room)
{
    const struct fact *fact = fact_of(op);

    return is_message(op) && fact->begun != NEVER && fact->fate != FATE_VOID &&
           fact->fate != FATE_REFUSED &&
           (fact->room == room || fact->room == ROOM_UNKNOWN);
}

/* Bytes that a message of the room takes at most in any encoding besides its
 * text, and a notice in all. */
#define OVERHEAD_BYTES_MAX 700

bool fits_window(void)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < model.op_count; i++)
        bytes += model.ops[i].length + OVERHEAD_BYTES_MAX;
    bytes += OVERHEAD_BYTES_MAX * (uint64_t)world.peer_count * 2;
    return bytes < model.setup->config.room_window_bytes / 2;
}

/* Those whose time is out leave in one turn, which nothing holds up. */
static uint64_t notices_at_once(void)
{
    const struct chat_config *config = &model.setup->config;
    bool none = config->idle_timeout_ns == 0 && config->frame_timeout_ns == 0 &&
                config->handshake_timeout_ns == 0 &&
                config->heartbeat_ns == 0 && config->stall_timeout_ns == 0;

    return none ? 0 : OVERHEAD_BYTES_MAX * (uint64_t)world.peer_count;
}

bool keeps_up(unsigned peer)
{
    uint32_t longest = 0;

    for (uint32_t i = 0; i < model.op_count; i++) {
        if (model.ops[i].length > longest)
            longest = model.ops[i].length;
    }
    return life_of(peer)->prompt_since <= life_of(peer)->connected &&
           model.setup->config.room_window_bytes >=
               2 * (uint64_t)(longest + OVERHEAD_BYTES_MAX) + notices_at_once();
}

static void check_counts(unsigned peer, unsigned room, bool complete,
                         const struct unheard *unheard)
{
    uint64_t missed = model.views[peer][room].missed;

    if (missed > unheard->possibly)
        promise_broken("lagged",
                       "peer %u is told that it missed %" PRIu64
                       " messages of %s, and did at most %" PRIu64,
                       peer, missed, room_name_of(room), unheard->possibly);
    if (complete && missed < unheard->surely)
        promise_broken("nothing lost",
                       "peer %u did not hear %" PRIu64
                       " messages of %s (m%u), and is told that it missed "
                       "%" PRIu64,
                       peer, unheard->surely, room_name_of(room),
                       unheard->number, missed);
    if (missed > 0 && !model.setup->starved &&
        (fits_window() || keeps_up(peer)))
        promise_broken("lagged", "peer %u lags within the window of %s", peer,
                       room_name_of(room));
}

/* The message behind all others of the room; NULL if that is not certain. */
static const struct op *newest_of(unsigned room)
{
    const struct op *newest = NULL;
    stamp_t done = 0;

    for (uint32_t i = 0; i < model.op_count; i++) {
        const struct op *op = &model.ops[i];
        const struct fact *fact = fact_of(op);

        if (!may_concern(op, room))
            continue;
        if (!newest || fact->begun > fact_of(newest)->begun) {
            done = newest && fact_of(newest)->done > done
                       ? fact_of(newest)->done
                       : done;
            newest = op;
        } else if (fact->done > done) {
            done = fact->done;
        }
    }
    return newest && done < fact_of(newest)->begun &&
                   (fact_of(newest)->fate == FATE_DONE ||
                    fact_of(newest)->heard_by != 0)
               ? newest
               : NULL;
}

/* A coming, and a going if there was one. */
static uint64_t notices_since(const struct interval *time, stamp_t begun)
{
    bool came = time->in_done >= begun;
    bool went = time->out_done >= begun && time->out_done != NEVER;

    return OVERHEAD_BYTES_MAX * ((uint64_t)came + went);
}

/* At most so many bytes of notices stand behind it. */
static uint64_t noticed_behind(const struct op *newest)
{
    stamp_t begun = fact_of(newest)->begun;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < model.stay_count; i++)
        bytes += notices_since(&model.stays[i].time, begun);
    for (uint32_t i = 0; i < model.holding_count; i++)
        bytes += notices_since(&model.holdings[i].time, begun);
    for (uint32_t i = 0; i < model.op_count; i++) {
        if (model.ops[i].say == SAY_TOPIC && model.facts[i].done >= begun)
            bytes += model.ops[i].length + OVERHEAD_BYTES_MAX;
    }
    return bytes;
}

/* The newest message is kept, whatever its size, until notices of a window's
 * length have followed it: no member misses that one. */
static void check_newest(unsigned peer, unsigned room)
{
    const struct op *newest = newest_of(room);
    struct stays stays = stays_of(peer, room);

    if (!newest || fact_of(newest)->heard_by >> peer & 1 ||
        !were_surely(&stays, fact_of(newest)->begun, fact_of(newest)->done) ||
        noticed_behind(newest) >= model.setup->config.room_window_bytes)
        return;
    promise_broken("newest kept", "peer %u misses m%u, the last one of %s",
                   peer, newest->number, room_name_of(room));
}

static void check_member(unsigned peer, unsigned room, bool complete)
{
    struct stays stays = stays_of(peer, room);
    struct unheard unheard = {0};

    if (stays.count == 0 && !model.views[peer][room].first_seen)
        return;
    for (uint32_t i = 0; i < model.op_count; i++) {
        const struct op *op = &model.ops[i];

        if (!may_concern(op, room))
            continue;
        if (model.facts[i].heard_by >> peer & 1)
            check_heard(op, peer, &stays);
        else
            count_unheard(op, peer, &stays, &unheard);
    }
    check_counts(peer, room, complete, &unheard);
    if (complete)
        check_newest(peer, room);
}

static void check_members(unsigned peer, bool complete)
{
    for (unsigned room = 0; room < model.setup->rooms; room++)
        check_member(peer, room, complete);
}

/* ---- Nicks -------------------------------------------------------------- */

/* Whether somebody (not `peer`) had the nick: all the time, at some time. */
static void held_between(uint16_t name, unsigned peer, const struct fact *fact,
                         bool *surely, bool *possibly)
{
    *surely = *possibly = false;
    for (uint32_t i = 1; i <= model.holding_count; i++) {
        const struct holding *holding = &model.holdings[i - 1];

        if (holding->name != name || holding->peer == peer)
            continue;
        *surely |= surely_within(&holding->time, fact->begun, fact->done);
        *possibly |= possibly_within(&holding->time, fact->begun, fact->done);
    }
}

static void check_nick(const struct op *op)
{
    const struct fact *fact = fact_of(op);
    bool surely, possibly;

    if (op->nick[0] == '\0')
        return;
    held_between(name_of(op->nick, strlen(op->nick)), op->peer, fact, &surely,
                 &possibly);
    if (fact->fate == FATE_DONE && surely)
        promise_broken("nicks", "#%u takes the nick %s, which is another's",
                       op->number, op->nick);
    if (fact->error == ERROR_NICK_IN_USE && !possibly)
        promise_broken("nicks", "#%u may not take the nick %s, which is free",
                       op->number, op->nick);
}

/* Nobody is given a nick while another has it. */
static void check_holding(const struct holding *holding)
{
    const struct fact given = {
        .begun = holding->time.in_begun,
        .done = holding->time.in_done,
    };
    bool surely, possibly;

    if (given.done == NEVER)
        return;
    held_between(holding->name, holding->peer, &given, &surely, &possibly);
    if (surely)
        promise_broken("nicks", "peer %u is given the nick %s, another's",
                       holding->peer, model.names[holding->name].text);
}

/* Those who may have had the nick have all read to their end, and not this. */
static bool is_lost(const struct op *op, uint16_t name)
{
    const struct fact *fact = fact_of(op);

    for (uint32_t i = 0; i < model.holding_count; i++) {
        const struct holding *holding = &model.holdings[i];

        if (holding->name == name &&
            possibly_within(&holding->time, fact->begun, fact->done) &&
            !life_of(holding->peer)->complete)
            return false;
    }
    return true;
}

/* Who heard it may have had the nick then. */
static bool may_be_for(uint16_t name, const struct fact *fact)
{
    for (uint32_t i = 0; i < model.holding_count; i++) {
        const struct holding *holding = &model.holdings[i];

        if (holding->name == name && fact->heard_by >> holding->peer & 1 &&
            possibly_within(&holding->time, fact->begun, fact->done))
            return true;
    }
    return false;
}

/* That a reply, with all its lines, takes at most besides what was said. */
#define REPLY_BYTES_MAX (4 * KIB)

/* More than all that was ever asked for and said in private. */
static uint64_t unread_at_most(void)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < model.op_count; i++)
        bytes += model.ops[i].length + REPLY_BYTES_MAX;
    return bytes;
}

static void check_private(const struct op *op)
{
    const struct fact *fact = fact_of(op);
    uint16_t name = name_of(op->nick, strlen(op->nick));
    bool surely, possibly;

    if (fact->heard_by != 0 && !may_be_for(name, fact))
        promise_broken("private", "p%u is heard by who is not %s", op->number,
                       op->nick);
    held_between(name, PEERS_MAX, fact, &surely, &possibly);
    if (model.names[name].peer >= PEERS_MAX)
        return;
    if (fact->fate == FATE_DONE && !possibly)
        promise_broken("private", "p%u is sent to %s, whom nobody is",
                       op->number, op->nick);
    if (fact->error == ERROR_NO_SUCH_NICK && surely)
        promise_broken("private", "p%u finds nobody, and %s is there",
                       op->number, op->nick);
    if (fact->error == ERROR_RECEIVER_BUSY &&
        unread_at_most() < PRIVATE_UNREAD_MAX)
        promise_broken("private", "p%u finds %s busy", op->number, op->nick);
    if (fact->fate == FATE_DONE && fact->heard_by == 0 && is_lost(op, name))
        promise_broken("private", "p%u is not heard by %s", op->number,
                       op->nick);
}

/* The nick that others were shown with it was the sender's. */
static void check_shown(const struct op *op)
{
    const struct fact *fact = fact_of(op);

    if (fact->fate == FATE_DONE && fact->shown != 0 &&
        fact->shown != fact->nick)
        promise_broken("nicks", "#%u is by %s, and is shown as by %s",
                       op->number, model.names[fact->nick].text,
                       model.names[fact->shown].text);
}

/* ---- Places ------------------------------------------------------------- */

/* Those that surely had a place when the peer came, it included: in all, and of
 * its address. */
static void check_places(const struct life *life)
{
    const struct chat_config *config = &model.setup->config;
    uint64_t all = 0, near = 0;

    for (unsigned i = 0; i < world.peer_count; i++) {
        const struct life *other = life_of(i);

        if (!other->state || !other->greeted ||
            other->connected > life->connected ||
            other->served < life->connected)
            continue;
        all++;
        near += other->state->address == life->state->address;
    }
    if (all > config->sessions_max || (config->sessions_per_address_max > 0 &&
                                       near > config->sessions_per_address_max))
        promise_broken("places",
                       "peer %u is served as the %" PRIu64
                       "th, and the %" PRIu64 "th of its address",
                       life->state->index, all, near);
}

/* ---- All of it ---------------------------------------------------------- */

static void check_op(const struct op *op)
{
    const struct fact *fact = fact_of(op);

    check_shown(op);
    if (fact->fate == FATE_DONE && op->say == SAY_JOIN)
        check_joined(op);
    if (fact->fate == FATE_DONE && op->say == SAY_WHO)
        check_who(op);
    if (fact->fate == FATE_DONE && op->say == SAY_ROOMS)
        check_rooms(op);
    if ((op->say == SAY_NICK || op->say == SAY_HELLO) &&
        (fact->fate == FATE_DONE || fact->fate == FATE_REFUSED))
        check_nick(op);
    if (op->say == SAY_PRIVATE &&
        (fact->fate == FATE_DONE || fact->fate == FATE_REFUSED))
        check_private(op);
}

/* Only what they said before the end of the steps counts: it is over now. */
void verdict_settled(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        struct life *life = life_of(i);

        if (!life->state || !life->state->session || life->over != OVER_NOT)
            continue;
        check_members(i, true);
        life->judged = true;
    }
}

void verdict(void)
{
    check_orders();
    for (unsigned i = 0; i < world.peer_count; i++) {
        const struct life *life = life_of(i);

        if (!life->state)
            continue;
        if (life->greeted)
            check_places(life);
        if (!life->judged)
            check_members(i, life->complete);
        for (unsigned room = 0; room < model.setup->rooms; room++)
            check_presence(i, room);
    }
    for (uint32_t i = 0; i < model.op_count; i++)
        check_op(&model.ops[i]);
    for (uint32_t i = 0; i < model.holding_count; i++)
        check_holding(&model.holdings[i]);
    for (uint32_t i = 0; i < model.listed_count; i++)
        check_listed(&model.listed[i]);
}
