/*
 * What the programs of tests/litmus have in common: options, how they end when
 * a promise is broken, and how two threads come to a moment at once.
 */
#ifndef RINGCHAT_LITMUS_SUPPORT_H
#define RINGCHAT_LITMUS_SUPPORT_H

#include "common/base/cache_line.h"
#include "tests/unit/support_random.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define LITMUS_WORKERS_MAX 16

struct settings {
    unsigned seconds; /* --seconds, 2 */
    unsigned workers; /* --workers, 4: for those with more than two threads */
    unsigned seed;    /* --seed, 1: of what they do, where that is random */
};

/* Exits with 64 (EX_USAGE) if they are wrong. Before the first thread. */
struct settings settings_parse(int argc, char **argv);

/* Says which promise is broken, and ends all threads with 1: what they would
 * say next follows from this. */
_Noreturn void broken(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* pthread_create(3), which has to do. */
pthread_t thread_start(void *run(void *));

/* How often one of two has come to where they meet: publishes, with release,
 * all it did before to the other, who loads it with acquire. */
struct arrivals {
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t count;
};

/* Waits for the other one. */
void meet(struct arrivals *mine, struct arrivals *others);

/* Some steps, so that now the one comes first and now the other: about as long
 * as a store takes to be seen. */
void linger(struct rng *);

#endif
