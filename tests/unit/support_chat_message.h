/*
 * What support_chat_binary.c and support_chat_secure.c share: a message that a
 * client was sent, taken apart.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_CHAT_MESSAGE_H
#define RINGCHAT_UNIT_SUPPORT_CHAT_MESSAGE_H

#include "tests/unit/support_chat.h"

/* By type; the slices refer to what the client was sent. */
struct message {
    unsigned type;
    unsigned version, kind, code, more;
    uint8_t uuid[16];
    uint64_t heartbeat, largest, stamp, seq, time_us, id;
    struct slice room, nick, text;
    struct slice content_type; /* if it is not plain text */
};

/* The next secure message that the client was sent, if it is whole. */
bool next_secure(struct client *, struct message *);

#endif
