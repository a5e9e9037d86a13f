/*
 * What the files of the server part share:
 *
 *   server.c          a server: made, run, stopped; what its peers say
 *   server_config.c   what is asked of it, as the options of a program
 *   peer.c            what may be done with a peer
 *   quiet.c           the log: there is none
 *
 * The engines and all that they serve with are those of stage 5, whose main.c
 * this stands in for; the application is common/chat's, in the place of rooms.
 */
#ifndef RINGCHAT_LIB_SERVER_H
#define RINGCHAT_LIB_SERVER_H

#include "common/base/limits.h"
#include "common/chat/application.h"
#include "stage5-threads/worker.h"

#include <ringchat/server.h>

struct ringchat_server {
    struct server server;
    struct application application; /* whom its sessions speak to: us */
    struct ringchat_application own;
    void *user;
    bool has_run;
    char name[NICK_BYTES_MAX + 1];
};

/* A peer is a session under another name. */
static inline struct session *peer_session(struct ringchat_peer *peer)
{
    return (struct session *)(void *)peer;
}

static inline struct ringchat_peer *session_peer_of(struct session *session)
{
    return (struct ringchat_peer *)(void *)session;
}

/* ---- server_config.c ---- */

/* The name of the application; NULL if it can be none. */
const char *server_config_name(const struct ringchat_server_config *);

/* Returns 0 or -EINVAL, with `*why` a literal, and in `*which` the listener
 * that it is about, listen_count for none. The listeners are not open. */
int server_config_take(const struct ringchat_server_config *, struct options *,
                       const char **why, size_t *which);

#endif
