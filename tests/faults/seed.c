/*
 * The seed: how often each fault happens, and whether it does this time.
 */
#include "tests/faults/faults.h"

#include "tests/unit/support_random.h"

#include <stdlib.h>
#include <string.h>

#define DEADLY "deadly:"

static struct rng rng;
static bool on, deadly;
/* One in so many; 0: never. */
static unsigned rates[FAULTS_COUNT];

/* What costs the server a pause (1 ms in ring.c, 20 ms in accept.c) is never
 * frequent. */
static const unsigned most[FAULTS_COUNT] = {
    [FAULT_ONCE] = 2,         [FAULT_RECEIVE_SHORT] = 2,
    [FAULT_NO_BUFFER] = 2,    [FAULT_NO_ACCEPT] = 16,
    [FAULT_NO_POLL] = 2,      [FAULT_SEND_SHORT] = 2,
    [FAULT_SEND_NOTHING] = 2, [FAULT_NOT_SUBMITTED] = 64,
    [FAULT_WAKE] = 2,         [FAULT_LATE] = 2,
    [FAULT_DEADLY] = 300,
};

/* Before main: the environment is read once, and there is one thread. */
__attribute__((constructor)) static void read_seed(void)
{
    static const unsigned times[] = {0, 1, 4, 16};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    const char *text = getenv("RINGCHAT_FAULTS");

    if (!text || !*text)
        return;
    on = true;
    deadly = strncmp(text, DEADLY, strlen(DEADLY)) == 0;
    if (deadly)
        text += strlen(DEADLY);
    rng.state = strtoull(text, NULL, 10);
    for (size_t i = 0; i < FAULTS_COUNT; i++)
        rates[i] = most[i] * times[rng_below(&rng, 4)];
    rates[FAULT_DEADLY] = deadly ? most[FAULT_DEADLY] : 0;
}

bool faults_on(void)
{
    return on;
}

bool faults_deadly(void)
{
    return deadly;
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
