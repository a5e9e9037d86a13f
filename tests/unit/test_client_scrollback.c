/*
 * Scrollback: bounds, numbers that stay, memory that is not to be had.
 */
#include "client/scrollback.h"
#include "client/tame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"

#include <stdio.h>
#include <string.h>

static struct scrollback *scrollback;

static int set_up(void **state)
{
    (void)state;
    scrollback = scrollback_create();
    return scrollback ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    scrollback_destroy(scrollback);
    return 0;
}

static bool add(const char *nick, struct slice text)
{
    struct line line = {.kind = LINE_MESSAGE,
                        .time_us = 7,
                        .nick = slice_of(nick),
                        .text = text};

    return scrollback_add(scrollback, &line);
}

static void check(uint64_t number, const char *nick, const char *text)
{
    struct line line = scrollback_get(scrollback, number);

    assert_int_equal(line.kind, LINE_MESSAGE);
    assert_int_equal(line.time_us, 7);
    assert_true(slice_equals(line.nick, slice_of(nick)));
    assert_true(slice_equals(line.text, slice_of(text)));
}

static void lines_are_copied(void **state)
{
    char text[] = "hello";

    (void)state;
    assert_int_equal(scrollback_first(scrollback), 0);
    assert_int_equal(scrollback_end(scrollback), 0);
    assert_true(add("bob", slice_of(text)));
    text[0] = 'j';
    assert_true(add("", SLICE("")));
    assert_int_equal(scrollback_end(scrollback), 2);
    check(0, "bob", "hello");
    check(1, "", "");
    assert_true(scrollback_amend(scrollback, SLICE("there")));
    check(1, "", "there");
    check(0, "bob", "hello");
}

static void the_oldest_give_way_and_numbers_stay(void **state)
{
    char text[16];

    (void)state;
    for (int i = 0; i <= SCROLLBACK_LINES_MAX; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        assert_true(add("bob", slice_of(text)));
    }
    assert_int_equal(scrollback_first(scrollback), 1);
    assert_int_equal(scrollback_end(scrollback), SCROLLBACK_LINES_MAX + 1);
    check(1, "bob", "1");
    check(SCROLLBACK_LINES_MAX, "bob", text);
    scrollback_clear(scrollback);
    assert_int_equal(scrollback_first(scrollback), SCROLLBACK_LINES_MAX + 1);
    assert_int_equal(scrollback_end(scrollback), SCROLLBACK_LINES_MAX + 1);
    assert_true(add("bob", SLICE("anew")));
    check(SCROLLBACK_LINES_MAX + 1, "bob", "anew");
}

static void bytes_are_bounded(void **state)
{
    static char text[TAMED_BYTES_MAX];
    struct slice longest = {text, sizeof(text)};
    uint64_t kept;

    (void)state;
    (void)memset(text, 'x', sizeof(text));
    for (int i = 0; i < 100; i++)
        assert_true(add("bob", longest));
    kept = scrollback_end(scrollback) - scrollback_first(scrollback);
    assert_true(kept * sizeof(text) <= SCROLLBACK_BYTES_MAX);
    assert_true((kept + 1) * (sizeof(text) + 256) > SCROLLBACK_BYTES_MAX);
    for (int i = 0; i < 10; i++) { /* amended, it counts as what it is */
        assert_true(add("bob", SLICE("")));
        assert_true(scrollback_amend(scrollback, longest));
    }
    assert_true(add("bob", SLICE("")));
    kept = scrollback_end(scrollback) - scrollback_first(scrollback) - 1;
    assert_true(kept * sizeof(text) <= SCROLLBACK_BYTES_MAX);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    assert_true(add("bob", SLICE("hello")));
    alloc_fail_at(1);
    assert_false(add("bob", SLICE("there")));
    alloc_fail_at(1);
    assert_false(scrollback_amend(scrollback, SLICE("there")));
    assert_int_equal(scrollback_end(scrollback), 1);
    check(0, "bob", "hello");
    alloc_fail_at(1);
    assert_null(scrollback_create());
    scrollback_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_give_way_and_numbers_stay,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_nothing_changes, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
