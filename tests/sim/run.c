/*
 * Processes for histories. A child shares with its parent one outcome (and in
 * bulk, what the workers count); how it ended, if it could not say so itself,
 * the parent sees from its exit status and from what it wrote to standard
 * error.
 */
#include "tests/sim/run.h"

#include "tests/sim/promise.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of so many seeds one is lived through twice, to see that all is the same. */
#define TWICE_EVERY 1000

#define NS_PER_S UINT64_C(1000000000)

static void *share(size_t length)
{
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
                        /* cppcheck-suppress invalidFunctionArg; see mmap(2) */
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert(memory != MAP_FAILED);
    return memory;
}

/* A child that does not outlive us. Nothing is left in stdio's buffers, which
 * would be written by both. */
static pid_t fork_child(void)
{
    pid_t child;

    fflush(NULL);
    child = fork();
    assert(child >= 0);
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

/* exit, not _exit: coverage is written down then, and leaks are found. */
static _Noreturn void end_child(void)
{
    exit(EXIT_SUCCESS); /* NOLINT(concurrency-mt-unsafe): the only thread */
}

static void errors_to(int file)
{
    assert(file >= 0);
    dup2(file, STDERR_FILENO);
}

/* ---- One ---------------------------------------------------------------- */

/* Lives through the plan in this process. */
static uint64_t live(const struct plan *plan)
{
    uint64_t trace, again;

    alarm(HANG_S);
    trace = world_run(plan);
    if (plan->seed % TWICE_EVERY != 0)
        return trace;
    again = world_run(plan);
    if (again != trace)
        promise_broken("same trace", "%016" PRIx64 ", then %016" PRIx64, trace,
                       again);
    return trace;
}

/* The line of what the child wrote that says the most: an assert's, or a
 * sanitizer's verdict. */
static void find_complaint(int file, char *line, size_t space)
{
    char text[4096];
    ssize_t length = pread(file, text, sizeof(text) - 1, 0);
    const char *start = text, *found;

    text[length > 0 ? length : 0] = '\0';
    found = strstr(text, "Assertion");
    if (!found)
        found = strstr(text, "ERROR: ");
    if (!found)
        found = strstr(text, "runtime error: ");
    for (const char *at = text; found && at < found; at++) {
        if (*at == '\n')
            start = at + 1;
    }
    snprintf(line, space, "%.*s", (int)strcspn(start, "\n"), start);
}

/* How the child ended, if it could not say so itself. */
static void judge(struct outcome *outcome, int status, int errors)
{
    char complaint[512];
    const char *name;

    if (outcome->failed || status == 0)
        return;
    find_complaint(errors, complaint, sizeof(complaint));
    outcome->failed = true;
    name =
        WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hang" : "crash";
    snprintf(outcome->promise, sizeof(outcome->promise), "%s", name);
    if (WIFSIGNALED(status))
        snprintf(outcome->detail, sizeof(outcome->detail), "SIG%s %s",
                 sigabbrev_np(WTERMSIG(status)), complaint);
    else
        snprintf(outcome->detail, sizeof(outcome->detail), "exit status %d %s",
                 WEXITSTATUS(status), complaint);
}

void run_plan(const struct plan *plan, struct outcome *outcome)
{
    struct outcome *shared = share(sizeof(*shared));
    int errors = memfd_create("errors", MFD_CLOEXEC), status;
    pid_t child = fork_child();

    if (child == 0) {
        errors_to(errors);
        promise_watch(shared);
        shared->trace = live(plan);
        end_child();
    }
    waitpid(child, &status, 0);
    judge(shared, status, errors);
    *outcome = *shared;
    close(errors);
    munmap(shared, sizeof(*shared));
}

void run_printed(const struct plan *plan)
{
    struct outcome *shared = share(sizeof(*shared));
    pid_t child = fork_child();

    if (child == 0) {
        setvbuf(stdout, NULL, _IOLBF, 0); /* nothing is lost in a crash */
        promise_watch(shared);
        world_print(true);
        alarm(HANG_S);
        world_run(plan);
        end_child();
    }
    waitpid(child, NULL, 0);
    munmap(shared, sizeof(*shared));
}

/* ---- Many --------------------------------------------------------------- */

/* A process that runs histories. What it writes the parent reads when it has
 * ended. */
struct worker {
    pid_t pid;  /* the parent's, as the file */
    int errors; /* what it says to standard error */
    uint64_t seed;
    struct outcome outcome;
};

struct shared {
    _Atomic uint64_t next; /* how many seeds have been given out */
    _Atomic bool stop;
    _Atomic uint64_t histories, steps;
    uint64_t end_ns;
    struct worker workers[JOBS_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The next seed's place among the bulk's; its count if no more is to begin. */
static uint64_t take_place(struct shared *shared, const struct bulk *bulk)
{
    uint64_t place;

    if (shared->stop || (bulk->seconds && now_ns() >= shared->end_ns))
        return bulk->count;
    place = shared->next++;
    return place < bulk->count ? place : bulk->count;
}

static _Noreturn void work(struct shared *shared, struct worker *worker,
                           const struct bulk *bulk)
{
    static struct plan plan;
    uint64_t place;

    promise_watch(&worker->outcome);
    while ((place = take_place(shared, bulk)) < bulk->count) {
        worker->seed = bulk->from + place;
        plan_draw(&plan, worker->seed);
        live(&plan);
        shared->histories++;
        shared->steps += plan.count;
    }
    end_child();
}

/* They are silent: what fails is run again, and then heard. */
static void start_workers(struct shared *shared, const struct bulk *bulk)
{
    for (unsigned i = 0; i < bulk->jobs; i++) {
        struct worker *worker = &shared->workers[i];
        pid_t child;

        worker->errors = memfd_create("errors", MFD_CLOEXEC);
        child = fork_child();
        if (child == 0) {
            errors_to(worker->errors);
            work(shared, worker, bulk);
        }
        worker->pid = child;
    }
}

/* Returns the one that failed with the least seed, or NULL. */
static struct worker *await_workers(struct shared *shared, unsigned jobs)
{
    struct worker *failed = NULL;

    for (unsigned ended = 0; ended < jobs; ended++) {
        struct worker *worker = shared->workers;
        int status;
        pid_t pid = wait(&status);

        while (worker->pid != pid)
            worker++;
        judge(&worker->outcome, status, worker->errors);
        close(worker->errors);
        if (!worker->outcome.failed)
            continue;
        shared->stop = true;
        if (!failed || worker->seed < failed->seed)
            failed = worker;
    }
    return failed;
}

/* What a worker died of says the seed alone, if it does it again. */
static void run_again(const struct worker *failed, struct outcome *outcome)
{
    static struct plan plan;

    plan_draw(&plan, failed->seed);
    run_plan(&plan, outcome);
    if (outcome->failed)
        return;
    *outcome = failed->outcome;
    snprintf(outcome->promise, sizeof(outcome->promise), "again");
    snprintf(outcome->detail, sizeof(outcome->detail),
             "alone it does not fail; after others: %s: %.900s",
             failed->outcome.promise, failed->outcome.detail);
}

void run_many(struct bulk *bulk, struct outcome *outcome)
{
    struct shared *shared = share(sizeof(*shared));
    uint64_t begun_ns = now_ns();
    const struct worker *failed;

    assert(bulk->jobs > 0 && bulk->jobs <= JOBS_MAX);
    shared->end_ns = begun_ns + bulk->seconds * NS_PER_S;
    start_workers(shared, bulk);
    failed = await_workers(shared, bulk->jobs);
    bulk->took_ns = now_ns() - begun_ns;
    bulk->histories = shared->histories;
    bulk->steps = shared->steps;
    *outcome = (struct outcome){0};
    if (failed) {
        bulk->seed = failed->seed;
        run_again(failed, outcome);
    }
    munmap(shared, sizeof(*shared));
}
