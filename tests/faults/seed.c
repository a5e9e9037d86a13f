/*
 * The seed: how often each fault happens, and whether it does this time.
 */
#include "tests/faults/faults.h"

#include "tests/unit/support_random.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DEADLY "deadly:"
#define PARTLY "partly:"
#define HARDLY "hardly:"

/* Written before main. */
static bool on, deadly, hardly;
static uint64_t seed;
static unsigned rates[FAULTS_COUNT]; /* one in so many; 0: never */

static _Thread_local struct rng rng;

/* What costs the server a pause (1 ms in ring.c, 20 ms in accept.c, some of
 * completions.c) is never frequent. */
static const unsigned most[FAULTS_COUNT] = {
    [FAULT_ONCE] = 2,         [FAULT_RECEIVE_SHORT] = 2,
    [FAULT_NO_BUFFER] = 2,    [FAULT_NO_ACCEPT] = 16,
    [FAULT_NO_POLL] = 2,      [FAULT_SEND_SHORT] = 2,
    [FAULT_SEND_NOTHING] = 2, [FAULT_NOT_SUBMITTED] = 64,
    [FAULT_WAKE] = 2,         [FAULT_LATE] = 2,
    [FAULT_NO_WAKE] = 2,      [FAULT_NO_ROOM] = 2,
    [FAULT_OVERSLEPT] = 16,   [FAULT_DEADLY] = 300,
};

/* Of "partly" and "hardly": what leaves something to be done, by who has to
 * remember it. */
static const unsigned partly[FAULTS_COUNT] = {
    [FAULT_SEND_NOTHING] = 2,
    [FAULT_NOT_SUBMITTED] = 2,
};

static void rates_draw(struct rng *drawn)
{
    static const unsigned times[] = {0, 1, 4, 16};

    for (size_t i = 0; i < FAULTS_COUNT; i++)
        rates[i] = most[i] * times[rng_below(drawn, 4)];
    rates[FAULT_DEADLY] = deadly ? most[FAULT_DEADLY] : 0;
}

/* Whether it begins with that, which is passed then. */
static bool pass(const char **text, const char *prefix)
{
    size_t length = strlen(prefix);
    bool begins = strncmp(*text, prefix, length) == 0;

    if (begins)
        *text += length;
    return begins;
}

/* Before main: the environment is read once, and there is one thread. */
__attribute__((constructor)) static void read_seed(void)
{
    struct rng drawn;
    bool partial;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    const char *text = getenv("RINGCHAT_FAULTS");

    if (!text || !*text)
        return;
    on = true;
    deadly = pass(&text, DEADLY);
    hardly = pass(&text, HARDLY);
    partial = hardly || pass(&text, PARTLY);
    drawn.state = strtoull(text, NULL, 10);
    rates_draw(&drawn);
    if (partial)
        memcpy(rates, partly, sizeof(rates));
    seed = rng_next(&drawn);
}

/* Relaxed: it publishes nothing but itself. */
void faults_begin(void)
{
    static _Atomic uint64_t begun;

    rng.state =
        seed + atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
}

bool faults_on(void)
{
    return on;
}

bool faults_refuse(void)
{
    return deadly || hardly;
}

bool fault_happens(enum fault fault)
{
    return rates[fault] > 0 && rng_below(&rng, rates[fault]) == 0;
}

unsigned fault_below(unsigned bound)
{
    return (unsigned)rng_below(&rng, bound);
}

size_t fault_magnitude(size_t max)
{
    return rng_magnitude(&rng, max);
}
