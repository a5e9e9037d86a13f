/*
 * What a worker needs of the kernel, in as few words as will do. There are two
 * who give it: uring.c (completion, as stage 4) and epoll.c (readiness, as
 * stage 3). All workers of a server have the same one.
 */
#ifndef RINGCHAT_STAGE5_ENGINE_H
#define RINGCHAT_STAGE5_ENGINE_H

#include "common/wire/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct worker;

/* What is watched besides connections, and means something to worker.c. */
enum source {
    SOURCE_SIGNALS,  /* signals have come */
    SOURCE_LISTENER, /* somebody may be waiting at one; which, says the index */
    SOURCE_DEALT,    /* another worker has dealt us connections */
};

/* To be called from the worker's own thread, each of them. */
struct engine {
    const char *name; /* as --io and the log have it */

    /* Makes what the worker needs for the calls below. 0 or -errno; then there
     * is nothing to close. */
    int (*open)(struct worker *);

    /* When no worker will call wake any more. */
    void (*close)(struct worker *);

    /* Begins, and ends, to call on_watched each time that the descriptor can be
     * read from; it is to be read until it cannot. 0 or -errno. */
    int (*watch)(struct worker *, enum source, uint32_t index, int fd);
    void (*unwatch)(struct worker *, enum source, uint32_t index, int fd);

    /* A session for the connection on `fd`, which the worker owns from then on.
     * If it cannot be served (false) the descriptor stays the caller's. */
    bool (*connect)(struct worker *, int fd, enum dialect,
                    const struct sockaddr_storage *from);

    /* Takes turns until the worker is not needed any more. */
    void (*serve)(struct worker *);

    /* Another worker's next wait is over at once, or the one it is in. */
    void (*wake)(struct worker *, struct worker *other);
};

extern const struct engine engine_uring, engine_epoll;

/* Whether an error of `open` is the want of an io_uring, and not of memory or
 * descriptors: then says why, and what can be done, in one line; else NULL. */
const char *ring_explain(int error);

#endif
