/*
 * Messages whose head, of a fixed size, says how long they are: how the binary
 * dialects' are put together from a stream.
 */
#ifndef RINGCHAT_WIRE_MESSAGE_H
#define RINGCHAT_WIRE_MESSAGE_H

#include "common/wire/wire.h"

/*
 * Takes the rest of the next message from `*bytes`. READY: `*message` is whole,
 * where it arrived or in the tail. INVALID: the head, of which perhaps only a
 * part has come, cannot begin a message; ERROR_INTERNAL without memory.
 */
enum wire_outcome message_assemble(struct wire *, struct decoder *,
                                   const unsigned char **bytes, size_t *length,
                                   struct slice *message, enum error_code *);

/* Whether a message of that type may come before the peer is known: from a
 * client its hello, from a server its greeting, or why there is none. */
bool message_can_begin(const struct decoder *, unsigned type);

/* How many bytes the head lacks, or once that is here, the message. */
size_t message_need(const struct decoder *);

#endif
