/*
 * Talking: rooms, in a terminal.
 */
#ifndef RINGCHAT_CLIENT_TALK_H
#define RINGCHAT_CLIENT_TALK_H

#include "client/options.h"

/* Returns the exit status. */
int talk_run(const struct options *);

#endif
