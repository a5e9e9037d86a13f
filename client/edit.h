/*
 * The input line: a text, a cursor in it, and which part of it is on the
 * screen.
 *
 * It edits bytes and says what to draw; it does neither read keys (keys.h) nor
 * draw (screen.h), and remembers no line but the one killed last (history.h
 * does). The text is always clean UTF-8 of one line, and the cursor on a
 * boundary of clusters: it steps over a flag at once and deletes a family
 * whole. Bytes are only ever removed by whole clusters.
 */
#ifndef RINGCHAT_CLIENT_EDIT_H
#define RINGCHAT_CLIENT_EDIT_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* What a server takes as one line, unless it was told otherwise. */
#define EDIT_BYTES_MAX 4096

/*
 * Invariants, asserted after each change:
 *  1. the text is UTF-8 without control characters;
 *  2. `cursor` and `first` are boundaries of clusters, at most `length`.
 */
struct edit {
    size_t length;
    size_t cursor; /* in bytes, as all offsets */
    size_t first;  /* what is drawn begins here; settled by edit_view */
    size_t killed_length;
    char bytes[EDIT_BYTES_MAX];
    char killed[EDIT_BYTES_MAX];
};

void edit_init(struct edit *);

/* Valid until the next change. */
struct slice edit_text(const struct edit *);

/* `text` instead of all, the cursor at its end. False, and nothing done, if it
 * does not fit or is no such text (invariant 1). */
bool edit_set(struct edit *, struct slice text);

/* `text` at the cursor, which goes behind it; behind more, where its end joins
 * what follows to one cluster. False, and nothing done, as above. */
bool edit_insert(struct edit *, struct slice text);

/* The same, but in place of the bytes from `from` to the cursor: a completion.
 * `from` is a boundary. */
bool edit_replace(struct edit *, size_t from, struct slice text);

/* Each returns whether anything has changed; if not, the screen may beep. */
enum edit_move {
    EDIT_LEFT,
    EDIT_RIGHT,
    EDIT_WORD_LEFT, /* to where the word before the cursor begins */
    EDIT_WORD_RIGHT,
    EDIT_START,
    EDIT_END,
};
bool edit_move(struct edit *, enum edit_move);

/* Deletes what is between the cursor and where that move would take it. */
bool edit_delete(struct edit *, enum edit_move);

/* The same, and remembers it; edit_yank inserts it. What is killed next takes
 * its place. */
bool edit_kill(struct edit *, enum edit_move);
bool edit_yank(struct edit *);

/* What is drawn of it in so many columns: [<] shown [>], with `<` and `>` where
 * more is hidden. No cluster is cut but one that is wider than all there is. */
struct edit_view {
    struct slice shown;
    unsigned columns; /* of `shown` */
    unsigned cursor;  /* its column, `<` counted: less than `columns` asked */
    bool hidden_left, hidden_right;
};

/* `columns` is at least 1. Scrolls if the cursor would not be seen, so that
 * it comes to stand in the middle, and only then. */
struct edit_view edit_view(struct edit *, unsigned columns);

#endif
