/*
 * The `text` dialect: lines. The parts that wire.c chooses among dialects.
 */
#ifndef RINGCHAT_WIRE_TEXT_H
#define RINGCHAT_WIRE_TEXT_H

#include "common/wire/wire.h"

enum wire_outcome text_decode(struct wire *, struct decoder *,
                              const unsigned char **bytes, size_t *length,
                              struct request *, enum error_code *);
enum wire_outcome text_decode_end(struct wire *, struct decoder *,
                                  struct request *, enum error_code *);

void text_prepare(struct outgoing *);
unsigned char *text_write(const struct outgoing *, unsigned char *out);

#endif
