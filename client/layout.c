/*
 * Where rows break: the simple part of UAX #14, spaces and ideographs.
 */
#include "client/layout.h"

#include "client/cluster.h"

#include <assert.h>

#define US_PER_SECOND 1000000
#define SECONDS_PER_DAY 86400

/* Clusters longer than this, which nobody means, are taken cell by cell: else
 * each row would look at all of one that is as long as a line may be. */
#define CLUSTER_BYTES_MAX 128

void layout_clock(const struct layout *layout, uint64_t time_us, char out[5])
{
    int64_t second = (int64_t)(time_us / US_PER_SECOND) + layout->utc_offset_s;
    int64_t minute =
        (second % SECONDS_PER_DAY + SECONDS_PER_DAY) % SECONDS_PER_DAY / 60;

    out[0] = (char)('0' + minute / 600);
    out[1] = (char)('0' + minute / 60 % 10);
    out[2] = ':';
    out[3] = (char)('0' + minute % 60 / 10);
    out[4] = (char)('0' + minute % 10);
}

/* ---- What stands before the text ---------------------------------------- */

static struct look role(const struct layout *layout, enum role of)
{
    return palette_role(layout->palette, of);
}

/* Who is addressed sees by whom. */
static struct look nick_look(const struct layout *layout,
                             const struct line *line)
{
    struct look look = palette_nick(layout->palette, line->nick);

    look.reverse = line->addressed;
    return look;
}

static void add_head(const struct layout *layout, const struct line *line,
                     struct row *row)
{
    if (layout->columns >= LAYOUT_COLUMNS_TIME) {
        char clock[6] = {[5] = ' '};

        layout_clock(layout, line->time_us, clock);
        row_copy(row, role(layout, ROLE_TIME),
                 (struct slice){clock, sizeof(clock)});
    }
    switch (line->kind) {
    case LINE_MESSAGE:
    case LINE_DOUBT:
        row_add(row, nick_look(layout, line), line->nick);
        row_add(row, role(layout, ROLE_TEXT), SLICE(": "));
        return;
    case LINE_PRESENCE:
    case LINE_NOTICE:
        row_add(row, role(layout, ROLE_QUIET), SLICE("· "));
        return;
    case LINE_REPLY:
        row_add(row, role(layout, ROLE_QUIET), SLICE("* "));
        return;
    case LINE_ERROR:
        row_add(row, role(layout, ROLE_ERROR), SLICE("! "));
        return;
    case LINE_GAP:
        row_add(row, role(layout, ROLE_GAP), SLICE("── "));
        return;
    }
}

static struct look text_look(const struct layout *layout,
                             const struct line *line)
{
    switch (line->kind) {
    case LINE_PRESENCE:
    case LINE_NOTICE:
        return role(layout, ROLE_QUIET);
    case LINE_ERROR:
        return role(layout, ROLE_ERROR);
    case LINE_DOUBT:
    case LINE_GAP:
        return role(layout, ROLE_GAP);
    case LINE_REPLY:
        return role(layout, ROLE_TEXT);
    case LINE_MESSAGE:
        break;
    }
    return role(layout, line->addressed ? ROLE_ADDRESSED : ROLE_TEXT);
}

/* ---- Where a row breaks ------------------------------------------------- */

/* The length and the columns of what is not to be taken apart. */
static size_t next_piece(struct slice text, unsigned *columns)
{
    struct slice near = text;
    size_t length;

    if (near.length > CLUSTER_BYTES_MAX) {
        near.length = CLUSTER_BYTES_MAX;
        while (((unsigned char)text.bytes[near.length] & 0xC0) == 0x80)
            near.length--;
    }
    length = cluster_length(near);
    if (length == near.length && length < text.length) {
        struct cell cell = cell_next(text);

        *columns = cell.columns;
        return cell.taken;
    }
    *columns = text_columns((struct slice){text.bytes, length});
    return length;
}

/* Of what is wider than a row, as many cells as there is room for; at least
 * one, or it would never end. */
static size_t cells_that_fit(struct slice text, unsigned columns)
{
    size_t at = 0;
    unsigned used = 0;

    while (at < text.length) {
        struct cell cell =
            cell_next((struct slice){text.bytes + at, text.length - at});

        used += cell.columns;
        if (used > columns && at > 0)
            break;
        at += cell.taken;
    }
    return at;
}

static struct slice without_spaces(struct slice text)
{
    while (text.length > 0 && text.bytes[text.length - 1] == ' ')
        text.length--;
    return text;
}

/* What of `text` is shown in a row of so many columns; `*taken` is that, with
 * the spaces at which it broke. */
static struct slice fitting(struct slice text, unsigned columns, size_t *taken)
{
    size_t at = 0, opportunity = 0;
    unsigned used = 0, before = 0; /* columns of the piece before */
    bool behind_space = false;

    while (at < text.length) {
        unsigned wide;
        size_t length = next_piece(
            (struct slice){text.bytes + at, text.length - at}, &wide);
        bool is_space = length == 1 && text.bytes[at] == ' ';

        if (!is_space && (behind_space || before > 1 || wide > 1))
            opportunity = at;
        if (used + wide > columns && !is_space) {
            *taken = opportunity > 0 ? opportunity : at;
            if (at == 0)
                *taken = cells_that_fit(text, columns);
            return without_spaces((struct slice){text.bytes, *taken});
        }
        behind_space = is_space;
        before = wide;
        used += wide;
        at += length;
    }
    *taken = at;
    return used > columns ? without_spaces(text) : text;
}

/* ---- Rows --------------------------------------------------------------- */

void wrap_begin(struct wrap *wrap, const struct layout *layout,
                const struct line *line)
{
    assert(layout->columns > 0);
    *wrap = (struct wrap){.layout = layout, .line = line};
}

/* As far as the text of the first row, if that leaves half of the row. */
static unsigned indent_behind(const struct layout *layout, unsigned columns)
{
    if (layout->columns < LAYOUT_COLUMNS_INDENT)
        return 0;
    return columns <= layout->columns / 2 ? columns : layout->columns / 8;
}

bool wrap_next(struct wrap *wrap, struct row *row)
{
    const struct layout *layout = wrap->layout;
    struct slice text = {wrap->line->text.bytes + wrap->at,
                         wrap->line->text.length - wrap->at};
    struct slice shown;
    size_t taken;

    if (wrap->begun && text.length == 0)
        return false;
    row_clear(row);
    if (wrap->begun) {
        row_fill(row, role(layout, ROLE_TEXT), wrap->indent);
    } else {
        add_head(layout, wrap->line, row);
        wrap->indent = indent_behind(layout, row->columns);
        wrap->begun = true;
        if (row->columns >= layout->columns)
            return true;
    }
    shown = fitting(text, layout->columns - row->columns, &taken);
    row_add(row, text_look(layout, wrap->line), shown);
    wrap->at += taken;
    return true;
}

size_t layout_rows(const struct layout *layout, const struct line *line)
{
    struct wrap wrap;
    struct row row;
    size_t rows = 0;

    wrap_begin(&wrap, layout, line);
    while (wrap_next(&wrap, &row))
        rows++;
    return rows;
}
