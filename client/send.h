/*
 * Sending lines, of a file or a pipe: each is confirmed, none is sent twice,
 * and the exit status says whether all have arrived.
 */
#ifndef RINGCHAT_CLIENT_SEND_H
#define RINGCHAT_CLIENT_SEND_H

#include "client/options.h"

/* Returns the exit status. */
int send_run(const struct options *);

#endif
