/*
 * One event as a line for a pipe: as the dialect `text` prints it, or as a JSON
 * object (ringchat(1), "JSON"). Without LF. What came from the network is tamed
 * in the first; in the second all of it is there, controls escaped, so that a
 * program sees what was said. Pure.
 */
#ifndef RINGCHAT_CLIENT_RECORD_H
#define RINGCHAT_CLIENT_RECORD_H

#include "common/base/slice.h"

#include <stdint.h>

enum record_kind {
    RECORD_MESSAGE,      /* room, nick, text */
    RECORD_PRIVATE,      /* nick, text */
    RECORD_JOINED,       /* room, nick */
    RECORD_LEFT,         /* room, nick */
    RECORD_NICK,         /* room, nick; text: the new one */
    RECORD_TOPIC,        /* room, nick, text */
    RECORD_MISSED,       /* room, missed, away_ms */
    RECORD_CONNECTED,    /* nick; text: the URL */
    RECORD_DISCONNECTED, /* text: why */
};

#define MISSED_UNKNOWN UINT64_MAX

struct record {
    enum record_kind kind;
    struct slice room, nick, text;
    uint64_t seq, time_us; /* 0: the dialect has none */
    uint64_t received_us;
    uint64_t missed;  /* messages, or MISSED_UNKNOWN */
    uint64_t away_ms; /* without a connection; 0: there was one */
};

/* The bytes that it needs, of which at most `size` have been written. */
size_t record_text(const struct record *, char *out, size_t size);
size_t record_json(const struct record *, char *out, size_t size);

#endif
