/*
 * At the end: who was in which room, and what the others were told of that.
 * Presence is not counted as missed, so how often a member sees somebody come,
 * go or change its nick is only judged where it cannot have missed any.
 */
#include "tests/sim/model_internal.h"

#include <inttypes.h>

/* ---- Stays -------------------------------------------------------------- */

struct stays stays_of(unsigned peer, unsigned room)
{
    struct stays stays;

    stays.count = 0;
    for (uint32_t i = 0; i < model.stay_count; i++) {
        if (model.stays[i].peer != peer || model.stays[i].room != room)
            continue;
        if (stays.count == sizeof(stays.all) / sizeof(stays.all[0]))
            promise_broken("simulator", "a peer comes back too often");
        stays.all[stays.count++] = &model.stays[i].time;
    }
    return stays;
}

bool were_surely(const struct stays *stays, stamp_t begun, stamp_t done)
{
    for (unsigned i = 0; i < stays->count; i++) {
        if (surely_within(stays->all[i], begun, done))
            return true;
    }
    return false;
}

bool were_possibly(const struct stays *stays, stamp_t begun, stamp_t done)
{
    for (unsigned i = 0; i < stays->count; i++) {
        if (possibly_within(stays->all[i], begun, done))
            return true;
    }
    return false;
}

/* ---- Who was there ------------------------------------------------------ */

/* The peers that were in a room all the time, and those that may have been at
 * some time. */
static void members_between(unsigned room, stamp_t begun, stamp_t done,
                            uint64_t *surely, uint64_t *possibly)
{
    *surely = *possibly = 0;
    for (uint32_t i = 0; i < model.stay_count; i++) {
        const struct stay *stay = &model.stays[i];

        if (stay->room != room)
            continue;
        if (surely_within(&stay->time, begun, done))
            *surely |= UINT64_C(1) << stay->peer;
        if (possibly_within(&stay->time, begun, done))
            *possibly |= UINT64_C(1) << stay->peer;
    }
}

static unsigned members(uint64_t set)
{
    return (unsigned)__builtin_popcountll(set);
}

void check_joined(const struct op *op)
{
    const struct fact *fact = fact_of(op);
    uint64_t own = UINT64_C(1) << op->peer;
    uint64_t surely, possibly;

    members_between(op->room, fact->begun, fact->done, &surely, &possibly);
    if (fact->listed < members(surely | own) ||
        fact->listed > members(possibly | own))
        promise_broken("members",
                       "#%u joins %s with %" PRIu64
                       " members; they are %u to %u",
                       op->number, room_name_of(op->room), fact->listed,
                       members(surely | own), members(possibly | own));
}

void check_who(const struct op *op)
{
    const struct fact *fact = fact_of(op);
    uint64_t surely, possibly;

    members_between(fact->room, fact->begun, fact->done, &surely, &possibly);
    possibly |= UINT64_C(1) << op->peer;
    if ((fact->listed & ~possibly) ||
        (fact->others == 0 && (surely & ~fact->listed)) ||
        members(fact->listed) + fact->others > members(possibly) ||
        members(fact->listed) + fact->others < members(surely))
        promise_broken("members", "#%u lists who is not in %s, or not who is",
                       op->number, room_name_of(fact->room));
}

void check_listed(const struct listed *listed)
{
    const struct fact *fact = fact_of(listed->op);
    uint64_t surely, possibly;

    members_between(listed->room, fact->begun, fact->done, &surely, &possibly);
    if (listed->members < members(surely) ||
        listed->members > members(possibly) || listed->members == 0)
        promise_broken("members",
                       "#%u lists %s with %" PRIu64
                       " members; they are %u to %u",
                       listed->op->number, room_name_of(listed->room),
                       listed->members, members(surely), members(possibly));
}

/* It lists each room that surely had a member. */
void check_rooms(const struct op *op)
{
    const struct fact *fact = fact_of(op);
    uint64_t surely, possibly;

    for (unsigned room = 0; room < model.setup->rooms; room++) {
        members_between(room, fact->begun, fact->done, &surely, &possibly);
        if (surely && !(fact->listed >> room & 1))
            promise_broken("members", "#%u does not list %s", op->number,
                           room_name_of(room));
    }
}

/* ---- Presence ----------------------------------------------------------- */

enum told { TOLD_NO, TOLD_MAYBE, TOLD_YES };

/* Whether a room is told of something between those stamps of a peer that is
 * counted with the others. */
static enum told is_told(unsigned room, unsigned peer, stamp_t begun,
                         stamp_t done)
{
    uint64_t limit = model.setup->config.presence_members_max;
    uint64_t own = UINT64_C(1) << peer;
    uint64_t surely, possibly;

    members_between(room, begun, done, &surely, &possibly);
    if (members(surely | own) > limit)
        return TOLD_NO;
    return members(possibly | own) <= limit && !model.setup->starved
               ? TOLD_YES
               : TOLD_MAYBE;
}

/* How often a member is told something of another one. */
struct told_times {
    uint64_t surely, possibly;
};

static void count_told(struct told_times *times, const struct stays *stays,
                       enum told told, stamp_t begun, stamp_t done)
{
    if (told == TOLD_NO || !were_possibly(stays, begun, done))
        return;
    times->possibly++;
    if (told == TOLD_YES && were_surely(stays, begun, done))
        times->surely++;
}

static struct told_times times_joined(const struct stays *stays, unsigned room,
                                      unsigned other)
{
    struct stays theirs = stays_of(other, room);
    struct told_times times = {0};

    for (unsigned i = 0; i < theirs.count; i++) {
        const struct interval *time = theirs.all[i];
        bool sure = time->in_done != NEVER;
        stamp_t done = sure ? time->in_done : time->out_done;
        enum told told = is_told(room, other, time->in_begun, done);

        count_told(&times, stays, sure || !told ? told : TOLD_MAYBE,
                   time->in_begun, done);
    }
    return times;
}

/* When the server is stopping nobody is told. */
static struct told_times times_left(const struct stays *stays, unsigned room,
                                    unsigned other)
{
    struct stays theirs = stays_of(other, room);
    struct told_times times = {0};

    for (unsigned i = 0; i < theirs.count; i++) {
        const struct interval *time = theirs.all[i];
        enum told told;

        if (time->out_done == NEVER || time->out_begun >= model.stopped_all)
            continue;
        told = is_told(room, other, time->out_begun, time->out_done);
        if (told == TOLD_YES &&
            (time->in_done == NEVER || time->out_done >= model.stopped))
            told = TOLD_MAYBE;
        count_told(&times, stays, told, time->out_begun, time->out_done);
    }
    return times;
}

static const struct holding *next_holding(unsigned peer,
                                          const struct holding *after)
{
    const struct holding *end = model.holdings + model.holding_count;
    const struct holding *holding = after ? after + 1 : model.holdings;

    while (holding < end && holding->peer != peer)
        holding++;
    return holding < end ? holding : NULL;
}

/* Every nick but the first is told to the rooms that its holder is in then, and
 * to itself there. */
static struct told_times times_renamed(const struct stays *stays, unsigned room,
                                       unsigned other)
{
    struct stays theirs = stays_of(other, room);
    const struct holding *holding = next_holding(other, NULL);
    struct told_times times = {0};

    while (holding && (holding = next_holding(other, holding))) {
        const struct interval *time = &holding->time;
        bool sure = time->in_done != NEVER;
        stamp_t perhaps = is_shared() ? holding->told : time->out_done;
        stamp_t done = sure ? time->in_done : perhaps;
        enum told told = is_told(room, other, time->in_begun, done);

        if (!were_possibly(&theirs, time->in_begun, done))
            continue;
        if (told == TOLD_YES &&
            (!sure || !were_surely(&theirs, time->in_begun, done)))
            told = TOLD_MAYBE;
        count_told(&times, stays, told, time->in_begun, done);
    }
    return times;
}

/* How often the member saw that of the other one, and of whom it may be. */
static uint64_t count_seen(unsigned peer, unsigned room, enum heard_kind kind,
                           unsigned other, uint64_t *unknown)
{
    uint64_t count = 0;

    *unknown = 0;
    for (uint32_t i = model.views[peer][room].first_seen; i;
         i = model.seen[i].next) {
        unsigned who = model.names[model.seen[i].name].peer;

        if (model.seen[i].kind != kind)
            continue;
        count += who == other;
        *unknown += who >= PEERS_MAX;
    }
    return count;
}

/* Guests whose welcome nobody has read: what they were called, others may be
 * called later. */
static uint64_t nameless_guests(void)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < world.peer_count; i++) {
        const struct life *life = life_of(i);

        count += life->state && !life->welcomed && life->over != OVER_REFUSED;
    }
    return count;
}

static void check_told(unsigned peer, unsigned room, unsigned other,
                       enum heard_kind kind, bool all,
                       const struct told_times *times)
{
    uint64_t unknown;
    uint64_t seen = count_seen(peer, room, kind, other, &unknown);
    const char *what = kind == HEARD_JOINED ? "join"
                       : kind == HEARD_LEFT ? "leave"
                                            : "change its nick in";

    if (seen > times->possibly && seen > times->possibly + nameless_guests())
        promise_broken("presence",
                       "peer %u sees peer %u %s %s %" PRIu64
                       " times, at most %" PRIu64 " are true",
                       peer, other, what, room_name_of(room), seen,
                       times->possibly);
    if (all && seen + unknown < times->surely)
        promise_broken(
            "presence",
            "peer %u sees peer %u %s %s %" PRIu64 " times, and not %" PRIu64,
            peer, other, what, room_name_of(room), seen, times->surely);
}

/* Notices that a member misses are not counted: whether it can miss none. */
static bool sees_all(unsigned peer, unsigned room)
{
    const struct life *life = life_of(peer);

    return life->complete && model.views[peer][room].missed == 0 &&
           (keeps_up(peer) || fits_window());
}

void check_presence(unsigned peer, unsigned room)
{
    struct stays stays = stays_of(peer, room);
    bool all = sees_all(peer, room);

    if (stays.count == 0)
        return;
    for (unsigned other = 0; other < world.peer_count; other++) {
        struct told_times joined = {0}, left = {0}, renamed;

        if (!life_of(other)->state)
            continue;
        renamed = times_renamed(&stays, room, other);
        check_told(peer, room, other, HEARD_NICK, all, &renamed);
        if (other != peer) {
            joined = times_joined(&stays, room, other);
            left = times_left(&stays, room, other);
        }
        check_told(peer, room, other, HEARD_JOINED, all, &joined);
        check_told(peer, room, other, HEARD_LEFT, all, &left);
    }
}
