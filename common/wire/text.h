/*
 * The `text` dialect: lines. The parts that wire.c chooses among dialects.
 */
#ifndef RINGCHAT_WIRE_TEXT_H
#define RINGCHAT_WIRE_TEXT_H

#include "common/wire/hear.h"
#include "common/wire/say.h"
#include "common/wire/wire.h"

enum wire_outcome text_decode(struct wire *, struct decoder *,
                              const unsigned char **bytes, size_t *length,
                              struct request *, enum error_code *);
enum wire_outcome text_decode_end(struct wire *, struct decoder *,
                                  struct request *, enum error_code *);

enum wire_outcome text_hear(struct wire *, struct decoder *,
                            const unsigned char **bytes, size_t *length,
                            struct heard *, enum error_code *);
enum wire_outcome text_hear_end(struct wire *, struct decoder *, struct heard *,
                                enum error_code *);

void text_prepare(struct outgoing *);
unsigned char *text_write(const struct outgoing *, unsigned char *out);

void text_said_prepare(struct said *);
unsigned char *text_said_write(const struct said *, unsigned char *out);

#endif
