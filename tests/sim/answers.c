/*
 * Each request is answered, and its peer is told the answers in the order in
 * which it asked (matches.c says what an answer is). When a session ends, some
 * of its requests have had no answer: what they may have done is noted.
 */
#include "tests/sim/model_internal.h"

#include <string.h>

/* No event: no answer will come. */
const struct heard nothing = {.kind = HEARD_KINDS};

/* ---- In their order ----------------------------------------------------- */

/* The next one that is not answered; NULL if nothing is due. */
static struct op *next_due(const struct life *life, stamp_t before)
{
    struct op *op;

    if (life->over != OVER_NOT || life->answered == life->handed)
        return NULL;
    op = life->ops[life->answered];
    return fact_of(op)->begun < before ? op : NULL;
}

static bool comes_early(enum error_code code)
{
    return code == ERROR_LINE_TOO_LONG || code == ERROR_WRONG_PROTOCOL ||
           code == ERROR_BAD_FRAME || code == ERROR_TOO_LARGE ||
           (code >= ERROR_HANDSHAKE && code <= ERROR_REPLAY);
}

/* What closes, and that a line is too long, is said as soon as it is certain,
 * perhaps before all of the request has come. */
static void hand_early(struct life *life, const struct heard *heard)
{
    struct fact *fact;

    if (heard->kind != HEARD_ERROR || !comes_early(heard->code) ||
        life->answered < life->handed || life->handed == life->asked)
        return;
    fact = fact_of(life->ops[life->handed++]);
    fact->begun = fact->first;
    fact->done = world.stamp;
}

static _Noreturn void unasked(const struct life *life,
                              const struct heard *heard)
{
    char line[256];

    heard_print(heard, line, sizeof(line));
    promise_broken("answers", "peer %u is told %s, and nothing is due",
                   life->state->index, line);
}

void answer_heard(struct life *life, const struct heard *heard)
{
    struct op *op;

    hand_early(life, heard);
    while ((op = next_due(life, NEVER))) {
        enum match match;

        if (fact_of(op)->done == NEVER)
            fact_of(op)->done = world.stamp;
        match = match_op(life, op, heard);
        if (match != MATCH_MORE)
            life->answered++;
        if (match != MATCH_SILENT)
            return;
        hand_early(life, heard);
    }
    unasked(life, heard);
}

void answers_settle(struct life *life, stamp_t before)
{
    struct op *op;

    while ((op = next_due(life, before)) &&
           (before == NEVER || fact_of(op)->done < before)) {
        if (match_op(life, op, &nothing) == MATCH_SILENT)
            life->answered++;
    }
}

/* ---- What nobody will know ---------------------------------------------- */

static void leave_perhaps(struct life *life, const struct op *op)
{
    const struct fact *fact = fact_of(op);

    for (unsigned i = 0; i < life->place_count; i++) {
        struct stay *stay = life->places[i];

        if ((!op->named || stay->room == op->room) &&
            stay->time.out_begun > fact->begun)
            stay->time.out_begun = fact->begun;
    }
}

static void join_perhaps(struct life *life, unsigned room, stamp_t begun,
                         stamp_t done)
{
    struct stay *stay = stay_begin(life->state->index, room, begun, NEVER);

    stay->time.out_begun = begun;
    stay->time.out_done = done;
}

static void rename_perhaps(struct life *life, const struct op *op)
{
    const struct fact *fact = fact_of(op);

    if (life->holding && life->holding->time.out_begun > fact->begun)
        life->holding->time.out_begun = fact->begun;
    if (op->nick[0] == '\0')
        return;
    holding_begin(life->state->index, name_of(op->nick, strlen(op->nick)),
                  fact->begun, NEVER)
        ->time.out_done = world.stamp;
}

void answers_give_up(struct life *life, stamp_t done)
{
    for (uint32_t i = life->answered; i < life->handed; i++) {
        const struct op *op = life->ops[i];
        struct fact *fact = fact_of(op);

        if (fact->done == NEVER && !is_shared())
            fact->done = world.stamp;
        if (op->say == SAY_LEAVE)
            leave_perhaps(life, op);
        if (op->say == SAY_JOIN)
            join_perhaps(life, op->room, fact->begun, done);
        if (op->say == SAY_HELLO)
            join_perhaps(life, 0, fact->begun, done);
        if (op->say == SAY_HELLO || op->say == SAY_NICK)
            rename_perhaps(life, op);
        if (op->say == SAY_TO_ROOM && fact->room == ROOM_UNKNOWN)
            fact->room = op->room;
    }
    life->answered = life->handed;
}
