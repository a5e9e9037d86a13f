/*
 * The table of connections: which there are, so that a stop can reach them.
 *
 * It has a lock of its own that is never held across I/O that waits. The chat's
 * lock may be held for as long as a peer stalls; this one never, so that
 * whoever must get through (the drain) gets through.
 */
#ifndef RINGCHAT_STAGE1_TABLE_H
#define RINGCHAT_STAGE1_TABLE_H

#include "common/chat/chat.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>

struct server;
struct acceptor;

/* One client, served by one thread. */
struct connection {
    struct server *server;
    const struct acceptor *acceptor;
    int fd;
    struct sockaddr_storage address;
    /* Written by its own thread under the chat's lock, read by others under
     * it. */
    struct session *session;
    /* Under the chat's lock. */
    pthread_cond_t wake; /* may be read again, or is over */
    bool over;           /* to be closed by its thread, for `reason` */
    enum reason reason;
    /* Under the table's lock. */
    struct connection *next, *previous;
};

struct table {
    pthread_mutex_t lock;
    struct connection *first;
    unsigned threads; /* more than connections: until the last is freed */
};

void table_init(struct table *);

/* A connection about to get its thread. */
void table_add(struct table *, struct connection *);

/* Before its descriptor is closed, so that nobody uses a number that has
 * become another's. */
void table_remove(struct table *, struct connection *);

/* The last thing that a connection's thread does. */
void table_thread_ends(struct table *);
unsigned table_threads(struct table *);

/* Shuts all of them down both ways, so that whatever waits on one returns. */
void table_cut_all(struct table *);

/* Calls `visit` for each, with the lock held: it must not wait. */
void table_visit(struct table *, void (*visit)(struct connection *));

#endif
