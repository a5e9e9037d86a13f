/*
 * The wire: what the bytes of each dialect mean, and how what the chat says
 * becomes bytes (docs/protocol.md).
 *
 * Decoding is incremental and does no I/O; it has three outcomes. Encoding
 * writes exactly the bytes whose number it has said before, into memory that
 * the caller reserved, so that a message is encoded where it is sent from.
 * Nothing here knows a room or a session.
 */
#ifndef RINGCHAT_WIRE_WIRE_H
#define RINGCHAT_WIRE_WIRE_H

#include "common/base/builder.h"
#include "common/base/slice.h"
#include "common/wire/error.h"
#include "common/wire/pieces.h"
#include "common/wire/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a peer speaks. A listener has exactly one. */
enum dialect { DIALECT_TEXT, DIALECT_FRAME, DIALECT_SECURE };

/* How bytes for peers are written: a room has one lane for each in use. */
enum encoding {
    ENCODING_TEXT,
    ENCODING_FRAME,
    ENCODING_SECURE,
    ENCODING_SEALED, /* secure, its content encrypted */
    ENCODINGS,
};

/* ---- What all peers share ----------------------------------------------- */

struct budget;
struct tail;

/* Limits in bytes. `key` is borrowed for the call; without one there is no
 * secure dialect. */
struct wire_config {
    uint32_t line_bytes_max;    /* of a text line, without its end */
    uint32_t frame_bytes_max;   /* of a frame's body from a peer */
    uint32_t message_bytes_max; /* of a secure message's content from a peer */
    uint32_t heartbeat_s;       /* what peers are told of it */
    bool encryption_required;   /* of secure peers */
    const void *key;
    size_t key_length;
    /* The salt of what the server seals; new at each start. */
    uint8_t boot[UUID_BYTES];
    /* Sets it apart from the others of this start, one for each thread: they
     * seal with the same key. */
    uint32_t number;
};

/* Limits, keys and the contexts of the cryptography. One thread at a time. */
struct wire;

/* NULL without memory. The budget is what decoders take their memory from, and
 * stays the caller's. */
struct wire *wire_create(const struct wire_config *, struct budget *);

/* Wipes the keys. Takes NULL. */
void wire_destroy(struct wire *);

/* What the binary dialects keep of one peer. The caller sets `uuid` and leaves
 * the rest zero. */
struct wire_peer {
    uint8_t uuid[UUID_BYTES]; /* the session's */
    uint8_t key[32];          /* of what the peer seals, once `keyed` */
    uint64_t seq_in_min;      /* the least that its next one may be */
    uint64_t seq_out;         /* the last one we used */
    bool sealed;              /* all content is encrypted from now on */
    bool keyed;
};

/* ---- From the peer ------------------------------------------------------ */

enum request_kind {
    REQUEST_NOTHING,    /* the peer lives, no more: an empty line */
    REQUEST_HELLO,      /* name: the nick it wants, or empty */
    REQUEST_PING,       /* stamp */
    REQUEST_PONG,       /* stamp */
    REQUEST_MESSAGE,    /* id, target, name, text, content_type */
    REQUEST_COMMAND,    /* id; text, without the `/` */
    REQUEST_DISCONNECT, /* it wants to go */
    REQUEST_TRANSFER,   /* one of FILE_OFFER to FILE_END */
};

/* Where a message goes. */
enum target {
    TARGET_CURRENT, /* the current room */
    TARGET_ROOM,    /* the one of that name, which may be none */
    TARGET_NICK,    /* to one person in private */
};

/* Slices are valid until the next call of the decoder. */
struct request {
    enum request_kind kind;
    enum target target;
    uint32_t id; /* 0: no answer is asked for; also set where INVALID */
    struct slice name;
    struct slice text;
    struct slice content_type; /* empty: plain text */
    uint64_t stamp;
};

enum wire_outcome {
    WIRE_READY,   /* `request` is one whole request */
    WIRE_PARTIAL, /* all bytes are taken, the next request is not whole */
    WIRE_INVALID, /* `error` says why; if it does not close, go on */
};

/* One peer's decoder. Only an incomplete tail is copied, into `tail`. */
struct decoder {
    struct tail *tail; /* NULL: empty */
    enum dialect dialect : 8;
    bool begun : 1;    /* text: the first byte has been looked at */
    bool greeted : 1;  /* text: a first line that is not empty has been read;
                          binary: the peer has been welcomed */
    bool skipping : 1; /* text: the rest of a line that was too long */
    bool spent : 1;    /* the tail was the last request */
    bool heard : 1;    /* it is a server's: see hear.h */
};

void decoder_init(struct decoder *, enum dialect);
void decoder_release(struct decoder *, struct budget *);

/* A binary peer has been welcomed: it has said who it is, and may go on. */
void decoder_welcome(struct decoder *);

/* Whether a request has begun and is not whole. */
bool decoder_is_within(const struct decoder *);

/*
 * Decodes the next request from `*bytes`, and moves `*bytes` and `*length`
 * past what it took. It is `from` that peer, always the same; NULL for text.
 * WIRE_INVALID with ERROR_INTERNAL: no memory.
 */
enum wire_outcome wire_decode(struct wire *, struct decoder *,
                              struct wire_peer *from,
                              const unsigned char **bytes, size_t *length,
                              struct request *, enum error_code *);

/* The stream has ended: what is in the tail may be a last request. Never
 * WIRE_PARTIAL with a request lost: PARTIAL says that there is none. */
enum wire_outcome wire_decode_end(struct wire *, struct decoder *,
                                  struct request *, enum error_code *);

/* How many bytes may be read without reading past the next request's head, or
 * past its end once that is known: what an exact read asks for. A line may end
 * anywhere, so of text it is as many as there are: SIZE_MAX. */
size_t wire_need(const struct decoder *);

/* ---- To the peer -------------------------------------------------------- */

enum event_kind {
    /* To a room, in its log. */
    EVENT_MESSAGE, /* room, nick, text, content_type; seq, time_us */
    EVENT_JOINED,  /* room, nick; seq */
    EVENT_LEFT,    /* room, nick; seq */
    EVENT_NICK,    /* room, nick (the old one), text (the new one); seq */
    EVENT_TOPIC,   /* room, nick, text; seq */
    /* To one session. */
    EVENT_LAGGED,      /* room, number (of messages missed) */
    EVENT_PRIVATE,     /* nick, text, content_type; time_us */
    EVENT_REPLY,       /* id, text; more */
    EVENT_ECHO,        /* id, text: a reply that is exactly that */
    EVENT_ERROR,       /* id, code, text (its detail, may be empty) */
    EVENT_TOPIC_REPLY, /* id, room, text: a reply */
    EVENT_WELCOME,     /* nick, room */
    /* To one session of a binary dialect. */
    EVENT_SESSION_INIT, /* nothing but what the wire knows */
    EVENT_PING,         /* number: the stamp */
    EVENT_PONG,         /* number: the peer's stamp */
    EVENT_ACK,          /* id, seq */
    EVENT_DISCONNECT,   /* that the peer asked for */
    /* Heard only: a type of a later protocol, or of transfers. */
    EVENT_OTHER,
};

struct event {
    enum event_kind kind;
    struct slice room, nick, text;
    struct slice content_type; /* empty: plain text */
    uint64_t seq;              /* of the message; of a notice: the last one */
    uint64_t time_us;
    uint64_t number;
    uint32_t id; /* of the request that is answered, or 0 */
    enum error_code code;
    bool more; /* another reply to the same command follows */
};

/* An event, ready to be written: what it is made of, so that its size and its
 * bytes cannot disagree. The event and what it refers to stay the caller's, and
 * as they are until it is written. Not to be copied. */
struct outgoing {
    enum encoding encoding;
    const struct event *event;
    struct wire_peer *to; /* whom it is for alone; NULL: a room */
    size_t size;          /* in bytes: 1 to RECORD_BYTES_MAX */
    struct pieces content;
    struct builder headers; /* of secure and sealed, else empty */
};

/* Fills in what will be written for the event, `to` that peer or (NULL) a
 * room; returns its size. */
size_t wire_prepare(const struct wire *, enum encoding, struct wire_peer *to,
                    const struct event *, struct outgoing *);

/* Writes `size` bytes, once; returns their end, NULL if the cryptography failed
 * (no memory). */
unsigned char *wire_write(struct wire *, const struct outgoing *,
                          unsigned char *out);

/* The encoding that a dialect is answered in, at first. */
enum encoding dialect_encoding(enum dialect);

/* The dialect of a listener's scheme ("text"); false if there is none. */
bool dialect_named(const char *scheme, enum dialect *);

#endif
