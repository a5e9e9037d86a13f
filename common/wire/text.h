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

size_t text_size(const struct event *);
unsigned char *text_encode(const struct event *, unsigned char *out);

#endif
