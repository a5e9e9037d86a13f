/*
 * What a message says, to people: its text; of what is no text, that there was
 * such a thing, as the server tells it those whose dialect has text alone.
 * Pure.
 */
#ifndef RINGCHAT_CLIENT_CONTENT_H
#define RINGCHAT_CLIENT_CONTENT_H

#include "common/base/builder.h"

#include <ringchat/protocol.h>

static inline struct slice slice_from(struct ringchat_text text)
{
    return (struct slice){text.bytes, text.length};
}

/* The text, or "sent image/png (4711 bytes)", which stands in `described`. Not
 * tamed. */
struct slice content_text(const struct ringchat_message *,
                          struct builder *described);

#endif
