/*
 * libringchat, part two: a client. It connects, says who it is, answers and
 * sends heartbeats, and when the connection is lost comes back, under the same
 * nick, into the same rooms. What is said is confirmed; what happens, callbacks
 * are told.
 *
 *     ringchat_client_create          what to connect to, who is told
 *     ringchat_client_say, ...        from the start: it waits for its turn
 *     ringchat_client_run             a loop of its own, until it has closed
 *     ringchat_client_destroy
 *
 * Or in a loop of the caller's, with poll(2), epoll(7), libuv, ...: each time
 * before it waits, it asks
 *
 *     ringchat_client_wants           which descriptor, to read or to write,
 *                                     and until when at the latest
 *
 * and when that has come calls ringchat_client_handle. No call waits but
 * ringchat_client_step, ringchat_client_run and ringchat_url_resolve.
 *
 * protocol.h says what holds for errors, owners, threads, units and growth.
 */
#ifndef RINGCHAT_CLIENT_H
#define RINGCHAT_CLIENT_H

#include <ringchat/protocol.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ringchat_client;

/*
 * How a client stands.
 *
 *     IDLE
 *      |  ringchat_client_start, or the first handle, step or run
 *      v
 *     CONNECTING <-----------------------------+
 *      |  the server can be reached            |
 *      v                                       |
 *     ENTERING   says who it is, joins its     |  the time is over
 *      |         rooms                         |
 *      |  it is in all that it may be in       |
 *      v                                       |
 *     OPEN -----------------------------> WAITING   also from CONNECTING and
 *      |           it is lost                  |    ENTERING; longer each time
 *      |  ringchat_client_close                |
 *      v                                       |
 *     CLOSING    what is queued is sent        |  attempts_max, or an error
 *      |  all has been said and answered       |  that no attempt would cure
 *      v                                       v
 *     CLOSED <---------------------------------+
 */
enum ringchat_state {
    RINGCHAT_IDLE,
    RINGCHAT_CONNECTING,
    RINGCHAT_ENTERING,
    RINGCHAT_OPEN,
    RINGCHAT_WAITING,
    RINGCHAT_CLOSING,
    RINGCHAT_CLOSED,
};

/* What has changed, and why. */
struct ringchat_change {
    size_t size;
    enum ringchat_state from, to;
    /* Why a connection has ended: what the server said, or what is wrong with
     * what it said; else -errno of a call (-ECONNREFUSED, -ETIMEDOUT: it does
     * not answer heartbeats). Both 0: it was asked for. */
    enum ringchat_error code;
    int error;
    struct ringchat_text detail; /* what the server said of it, or nothing */
    unsigned attempt;            /* WAITING: which comes next, from 1 */
    uint64_t retry_ms;           /* WAITING: how soon */
    bool again;                  /* OPEN: it had been before */
};

/* What a member may have missed in a room. */
struct ringchat_missed {
    size_t size;
    struct ringchat_text room;
    uint64_t count;   /* messages; UINT64_MAX: nobody knows */
    uint64_t away_ms; /* 0: the server said `lagged`; else so long without a
                         connection */
};

/* How it has gone with what was asked for. */
struct ringchat_result {
    size_t size;
    uint64_t ticket; /* as ringchat_client_say and the others gave it */
    enum ringchat_error code; /* the server's refusal; 0 */
    /*
     * 0: it was done: a message has its place in the room, a command all its
     * replies. -EPROTO: it was refused, see `code`. -ECONNRESET: it had been
     * sent and the connection was lost before the answer, so nobody knows.
     * -ECANCELED: it never was sent.
     */
    int error;
    uint64_t seq;                /* a message's, in its room; 0 in `text` */
    struct ringchat_text detail; /* what the server said, or nothing */
};

/*
 * What the caller is told; each may be NULL. They run in the thread that
 * handles, steps or runs, never within another call, and may call anything of
 * the client's but step, run and handle; ringchat_client_destroy too, after
 * which the client does nothing more. `user` is what create was given.
 */
struct ringchat_client_callbacks {
    size_t size;
    /* It stands otherwise. */
    void (*changed)(struct ringchat_client *, const struct ringchat_change *,
                    void *user);
    /* A MESSAGE of a room, one's own too, or a PRIVATE one. */
    void (*message)(struct ringchat_client *, const struct ringchat_message *,
                    void *user);
    /* JOINED, LEFT, NICK or TOPIC; of one's own joining and leaving too, where
     * the server tells it in its reply only. */
    void (*notice)(struct ringchat_client *, const struct ringchat_message *,
                   void *user);
    void (*missed)(struct ringchat_client *, const struct ringchat_missed *,
                   void *user);
    /* One line of the reply to a command; `ticket` 0: to nobody's. */
    void (*reply)(struct ringchat_client *, uint64_t ticket,
                  struct ringchat_text line, void *user);
    /* Exactly once for each ticket, unless the client is destroyed before. */
    void (*done)(struct ringchat_client *, const struct ringchat_result *,
                 void *user);
    /* A call had said -EAGAIN, and would not now. */
    void (*writable)(struct ringchat_client *, void *user);
    /* An error that answers nothing and closes nothing, or something from the
     * server that was dropped (control characters in a text, a line that is too
     * long): `code` and `text`. */
    void (*fault)(struct ringchat_client *, const struct ringchat_message *,
                  void *user);
};

struct ringchat_client_config {
    size_t size;
    /* DIALECT://ADDRESS:PORT, [v6] in brackets, or DIALECT+unix:///PATH;
     * `localhost` is 127.0.0.1. For other names see ringchat_url_resolve.
     * Without a port: that of the default listener. */
    const char *url;
    /* Of `secure`: at least 32 bytes, as in a --key-file; and whether content
     * is encrypted both ways. */
    const void *key;
    size_t key_bytes;
    bool seal;
    /* NULL: a guest's, which may be another after each reconnect. If somebody
     * else has it the client is a guest until it is free. */
    const char *nick;
    /* To be in, the last one current; NULL and 0: the lobby, where each session
     * starts. Otherwise the lobby is left, unless it is one of them. */
    const char *const *rooms;
    size_t room_count;

    /* Milliseconds; 0: the default. */
    uint32_t connect_timeout_ms; /* until it is OPEN: 10,000 */
    uint32_t heartbeat_ms; /* 5,000; when 3 are unanswered it is lost. In `text`
                              twice as long, for it costs a line */
    uint32_t close_timeout_ms; /* 5,000 */
    /* How long it waits before the attempt n, from 1: a random time between 0
     * and min(first * 2^(n-1), most), so that the clients of a server that was
     * started anew do not all come at once. A connection that was OPEN for 30 s
     * begins at 1 again. */
    uint32_t backoff_first_ms; /* 500 */
    uint32_t backoff_max_ms;   /* 30,000 */
    uint32_t attempts_max; /* in a row: 0 is no limit, 1 never to come back */

    /* Bounds on memory; 0: the default. */
    uint32_t message_bytes_max; /* of one from the server: 1 MiB */
    uint32_t queue_bytes_max;   /* said, and not sent and answered yet: 1 MiB */
    uint32_t unconfirmed_max;   /* sent and not answered yet: 256 */

    /* What to do with messages that had been sent when a connection was lost,
     * and of which nobody knows: 0: `done` says -ECONNRESET. Set: they are sent
     * once more, so that none is lost and some may come twice. */
    bool resend;
};

/*
 * Makes a client, and touches no network yet.
 * Errors: -EINVAL: something in the config, which `*why` (may be NULL) then
 * says in a few words; -ENOMEM; -EMFILE, -ENFILE.
 * Owner: the caller, who destroys it. All of the config is copied, the key is
 * wiped in the end; the callbacks are copied; `user` stays the caller's; `*why`
 * is a literal.
 * Threads: any; each client is for one at a time.
 */
RINGCHAT_API int ringchat_client_create(
    struct ringchat_client **, const struct ringchat_client_config *,
    const struct ringchat_client_callbacks *, void *user, const char **why);

/*
 * Closes at once, without a word to the server, and frees it: what is queued is
 * lost and `done` is not told. For an orderly end, ringchat_client_close first.
 * Errors: none. Owner: it is gone; takes NULL. Threads: its own, within its
 * callbacks too.
 */
RINGCHAT_API void ringchat_client_destroy(struct ringchat_client *);

/*
 * Begins to connect, if it is IDLE; handle, step and run do so by themselves.
 * Errors: -EALREADY: it is not IDLE. That it cannot connect `changed` is told.
 * Owner: nothing. Threads: its own.
 */
RINGCHAT_API int ringchat_client_start(struct ringchat_client *);

/*
 * Sends what is queued, waits for what is not answered, says good-bye and then
 * is CLOSED; after close_timeout_ms in any case. Nothing more can be said.
 * Errors: none; CLOSED it stays. Owner: it is still to be destroyed. Threads:
 * its own, within its callbacks too.
 */
RINGCHAT_API void ringchat_client_close(struct ringchat_client *);

/* ---- Saying ------------------------------------------------------------- */

/*
 * What they share. It is queued, and sent when the client is OPEN, in this
 * order. `ticket`, if it is not NULL, becomes a number that no other has, and
 * `done` is told what has become of it; with NULL nobody is, and nothing is
 * asked of the server.
 * Errors: -EINVAL: a name that cannot be, or text that is empty or not clean;
 * -EMSGSIZE: longer than the server, or queue_bytes_max, ever takes; -EAGAIN:
 * the queue is full, `writable` will be told; -ESHUTDOWN: it is CLOSING or
 * CLOSED; -ENOTSUP: content that is not text, in `frame` or `text`; -ENOMEM.
 * Owner: all is copied. Threads: its own, within its callbacks too.
 */

/* A message for a room that it is in (NULL: the current one). As above. */
RINGCHAT_API int ringchat_client_say(struct ringchat_client *, const char *room,
                                     const void *text, size_t length,
                                     uint64_t *ticket);

/* A private message. As above. */
RINGCHAT_API int ringchat_client_tell(struct ringchat_client *,
                                      const char *nick, const void *text,
                                      size_t length, uint64_t *ticket);

/* A message, RINGCHAT_MESSAGE or RINGCHAT_PRIVATE, with a content type. As
 * above. */
RINGCHAT_API int ringchat_client_post(struct ringchat_client *,
                                      const struct ringchat_message *,
                                      uint64_t *ticket);

/* A command without its `/`: `who`, `topic lunch at noon`. Those that join,
 * leave, rename or quit do what the functions below do. As above; and -EINVAL
 * in `text` for an `echo` whose answer would look like something else. */
RINGCHAT_API int ringchat_client_command(struct ringchat_client *,
                                         const void *line, size_t length,
                                         uint64_t *ticket);

/* To be in a room, or not, or to have a nick, now and after each reconnect. A
 * refusal ends that: `done` is told. As above. */
RINGCHAT_API int ringchat_client_join(struct ringchat_client *,
                                      const char *room, uint64_t *ticket);
RINGCHAT_API int ringchat_client_leave(struct ringchat_client *,
                                       const char *room, uint64_t *ticket);
RINGCHAT_API int ringchat_client_rename(struct ringchat_client *,
                                        const char *nick, uint64_t *ticket);

/* ---- In a loop of the caller's ------------------------------------------ */

/* What a client waits for. It changes with each call of the client's, so it is
 * asked anew before each wait; `fd` may be another then, under the same number
 * too: `fd_changes` tells (epoll has forgotten the old one by itself). */
struct ringchat_wants {
    size_t size;
    int fd; /* -1: none */
    bool read, write;
    uint64_t deadline_ns; /* to be handled at the latest; UINT64_MAX: never */
    int timeout_ms;       /* the same as poll(2) has it: from now, or -1 */
    uint64_t fd_changes;
};

/*
 * What to wait for now. Level-triggered: what has not been taken is there the
 * next time.
 * Errors: none. Owner: the descriptor stays the client's: it may be watched,
 * not read, closed or set. Threads: its own.
 */
RINGCHAT_API void ringchat_client_wants(const struct ringchat_client *,
                                        struct ringchat_wants *);

/*
 * Does what can be done without waiting: reads, sends, calls back, minds its
 * deadlines. It may be called at any time, whatever has happened; at most 64
 * KiB are read, so that other descriptors have their turn.
 * Errors: -ESHUTDOWN: it is CLOSED, or has been destroyed meanwhile: there is
 * nothing more to wait for; -EDEADLK: from within a callback. All else
 * `changed` is told.
 * Owner: nothing. Threads: its own.
 */
RINGCHAT_API int ringchat_client_handle(struct ringchat_client *);

/* ---- In a loop of its own ----------------------------------------------- */

/*
 * Waits until there is something to do, or for `timeout_ms` (-1: for ever, 0:
 * not at all), and does it. Returns 1 if something was done, 0 if not.
 * Errors: as handle; -EINTR: a signal was handled, or ringchat_client_interrupt
 * was called.
 * Owner: nothing. Threads: its own.
 */
RINGCHAT_API int ringchat_client_step(struct ringchat_client *, int timeout_ms);

/*
 * Steps until it is CLOSED. Returns 0 if that was asked for.
 * Errors: as step; why it is CLOSED, -EPROTO if the server said so; -EINTR as
 * in step: it may be called again.
 * Owner: nothing. Threads: its own.
 */
RINGCHAT_API int ringchat_client_run(struct ringchat_client *);

/*
 * The step or run that it is in, or else the next one, ends with -EINTR.
 * Errors: none; errno stays as it is. Owner: nothing; the client must live.
 * Threads: any, and signal handlers.
 */
RINGCHAT_API void ringchat_client_interrupt(struct ringchat_client *);

/* ---- How it stands ------------------------------------------------------ */

/*
 * Errors: none. Owner: nothing. Threads: its own.
 */
RINGCHAT_API enum ringchat_state
ringchat_client_state(const struct ringchat_client *);

/*
 * What create was given; and another from now on.
 * Errors: none. Owner: the caller's. Threads: its own.
 */
RINGCHAT_API void *ringchat_client_user(const struct ringchat_client *);
RINGCHAT_API void ringchat_client_set_user(struct ringchat_client *,
                                           void *user);

/*
 * Its nick, as the server has it; while there is no connection, the last one.
 * Errors: of length 0 if it never had one. Owner: the client's, until it is
 * used again. Threads: its own.
 */
RINGCHAT_API struct ringchat_text
ringchat_client_nick(const struct ringchat_client *);

/*
 * The rooms that it is in, or will be again: in the order of joining, the last
 * one is the current one. `index` counts from 0.
 * Errors: of length 0: so many there are not. Owner: the client's, until it is
 * used again. Threads: its own.
 */
RINGCHAT_API struct ringchat_text
ringchat_client_room(const struct ringchat_client *, size_t index);

/* The counts of a client since it was made, but for the first three. */
struct ringchat_client_figures {
    size_t size;
    uint64_t rtt_us;      /* of the last heartbeat; 0: none yet */
    uint32_t queued;      /* said and not sent */
    uint32_t unconfirmed; /* sent and not answered */
    uint32_t connections;
    uint64_t messages_in, messages_out;
    uint64_t bytes_in, bytes_out;
};

/*
 * Errors: none. Owner: they are the caller's, filled in as far as its size
 * goes. Threads: its own.
 */
RINGCHAT_API void ringchat_client_figures(const struct ringchat_client *,
                                          struct ringchat_client_figures *);

/*
 * Looks up the name in a URL, which takes as long as the resolver does
 * (getaddrinfo(3)), and writes the URL with the first address instead,
 * terminated. Of one without a name it is a copy. A client looks nothing up.
 * Errors: -EINVAL: no URL; -EHOSTUNREACH: there is no such name; -EAGAIN: the
 * resolver has none to ask now; -ENOBUFS; -ENOMEM.
 * Owner: nothing is kept. Threads: any.
 */
RINGCHAT_API int ringchat_url_resolve(const char *url, char *out,
                                      size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
