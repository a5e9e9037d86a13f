/*
 * A promise of docs/protocol.md is broken: the history ends there, and with it
 * the process that runs it. Who watches (run.h) learns which promise, and how.
 */
#ifndef RINGCHAT_SIM_PROMISE_H
#define RINGCHAT_SIM_PROMISE_H

#include <stdbool.h>

struct outcome;

/* `promise` is a short name, the same however it is broken: by it shrinking
 * knows the failure again. */
_Noreturn void promise_broken(const char *promise, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * From now on what goes wrong in this process is written there, in memory that
 * others see too: the broken promise, or, when the process dies of a signal or
 * a sanitizer, at which step.
 */
void promise_watch(struct outcome *);

#endif
