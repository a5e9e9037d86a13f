/*
 * The `text` dialect: lines. The parts that wire.c chooses among dialects.
 */
#ifndef RINGCHAT_WIRE_TEXT_H
#define RINGCHAT_WIRE_TEXT_H

#include "common/wire/wire.h"

enum wire_outcome text_decode(struct decoder *, struct budget *,
                              const struct wire_limits *,
                              const unsigned char **bytes, size_t *length,
                              struct request *, enum error_code *);
enum wire_outcome text_decode_end(struct decoder *, const struct wire_limits *,
                                  struct request *, enum error_code *);

size_t text_size(const struct event *);
unsigned char *text_encode(const struct event *, unsigned char *out);

#endif
