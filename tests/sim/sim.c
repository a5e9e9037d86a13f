/*
 * The simulator: histories of a chat that is driven through its seam by peers,
 * a network and a clock that are all made up, each from one seed (plan.h), and
 * each looked at for broken promises (model.h).
 *
 *     sim --seeds N [--from S]      seeds S (1) to S + N - 1
 *     sim --seconds N [--from S]    new ones, for so long
 *     sim --seed S                  one, printed; shrunk if it fails
 *     sim --find-only N [--from S]  as --seeds, and says no more than what the
 *                                   first failure is
 *     sim --trace S                 the hash of all that happens in one
 *         --jobs N                  processes (CPUs)
 *
 * Exits with 0, with 1 if a promise is broken, with 64 (EX_USAGE).
 */
#include "tests/sim/alloc.h"
#include "tests/sim/plan.h"
#include "tests/sim/run.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

/* Trials of a shrinking; of one that hangs each takes HANG_S. */
#define SHRINK_RUNS 3000
#define SHRINK_RUNS_HANGING 20

enum command {
    COMMAND_NONE,
    COMMAND_SEEDS,
    COMMAND_SECONDS,
    COMMAND_SEED,
    COMMAND_FIND_ONLY,
    COMMAND_TRACE,
};

struct task {
    enum command command;
    uint64_t value; /* the command's */
    uint64_t from;
    bool from_given;
    unsigned jobs;
};

static struct plan plan;

/* ---- One ---------------------------------------------------------------- */

static void print_history(void)
{
    char line[1024];

    setup_print(&plan.setup, line, sizeof(line));
    printf("seed %" PRIu64 ": %s\n", plan.seed, line);
    run_printed(&plan);
}

static void print_failure(const struct outcome *outcome)
{
    printf("seed %" PRIu64 ": %s: %s (step %" PRIu32 ")\n", plan.seed,
           outcome->promise, outcome->detail, outcome->step);
}

/* The plan fails with that outcome. */
static void report(struct outcome *outcome)
{
    bool hangs = strcmp(outcome->promise, "hang") == 0;
    size_t steps = plan.count;

    print_failure(outcome);
    printf("shrinking its %zu steps ...\n", steps);
    shrink_plan(&plan, outcome, hangs ? SHRINK_RUNS_HANGING : SHRINK_RUNS);
    printf("\n%zu of them are enough:\n\n", plan.count);
    print_history();
    printf("\n");
    print_failure(outcome);
    printf("again: make sim SEED=%" PRIu64 "\n", plan.seed);
}

static int run_seed(uint64_t seed)
{
    struct outcome outcome;

    plan_draw(&plan, seed);
    run_plan(&plan, &outcome);
    if (outcome.failed) {
        report(&outcome);
        return EXIT_FAILURE;
    }
    print_history();
    printf("seed %" PRIu64 ": every promise kept, trace %016" PRIx64 "\n", seed,
           outcome.trace);
    return EXIT_SUCCESS;
}

static int print_trace(uint64_t seed)
{
    struct outcome outcome;

    plan_draw(&plan, seed);
    run_plan(&plan, &outcome);
    if (outcome.failed) {
        print_failure(&outcome);
        return EXIT_FAILURE;
    }
    printf("%016" PRIx64 "\n", outcome.trace);
    return EXIT_SUCCESS;
}

/* ---- Many --------------------------------------------------------------- */

static void print_sum(const struct bulk *bulk)
{
    double seconds = (double)bulk->took_ns / 1e9;

    printf("%" PRIu64 " histories from seed %" PRIu64 " on, %" PRIu64
           " steps, in %.1f s: %.0f histories/s\n",
           bulk->histories, bulk->from, bulk->steps, seconds,
           (double)bulk->histories / seconds);
}

/* A failure that is another one when alone cannot be shrunk. */
static void report_found(struct outcome *outcome)
{
    if (strcmp(outcome->promise, "again") == 0)
        print_failure(outcome);
    else
        report(outcome);
}

static int run_bulk(struct bulk *bulk, bool find_only)
{
    struct outcome outcome;

    run_many(bulk, &outcome);
    if (!find_only || !outcome.failed)
        print_sum(bulk);
    if (!outcome.failed)
        return EXIT_SUCCESS;
    plan_draw(&plan, bulk->seed);
    if (find_only)
        printf("seed %" PRIu64 ": %s: %s\n", bulk->seed, outcome.promise,
               outcome.detail);
    else
        report_found(&outcome);
    return EXIT_FAILURE;
}

/* Small enough to be typed. */
static uint64_t new_seed(void)
{
    uint32_t seed;
    ssize_t length = getrandom(&seed, sizeof(seed), 0);

    assert(length == sizeof(seed));
    return seed;
}

static int run_seeds(const struct task *task)
{
    struct bulk bulk = {
        .from = task->from,
        .count = task->value,
        .jobs = task->jobs,
    };

    return run_bulk(&bulk, task->command == COMMAND_FIND_ONLY);
}

static int run_seconds(const struct task *task)
{
    struct bulk bulk = {
        .from = task->from_given ? task->from : new_seed(),
        .count = UINT64_MAX,
        .seconds = (unsigned)task->value,
        .jobs = task->jobs,
    };

    printf("from seed %" PRIu64 " on, for %u s\n", bulk.from, bulk.seconds);
    return run_bulk(&bulk, false);
}

/* ---- The command line --------------------------------------------------- */

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: sim --seeds N | --seconds N | --seed S | "
                    "--find-only N | --trace S [--from S] [--jobs N]\n");
    exit(EX_USAGE); /* NOLINT(concurrency-mt-unsafe): the only thread */
}

static uint64_t number(const char *typed)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(typed, &end, 10);
    if (typed[0] < '0' || typed[0] > '9' || *end != '\0' || errno != 0)
        usage();
    return value;
}

static unsigned jobs_from(uint64_t value)
{
    if (value < 1)
        return 1;
    return value < JOBS_MAX ? (unsigned)value : JOBS_MAX;
}

static void take_option(struct task *task, int option, uint64_t value)
{
    switch (option) {
    case 'f':
        task->from = value;
        task->from_given = true;
        break;
    case 'j':
        task->jobs = jobs_from(value);
        break;
    default:
        if (task->command != COMMAND_NONE)
            usage();
        task->command = (enum command)option;
        task->value = value;
    }
}

static struct task parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, COMMAND_SEEDS},
        {"seconds", required_argument, NULL, COMMAND_SECONDS},
        {"seed", required_argument, NULL, COMMAND_SEED},
        {"find-only", required_argument, NULL, COMMAND_FIND_ONLY},
        {"trace", required_argument, NULL, COMMAND_TRACE},
        {"from", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},
        {0},
    };
    struct task task = {
        .from = 1,
        .jobs = jobs_from((uint64_t)sysconf(_SC_NPROCESSORS_ONLN)),
    };
    int option;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): likewise */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            usage();
        take_option(&task, option, number(optarg));
    }
    if (optind < argc)
        usage();
    return task;
}

int main(int argc, char **argv)
{
    struct task task = parse(argc, argv);

    alloc_init();
    switch (task.command) {
    case COMMAND_SEEDS:
    case COMMAND_FIND_ONLY:
        return run_seeds(&task);
    case COMMAND_SECONDS:
        return run_seconds(&task);
    case COMMAND_SEED:
        return run_seed(task.value);
    case COMMAND_TRACE:
        return print_trace(task.value);
    default:
        usage();
    }
}
