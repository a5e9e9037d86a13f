/*
 * One run: what is asked for (plan.c), what all threads share, and what they
 * count.
 *
 *   main.c      options, threads, phases
 *   worker.c    a thread: its clients, its turns
 *   client.c    a connection: coming, speaking, going
 *   hearing.c   what has come on it
 *   audience.c  those of a room who hear the same bytes
 *   voice.c     what a speaker has said, and who has it
 *   tally.c     what a client has heard
 *   report.c    what came of it
 *
 * Each client is one connection. Those who are in a room on one thread and
 * speak one dialect are an audience; a room's speakers are numbered from 0, and
 * so are all speakers: `speakers` a room, room by room.
 */
#ifndef RINGCHAT_LOAD_RUN_H
#define RINGCHAT_LOAD_RUN_H

#include "tests/load/dialect.h"
#include "tests/load/histogram.h"
#include "tests/load/memory.h"
#include "tests/load/message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#define LOAD_VERSION "0.1.0"
#define MS_NS UINT64_C(1000000)
#define S_NS 1e9

#define TARGETS_MAX 16
#define THREADS_MAX 64
#define ROOM_NAME_BYTES 32 /* with the zero behind it */

/* ---- What is asked for -------------------------------------------------- */

enum workload {
    WORKLOAD_FANOUT,
    WORKLOAD_PACED,
    WORKLOAD_ECHO,
    WORKLOAD_ROOMS,
    WORKLOAD_IDLE,
    WORKLOAD_CHURN,
    WORKLOAD_SLOW,
    WORKLOAD_BULK,
    WORKLOAD_MIXED,
    WORKLOAD_LISTEN,
};

/* A server's address, and how it is spoken to there. */
struct target {
    const char *url;
    const struct dialect *dialect;
    struct sockaddr_storage address;
    socklen_t length;
};

/* Whether it is one of 127.0.0.0/8, which all are this machine's. */
bool target_is_loopback(const struct target *);

struct plan {
    enum workload workload;
    const char *name; /* of the workload */
    struct target targets[TARGETS_MAX];
    unsigned targets_count;
    uint32_t clients, rooms, speakers; /* speakers: in each room */
    size_t size;                       /* bytes of a message */
    uint32_t window;   /* messages of a speaker that not all have yet */
    double rate;       /* messages a second, of all speakers; 0: no schedule */
    uint32_t messages; /* of each speaker; UINT32_MAX: as time permits */
    double duration_s, warmup_s, patience_s;
    double slow_share, stall_s;
    uint32_t ramp;    /* clients that are coming at the same time */
    uint32_t sources; /* addresses that clients come from, from 127.0.0.1 on */
    uint32_t threads;
    uint64_t seed;
    const char *input, *json, *key_file;
    void *input_bytes;
    pid_t server_pid; /* 0: not known */
    bool quiet;
    struct terms terms;
    struct matter matter;
};

/* Fills in the plan from the command line: 0, or the exit status, when a line
 * on standard error has said why. -1: --help or --version has been answered. */
int plan_read(struct plan *, int argc, char **argv);
void plan_release(struct plan *);

static inline uint64_t plan_patience_ns(const struct plan *plan)
{
    return (uint64_t)(plan->patience_s * S_NS);
}

/* Whether clients come, say something, and go. */
static inline bool plan_is_churn(const struct plan *plan)
{
    return plan->workload == WORKLOAD_CHURN;
}

/* How many messages of a speaker can be on their way: a power of two. */
uint32_t plan_places(const struct plan *);

/* ---- What is counted ---------------------------------------------------- */

struct counts {
    uint64_t published; /* messages */
    uint64_t delivered; /* messages, for each who heard it */
    uint64_t bytes_in, bytes_out;
    uint64_t entered, visits; /* clients that came in; those that went again */
    uint64_t lost, twice, late, corrupted;
    uint64_t lagged, lags; /* messages that the server says were missed; how
                              often it said so */
    uint64_t overstated;   /* and were not */
    uint64_t errors;       /* said by the server */
    uint64_t refused,
        cut;          /* clients that did not get in; that were thrown out */
    uint64_t untimed; /* deliveries that came when it was no longer known when
                         they were due: in no histogram */
    uint64_t overdue; /* messages that not all had in --patience */
    uint64_t held;    /* paced: messages that could not be said when due, for
                         the window or for what the server has not read */
};

void counts_add(struct counts *into, const struct counts *);
/* What has come to be between the two. */
void counts_add_difference(struct counts *into, const struct counts *after,
                           const struct counts *before);

/* ---- What is shared ----------------------------------------------------- */

enum phase {
    PHASE_COMING,   /* clients connect and enter */
    PHASE_WARMUP,   /* they speak */
    PHASE_MEASURED, /* and what they hear is counted */
    PHASE_DRAINING, /* they only hear */
    PHASE_OVER,
};

struct room {
    char name[ROOM_NAME_BYTES];
    _Atomic uint32_t audiences; /* with anybody in them who is waited for */
};

struct worker;

struct run {
    const struct plan *plan;
    struct room *rooms;
    struct voice *voices;
    uint32_t voices_count;
    struct worker *workers;
    _Atomic int phase;
    uint64_t begin_ns;        /* of speaking: before it becomes PHASE_WARMUP */
    _Atomic uint32_t present; /* clients that have entered and not gone */
    _Atomic uint32_t coming;  /* clients that have neither entered nor failed */
    _Atomic uint32_t draining; /* threads that have not heard all yet */
};

static inline uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
