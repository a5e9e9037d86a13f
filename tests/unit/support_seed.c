/*
 * A line that is ready to be written, since a handler of a signal may not
 * format one (signal-safety(7)).
 */
#include "tests/unit/support_seed.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char seed_line[64];

static void write_seed(int number)
{
    (void)number;
    if (write(STDERR_FILENO, seed_line, strlen(seed_line)) < 0)
        _exit(1);
}

void seed_catch_abort(void)
{
    signal(SIGABRT, write_seed);
}

void seed_begin(uint64_t seed)
{
    snprintf(seed_line, sizeof(seed_line), "failed with seed %" PRIu64 "\n",
             seed);
}

void seed_end(void)
{
    seed_line[0] = '\0';
}

int seed_say(void **state)
{
    (void)state;
    write_seed(0);
    return 0;
}
