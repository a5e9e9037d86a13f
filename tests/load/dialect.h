/*
 * How servers are spoken to: one struct dialect for each protocol, written from
 * its specification, with no I/O. A dialect cuts the stream into items, says
 * what an item means to a client, and writes what a client says.
 *
 *   dialect_text.c    docs/protocol.md, text
 *   dialect_frame.c   docs/protocol.md, frame
 *   dialect_secure.c  docs/protocol.md, secure
 *   dialect_raw.c     lines that the least of all servers (tests/load/raw)
 *                     passes on
 *   dialect_resp.c    Redis, Valkey: RESP3, publish and subscribe
 *   dialect_nats.c    NATS: its client protocol
 *   dialect_irc.c     RFC 2812
 */
#ifndef RINGCHAT_LOAD_DIALECT_H
#define RINGCHAT_LOAD_DIALECT_H

#include "tests/load/out.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum item_kind {
    ITEM_MESSAGE,   /* said in the room: `text` */
    ITEM_LAGGED,    /* `number` messages of the room were missed */
    ITEM_READY,     /* what this step of entering waited for: go on */
    ITEM_ENTERED,   /* the last of them: in the room */
    ITEM_PING,      /* to be answered */
    ITEM_ERROR,     /* `text` says which */
    ITEM_CORRUPT,   /* it cannot be what the protocol says: `text`, a string
                       literal, says why */
    ITEM_OTHER,     /* of no concern: presence, topics, acknowledgements */
    ITEM_ELSEWHERE, /* said, or missed, in a room that is not ours */
};

struct item {
    enum item_kind kind;
    const unsigned char *text; /* in the item's bytes, or static */
    size_t length;
    uint64_t number; /* ITEM_PING: what the answer repeats */
};

/* What is the same for all who speak a dialect in one run. */
struct terms {
    const unsigned char *key; /* of `secure`, as in --key-file */
    size_t key_length;
    bool seal; /* A256GCM */
};

/* Who speaks: one for each connection, in its owner's memory. */
struct speaker {
    const struct dialect *dialect;
    const struct terms *terms;
    const char *room; /* to enter, and to speak in */
    uint32_t number;  /* of this client, different for each */
    unsigned step;    /* of entering, 0 first: see `enter` */
    void *own;        /* what one dialect alone wants to keep; see `release` */
};

/* What `extent` returns for bytes that no item begins with. */
#define EXTENT_INVALID SIZE_MAX

struct dialect {
    const char *scheme; /* of its URLs */
    const char *port;   /* where they name none; NULL: they must */
    bool hears_itself;  /* who speaks in a room hears it */
    bool orders_all;    /* all hear all in the same order, not only each
                           speaker's words in theirs */
    size_t text_max;    /* the longest that can be said; 0: no limit */
    size_t seal_bytes;  /* by which it is shorter when terms->seal */

    /*
     * How long the first item is, its end included; 0 if that cannot be told
     * yet: then `*wanted` is how many bytes from its beginning it takes at
     * least to go on. Of `bytes`, `looked` were there the last time, and no
     * item ended in them.
     */
    size_t (*extent)(const unsigned char *bytes, size_t length, size_t looked,
                     size_t *wanted);

    /* What the whole item means. */
    void (*read)(struct speaker *, const unsigned char *bytes, size_t length,
                 struct item *);

    /* What the client says at the step: 0 when it has connected (it may have
     * nothing to say yet), then one more for each ITEM_READY. Step 0 begins a
     * connection, whatever `own` was before. NULL: who has connected is in. */
    void (*enter)(struct speaker *, struct out *);

    void (*say)(struct speaker *, const void *text, size_t length,
                struct out *);
    /* NULL: there is no ITEM_PING. */
    void (*answer)(struct speaker *, const struct item *ping, struct out *);
    /* Says that it goes, so that the server closes the connection; NULL: there
     * is no such word, and the client closes. */
    void (*leave)(struct speaker *, struct out *);
    /* Frees `own`; NULL: there is none. */
    void (*release)(struct speaker *);
};

extern const struct dialect dialect_text, dialect_frame, dialect_secure,
    dialect_raw, dialect_resp, dialect_nats, dialect_irc;

#endif
