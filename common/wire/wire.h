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

#include "common/base/slice.h"
#include "common/wire/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a peer speaks. A listener has exactly one. */
enum dialect { DIALECT_TEXT };

/* How bytes for peers are written: a room has one lane for each in use. */
enum encoding { ENCODING_TEXT, ENCODINGS };

/* ---- From the peer ------------------------------------------------------ */

enum request_kind {
    REQUEST_NOTHING, /* an empty line: the peer lives, no more */
    REQUEST_MESSAGE, /* for the current room */
    REQUEST_COMMAND, /* without the `/` */
};

struct request {
    enum request_kind kind;
    struct slice text; /* valid until the next call of the decoder */
};

enum wire_outcome {
    WIRE_READY,   /* `request` is one whole request */
    WIRE_PARTIAL, /* all bytes are taken, the next request is not whole */
    WIRE_INVALID, /* `error` says why; if it does not close, go on */
};

struct wire_limits {
    uint32_t line_bytes_max;
};

/* One peer's decoder. Only an incomplete tail is copied, into `tail`. */
struct decoder {
    unsigned char *tail;
    uint32_t tail_length, tail_capacity;
    enum dialect dialect : 8;
    bool begun : 1;    /* the first byte has been looked at */
    bool greeted : 1;  /* a first line that is not empty has been read */
    bool skipping : 1; /* the rest of a line that was too long */
    bool spent : 1;    /* the tail was the last request */
};

struct budget;

void decoder_init(struct decoder *, enum dialect);
void decoder_release(struct decoder *, struct budget *);

/*
 * Decodes the next request from `*bytes`, and moves `*bytes` and `*length`
 * past what it took. WIRE_INVALID with ERROR_INTERNAL: no memory for the tail.
 */
enum wire_outcome wire_decode(struct decoder *, struct budget *,
                              const struct wire_limits *,
                              const unsigned char **bytes, size_t *length,
                              struct request *, enum error_code *);

/* The stream has ended: what is in the tail may be a last request. Never
 * WIRE_PARTIAL with a request lost: PARTIAL says that there is none. */
enum wire_outcome wire_decode_end(struct decoder *, const struct wire_limits *,
                                  struct request *, enum error_code *);

/* How many bytes the next request needs at least: what an exact blocking read
 * may wait for. A line may always end with the next byte. */
size_t wire_need(const struct decoder *);

/* ---- To the peer -------------------------------------------------------- */

enum event_kind {
    /* To a room, in its log. */
    EVENT_MESSAGE, /* room, nick, text; seq, time_us */
    EVENT_JOINED,  /* room, nick */
    EVENT_LEFT,    /* room, nick */
    EVENT_NICK,    /* room, nick (the old one), text (the new one) */
    EVENT_TOPIC,   /* room, nick, text */
    /* To one session. */
    EVENT_LAGGED,      /* room, number (of messages missed) */
    EVENT_PRIVATE,     /* nick, text; time_us */
    EVENT_REPLY,       /* text; more */
    EVENT_ECHO,        /* text: a reply that is exactly that */
    EVENT_ERROR,       /* code, text (its detail, may be empty) */
    EVENT_TOPIC_REPLY, /* room, text: a reply */
    EVENT_WELCOME,     /* nick, room */
};

struct event {
    enum event_kind kind;
    struct slice room, nick, text;
    uint64_t seq;
    uint64_t time_us;
    uint64_t number;
    enum error_code code;
    bool more; /* another reply to the same command follows */
};

/* The bytes that wire_encode will write. Never 0. */
size_t wire_size(enum encoding, const struct event *);

/* Writes them; returns their end. */
unsigned char *wire_encode(enum encoding, const struct event *,
                           unsigned char *out);

/* The encoding that a dialect is answered in. */
enum encoding dialect_encoding(enum dialect);

/* The dialect of a listener's scheme ("text"); false if there is none. */
bool dialect_named(const char *scheme, enum dialect *);

#endif
