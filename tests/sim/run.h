/*
 * Running histories, each in a process that may die of it: many at a time, one
 * again, and one shrunk to its smallest.
 */
#ifndef RINGCHAT_SIM_RUN_H
#define RINGCHAT_SIM_RUN_H

#include "tests/sim/plan.h"

#include <stdbool.h>
#include <stdint.h>

/* A history that takes longer, in seconds of real time, hangs: it takes a
 * thousandth of that. */
#define HANG_S 10

/* How a history ended. */
struct outcome {
    bool failed;
    uint32_t step;    /* at which it failed */
    uint64_t trace;   /* if it did not fail */
    char promise[64]; /* which was broken; "crash" for a signal or a sanitizer,
                         "hang" */
    char detail[1024];
};

/* Runs the plan in a child process. */
void run_plan(const struct plan *, struct outcome *);

/* Likewise, to be seen: prints the history, and all that a sanitizer says. */
void run_printed(const struct plan *);

/* Leaves out of the plan, which fails with `outcome`, all steps without which
 * it still breaks the same promise (ddmin: Zeller and Hildebrandt, TSE 2002),
 * and makes smaller what the others say, within so many runs. */
void shrink_plan(struct plan *, struct outcome *, unsigned runs_max);

#define JOBS_MAX 256

/* Many histories, of one seed after another. */
struct bulk {
    uint64_t from, count; /* seeds; the count is UINT64_MAX for no end */
    unsigned seconds;     /* then no more are begun; 0: no such limit */
    unsigned jobs;        /* processes, at most JOBS_MAX */
    /* What came of it. */
    uint64_t seed; /* the least that failed, if any did */
    uint64_t histories, steps;
    uint64_t took_ns;
};

/* Runs them until one fails; then those before it are done too, so that the
 * failing seed is always the same, whatever the jobs. */
void run_many(struct bulk *, struct outcome *);

#endif
