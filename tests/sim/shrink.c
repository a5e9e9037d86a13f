/*
 * The smallest history that breaks the same promise: steps are left out in
 * pieces, large ones first, and what remains is made to say less. Each trial is
 * a run in a process of its own (run.h).
 */
#include "tests/sim/run.h"

#include <string.h>

struct shrinking {
    struct plan *plan; /* the smallest so far */
    struct outcome *outcome;
    unsigned runs; /* that are left */
};

/* Whether the candidate fails the same way: then it is the plan from now on. */
static bool try_plan(struct shrinking *shrinking, const struct plan *candidate)
{
    struct outcome outcome;

    if (shrinking->runs == 0)
        return false;
    shrinking->runs--;
    run_plan(candidate, &outcome);
    if (!outcome.failed ||
        strcmp(outcome.promise, shrinking->outcome->promise) != 0)
        return false;
    *shrinking->plan = *candidate;
    *shrinking->outcome = outcome;
    return true;
}

static bool try_without(struct shrinking *shrinking, size_t start, size_t count)
{
    static struct plan candidate;
    struct step *steps = candidate.steps;

    candidate = *shrinking->plan;
    memmove(steps + start, steps + start + count,
            (candidate.count - start - count) * sizeof(*steps));
    candidate.count -= count;
    return try_plan(shrinking, &candidate);
}

/* What came after the failure had no part in it (unless only the end of all
 * showed it). */
static void cut_tail(struct shrinking *shrinking)
{
    const struct plan *plan = shrinking->plan;
    size_t kept = 0;

    while (kept < plan->count &&
           plan->steps[kept].number <= shrinking->outcome->step)
        kept++;
    if (kept > 0 && kept < plan->count)
        try_without(shrinking, kept, plan->count - kept);
}

/* Tries to leave out each piece of that size, the last one first: what it does
 * depends on those before. Returns whether one was not needed. */
static bool cut_pieces(struct shrinking *shrinking, size_t size)
{
    size_t end = shrinking->plan->count;
    bool cut = false;

    while (end > 0) {
        size_t start = end > size ? end - size : 0;

        if (try_without(shrinking, start, end - start))
            cut = true;
        end = start;
    }
    return cut;
}

static void cut_steps(struct shrinking *shrinking)
{
    size_t size = (shrinking->plan->count + 1) / 2;

    while (size > 0 && shrinking->runs > 0) {
        if (!cut_pieces(shrinking, size) || size > 1)
            size /= 2;
    }
}

/* Tries the step with a smaller length or value. */
static bool try_step(struct shrinking *shrinking, size_t i, uint32_t length,
                     uint64_t value)
{
    static struct plan candidate;
    struct step *step = &candidate.steps[i];

    candidate = *shrinking->plan;
    if (step->length <= length && step->value <= value)
        return false;
    step->length = length;
    step->value = value;
    return try_plan(shrinking, &candidate);
}

/* The first of some round values at which it still fails. */
static void lessen_value(struct shrinking *shrinking, size_t i)
{
    for (uint64_t value = 1; value <= UINT64_C(10000000000); value *= 10) {
        const struct step *step = &shrinking->plan->steps[i];

        if (value >= step->value || try_step(shrinking, i, step->length, value))
            return;
    }
}

static void lessen(struct shrinking *shrinking, size_t i)
{
    const struct step *step = &shrinking->plan->steps[i];

    if (step->act == ACT_SAY)
        try_step(shrinking, i, OP_TEXT_MIN, step->value);
    if (step->act == ACT_WAIT || step->act == ACT_OVERSLEEP ||
        step->act == ACT_DRIBBLE)
        lessen_value(shrinking, i);
}

void shrink_plan(struct plan *plan, struct outcome *outcome, unsigned runs_max)
{
    struct shrinking shrinking = {plan, outcome, runs_max};

    cut_tail(&shrinking);
    cut_steps(&shrinking);
    for (size_t i = 0; i < plan->count; i++)
        lessen(&shrinking, i);
}
