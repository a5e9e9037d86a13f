/*
 * What came of a run, for people (report.c) and for programs (report_json.c).
 */
#ifndef RINGCHAT_LOAD_REPORT_H
#define RINGCHAT_LOAD_REPORT_H

#include "tests/load/observe.h"
#include "tests/load/run.h"

#include <stdio.h>

/* Who had the most to do. */
enum bottleneck {
    BOTTLENECK_SERVER,    /* its processor time is used up */
    BOTTLENECK_BOTH,      /* so is ours */
    BOTTLENECK_GENERATOR, /* ours is: the figures are about us */
    BOTTLENECK_MACHINE,   /* all processors are busy */
    BOTTLENECK_NONE,      /* schedule, window or latency limit it */
    BOTTLENECK_UNKNOWN,   /* not us; the server cannot be looked at */
};

struct results {
    const struct plan *plan;
    struct counts totals;   /* of all the run */
    struct counts measured; /* of the time measured */
    double seconds;         /* of it */
    struct histogram latency, entering;
    bool was_interrupted;
    double our_cpu_s;     /* of the time measured */
    double busiest_share; /* of our busiest thread */
    double idle_s;        /* processor time of the machine that nobody had */
    bool has_server;      /* the rest is known */
    struct usage server;  /* of the time measured */
    uint64_t resident_before, resident_entered;
};

static inline double per_second(uint64_t count, double seconds)
{
    return seconds > 0 ? (double)count / seconds : 0;
}

/* Whether every check has held. */
bool results_hold(const struct results *);

enum bottleneck results_bottleneck(const struct results *);

/* A line for the last second: what has been counted in it, and since when. */
void report_progress(const struct counts *, const struct histogram *,
                     double seconds, double since_s);

void report_summary(const struct results *, FILE *);

/* 0 or -errno; "-" is standard output. */
int report_json(const struct results *, const char *file);

#endif
