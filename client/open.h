/*
 * A client of libringchat as the command line asks for it: its key, its rooms,
 * where to. A host's name is looked up here, once, which may take a while: so
 * this comes before anything is drawn. Complaints go to standard error.
 */
#ifndef RINGCHAT_CLIENT_OPEN_H
#define RINGCHAT_CLIENT_OPEN_H

#include "client/options.h"

#include <ringchat/client.h>

/* Returns 0, or an exit status. The caller destroys the client. */
int client_open(const struct options *,
                const struct ringchat_client_callbacks *, void *user,
                struct ringchat_client **);

/* Of a client that is OPEN: whether it is called so, and is in the rooms, as
 * was asked for. Returns 0, or an exit status. */
int client_check(const struct options *, const struct ringchat_client *);

#endif
