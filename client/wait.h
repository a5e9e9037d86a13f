/*
 * The one place where the program waits: for the network, for signals, for one
 * thing more, and for time to pass.
 */
#ifndef RINGCHAT_CLIENT_WAIT_H
#define RINGCHAT_CLIENT_WAIT_H

#include <ringchat/client.h>

#include <stdbool.h>
#include <stdint.h>

struct wait {
    const struct ringchat_client *client; /* NULL: not now */
    int signals;                          /* signals_open's */
    int fd;                               /* of the caller's; -1: none */
    short events;         /* of poll(2); 0: only that its other side is gone */
    uint64_t deadline_ns; /* of CLOCK_MONOTONIC; UINT64_MAX: none */
};

/* What has come; nothing of it: time has passed. */
struct waited {
    bool signalled;
    bool client;  /* or its deadline: ringchat_client_handle */
    short events; /* of `fd` */
};

/* Returns 0 or -errno. */
int wait_for(const struct wait *, struct waited *);

/* Of CLOCK_MONOTONIC; and of CLOCK_REALTIME. */
uint64_t now_ns(void);
uint64_t wall_us(void);

#endif
