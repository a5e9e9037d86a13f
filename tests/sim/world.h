/*
 * The world of a history: one real chat, or several that are one, the engine
 * that drives them through their seam, simulated peers, the network between
 * them, and time. No socket, no thread, no clock: what happens, and when, is
 * the plan's.
 *
 * The world knows nothing of what is promised. It tells the model (model.h)
 * what was said, handed over, heard and closed; each call into the chat is a
 * stamp.
 */
#ifndef RINGCHAT_SIM_WORLD_H
#define RINGCHAT_SIM_WORLD_H

#include "tests/sim/bytes.h"
#include "tests/sim/plan.h"
#include "tests/sim/speech.h"

#include <stdbool.h>
#include <stdint.h>

#define VECTORS_MAX 8 /* that a session is asked for */

enum end {
    END_NONE,        /* connected */
    END_SERVER,      /* the chat said SESSION_END */
    END_RESET,       /* the connection failed */
    END_TURNED_AWAY, /* session_open returned NULL: no model_closed follows */
};

/* A peer and its connection. */
struct peer_state {
    uint8_t index, worker;
    bool connected; /* ever */
    enum end end;
    bool sealed, mute, half_closed;
    bool helloed;    /* binary: has said hello, and heard of no refusal */
    bool eof_handed; /* session_eof was called */
    bool shut;       /* the chat said SESSION_SHUT */
    struct voice voice;
    struct session *session; /* NULL when closed */
    /* The peer's stream to the chat. */
    struct bytes up;
    uint64_t handed; /* up to here session_receive had it */
    /* The chat's stream to the peer. */
    struct bytes down;
    uint64_t capacity; /* bytes that wait between the two at most */
    uint64_t taken;    /* read by the peer up to here */
    uint64_t heard;    /* and understood up to here */
    uint64_t appetite, dribble;
    uint64_t address;
    /* The engine's own: see engine.c. */
    bool reading, blocked;
    bool cut; /* what was offered last may end within a message: it was not
                 taken whole, or filled a span */
    struct iovec flying[VECTORS_MAX];
    int flying_count;      /* 0: nothing is being sent */
    unsigned flight_turns; /* it is over after so many, about */
    struct bytes flight;   /* a copy of what is sent, which must not change */
    size_t landed;
    struct session *dying;
};

struct world {
    const struct plan *plan;
    uint64_t now_ns, wall_us;
    stamp_t stamp;
    uint32_t step; /* number of the step being taken, or of the last one */
    /* Sends that are not over, those of closed sessions included. */
    unsigned flights;
    bool calm; /* the steps are over: nothing is cut, late, short or away */
    bool stopping;
    struct peer_state peers[PEERS_MAX];
    uint32_t guests;     /* nicks that were given once */
    unsigned peer_count; /* one more than the highest index ever connected */
};

extern struct world world;

/* Lives through the whole plan, lets all peers read all they are due, stops
 * the chat and takes it down. Returns the hash of the trace: of every byte and
 * time. A broken promise does not return. */
uint64_t world_run(const struct plan *);

/* Time passes; the chat is not told. */
void world_pass(uint64_t ns);

/* Adds to the hash of the trace. */
void world_trace(const void *bytes, size_t length);

/* Whether the history is printed as it happens, to standard output. */
void world_print(bool);
bool world_is_printed(void);

/* A line of the printed history; costs nothing when it is not. */
void world_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
