/*
 * How a plan is read: plan.c has the options, target.c the URLs, input.c the
 * files that it names. Each returns 0 or the exit status, when a line on
 * standard error has said why.
 */
#ifndef RINGCHAT_LOAD_PLAN_H
#define RINGCHAT_LOAD_PLAN_H

#include "tests/load/run.h"

#define MESSAGE_BYTES_MAX (1024 * 1024)

/* Says it, and returns EX_USAGE. */
__attribute__((format(printf, 1, 2))) int usage_error(const char *format, ...);

int target_read(struct target *, const char *url);

int key_read(struct plan *);
int input_read(struct plan *);

#endif
