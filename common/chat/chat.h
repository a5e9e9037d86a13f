/*
 * The seam between an engine and the chat.
 *
 * An engine moves bytes between sockets and sessions and knows nothing of
 * rooms; the chat knows nothing of sockets, and has no clock and no random
 * source but what it is given here. One turn of an engine is
 *
 *     chat_tick(now)                         deadlines pass
 *     session_receive / session_eof ...      bytes come in
 *     while ((s = chat_next_ready()))        bytes go out
 *         session_pending -> send -> session_sent
 *     chat_deadline()                        how long to wait
 *
 * An engine may go on sending when a turn is over, but each session that
 * chat_next_ready returned is to be asked what is pending soon, and again until
 * that is nothing or the peer takes no more: those who speak wait for it.
 *
 * One thread at a time may call into a chat: a lock, or a thread of its own, is
 * the engine's business.
 */
#ifndef RINGCHAT_CHAT_CHAT_H
#define RINGCHAT_CHAT_CHAT_H

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct application;
struct chat;
struct session;

/* What a session that falls behind by more than the room window is told. */
enum slow_consumer {
    SLOW_CONSUMER_LAG,        /* how many messages it missed; it goes on */
    SLOW_CONSUMER_DISCONNECT, /* error `lagged`, which closes */
};

/* What the kernel knows of a connection (tcp(7), TCP_INFO); zeros where it
 * knows nothing. */
struct link_sample {
    uint64_t rtt_us;
    uint64_t retransmits;
    uint64_t segments_out;
};

/* Durations in nanoseconds, 0 for none; functions must not call the chat. */
struct chat_config {
    uint64_t sessions_max;
    uint64_t sessions_per_address_max; /* 0: no limit */
    uint64_t memory_bytes_max;
    uint64_t room_window_bytes;
    uint64_t presence_members_max;
    uint64_t handshake_timeout_ns; /* for a binary peer to say who it is */
    uint64_t frame_timeout_ns;     /* for the rest of a frame that has begun */
    uint64_t idle_timeout_ns;      /* between two lines of a text peer */
    uint64_t heartbeat_ns;         /* between two pings to a binary peer */
    uint64_t stall_timeout_ns;
    uint64_t drain_timeout_ns; /* 0: nothing is waited for */
    double rate_per_second;    /* 0: no limit */
    struct wire_config wire;   /* boot: chat_create sees to it */
    enum slow_consumer slow_consumer;
    void (*random)(void *bytes, size_t length);
    void (*link)(void *user, struct link_sample *); /* may be NULL */
    log_fn *log;                                    /* may be NULL */
    /* Wakes a worker, for one of several (shards.h); else NULL. */
    void (*wake)(void *engine, uint32_t from, uint32_t to);
    void *engine;
    /* Whom sessions speak to (application.h); it stays the caller's, and as it
     * is. NULL: to each other, in rooms. */
    const struct application *application;
};

/* Who connects. */
struct peer {
    void *user;       /* the engine's own, given back by session_user */
    const char *name; /* for the log; borrowed for the call */
    bool counted;     /* `address` counts for sessions_per_address_max */
    uint8_t address[ADDRESS_BYTES];
};

/* Whether the engine may go on reading from a session. */
enum verdict {
    VERDICT_CONTINUE,
    VERDICT_PAUSE, /* not before chat_next_ready has returned the session and
                      session_paused is false */
};

/* Why a session is closed, as the engine sees it. */
enum reason {
    REASON_ENDED,        /* session_pending said SESSION_END */
    REASON_RESET,        /* the connection failed */
    REASON_SEND_TIMEOUT, /* the peer did not take a span in --send-timeout */
};

/* What session_pending says besides a count of vectors. */
enum {
    SESSION_SHUT = -1, /* send no more: shut down writing, go on reading */
    SESSION_END = -2,  /* close it */
};

struct options;

/* The limits and time-outs that the options name; the functions are left to
 * the engine. */
struct chat_config chat_config_from(const struct options *);

/* A chat that is alone (for several see shards.h); NULL without memory. The
 * config is copied; the key that it borrows is not needed any more. */
struct chat *chat_create(const struct chat_config *);

/* Every session must have been freed. Takes NULL. */
void chat_destroy(struct chat *);

/* Opens a turn: the time is `mono_ns` (CLOCK_MONOTONIC) and `wall_us` (since
 * the Unix epoch). Deadlines that have passed take effect. */
void chat_tick(struct chat *, uint64_t mono_ns, uint64_t wall_us);

/* For so long nobody was read from and nobody was sent to: deadlines on what
 * peers must send, or take, stand still for that time. */
void chat_was_away(struct chat *, uint64_t away_ns);

/* When the next turn must begin at the latest, UINT64_MAX for never: to be
 * asked when a turn is over, for whatever happens in it may set a deadline. */
uint64_t chat_deadline(struct chat *);

/* The next session that has something to send, may be read again or is to be
 * closed; NULL when the turn is over. */
struct session *chat_next_ready(struct chat *);

/* Begins to stop: every session is sent what it is due and told `shutdown`, all
 * of it in at most `within_ns`. Sessions opened later are refused. */
void chat_shutdown(struct chat *, uint64_t within_ns);

/* Logs the server's metrics as the event `metrics`; not while it stops, when
 * other workers may be gone. */
void chat_log_metrics(struct chat *);

/* The longest that chat_refusal writes. */
#define REFUSAL_BYTES_MAX 512

/* Writes what a connection is told that gets no session, `server-full`, for an
 * engine to keep from its start on. Returns its length, 0 without memory. */
size_t chat_refusal(struct chat *, enum dialect,
                    unsigned char bytes[REFUSAL_BYTES_MAX]);

/*
 * A new session. Over a limit it is one that only says `server-full` and ends.
 * NULL without memory, or when too many are being refused already: close the
 * connection.
 */
struct session *session_open(struct chat *, enum dialect, const struct peer *);

/*
 * Takes all `length` bytes (at most RECEIVE_BYTES_MAX) that came from the peer.
 * Not to be called while the session is paused.
 */
enum verdict session_receive(struct session *, const void *bytes,
                             size_t length);

/* What an exact read may ask for: no more than the peer's next request is known
 * to need, and at most RECEIVE_BYTES_MAX. */
size_t session_need(const struct session *);

/* The peer will send no more. */
void session_eof(struct session *);

/*
 * What to send now, in at most `max` (2 or more) vectors that stay valid until
 * as many bytes have been said to be sent. Returns their number, 0 for nothing,
 * SESSION_SHUT (once) or SESSION_END.
 */
int session_pending(struct session *, struct iovec *, int max);

/*
 * The first `length` bytes of what was pending are gone; fewer than were
 * pending means that the peer takes no more now. The session is not returned by
 * chat_next_ready until the rest is gone (that it can be sent, the engine sees)
 * or it ends.
 */
void session_sent(struct session *, size_t length);

/* Takes the session out of the chat: others see it leave. What was pending
 * stays valid until session_free. */
void session_close(struct session *, enum reason);

/* Frees a closed session, with the bytes it held. */
void session_free(struct session *);

bool session_paused(const struct session *);

/* Whether the peer took less than it was offered. */
bool session_blocked(const struct session *);

void *session_user(const struct session *);

#endif
