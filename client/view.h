/*
 * Which rows of a conversation are on the screen. How far one has scrolled back
 * is kept as the last row that is shown, by its line's number: what arrives
 * meanwhile, and another width, move nothing.
 */
#ifndef RINGCHAT_CLIENT_VIEW_H
#define RINGCHAT_CLIENT_VIEW_H

#include "client/layout.h"
#include "client/scrollback.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Row `row` of line `line`. */
struct place {
    uint64_t line;
    size_t row;
};

struct view {
    bool is_back;      /* else the newest line is shown */
    struct place last; /* if so: the last row that is shown */
};

/* What there is to be seen, and in how many rows. */
struct window {
    const struct scrollback *lines;
    const struct layout *layout;
    size_t rows;
};

/* Where the first row is; returns how many follow, itself counted: fewer than
 * there is room for only if all are shown. A view whose lines are gone, or
 * before which there are too few, moves on. */
size_t view_begin(struct view *, const struct window *, struct place *first);

/* So many rows back, not beyond the first; forth, up to the newest. False:
 * it stays where it is. */
bool view_back(struct view *, const struct window *, size_t rows);
bool view_forth(struct view *, const struct window *, size_t rows);

/* How many lines are newer than what is shown. */
uint64_t view_below(const struct view *, const struct scrollback *);

#endif
