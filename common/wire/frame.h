/*
 * The `frame` dialect: `u16 type, u16 length, body`. The parts that wire.c and
 * message.c choose among dialects.
 */
#ifndef RINGCHAT_WIRE_FRAME_H
#define RINGCHAT_WIRE_FRAME_H

#include "common/wire/hear.h"
#include "common/wire/say.h"
#include "common/wire/wire.h"

#define FRAME_HEAD_BYTES 4

/* What the first `length` (1 to 4) bytes of a head are refused for:
 * ERROR_NONE, HANDSHAKE or TOO_LARGE. */
enum error_code frame_check_head(const struct wire *, const struct decoder *,
                                 const unsigned char *head, size_t length);

/* The length of the whole frame, from its head; of the longest one. */
size_t frame_bytes(const unsigned char *head);
size_t frame_bytes_max(const struct wire *);

enum wire_outcome frame_decode(struct wire *, struct decoder *,
                               const unsigned char **bytes, size_t *length,
                               struct request *, enum error_code *);

enum wire_outcome frame_hear(struct wire *, struct decoder *,
                             const unsigned char **bytes, size_t *length,
                             struct heard *, enum error_code *);

void frame_prepare(struct outgoing *);
unsigned char *frame_write(const struct wire *, const struct outgoing *,
                           unsigned char *out);

void frame_said_prepare(struct said *);
unsigned char *frame_said_write(const struct said *, unsigned char *out);

#endif
