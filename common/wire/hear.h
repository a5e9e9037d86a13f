/*
 * What a client hears: bytes from a server become events, by the same decoder
 * that reads requests on the other side. As it does no I/O, and whatever a
 * server sends, what it hands out keeps to docs/protocol.md: names are names,
 * text is clean, and before the greeting there is nothing else.
 */
#ifndef RINGCHAT_WIRE_HEAR_H
#define RINGCHAT_WIRE_HEAR_H

#include "common/wire/wire.h"

/* What SESSION_INIT says. */
struct greeting {
    uint8_t session[UUID_BYTES];
    uint8_t boot[UUID_BYTES]; /* of `secure`, else zero */
    uint32_t heartbeat_s;
    uint32_t bytes_max; /* of a frame's body or a message's content */
};

/* What a server has said. Slices are valid until the next call of the decoder.
 * Of an error the text is its detail, without the name; its code may be one
 * that is in no table of ours. */
struct heard {
    struct event event;
    struct greeting greeting; /* of EVENT_SESSION_INIT */
};

/* A decoder of what a server says. It is welcomed (decoder_welcome) by what it
 * hears: SESSION_INIT, in text the welcome. */
void decoder_init_hearing(struct decoder *, enum dialect);

/*
 * Decodes the next thing said from `*bytes`, as wire_decode does. The limit of
 * a frame's body is the wire's frame_bytes_max; of a secure message's content,
 * and of the text in a line, message_bytes_max. `from` is what is kept of that
 * server, always the same; NULL for text.
 */
enum wire_outcome wire_hear(struct wire *, struct decoder *,
                            struct wire_peer *from, const unsigned char **bytes,
                            size_t *length, struct heard *, enum error_code *);

/* The stream has ended, as wire_decode_end has it. */
enum wire_outcome wire_hear_end(struct wire *, struct decoder *, struct heard *,
                                enum error_code *);

/* A SESSION_INIT was heard: the peer, who was all zero, is that session from
 * now on, and what it seals and is sealed for it is so with its keys. False:
 * out of memory. */
bool wire_greeted(struct wire *, struct wire_peer *, const struct greeting *);

#endif
