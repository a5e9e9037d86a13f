/*
 * How a process that runs a history says what it dies of. The parent sees a
 * signal by itself, but not how far the history had come: that is noted here,
 * by a handler that does nothing else.
 */
#include "tests/sim/promise.h"

#include "tests/sim/run.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* In memory that the parent sees. */
static struct outcome *watching;

/* Calls us before a sanitizer that has found something ends the process (in
 * <sanitizer/common_interface_defs.h>, which not every compiler comes with).
 * NULL in a program without. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*)(void));

void promise_broken(const char *promise, const char *format, ...)
{
    va_list arguments;

    assert(watching);
    watching->step = world.step;
    snprintf(watching->promise, sizeof(watching->promise), "%s", promise);
    va_start(arguments, format);
    vsnprintf(watching->detail, sizeof(watching->detail), format, arguments);
    va_end(arguments);
    watching->failed = true;
    fflush(stdout); /* the history as it was printed so far */
    _exit(EXIT_FAILURE);
}

static void note_step(void)
{
    watching->step = world.step;
}

/* The second time it is the signal's default, which ends the process. */
static void on_signal(int number)
{
    note_step();
    raise(number);
}

void promise_watch(struct outcome *outcome)
{
    static const int signals[] = {SIGABRT, SIGALRM, SIGSEGV,
                                  SIGBUS,  SIGFPE,  SIGILL};
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)SA_RESETHAND};
    /* The last four are a sanitizer's, if there is one: it says more. */
    size_t count = __sanitizer_set_death_callback ? 2 : 6;

    watching = outcome;
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(note_step);
    for (size_t i = 0; i < count; i++)
        sigaction(signals[i], &action, NULL);
}
