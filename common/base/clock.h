/*
 * The two clocks and the random source that engines hand to the chat, which
 * has none of its own.
 */
#ifndef RINGCHAT_BASE_CLOCK_H
#define RINGCHAT_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)
#define US_PER_SECOND UINT64_C(1000000)

/* CLOCK_MONOTONIC in nanoseconds: for deadlines. */
uint64_t clock_mono_ns(void);

/* CLOCK_REALTIME in microseconds since the Unix epoch: for people. */
uint64_t clock_wall_us(void);

/* An instant of CLOCK_MONOTONIC as the timed waits of POSIX take it;
 * UINT64_MAX becomes a time that never comes. */
struct timespec clock_timespec(uint64_t mono_ns);

/* The first of two instants. */
static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Fills `bytes` from getrandom(2). Cannot fail on a kernel that has booted;
 * aborts if it does, for a guessable key is worse than none. */
void random_fill(void *bytes, size_t length);

#endif
