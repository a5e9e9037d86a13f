/*
 * A crowd: as many silent members of one room as a machine can hold, for 16
 * bytes each, and nothing kept of what they hear. It speaks `text` as
 * docs/protocol.md has it and shares no code with the servers.
 *
 *   crowd_join    lets members come, so many at a time
 *   crowd_say     lets the first of them speak, and notes when each has heard
 *   crowd_leave   closes them all
 *
 * One thread, one epoll. What is wrong with the machine, or with the server,
 * ends a phase and is told (`stopped_by`); only what is wrong with the crowd
 * ends the program.
 */
#ifndef RINGCHAT_TESTS_MILLION_CROWD_H
#define RINGCHAT_TESTS_MILLION_CROWD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define EVENTS_MAX 512
#define SCRATCH_BYTES 16384
#define LINE_BYTES_MAX 512
#define REASON_BYTES 160

#define MS_NS UINT64_C(1000000)
#define S_NS (1000 * MS_NS)

/*
 *  ABSENT --join_one--> COMING --welcomed--> PRESENT --member_lost--> GONE
 *                          |                                            ^
 *                          +----------------member_lost-----------------+
 */
enum member_state { MEMBER_ABSENT, MEMBER_COMING, MEMBER_PRESENT, MEMBER_GONE };

struct member {
    int fd;
    uint16_t seen; /* bytes of the line that is due */
    uint8_t state; /* enum member_state */
    uint8_t unused;
    uint64_t heard_ns; /* 0: not yet */
};

_Static_assert(sizeof(struct member) == 16, "a million are 16 MB");

struct crowd {
    struct member *members;
    uint32_t count; /* that are wanted */
    int epoll;

    /* where they come from and go to */
    struct sockaddr_in server;
    uint32_t sources_first; /* the address of the first, in host order */
    uint32_t each_source;   /* members of an address */
    uint32_t together;      /* that may be on their way in */

    uint32_t begun, present, lost;
    uint64_t begin_ns;
    char stopped_by[REASON_BYTES]; /* empty: nothing has */

    /* a line, the same for all: the welcome of the first until it is whole,
     * then what is said */
    char line[LINE_BYTES_MAX];
    size_t line_length;
    char nick[LINE_BYTES_MAX]; /* the first member's */
    uint32_t heard, corrupted;

    char scratch[SCRATCH_BYTES];
    struct epoll_event events[EVENTS_MAX];
};

/* The epoll data of what is no member: the commands on standard input. */
#define COMMANDS UINT32_MAX

uint64_t clock_ns(void);

/* Why a phase ends; the first reason stands. */
__attribute__((format(printf, 2, 3))) void crowd_stop(struct crowd *,
                                                      const char *format, ...);

/* A member's connection has ended, or is ended. */
void member_lost(struct crowd *, struct member *);

/*
 * recv into `scratch`: the bytes, 0 when there are none for now, -1 when the
 * member has been lost.
 */
ssize_t member_receive(struct crowd *, struct member *);

/* Waits for events, at most so long; their number. */
int crowd_wait(struct crowd *, int timeout_ms);

/* Tells on standard output how many are present. `asked_to_stop`: whether a
 * command has come. */
void crowd_join(struct crowd *, bool (*asked_to_stop)(void));

/* Says a line of so many bytes; what has been heard in `patience_ns` without
 * anything new is told on standard output. */
void crowd_say(struct crowd *, size_t bytes, uint64_t patience_ns);

void crowd_leave(struct crowd *);

#endif
