/*
 * History: the way back and forth, the draft, the bounds.
 */
#include "client/edit.h"
#include "client/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"

#include <stdio.h>
#include <string.h>

static struct history *history;

static int set_up(void **state)
{
    (void)state;
    history = history_create();
    return history ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    history_destroy(history);
    return 0;
}

static void add(const char *line)
{
    history_add(history, slice_of(line));
}

static void check_is(struct slice line, const char *expected)
{
    assert_int_equal(line.length, strlen(expected));
    assert_memory_equal(line.bytes, expected, line.length);
}

static void check_older(const char *now, size_t cursor, const char *expected)
{
    struct slice line;

    assert_true(history_older(history, slice_of(now), cursor, &line));
    check_is(line, expected);
}

static void check_newer(const char *expected)
{
    struct slice line;

    assert_true(history_newer(history, &line));
    check_is(line, expected);
}

static void check_oldest(void)
{
    struct slice line;

    assert_false(history_older(history, SLICE(""), 0, &line));
}

static void check_newest(void)
{
    struct slice line;

    assert_false(history_newer(history, &line));
}

static void there_and_back(void **state)
{
    (void)state;
    check_oldest();
    check_newest();
    add("one");
    add("two");
    check_older("draft", 0, "two");
    check_older("two", 3, "one"); /* the way goes on as it began */
    check_oldest();
    check_newer("two");
    check_newer("draft");
    check_newest();
    check_older("", 0, "two");
}

static void only_what_begins_so(void **state)
{
    (void)state;
    add("/join tea");
    add("hello");
    add("/msg bob hello");
    add("help");
    check_older("he there", 2, "help");
    check_older("help", 4, "hello");
    check_oldest();
    check_newer("help");
    check_newer("he there");
    history_settle(history);
    check_older("/", 1, "/msg bob hello");
    check_older("", 0, "/join tea");
    check_newer("/msg bob hello");
    history_settle(history); /* it is edited: the way begins anew */
    check_older("/msg bob hello!", 0, "help");
    check_newer("/msg bob hello!");
}

static void what_is_not_kept(void **state)
{
    struct slice line;

    (void)state;
    add("");
    check_oldest();
    add("one");
    add("one");
    check_older("", 0, "one");
    check_oldest();
    alloc_fail_at(1);
    add("two");
    assert_true(history_older(history, SLICE(""), 0, &line));
    check_is(line, "one");
    history_destroy(NULL);
    alloc_fail_at(1);
    assert_null(history_create());
}

static void the_oldest_go_first(void **state)
{
    char line[16];
    struct slice oldest = {NULL, 0};
    size_t count = 0;

    (void)state;
    for (int i = 0; i <= HISTORY_LINES_MAX; i++) {
        (void)snprintf(line, sizeof(line), "%d", i);
        add(line);
    }
    while (history_older(history, SLICE(""), 0, &oldest))
        count++;
    assert_int_equal(count, HISTORY_LINES_MAX);
    check_is(oldest, "1");
}

static void bytes_are_bounded(void **state)
{
    static char line[HISTORY_BYTES_MAX + 1];
    struct slice found;

    (void)state;
    (void)memset(line, 'x', sizeof(line));
    add("one");
    add("two");
    history_add(history, (struct slice){line, sizeof(line)}); /* never fits */
    check_older("", 0, "two");
    history_add(history, (struct slice){line, HISTORY_BYTES_MAX - 3});
    assert_true(history_older(history, SLICE(""), 0, &found));
    assert_int_equal(found.length, HISTORY_BYTES_MAX - 3);
    check_older("", 0, "two");
    check_oldest();
    history_add(history, (struct slice){line, HISTORY_BYTES_MAX});
    assert_true(history_older(history, SLICE(""), 0, &found));
    assert_int_equal(found.length, HISTORY_BYTES_MAX);
    check_oldest();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_what_begins_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_go_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_are_bounded, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
