/*
 * When what was asked for has had its effects. One worker does all at once, in
 * the call that brings it; of several each does its part when it comes to it,
 * and only when nobody has anything left to do has everything been done.
 */
#include "tests/sim/model_internal.h"

void effects_done(struct life *life)
{
    while (life->acted < life->handed) {
        struct fact *fact = fact_of(life->ops[life->acted++]);

        if (fact->done == NEVER)
            fact->done = world.stamp;
    }
}

stamp_t effects_seen(stamp_t done)
{
    return is_shared() ? NEVER : done;
}

static void holdings_settle(void)
{
    for (uint32_t i = 0; i < model.holding_count; i++) {
        struct holding *holding = &model.holdings[i];

        if (holding->time.out_done != NEVER && holding->told == NEVER)
            holding->told = world.stamp;
    }
}

/* Who went has left its rooms by now. */
static void stays_settle(void)
{
    for (uint32_t i = 0; i < model.stay_count; i++) {
        struct interval *time = &model.stays[i].time;

        if (time->out_begun != NEVER && time->out_done == NEVER)
            time->out_done = world.stamp;
    }
}

void model_quiet(void)
{
    for (unsigned i = 0; i < world.peer_count; i++) {
        struct life *life = life_of(i);

        if (!life->state)
            continue;
        if (!life->state->session || !life->paused)
            effects_done(life);
        deadlines_check_kept(life);
    }
    holdings_settle();
    stays_settle();
    rooms_check_prompt(UINT32_MAX);
}
