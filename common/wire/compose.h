/*
 * Secure messages to be sent, whoever sends them: headers by template, in an
 * order that is always the same; content in the clear or sealed; CRCs; HMAC.
 *
 * The size of a message is known from its headers, before anything is sealed or
 * signed. Names are of letters that JSON takes as they are, so only content
 * types are escaped.
 */
#ifndef RINGCHAT_WIRE_COMPOSE_H
#define RINGCHAT_WIRE_COMPOSE_H

#include "common/base/builder.h"
#include "common/wire/keys.h"
#include "common/wire/pieces.h"
#include "common/wire/wire.h"

/* ---- Headers ------------------------------------------------------------ */

/* A field's name. What stands before the first one becomes the brace. */
#define FIELD(name) SLICE(",\"" name "\":")

static inline void put_number(struct builder *headers, struct slice field,
                              uint64_t number)
{
    build_slice(headers, field);
    build_number(headers, number);
}

static inline void put_string(struct builder *headers, struct slice field,
                              struct slice value)
{
    build_slice(headers, field);
    build_slice(headers, SLICE("\""));
    build_slice(headers, value);
    build_slice(headers, SLICE("\""));
}

void put_content_type(struct builder *headers, struct slice type);
void put_uuid(struct builder *headers, struct slice field,
              const uint8_t uuid[UUID_BYTES]);
/* None if it is 0. */
void put_id(struct builder *headers, uint32_t id);
void put_heartbeat(struct builder *headers, const char *kind, uint64_t stamp);

/* The session that both are in, and the next seq of who sends. */
void put_session(struct builder *headers, const struct wire_peer *peer);

/* That what follows is to be sealed. */
void put_enc(struct builder *headers);

/* Last of all, if the content is to be sealed. */
void put_seal(struct builder *headers);

void finish_headers(struct builder *headers);

/* ---- Messages ----------------------------------------------------------- */

/* What a message is made of; its headers are finished. */
struct draft {
    unsigned type;
    const struct builder *headers;
    const struct pieces *content;
};

size_t draft_size(const struct draft *);

/* Writes the message, of draft_size; returns its end, NULL if the cryptography
 * failed (no memory). */
unsigned char *draft_write(struct wire *, const struct draft *,
                           unsigned char *out);

/* The same with its content sealed, which makes it SEAL_TAG_BYTES longer. No iv
 * may be used twice with a key. */
unsigned char *draft_write_sealed(struct wire *, const struct draft *,
                                  const uint8_t iv[IV_BYTES],
                                  unsigned char *out);

#endif
