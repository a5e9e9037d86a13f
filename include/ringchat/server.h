/*
 * libringchat, part three: a server of one's own. An application is three
 * functions: somebody has come, has said something, has gone. All else is that
 * of ringchatd: listeners, the three dialects, handshakes, heartbeats, time
 * limits, slow readers, memory, a stop that loses nothing; and both its
 * engines, io_uring and epoll, on one thread or several.
 *
 *     ringchat_server_create          listens
 *     ringchat_server_run             serves in this thread until stopped
 *     ringchat_server_stop            from anywhere
 *     ringchat_server_destroy
 *
 * To a peer the application looks like a room that it is alone in with it: the
 * peer is welcomed into the room `name`, what it says there comes to `message`,
 * and what the application says has its place and its seq there. /help, /time,
 * /ping, /echo, /nick, /metrics, /throughput and /quit the library answers
 * itself, so that every client can do with any application; all other commands
 * come to `message`, /join and /msg too.
 *
 * protocol.h says what holds for errors, owners, threads, units and growth.
 */
#ifndef RINGCHAT_SERVER_H
#define RINGCHAT_SERVER_H

#include <ringchat/protocol.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ringchat_server;

/* Who is connected: from its `open` to the end of its `close`. */
struct ringchat_peer;

/* Why a peer has gone. */
enum ringchat_reason {
    RINGCHAT_REASON_END,    /* its stream has ended */
    RINGCHAT_REASON_QUIT,   /* it said so */
    RINGCHAT_REASON_CLOSED, /* ringchat_peer_close */
    RINGCHAT_REASON_RESET,  /* the connection failed */
    RINGCHAT_REASON_ERROR,  /* an error of the table that closes: see `code` */
    RINGCHAT_REASON_MEMORY, /* there was none for what it was to be told */
};

/*
 * The application. Its functions run in the worker that serves the peer, one at
 * a time there; with several workers, several at once. They are not to wait:
 * all peers of that worker wait with them. Each may be NULL. `user` is what
 * create was given.
 */
struct ringchat_application {
    size_t size;
    /* Somebody has come, and has been welcomed. False: it is not let in, and
     * ends when it has been sent what it was told; `close` is not called. */
    bool (*open)(struct ringchat_peer *, void *user);
    /*
     * It has said something: a RINGCHAT_MESSAGE in the room, a RINGCHAT_PRIVATE
     * to `nick`, or a RINGCHAT_COMMAND. A message is confirmed after the call,
     * if that was asked for and ringchat_peer_refuse has not refused it; a
     * command that was not answered is refused with `unknown-command`.
     */
    void (*message)(struct ringchat_peer *, const struct ringchat_message *,
                    void *user);
    /* It has gone: once for each that `open` let in, from within no other
     * function. It can be told nothing more, and with the return it is no more.
     * `code` is 0 unless the reason is an error. */
    void (*close)(struct ringchat_peer *, enum ringchat_reason,
                  enum ringchat_error code, void *user);
};

enum ringchat_engine {
    RINGCHAT_ENGINE_AUTO, /* io_uring where it is to be had, else epoll */
    RINGCHAT_ENGINE_URING,
    RINGCHAT_ENGINE_EPOLL,
};

/* What is 0 is the default, which is that of ringchatd's option of that name
 * (docs/operation.md) where no other is said. */
struct ringchat_server_config {
    size_t size;
    /* As --listen has them: DIALECT://ADDRESS:PORT, port 0 for a free one, or
     * DIALECT+unix:///PATH; 1 to 16. */
    const char *const *listen;
    size_t listen_count;
    /* What `secure` listeners need: 32 to 4096 bytes, as in a --key-file. */
    const void *key;
    size_t key_bytes;
    bool seal; /* `secure` peers that do not encrypt are refused */
    /* The room that peers find themselves in, and who speaks there: what both a
     * room and a nick can be called. NULL: "ringchat". */
    const char *name;

    enum ringchat_engine engine;
    uint32_t workers; /* threads, the caller's one of them: 1 to 64; 0: 1 */

    /* Limits. Of connections: what the soft RLIMIT_NOFILE leaves. */
    uint32_t connections_max, connections_per_address_max;
    uint64_t memory_bytes_max;
    uint32_t line_bytes_max, frame_bytes_max, message_bytes_max;
    double rate_per_second;

    /* UINT32_MAX: never; of the drain: nothing is waited for. */
    uint32_t handshake_timeout_ms, frame_timeout_ms, idle_timeout_ms;
    uint32_t heartbeat_ms, stall_timeout_ms, drain_timeout_ms;
};

/*
 * Makes a server and opens its listeners: who connects waits until it runs. A
 * Unix socket that nobody listens at any more is replaced. An address that is
 * in use it tries for a second, a folder that somebody has locked for two.
 * Errors: what `*why` (may be NULL) then says in a few words. -EINVAL: the
 * config, or a NULL; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EEXIST (something
 * that is no socket is at the path), ...: a listener; -EMFILE, -ENFILE,
 * -ENOMEM. `*which` (may be NULL): the listener that it is about; listen_count:
 * none.
 * Owner: the caller, who destroys it. All of the config is copied, the key is
 * wiped in the end; the application is copied; `user` stays the caller's;
 * `*why` is a literal.
 * Threads: any; each server is for one at a time.
 */
RINGCHAT_API int ringchat_server_create(struct ringchat_server **,
                                        const struct ringchat_server_config *,
                                        const struct ringchat_application *,
                                        void *user, const char **why,
                                        size_t *which);

/*
 * Closes what is open and frees it; Unix sockets that it made are removed.
 * Errors: none. Owner: it is gone; takes NULL. Threads: its own, while it does
 * not run.
 */
RINGCHAT_API void ringchat_server_destroy(struct ringchat_server *);

/*
 * The URL of a listener, from 0, with the port that it really has.
 * Errors: NULL: so many there are not. Owner: the server's, while it lives.
 * Threads: any, once it has been made.
 */
RINGCHAT_API const char *ringchat_server_url(const struct ringchat_server *,
                                             size_t index);

/*
 * Serves until it is stopped and all peers have been sent what they were due,
 * for at most the drain timeout and a second. Threads that it starts have all
 * signals blocked and a stack of 1 MiB, and have ended when it returns; then
 * each peer that was let in has been told of as gone, and the listeners are
 * closed. It can run once.
 * Errors: -EALREADY: it has run; -ENOSYS: there is no io_uring, though it was
 * asked for; -EAGAIN, -ENOMEM, -EMFILE, ...: it cannot start; -EINVAL: a NULL.
 * Owner: nothing. Threads: its own: the caller's thread is the first worker. If
 * that had an io_uring, the kernel takes it back a moment after the return, and
 * meanwhile may cut a call that waits short, with EINTR.
 */
RINGCHAT_API int ringchat_server_run(struct ringchat_server *);

/*
 * Begins to stop: nobody is let in any more, each peer is told `shutdown`, and
 * run returns; at once, if it has not been called yet. Called again, it waits
 * for nobody any longer.
 * Errors: none. Owner: nothing; the server must live. Threads: any, the
 * application's functions and signal handlers too.
 */
RINGCHAT_API void ringchat_server_stop(struct ringchat_server *);

/* ---- To a peer ---------------------------------------------------------- */

/*
 * What they share. What is said is queued, and sent when the application's
 * function has returned; to any peer of the same worker, not only the one that
 * has spoken. Content that its dialect cannot show (what is no text, in `text`
 * and `frame`; what no frame holds) it is told of in a line.
 * Errors: -EINVAL: text that is not clean, or a NULL; -EMSGSIZE: longer than
 * message_bytes_max; -EAGAIN: it has 256 KiB that it has not read; -EPIPE: it
 * is going; -ENOMEM: and with that it is going, too. Nothing has been said
 * then.
 * Owner: all is copied. Threads: the worker that serves the peer, within the
 * application's functions: nowhere else.
 */

/* A message in the room, under the name of the application. As above; -EINVAL
 * also: no text. */
RINGCHAT_API int ringchat_peer_say(struct ringchat_peer *, const void *text,
                                   size_t length);

/* A message of any kind: RINGCHAT_MESSAGE or RINGCHAT_PRIVATE, in any content,
 * and from anybody: of it nick (none: the application), text and content_type;
 * the library sets the rest. As above; -EINVAL also: no such kind, no text, or
 * what cannot be a nick or a content type. */
RINGCHAT_API int ringchat_peer_post(struct ringchat_peer *,
                                    const struct ringchat_message *);

/* A line in reply to the command that this `message` is about; `more`: another
 * follows. As above; -EINVAL also: it is about no command of this peer, or one
 * that has its answer. */
RINGCHAT_API int ringchat_peer_reply(struct ringchat_peer *, const void *text,
                                     size_t length, bool more);

/* What this `message` is about is refused, with a detail or NULL. A code that
 * closes ends the peer, and has a detail of its own. As above, but never
 * -EAGAIN; -EINVAL also: it is about nothing of this peer, or has its answer;
 * no code of the protocol's first version (ringchat_error_name). */
RINGCHAT_API int ringchat_peer_refuse(struct ringchat_peer *,
                                      enum ringchat_error code,
                                      const char *detail);

/*
 * Sends what is queued, says good-bye and closes; `close` is told when it has
 * gone, never at once.
 * Errors: none. Owner: it lives until `close` has returned. Threads: as above.
 */
RINGCHAT_API void ringchat_peer_close(struct ringchat_peer *);

/*
 * The application's own, for this peer: NULL at first.
 * Errors: none. Owner: the application, which frees it in `close`. Threads: as
 * above.
 */
RINGCHAT_API void *ringchat_peer_user(const struct ringchat_peer *);
RINGCHAT_API void ringchat_peer_set_user(struct ringchat_peer *, void *user);

/*
 * Its nick, which nobody else has while it is there, of whichever worker: as it
 * asked for, or a guest's. It may change between two messages.
 * Errors: none. Owner: the peer's, until the function returns. Threads: as
 * above.
 */
RINGCHAT_API struct ringchat_text
ringchat_peer_nick(const struct ringchat_peer *);

/*
 * How it speaks; and which worker, from 0, serves it.
 * Errors: none. Owner: nothing. Threads: as above.
 */
RINGCHAT_API enum ringchat_dialect
ringchat_peer_dialect(const struct ringchat_peer *);
RINGCHAT_API uint32_t ringchat_peer_worker(const struct ringchat_peer *);

#ifdef __cplusplus
}
#endif

#endif
