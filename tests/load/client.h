/*
 * A client: one connection, from coming to going. client.c has its socket,
 * hearing.c makes of the bytes that come what it has heard.
 */
#ifndef RINGCHAT_LOAD_CLIENT_H
#define RINGCHAT_LOAD_CLIENT_H

#include "tests/load/audience.h"
#include "tests/load/run.h"
#include "tests/load/tally.h"
#include "tests/load/voice.h"

/*
 *      CLIENT_AWAY <----------------------------- client_gone --+
 *          |  client_come                                       |
 *          v                                                    |
 *      CLIENT_CONNECTING --> client_gone: refused               |
 *          |  on_connected                                      |
 *          v                                                    |
 *      CLIENT_ENTERING ----> client_gone: refused               |
 *          |  on_entered                                        |
 *          v                                                    |
 *      CLIENT_IN_ROOM -----> client_gone: cut                   |
 *          |  client_leave                                      |
 *          v                                                    |
 *      CLIENT_LEAVING ------------------------------------------+
 */
enum client_state {
    CLIENT_AWAY,
    CLIENT_CONNECTING,
    CLIENT_ENTERING,
    CLIENT_IN_ROOM,
    CLIENT_LEAVING,
};

struct client {
    struct worker *worker;
    struct audience *audience;
    const struct target *target;
    struct voice *voice; /* NULL: it only hears */
    struct speaker speaker;
    int fd;
    enum client_state state;
    uint32_t number; /* of all */
    uint32_t events; /* that epoll is to tell */
    bool is_slow;    /* nobody waits for it, and at times it does not read */
    bool is_stalled; /* as now */
    struct out out;
    struct follower follower;
    size_t wanted; /* the least that the item takes which has begun to come */
    struct tally tally;
    uint64_t came_ns;    /* when it began to; 0: it has not */
    struct client *away; /* the next of those who may come */
};

/* It is among those who may come. */
void client_is_away(struct client *);

/* Begins to connect. False: the kernel has no room for that now; later. */
bool client_come(struct client *);

/* What epoll_wait(2) has said. */
void client_on_events(struct client *, uint32_t events);

/* Says its next message, which was due then; it is sent by client_flush. */
void client_say(struct client *, uint64_t due_ns);
void client_flush(struct client *);

/* Stops reading, or goes on. */
void client_stall(struct client *, bool is_stalled);

void client_leave(struct client *);

/* Whether it has tried to get in for longer than --patience. */
bool client_is_late(const struct client *, uint64_t now_ns);

/* The run is over: nothing more will be heard. */
void client_end(struct client *);

/* hearing.c: bytes have come. */
void client_hear(struct client *, const unsigned char *bytes, size_t length,
                 uint64_t now_ns);
/* For the messages that it has not heard nobody is to wait. */
void client_hears_no_more(struct client *);
/* ... and adds up what it has heard. */
void client_add_up(struct client *);

/* client.c, for hearing.c: it is in the room; it is of no use any more. */
void client_entered(struct client *);
void client_gone(struct client *, const char *why);

#endif
