/*
 * The input line (edit.h). What is asked of a line is found by going through it
 * anew, a few times a key: at most 4 KiB.
 */
#include "client/edit.h"

#include "client/cluster.h"
#include "common/wire/clean.h"

#include <assert.h>
#include <string.h>

void edit_init(struct edit *edit)
{
    edit->length = edit->cursor = edit->first = edit->killed_length = 0;
}

struct slice edit_text(const struct edit *edit)
{
    return (struct slice){edit->bytes, edit->length};
}

/* ---- Boundaries --------------------------------------------------------- */

static struct slice between(const struct edit *edit, size_t from, size_t to)
{
    return (struct slice){edit->bytes + from, to - from};
}

static bool is_boundary(const struct edit *edit, size_t at)
{
    return at <= edit->length && cluster_from(edit_text(edit), at) == at;
}

/* From a boundary, which `at` is, clusters are found as from the beginning. */
static size_t step_right(const struct edit *edit, size_t at)
{
    if (at == edit->length)
        return at;
    return at + cluster_length(between(edit, at, edit->length));
}

static bool is_space(const struct edit *edit, size_t at)
{
    return edit->bytes[at] == ' ';
}

/* Where the last word that begins before `end` begins; a space with an accent
 * is a space. */
static size_t word_left(const struct edit *edit, size_t end)
{
    size_t begin = 0;
    bool within = false;

    for (size_t at = 0; at < end; at = step_right(edit, at)) {
        if (!within && !is_space(edit, at))
            begin = at;
        within = !is_space(edit, at);
    }
    return begin;
}

static size_t word_right(const struct edit *edit, size_t at)
{
    bool within = false;

    while (at < edit->length && !(within && is_space(edit, at))) {
        within = !is_space(edit, at);
        at = step_right(edit, at);
    }
    return at;
}

static size_t target(const struct edit *edit, enum edit_move move)
{
    switch (move) {
    case EDIT_LEFT:
        return cluster_before(edit_text(edit), edit->cursor);
    case EDIT_RIGHT:
        return step_right(edit, edit->cursor);
    case EDIT_WORD_LEFT:
        return word_left(edit, edit->cursor);
    case EDIT_WORD_RIGHT:
        return word_right(edit, edit->cursor);
    case EDIT_START:
        return 0;
    case EDIT_END:
        return edit->length;
    }
    assert(!"a move that there is not");
    return edit->cursor;
}

/* ---- Changes ------------------------------------------------------------ */

/* What was two clusters may have become one: an accent after its letter, two
 * halves of a flag. The cursor goes behind it, the screen begins before it. */
static void settle(struct edit *edit)
{
    struct slice text = edit_text(edit);

    edit->cursor = cluster_from(text, edit->cursor);
    if (edit->first > edit->length)
        edit->first = edit->length;
    if (!is_boundary(edit, edit->first))
        edit->first = cluster_before(text, edit->first);
    assert(text_is_clean(edit->bytes, edit->length) &&
           !memchr(edit->bytes, '\t', edit->length)); /* invariant 1 */
    assert(is_boundary(edit, edit->cursor) &&
           is_boundary(edit, edit->first)); /* invariant 2 */
}

static bool is_line(struct slice text)
{
    return text_is_clean(text.bytes, text.length) &&
           (text.length == 0 || !memchr(text.bytes, '\t', text.length));
}

/* `text` in place of the bytes from `from` to `to`. It is not of this edit's
 * own bytes. */
static bool splice(struct edit *edit, size_t from, size_t to, struct slice text)
{
    size_t kept = edit->length - (to - from);

    if (!is_line(text) || text.length > sizeof(edit->bytes) - kept)
        return false;
    memmove(edit->bytes + from + text.length, edit->bytes + to,
            edit->length - to);
    if (text.length > 0)
        memcpy(edit->bytes + from, text.bytes, text.length);
    edit->length = kept + text.length;
    edit->cursor = from + text.length;
    settle(edit);
    return true;
}

bool edit_set(struct edit *edit, struct slice text)
{
    return splice(edit, 0, edit->length, text);
}

bool edit_insert(struct edit *edit, struct slice text)
{
    return splice(edit, edit->cursor, edit->cursor, text);
}

bool edit_replace(struct edit *edit, size_t from, struct slice text)
{
    assert(from <= edit->cursor && is_boundary(edit, from));
    return splice(edit, from, edit->cursor, text);
}

bool edit_move(struct edit *edit, enum edit_move move)
{
    size_t to = target(edit, move);

    if (to == edit->cursor)
        return false;
    edit->cursor = to;
    return true;
}

bool edit_delete(struct edit *edit, enum edit_move move)
{
    size_t to = target(edit, move);
    bool left = to < edit->cursor;

    if (to == edit->cursor)
        return false;
    return splice(edit, left ? to : edit->cursor, left ? edit->cursor : to,
                  (struct slice){"", 0});
}

bool edit_kill(struct edit *edit, enum edit_move move)
{
    size_t to = target(edit, move);
    size_t from = to < edit->cursor ? to : edit->cursor;
    size_t end = to < edit->cursor ? edit->cursor : to;

    if (from == end)
        return false;
    memcpy(edit->killed, edit->bytes + from, end - from);
    edit->killed_length = end - from;
    return edit_delete(edit, move);
}

bool edit_yank(struct edit *edit)
{
    return edit->killed_length > 0 &&
           edit_insert(edit, (struct slice){edit->killed, edit->killed_length});
}

/* ---- What is drawn ------------------------------------------------------ */

static unsigned columns_between(const struct edit *edit, size_t from, size_t to)
{
    return text_columns(between(edit, from, to));
}

/* The columns that the cursor covers: at the end, where the next will be. */
static unsigned cursor_columns(const struct edit *edit)
{
    unsigned columns =
        columns_between(edit, edit->cursor, step_right(edit, edit->cursor));

    return columns > 0 ? columns : 1;
}

/* What is left of `columns` for the text, were it to begin at `first`: what
 * follows may need a `>`. */
static unsigned room(const struct edit *edit, unsigned columns)
{
    unsigned left = edit->first > 0 && columns > 1;
    unsigned needed = columns_between(edit, edit->first, edit->length);
    unsigned right = needed > columns - left && columns - left > 1;

    return columns - left - right;
}

static bool cursor_is_seen(const struct edit *edit, unsigned columns)
{
    return edit->cursor >= edit->first &&
           columns_between(edit, edit->first, edit->cursor) +
                   cursor_columns(edit) <=
               room(edit, columns);
}

/* So that the cursor stands in the middle, or before it where the text
 * begins; in very few columns, that it begins with the cursor. */
static void scroll(struct edit *edit, unsigned columns)
{
    unsigned before = columns_between(edit, 0, edit->cursor);

    for (edit->first = 0; edit->first < edit->cursor && before > columns / 2;) {
        size_t next = step_right(edit, edit->first);

        before -= columns_between(edit, edit->first, next);
        edit->first = next;
    }
    if (!cursor_is_seen(edit, columns))
        edit->first = edit->cursor;
}

/* As many clusters as there is room for, but at least as many cells of the
 * first. */
static size_t end_of_shown(const struct edit *edit, unsigned columns)
{
    size_t at = edit->first;
    unsigned used = 0;

    while (at < edit->length) {
        struct cell cell = cell_next(between(edit, at, edit->length));
        size_t next = step_right(edit, at);
        bool wider = columns_between(edit, at, next) > columns;

        used += wider ? cell.columns : columns_between(edit, at, next);
        if (used > columns)
            break;
        at = wider ? at + cell.taken : next;
    }
    return at;
}

struct edit_view edit_view(struct edit *edit, unsigned columns)
{
    struct edit_view view;
    unsigned seen;

    assert(columns > 0);
    if (columns_between(edit, 0, edit->length) < columns)
        edit->first = 0; /* all of it, and the cursor behind it */
    else if (!cursor_is_seen(edit, columns))
        scroll(edit, columns);
    seen = room(edit, columns);
    view.shown = between(edit, edit->first, end_of_shown(edit, seen));
    view.columns = text_columns(view.shown);
    view.hidden_left = edit->first > 0 && columns > 1;
    view.hidden_right = edit->first + view.shown.length < edit->length &&
                        view.columns + view.hidden_left < columns;
    view.cursor =
        columns_between(edit, edit->first, edit->cursor) + view.hidden_left;
    if (view.cursor >= columns)
        view.cursor = columns - 1;
    return view;
}
