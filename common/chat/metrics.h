/*
 * What the server counts: totals, latencies, and for each busy session its
 * last ten seconds.
 */
#ifndef RINGCHAT_CHAT_METRICS_H
#define RINGCHAT_CHAT_METRICS_H

#include "common/chat/chat.h"
#include "common/chat/histogram.h"

#include <stdint.h>

#define METER_SECONDS 10

struct metrics {
    uint64_t messages;   /* to rooms and in private */
    uint64_t deliveries; /* to each member, and of each private message */
    uint64_t bytes_in, bytes_out;
    uint64_t lagged; /* messages that members missed */
    uint64_t errors;
    struct histogram latency_us; /* round trips to clients */
};

struct traffic {
    uint64_t in, out, messages;
};

/*
 * The last seconds of one session. It exists only while there is something in
 * it: an idle session has none.
 */
struct meter {
    struct session *session;
    struct meter *next, *previous; /* the chat's, the longest idle first */
    uint64_t second;               /* the last one with traffic */
    struct traffic seconds[METER_SECONDS];
};

/* Counts traffic of this moment for the session, and for the server. */
void meter_add(struct session *, struct traffic);

/* What the session moved in the last METER_SECONDS seconds. */
struct traffic meter_sum(const struct session *);

void meter_release(struct session *);

/* Frees the meters that have run empty. */
void meters_expire(struct chat *);

/* The session's own figures, and the kernel's of its connection. A text
 * peer's round trip goes into the latency histogram; a binary one's come from
 * its heartbeats. */
struct link_sample session_link(struct session *);

/* Names and values, in the order of /metrics. */
struct metric {
    const char *name;
    uint64_t value;
    bool hundredths; /* `value` is in hundredths */
};

#define SERVER_METRICS 13
#define SESSION_METRICS 7

/* The figures of all workers together. */
struct totals {
    struct metrics metrics;
    uint64_t sessions, rooms, blocked, uptime_ns;
};

/* Adds those of one worker; begins with zeros. */
void totals_add(struct totals *, struct chat *);

void metrics_of_server(const struct totals *, struct metric[SERVER_METRICS]);
void metrics_of_session(struct session *, struct metric[SESSION_METRICS]);

#endif
