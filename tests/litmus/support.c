/*
 * Three options, one line, and one meeting point.
 */
#include "tests/litmus/support.h"

#include "common/base/number.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

void broken(const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: BROKEN: %s\n", program_invocation_short_name, line);
    _exit(1);
}

static unsigned number(const char *typed, unsigned least, unsigned most)
{
    uint64_t value;

    if (number_parse(typed, &value) == 0 && value >= least && value <= most)
        return (unsigned)value;
    fprintf(stderr, "%s: '%s' is not a number from %u to %u\n",
            program_invocation_short_name, typed, least, most);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    exit(EX_USAGE);
}

struct settings settings_parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"workers", required_argument, NULL, 'w'},
        {"seed", required_argument, NULL, 'r'},
        {0},
    };
    struct settings settings = {.seconds = 2, .workers = 4, .seed = 1};
    int option;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): likewise */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            settings.seconds = number(optarg, 0, 1000000);
        else if (option == 'w')
            settings.workers = number(optarg, 2, LITMUS_WORKERS_MAX);
        else if (option == 'r')
            settings.seed = number(optarg, 0, UINT_MAX);
        else
            /* NOLINTNEXTLINE(concurrency-mt-unsafe): likewise */
            exit(EX_USAGE);
    }
    return settings;
}

/* ---- Meetings ----------------------------------------------------------- */

#define LINGER_MAX 100

/* Before one lets others run: then the other has no processor. */
#define PATIENCE 10000

pthread_t thread_start(void *run(void *))
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, NULL);

    if (error != 0)
        broken("pthread_create: %s", strerrordesc_np(error));
    return thread;
}

void meet(struct arrivals *mine, struct arrivals *others)
{
    uint64_t count =
        atomic_load_explicit(&mine->count, memory_order_relaxed) + 1;

    atomic_store_explicit(&mine->count, count, memory_order_release);
    for (unsigned i = 1;; i++) {
        if (atomic_load_explicit(&others->count, memory_order_acquire) >= count)
            return;
        if (i % PATIENCE == 0)
            sched_yield();
    }
}

void linger(struct rng *rng)
{
    size_t steps = rng_below(rng, 2) * rng_below(rng, LINGER_MAX);

    for (volatile size_t i = 0; i < steps; i++)
        ;
}
