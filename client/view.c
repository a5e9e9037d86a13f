/*
 * Steps by rows through lines whose number of rows is only known by laying them
 * out: no line is that is not passed.
 */
#include "client/view.h"

static size_t rows_of(const struct window *window, uint64_t number)
{
    struct line line = scrollback_get(window->lines, number);

    return layout_rows(window->layout, &line);
}

/* The last row of all. False: there is none. */
static bool newest(const struct window *window, struct place *place)
{
    uint64_t end = scrollback_end(window->lines);

    if (end == scrollback_first(window->lines))
        return false;
    place->line = end - 1;
    place->row = rows_of(window, end - 1) - 1;
    return true;
}

/* Up to `rows` back; returns how many it could not go. */
static size_t step_back(const struct window *window, struct place *place,
                        size_t rows)
{
    while (rows > place->row) {
        if (place->line == scrollback_first(window->lines)) {
            rows -= place->row;
            place->row = 0;
            return rows;
        }
        rows -= place->row + 1;
        place->line--;
        place->row = rows_of(window, place->line) - 1;
    }
    place->row -= rows;
    return 0;
}

/* Up to `rows` forth; returns how many it could not go. */
static size_t step_forth(const struct window *window, struct place *place,
                         size_t rows)
{
    size_t here = rows_of(window, place->line) - 1;

    while (place->row + rows > here) {
        if (place->line + 1 == scrollback_end(window->lines)) {
            rows -= here - place->row;
            place->row = here;
            return rows;
        }
        rows -= here - place->row + 1;
        place->line++;
        place->row = 0;
        here = rows_of(window, place->line) - 1;
    }
    place->row += rows;
    return 0;
}

/* Where a view that is back stands now: its line may be gone, or have fewer
 * rows than it had. */
static void settle(struct view *view, const struct window *window)
{
    uint64_t first = scrollback_first(window->lines);
    size_t rows;

    if (first == scrollback_end(window->lines))
        view->is_back = false;
    if (!view->is_back)
        return;
    if (view->last.line < first)
        view->last = (struct place){first, 0};
    rows = rows_of(window, view->last.line);
    if (view->last.row >= rows)
        view->last.row = rows - 1;
}

size_t view_begin(struct view *view, const struct window *window,
                  struct place *first)
{
    size_t wanted = window->rows > 0 ? window->rows - 1 : 0, missing;
    struct place last;

    settle(view, window);
    if (!newest(window, &last) || window->rows == 0)
        return 0;
    if (view->is_back)
        last = view->last;
    *first = last;
    missing = step_back(window, first, wanted);
    if (missing > 0 && view->is_back) { /* what follows fills the screen */
        missing = step_forth(window, &last, missing);
        view->is_back = missing == 0;
        view->last = last;
    }
    return window->rows - missing;
}

bool view_back(struct view *view, const struct window *window, size_t rows)
{
    struct place place, before;

    settle(view, window);
    if (!newest(window, &place) || window->rows == 0)
        return false;
    if (view->is_back)
        place = view->last;
    before = place;
    (void)step_back(window, &place, rows);
    /* The first screen is the end of the way. */
    (void)step_back(window, &place, window->rows - 1);
    if (step_forth(window, &place, window->rows - 1) > 0 ||
        (place.line == before.line && place.row == before.row))
        return false;
    *view = (struct view){true, place};
    return true;
}

bool view_forth(struct view *view, const struct window *window, size_t rows)
{
    struct place last;

    settle(view, window);
    if (!view->is_back || !newest(window, &last))
        return false;
    (void)step_forth(window, &view->last, rows);
    view->is_back = view->last.line != last.line || view->last.row != last.row;
    return true;
}

uint64_t view_below(const struct view *view, const struct scrollback *lines)
{
    uint64_t last = view->last.line, first = scrollback_first(lines);

    if (!view->is_back)
        return 0;
    return scrollback_end(lines) - 1 - (last > first ? last : first);
}
