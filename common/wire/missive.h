/*
 * A secure message that has arrived whole, whoever sent it: the checks that it
 * must pass whatever its type, in the order of docs/protocol.md.
 */
#ifndef RINGCHAT_WIRE_MISSIVE_H
#define RINGCHAT_WIRE_MISSIVE_H

#include "common/wire/headers.h"
#include "common/wire/keys.h"
#include "common/wire/wire.h"

/* The message, and what is known of it so far. */
struct missive {
    const unsigned char *head;
    struct slice headers, content;
    const struct headers *fields; /* the wire's */
    bool sealed;                  /* its `enc` says so */
    uint8_t iv[IV_BYTES];
};

/* As it has been put together. */
void missive_init(struct missive *, struct slice message);

unsigned missive_type(const struct missive *);

/* CRCs, HMAC, JSON; then there are `fields`. */
enum error_code missive_check(struct wire *, struct missive *);

/* It is of the peer's session, and its seq is above the last. */
enum error_code missive_check_origin(const struct missive *,
                                     struct wire_peer *);

/* What it says of a seal. */
enum error_code missive_read_seal(struct missive *);

/* Opens the content of a sealed one with that key. It is decrypted in the
 * decoder's tail, wherever the message is. */
enum error_code missive_open(struct wire *, struct decoder *,
                             const uint8_t key[SEAL_KEY_BYTES],
                             struct missive *);

/* `id`, from 1 to 4294967295. */
enum field missive_id(const struct missive *, uint32_t *id);

/* `content_type`, of printable ASCII. */
enum field missive_content_type(const struct missive *, struct slice *type);

#endif
