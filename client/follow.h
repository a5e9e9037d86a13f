/*
 * Following rooms: what is said there goes to standard output, a line each, as
 * soon as it comes.
 */
#ifndef RINGCHAT_CLIENT_FOLLOW_H
#define RINGCHAT_CLIENT_FOLLOW_H

#include "client/options.h"

/* Returns the exit status. */
int follow_run(const struct options *);

#endif
