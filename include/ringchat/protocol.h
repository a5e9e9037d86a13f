/*
 * libringchat, part one: the protocol. What is said, and its bytes in each of
 * the three dialects, in both directions (docs/protocol.md). No I/O, no clock,
 * no thread: bytes go in and messages come out, or the other way round.
 *
 * Most programs want client.h or server.h, which do the rest too. This part is
 * for those that have a transport, or a state machine, of their own.
 *
 * What holds for all three headers:
 *
 *   Errors    A function that can fail returns -errno; 0 or a count is
 *             success. What a peer can cause is an `enum ringchat_error`, the
 *             table of the protocol. No function prints, exits, or changes
 *             signals, locale or umask; errno means nothing after any. NULL
 *             where none is allowed is -EINVAL where there is a result, and
 *             nothing is done.
 *   Owner     What a function is handed is borrowed for the call, and copied if
 *             it is needed longer. What a callback or a decoder is handed is
 *             the library's and valid until it returns, or decodes again.
 *             What `_create` returns goes with `_destroy`, which takes NULL.
 *   Threads   There is no state but that behind the handles. One thread at a
 *             time may use a handle; different ones are independent. Functions
 *             that any thread may call say so.
 *   Units     The end of a name says it: `_ms`, `_us`, `_ns`, `_bytes`.
 * Instants in `_ns` are of CLOCK_MONOTONIC, in `_us` since the Unix epoch.
 *   Growth    A struct that the caller fills in begins with its size
 *             (RINGCHAT_SIZED does that), and what is 0 is the default: a later
 *             library knows by the size what an earlier program did not. One
 *             that the library fills in may become longer, so it is not copied.
 *             Enums grow: ignore a value that you do not know.
 */
#ifndef RINGCHAT_PROTOCOL_H
#define RINGCHAT_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RINGCHAT_API __attribute__((visibility("default")))
#else
#define RINGCHAT_API
#endif

/* What this header belongs to; of the library, ringchat_version says it. */
#define RINGCHAT_VERSION_MAJOR 0
#define RINGCHAT_VERSION_MINOR 1
#define RINGCHAT_VERSION_PATCH 0

/* The first member of each struct that the caller fills in:
 *     struct ringchat_client_config config = {RINGCHAT_SIZED(config), ...}; */
#define RINGCHAT_SIZED(of) .size = sizeof(of)

/* Bytes of somebody's: UTF-8 where people see it, without a terminating NUL.
 * `bytes` may be NULL if `length` is 0. */
struct ringchat_text {
    const char *bytes;
    size_t length;
};

/* How a peer speaks. A listener of a server has exactly one. */
enum ringchat_dialect {
    RINGCHAT_TEXT,   /* lines */
    RINGCHAT_FRAME,  /* a type, a length and a body */
    RINGCHAT_SECURE, /* signed with a key, and encrypted for who asks */
};

/* The errors of docs/protocol.md, with their numbers. */
enum ringchat_error {
    RINGCHAT_ERROR_NONE = 0,
    RINGCHAT_ERROR_LINE_TOO_LONG = 1,
    RINGCHAT_ERROR_BAD_TEXT = 2,
    RINGCHAT_ERROR_UNKNOWN_COMMAND = 3,
    RINGCHAT_ERROR_USAGE = 4,
    RINGCHAT_ERROR_BAD_NAME = 5,
    RINGCHAT_ERROR_NICK_IN_USE = 6,
    RINGCHAT_ERROR_NO_SUCH_NICK = 7,
    RINGCHAT_ERROR_NO_SUCH_ROOM = 8,
    RINGCHAT_ERROR_NO_ROOM = 9,
    RINGCHAT_ERROR_TOO_MANY_ROOMS = 10,
    RINGCHAT_ERROR_WRONG_PROTOCOL = 11,
    RINGCHAT_ERROR_RECEIVER_BUSY = 12,
    RINGCHAT_ERROR_BAD_FRAME = 20,
    RINGCHAT_ERROR_TOO_LARGE = 21,
    RINGCHAT_ERROR_UNKNOWN_TYPE = 22,
    RINGCHAT_ERROR_HANDSHAKE = 23,
    RINGCHAT_ERROR_BAD_MAGIC = 24,
    RINGCHAT_ERROR_BAD_VERSION = 25,
    RINGCHAT_ERROR_BAD_CRC = 26,
    RINGCHAT_ERROR_BAD_HMAC = 27,
    RINGCHAT_ERROR_BAD_HEADER = 28,
    RINGCHAT_ERROR_REPLAY = 29,
    RINGCHAT_ERROR_TIMEOUT = 30,
    RINGCHAT_ERROR_LAGGED = 31,
    RINGCHAT_ERROR_SERVER_FULL = 32,
    RINGCHAT_ERROR_SHUTDOWN = 33,
    RINGCHAT_ERROR_AUTH_REQUIRED = 40,
    RINGCHAT_ERROR_AUTH_FAILED = 41,
    RINGCHAT_ERROR_FORBIDDEN = 42,
    RINGCHAT_ERROR_PLAINTEXT = 43,
    RINGCHAT_ERROR_UNAVAILABLE = 50,
    RINGCHAT_ERROR_TOO_BIG_FILE = 51,
    RINGCHAT_ERROR_NO_SUCH_TRANSFER = 52,
    RINGCHAT_ERROR_INTERNAL = 99,
};

/* What is said, by whom: C a client, S a server. */
enum ringchat_kind {
    RINGCHAT_NOTHING,      /* C: the peer lives, no more: an empty line */
    RINGCHAT_HELLO,        /* C: nick, or none for a guest's (SESSION_ACK) */
    RINGCHAT_SESSION_INIT, /* S: interval_s, bytes_max: those of the config */
    RINGCHAT_WELCOME,      /* S: nick, room */
    RINGCHAT_PING,         /* both: stamp */
    RINGCHAT_PONG,         /* both: stamp */
    RINGCHAT_MESSAGE,      /* C: id, room (none: the current one), text,
                              content_type; S: room, nick, text, content_type,
                              seq, time_us */
    RINGCHAT_PRIVATE,      /* C: id, nick (to whom), text, content_type;
                              S: nick (from whom), text, content_type, time_us */
    RINGCHAT_COMMAND,      /* C: id, text: the line without its `/` */
    RINGCHAT_REPLY,        /* S: id, text, more */
    RINGCHAT_ACK,          /* S: id, seq */
    RINGCHAT_ERROR,        /* S: id, code, text: the detail, may be empty */
    RINGCHAT_JOINED,       /* S: room, nick */
    RINGCHAT_LEFT,         /* S: room, nick */
    RINGCHAT_NICK,         /* S: room, nick (the old one), text (the new one) */
    RINGCHAT_TOPIC,        /* S: room, nick, text */
    RINGCHAT_LAGGED,       /* S: room, count: so many messages missed */
    RINGCHAT_DISCONNECT,   /* both: asked for, or agreed to */
    RINGCHAT_OTHER,        /* S: a type of a later protocol; both: one of
                              transfers. It is heard, and not said */
};

/*
 * One thing said. Which members mean something, its kind says; the others are
 * 0, and are not looked at. Of what a dialect cannot say, 0 is heard: in `text`
 * there is no id, seq or time, and any line that has no form of its own is a
 * REPLY. There a PRIVATE and a DISCONNECT of a client's are the commands `msg`
 * and `quit`, and are heard as such. An error's `code` may be a number that is
 * not in the table above.
 */
struct ringchat_message {
    size_t size;
    enum ringchat_kind kind;
    enum ringchat_error code;
    uint32_t id; /* of a request, by the client's choice; 0: none is answered */
    bool more;   /* another REPLY to the same COMMAND follows */
    struct ringchat_text room, nick, text;
    struct ringchat_text content_type; /* none: text/plain; charset=utf-8 */
    uint64_t seq;                      /* in its room, from 1 without gaps */
    uint64_t time_us;
    uint64_t stamp;
    uint64_t count;
    uint32_t interval_s; /* between two pings of the server's, 0: it has none */
    uint32_t bytes_max;  /* the longest content that the server takes */
};

/* ---- Codecs ------------------------------------------------------------- */

/* One end of one connection: the state that decoding and encoding need. */
struct ringchat_codec;

enum ringchat_role {
    RINGCHAT_CLIENT, /* encodes what clients say, decodes what servers say */
    RINGCHAT_SERVER, /* the other way round */
};

struct ringchat_codec_config {
    size_t size;
    enum ringchat_role role;
    enum ringchat_dialect dialect;
    /* Of `secure` alone: 32 to 4096 bytes, as in a --key-file. */
    const void *key;
    size_t key_bytes;
    /* Of `secure` alone. A client: encrypts, and has the server do so. A
     * server: refuses who does not. */
    bool seal;
    /* The most that one message from the peer may hold. 0: 4 KiB a line and 16
     * KiB a frame from clients, all that fits a frame from servers; 1 MiB for
     * the rest. At most 32 MiB, and what fits a frame. Besides a few KiB that
     * is the memory a codec may take. */
    uint32_t bytes_max;
    uint32_t interval_s; /* a server's: what SESSION_INIT says of heartbeats;
                            at most 65,535 */
};

/*
 * Makes a codec for a new connection.
 * Errors: -EINVAL: what the config asks for is contradictory, or the key is
 * missing or short; -ENOMEM; -errno of getrandom(2).
 * Owner: the caller, who destroys it; the key is copied, and wiped in the end.
 * Threads: any; each codec is for one at a time.
 */
RINGCHAT_API int ringchat_codec_create(struct ringchat_codec **,
                                       const struct ringchat_codec_config *);

/*
 * Frees it and wipes its keys.
 * Errors: none. Owner: it is gone; takes NULL. Threads: its own.
 */
RINGCHAT_API void ringchat_codec_destroy(struct ringchat_codec *);

enum ringchat_outcome {
    RINGCHAT_READY,   /* the message is whole */
    RINGCHAT_PARTIAL, /* all bytes are taken, the next message is not whole */
    RINGCHAT_INVALID, /* `*error` says why; go on unless that closes */
};

/*
 * Decodes the next message from `*bytes`, and moves `*bytes` and `*length` past
 * what it took. Nothing of a `secure` message is handed out before its HMAC,
 * its session and its seq hold; names are names, and text has no control
 * characters, whatever the peer sent. The message is filled in as far as its
 * size goes.
 * Errors: INVALID with an error of the table; of the message, there is its `id`
 * if that could be read. RINGCHAT_ERROR_INTERNAL: no memory, or a NULL. After
 * one that closes the codec decodes nothing more, and says the same again.
 * Owner: what the message refers to is the codec's, or lies in `*bytes`, until
 * the codec decodes again or is destroyed.
 * Threads: its own.
 */
RINGCHAT_API enum ringchat_outcome ringchat_decode(struct ringchat_codec *,
                                                   const unsigned char **bytes,
                                                   size_t *length,
                                                   struct ringchat_message *,
                                                   enum ringchat_error *error);

/*
 * The stream has ended: what is left may be a last line. To be called until it
 * says PARTIAL: there is nothing more.
 * Errors: as ringchat_decode. Owner: likewise. Threads: its own.
 */
RINGCHAT_API enum ringchat_outcome
ringchat_decode_end(struct ringchat_codec *, struct ringchat_message *,
                    enum ringchat_error *error);

/*
 * How many bytes may be read without reading past the next message's head, or
 * its end once that is known: for exact reads. SIZE_MAX: any number.
 * Errors: none. Owner: nothing is handed over. Threads: its own.
 */
RINGCHAT_API size_t ringchat_decode_need(const struct ringchat_codec *);

/*
 * Writes what is said as bytes; messages go out in the order in which they were
 * encoded. Returns their number. With `capacity` 0 nothing is written, and the
 * codec stays as it is: the number is how many there would be. Content that is
 * not text is described by a server to those whose dialect has none.
 * Errors: -EINVAL: the other role says that, or a name, text or number that may
 * not be; -ENOTSUP: the dialect has no word for it (in `text` a hello, a ping,
 * a room by name; in `text` and `frame` a client's content that is not text);
 * -EMSGSIZE: longer than the peer said it takes; -ENOBUFS: than `capacity`;
 * -EPROTO: not before, or not after, the handshake; -ENOMEM. Nothing has been
 * written then.
 * Owner: nothing is kept. Threads: its own.
 */
RINGCHAT_API ptrdiff_t ringchat_encode(struct ringchat_codec *,
                                       const struct ringchat_message *,
                                       void *bytes, size_t capacity);

/* ---- Words -------------------------------------------------------------- */

/*
 * "nick-in-use"; "unknown" for a number that is not in the table.
 * Errors: none. Owner: a literal. Threads: any.
 */
RINGCHAT_API const char *ringchat_error_name(enum ringchat_error);

/*
 * Whether a connection ends with it.
 * Errors: none. Owner: nothing. Threads: any.
 */
RINGCHAT_API bool ringchat_error_closes(enum ringchat_error);

/*
 * Whether it may be a room's name, or a nick that can be asked for.
 * Errors: none. Owner: nothing is kept. Threads: any.
 */
RINGCHAT_API bool ringchat_room_is_valid(struct ringchat_text);
RINGCHAT_API bool ringchat_nick_is_valid(struct ringchat_text);

/*
 * Whether two rooms, or nicks, are the same: but for the case of ASCII letters.
 * Errors: none. Owner: nothing is kept. Threads: any.
 */
RINGCHAT_API bool ringchat_name_equals(struct ringchat_text,
                                       struct ringchat_text);

/*
 * Whether people may see it: UTF-8 without control characters but tab. What the
 * library hands out as text is; what it is asked to send has to be.
 * Errors: none. Owner: nothing is kept. Threads: any.
 */
RINGCHAT_API bool ringchat_text_is_clean(struct ringchat_text);

/*
 * The library's own version, major << 16 | minor << 8 | patch.
 * Errors: none. Owner: nothing. Threads: any.
 */
RINGCHAT_API uint32_t ringchat_version(void);

#ifdef __cplusplus
}
#endif

#endif
