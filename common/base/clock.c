/*
 * The clocks and the random source of the kernel, each behind one call that
 * cannot fail. Nothing here keeps state, so any thread may call it.
 */
#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* Both clocks are in every Linux that runs us: clock_gettime(2) fails only for
 * a clock that does not exist. */
static struct timespec clock_read(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        abort();
    return now;
}

uint64_t clock_mono_ns(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC);

    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_wall_us(void)
{
    struct timespec now = clock_read(CLOCK_REALTIME);

    return (uint64_t)now.tv_sec * US_PER_SECOND +
           (uint64_t)now.tv_nsec / NS_PER_US;
}

/* UINT64_MAX needs no case of its own: it is 584 years after boot. */
struct timespec clock_timespec(uint64_t mono_ns)
{
    return (struct timespec){
        .tv_sec = (time_t)(mono_ns / NS_PER_SECOND),
        .tv_nsec = (long)(mono_ns % NS_PER_SECOND),
    };
}

void random_fill(void *bytes, size_t length)
{
    char *next = bytes;

    /* Above 256 bytes a signal may cut the read short: getrandom(2). */
    while (length > 0) {
        ssize_t count = getrandom(next, length, 0);

        if (count < 0 && errno != EINTR)
            abort();
        if (count > 0) {
            next += count;
            length -= (size_t)count;
        }
    }
}
