/*
 * From a line to what is drawn: spans of one look each, and where rows break.
 *
 *     13:35 alice: a message that is too long for one row goes on
 *                  under its own beginning
 *     13:36 · carol joined
 *
 * Rows break behind spaces, before and behind wide characters, and where
 * nothing else helps between two clusters; never within one, unless it is wider
 * than a row. With fewer than LAYOUT_COLUMNS_INDENT columns rows are not
 * indented, with fewer than LAYOUT_COLUMNS_TIME there are no times.
 */
#ifndef RINGCHAT_CLIENT_LAYOUT_H
#define RINGCHAT_CLIENT_LAYOUT_H

#include "client/colour.h"
#include "client/row.h"
#include "client/scrollback.h"

#define LAYOUT_COLUMNS_INDENT 40
#define LAYOUT_COLUMNS_TIME 24

struct layout {
    unsigned columns; /* at least 1 */
    const struct palette *palette;
    int64_t utc_offset_s; /* of local time; the caller asks localtime(3) */
};

/* "13:35" */
void layout_clock(const struct layout *, uint64_t time_us, char out[5]);

/* The way through the rows of one line. It is linear in the line, which is at
 * most of TAMED_BYTES_MAX. */
struct wrap {
    const struct layout *layout;
    const struct line *line;
    unsigned indent;
    size_t at; /* in the line's text */
    bool begun;
};

void wrap_begin(struct wrap *, const struct layout *, const struct line *);

/* The next row; valid as long as the line is. False: there is none. */
bool wrap_next(struct wrap *, struct row *);

/* How many rows there are: at least 1. */
size_t layout_rows(const struct layout *, const struct line *);

#endif
