/*
 * What a client says: requests become bytes for a server, as events do for a
 * client (wire.h): the size first, then exactly as many bytes.
 */
#ifndef RINGCHAT_WIRE_SAY_H
#define RINGCHAT_WIRE_SAY_H

#include "common/wire/wire.h"

/* A request, ready to be written. It and what it refers to stay the caller's,
 * and as they are until it is written. Not to be copied. */
struct said {
    enum encoding encoding;
    const struct request *request;
    struct wire_peer *from; /* who says it; NULL in text */
    size_t size;
    struct pieces content;
    struct builder headers; /* of secure and sealed, else empty */
};

/*
 * Fills in what will be written for the request; returns its size. Names, text
 * and content type are as they have to be, and the dialect has a word for it.
 * None has one for REQUEST_TRANSFER. Text has none for REQUEST_HELLO, PING and
 * PONG, a room by name and content that is not text; frame and secure have none
 * for REQUEST_NOTHING, frame none for content that is not text. What does not
 * fit a frame has a size, but is not to be written. In secure, who
 * says hello with `from->sealed` asks for encryption.
 */
size_t said_prepare(const struct wire *, enum encoding, struct wire_peer *from,
                    const struct request *, struct said *);

/* Writes `size` bytes, once; returns their end, NULL if the cryptography failed
 * (no memory). */
unsigned char *said_write(struct wire *, const struct said *,
                          unsigned char *out);

#endif
