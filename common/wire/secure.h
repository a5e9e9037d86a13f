/*
 * The `secure` dialect: signed messages with JSON headers. The parts that
 * wire.c and message.c choose among dialects.
 */
#ifndef RINGCHAT_WIRE_SECURE_H
#define RINGCHAT_WIRE_SECURE_H

#include "common/wire/hear.h"
#include "common/wire/say.h"
#include "common/wire/wire.h"

/*
 * Where the fields of a message are:
 *     magic 8, version 2, type 2, length of headers 4, CRC of headers 4, length
 *     of content 4, CRC of content 4, HMAC 32, headers, content
 */
#define SECURE_MAGIC "\x89RING\r\n\x1a"
#define SECURE_MAGIC_BYTES 8
#define SECURE_VERSION_AT 8
#define SECURE_TYPE_AT 10
#define SECURE_HEADERS_LENGTH_AT 12
#define SECURE_HEADERS_CRC_AT 16
#define SECURE_CONTENT_LENGTH_AT 20
#define SECURE_CONTENT_CRC_AT 24
#define SECURE_MAC_AT 28
#define SECURE_HEAD_BYTES 60

/* ---- secure.c: from a peer ---- */

/* What the first `length` (1 to 60) bytes of a head are refused for:
 * ERROR_NONE, BAD_MAGIC, BAD_VERSION, HANDSHAKE or TOO_LARGE. */
enum error_code secure_check_head(const struct wire *, const struct decoder *,
                                  const unsigned char *head, size_t length);

/* The length of the whole message, from its head; of the longest one. */
size_t secure_bytes(const unsigned char *head);
size_t secure_bytes_max(const struct wire *, const struct decoder *);

enum wire_outcome secure_decode(struct wire *, struct decoder *,
                                struct wire_peer *from,
                                const unsigned char **bytes, size_t *length,
                                struct request *, enum error_code *);

/* ---- signed.c: to a peer, in the clear and sealed ---- */

void secure_prepare(const struct wire *, struct outgoing *);
void sealed_prepare(const struct wire *, struct outgoing *);

/* NULL if the cryptography failed. */
unsigned char *secure_write(struct wire *, const struct outgoing *,
                            unsigned char *out);
unsigned char *sealed_write(struct wire *, const struct outgoing *,
                            unsigned char *out);

/* ---- hear_secure.c, say_secure.c: the same of a client ---- */

enum wire_outcome secure_hear(struct wire *, struct decoder *,
                              struct wire_peer *from,
                              const unsigned char **bytes, size_t *length,
                              struct heard *, enum error_code *);

void secure_said_prepare(struct said *);
void sealed_said_prepare(struct said *);

unsigned char *secure_said_write(struct wire *, const struct said *,
                                 unsigned char *out);
unsigned char *sealed_said_write(struct wire *, const struct said *,
                                 unsigned char *out);

#endif
