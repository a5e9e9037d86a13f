/*
 * The lines of one conversation: the newest ones, of tamed text (tame.h). Each
 * has a number that stays, so that how far one has scrolled back is a line, not
 * a distance, and what arrives meanwhile moves nothing.
 */
#ifndef RINGCHAT_CLIENT_SCROLLBACK_H
#define RINGCHAT_CLIENT_SCROLLBACK_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define SCROLLBACK_LINES_MAX 2000
#define SCROLLBACK_BYTES_MAX (512 * 1024) /* with what a line costs itself */

enum line_kind {
    LINE_MESSAGE,  /* of `nick` */
    LINE_DOUBT,    /* likewise, one's own, which may not have arrived */
    LINE_PRESENCE, /* who came and went */
    LINE_NOTICE,   /* new nicks and topics */
    LINE_REPLY,
    LINE_ERROR,
    LINE_GAP, /* what was missed, or may have been */
};

struct line {
    enum line_kind kind;
    bool addressed;
    uint64_t time_us; /* since the Unix epoch */
    struct slice nick, text;
};

struct scrollback;

struct scrollback *scrollback_create(void); /* NULL without memory */
void scrollback_destroy(struct scrollback *);

/* Copies it; the oldest give way. False, and nothing is added: no memory. One
 * line fits, whatever its length, if it is of TAMED_BYTES_MAX. */
bool scrollback_add(struct scrollback *, const struct line *);

/* `text` instead of that of the newest line, which there is. False, and it
 * stays as it is: no memory. */
bool scrollback_amend(struct scrollback *, struct slice text);

void scrollback_clear(struct scrollback *);

/* The lines from the first to before the end; numbers only grow. */
uint64_t scrollback_first(const struct scrollback *);
uint64_t scrollback_end(const struct scrollback *);

/* Valid until the next change. */
struct line scrollback_get(const struct scrollback *, uint64_t number);

#endif
