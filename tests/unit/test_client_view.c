/*
 * Which rows are on the screen: at the newest, scrolled back, while lines come
 * and go and the width changes.
 */
#include "client/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static struct scrollback *lines;
static struct layout layout;
static struct window window;
static struct view view;

static int set_up(void **state)
{
    (void)state;
    lines = scrollback_create();
    layout = (struct layout){.columns = 10,
                             .palette = palette_for(THEME_ANY, 0, true)};
    window = (struct window){.layout = &layout, .rows = 4, .lines = lines};
    view = (struct view){.is_back = false};
    return lines ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    scrollback_destroy(lines);
    return 0;
}

/* A line that takes so many rows of 10 columns. */
static void add(size_t rows)
{
    static const char text[] = "! 3456789 123456789 123456789 123456789 ";
    struct line line = {.kind = LINE_ERROR, .text = {text + 2, rows * 10 - 3}};

    assert_true(rows <= 4 && scrollback_add(lines, &line));
}

static void check(uint64_t line, size_t row, size_t count)
{
    struct place first = {99, 99};

    assert_int_equal(view_begin(&view, &window, &first), count);
    assert_int_equal(first.line, line);
    assert_int_equal(first.row, row);
}

static void the_newest_are_shown(void **state)
{
    struct place first;

    (void)state;
    assert_int_equal(view_begin(&view, &window, &first), 0);
    assert_false(view_back(&view, &window, 3));
    add(1);
    check(0, 0, 1);
    add(2);
    check(0, 0, 3);
    add(3);
    check(1, 1, 4);
    window.rows = 1;
    check(2, 2, 1);
    window.rows = 0;
    assert_int_equal(view_begin(&view, &window, &first), 0);
}

static void what_comes_moves_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        add(1);
    check(6, 0, 4);
    assert_true(view_back(&view, &window, 3));
    check(3, 0, 4);
    assert_int_equal(view_below(&view, lines), 3);
    add(4);
    check(3, 0, 4);
    assert_int_equal(view_below(&view, lines), 4);
    assert_true(view_back(&view, &window, 3));
    check(0, 0, 4);
    assert_false(view_back(&view, &window, 3));
    assert_true(view_forth(&view, &window, 9));
    check(9, 0, 4);
    assert_true(view_forth(&view, &window, 3));
    assert_false(view.is_back);
    assert_false(view_forth(&view, &window, 3));
    check(10, 0, 4);
}

static void not_beyond_the_first(void **state)
{
    (void)state;
    add(3);
    assert_false(view_back(&view, &window, 3));
    add(3);
    assert_true(view_back(&view, &window, 3));
    check(0, 0, 4);
    assert_false(view_back(&view, &window, 1));
    check(0, 0, 4);
}

static void the_oldest_may_go(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        add(2);
    assert_true(view_back(&view, &window, 13));
    check(1, 1, 4);
    for (int i = 0; i < SCROLLBACK_LINES_MAX - 2; i++)
        add(1);
    check(8, 0, 4);
    assert_true(view.is_back);
    assert_false(view_back(&view, &window, 1));
    scrollback_clear(lines);
    assert_int_equal(view_begin(&view, &window, &(struct place){0, 0}), 0);
    assert_false(view.is_back);
}

static void another_width_moves_no_line(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        add(4);
    assert_true(view_back(&view, &window, 5));
    check(7, 3, 4);
    layout.columns = 80;
    check(5, 0, 4);
    layout.columns = 10;
    check(7, 1, 4);
    window.rows = 100;
    check(0, 0, 40);
    assert_false(view.is_back);
}

/* Wherever one goes, rows follow one another, and the screen is full if there
 * are enough. */
static void whatever_is_done(void **state)
{
    struct rng random = {1};
    struct place first;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        size_t rows, all = 0;

        switch (rng_below(&random, 6)) {
        case 0:
            add(1 + rng_below(&random, 4));
            break;
        case 1:
            layout.columns = 1 + (unsigned)rng_below(&random, 30);
            break;
        case 2:
            window.rows = rng_below(&random, 12);
            break;
        case 3:
            (void)view_forth(&view, &window, rng_below(&random, 20));
            break;
        default:
            (void)view_back(&view, &window, rng_below(&random, 20));
        }
        if (i % 500 == 0)
            scrollback_clear(lines);
        rows = view_begin(&view, &window, &first);
        for (uint64_t at = scrollback_first(lines); at < scrollback_end(lines);
             at++) {
            struct line line = scrollback_get(lines, at);

            all += layout_rows(&layout, &line);
        }
        assert_int_equal(rows, all < window.rows ? all : window.rows);
        assert_true(view_below(&view, lines) <= scrollback_end(lines));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_are_shown, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_comes_moves_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(not_beyond_the_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_may_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_width_moves_no_line, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(whatever_is_done, set_up, tear_down),
    };

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
