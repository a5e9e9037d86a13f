/*
 * What people take for a character, and how wide a terminal draws it.
 *
 * A cluster is an extended grapheme cluster (UAX #29): a letter with its
 * accents, a flag, a family of four. The cursor moves by clusters and deletes
 * them; nothing cuts one. A cell is what is drawn at one place: one character
 * that takes columns, with the marks upon it. Most clusters are one cell.
 *
 * How many columns a character takes is for wcwidth(3) to say, which is who
 * ncurses asks: two opinions would tear the screen. Terminals agree with it but
 * for what changes how its neighbours look. That is therefore not drawn:
 * joiners, variation selectors, marks of direction, tags (all that is
 * Default_Ignorable), and skin tones. What they would have joined stands side
 * by side, which is what UTS #51 (2.2) asks of those who cannot join it.
 *
 * Text here is UTF-8 without control characters (clean.h). Pure, but for
 * wcwidth, which goes by LC_CTYPE: a locale of UTF-8 has to be set.
 */
#ifndef RINGCHAT_CLIENT_CLUSTER_H
#define RINGCHAT_CLIENT_CLUSTER_H

#include "common/base/slice.h"

#include <stddef.h>
#include <wchar.h>

/* A character and the marks upon it, as many as ncurses takes (CCHARW_MAX);
 * further marks are not drawn. */
#define CELL_CHARS_MAX 5

struct cell {
    size_t taken;     /* bytes of the text that it stands for, at least 1 */
    unsigned columns; /* 0 to 2; 0: nothing is drawn */
    size_t count;     /* of `shown`; 0 if nothing is drawn */
    wchar_t shown[CELL_CHARS_MAX];
};

/* The first cell of `text`, which is not empty: never more than a cluster. For
 * what libc does not know U+FFFD stands; a mark on nothing stands on a dotted
 * circle. */
struct cell cell_next(struct slice text);

/* The length in bytes of the first cluster of `text`, which is not empty. */
size_t cluster_length(struct slice text);

/* Columns of `text`: the sum of its clusters'. */
unsigned text_columns(struct slice text);

/*
 * The boundaries of clusters around `at`, an offset into `text`: the last one
 * before it (0 if there is none), and the first that is not before it. They are
 * searched from the beginning, for whether two flags meet depends on all that
 * stand before: linear, for texts as long as a line.
 */
size_t cluster_before(struct slice text, size_t at);
size_t cluster_from(struct slice text, size_t at);

#endif
