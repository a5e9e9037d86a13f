/*
 * Lines out of a file or pipe, to be sent: cut at LF, a CR before it dropped,
 * counted from 1, the last one without LF too. Says of each whether it can be
 * said at all. Pure: bytes in, lines out; the reading is send.c's.
 */
#ifndef RINGCHAT_CLIENT_LINES_H
#define RINGCHAT_CLIENT_LINES_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum line_fault {
    LINE_GOOD,
    LINE_EMPTY,    /* there is nothing to say: skipped */
    LINE_NOT_TEXT, /* control characters, or no UTF-8 */
    LINE_TOO_LONG, /* found before it is over: nothing comes after it */
};

struct lines {
    char *begun; /* a line of which the end has not come */
    size_t length, bytes_max;
    uint64_t number; /* of the line that was taken last */
};

/* Of lines up to so long, without their end. Returns 0 or -ENOMEM. */
int lines_init(struct lines *, size_t bytes_max);
void lines_release(struct lines *);

/* Takes the next line from `*from`; it stands until the next call. False: its
 * end has not come, and all of `*from` was taken. */
bool lines_next(struct lines *, struct slice *from, struct slice *line,
                enum line_fault *);

/* There is no more: what was begun is the last line, if there is any. */
bool lines_end(struct lines *, struct slice *line, enum line_fault *);

#endif
