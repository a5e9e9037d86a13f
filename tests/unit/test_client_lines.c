/*
 * Lines out of a file: the same ones wherever its bytes are cut.
 */
#include "client/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 8

/* What has been read, as text: "1:one 2- 3!" */
static char seen[256];

static void note(const struct lines *lines, struct slice line,
                 enum line_fault fault)
{
    static const char marks[] = {[LINE_GOOD] = ':',
                                 [LINE_EMPTY] = '-',
                                 [LINE_NOT_TEXT] = '!',
                                 [LINE_TOO_LONG] = '+'};
    size_t used = strlen(seen);

    snprintf(seen + used, sizeof(seen) - used, "%s%d%c%.*s", used ? " " : "",
             (int)lines->number, marks[fault],
             fault == LINE_GOOD ? (int)line.length : 0, line.bytes);
}

/* False: a line was too long, and nothing comes after it. */
static bool read_part(struct lines *lines, struct slice part)
{
    struct slice line;
    enum line_fault fault;

    while (lines_next(lines, &part, &line, &fault)) {
        note(lines, line, fault);
        if (fault == LINE_TOO_LONG)
            return false;
    }
    assert_int_equal(part.length, 0);
    return true;
}

/* All of `file`, in two parts. */
static void read_cut(struct slice file, size_t cut)
{
    struct lines lines;
    struct slice line, rest = {file.bytes + cut, file.length - cut};
    enum line_fault fault;

    seen[0] = '\0';
    assert_int_equal(lines_init(&lines, BYTES_MAX), 0);
    if (read_part(&lines, (struct slice){file.bytes, cut}) &&
        read_part(&lines, rest) && lines_end(&lines, &line, &fault)) {
        note(&lines, line, fault);
        assert_false(lines_end(&lines, &line, &fault));
    }
    lines_release(&lines);
}

static void check(struct slice file, const char *expected)
{
    for (size_t cut = 0; cut <= file.length; cut++) {
        read_cut(file, cut);
        assert_string_equal(seen, expected);
    }
}

static void lines_are_counted_and_whole(void **state)
{
    (void)state;
    check(SLICE(""), "");
    check(SLICE("one"), "1:one");
    check(SLICE("one\n"), "1:one");
    check(SLICE("one\ntwo"), "1:one 2:two");
    check(SLICE("a\nb\nc\n"), "1:a 2:b 3:c");
    check(SLICE(" a \n\tb\n"), "1: a  2:\tb");
    check(SLICE("/a\n//b"), "1:/a 2://b");
    check(SLICE("\u00E9\n\u6F22\n"), "1:\u00E9 2:\u6F22");
}

static void a_cr_before_the_end_is_dropped(void **state)
{
    (void)state;
    check(SLICE("one\r\ntwo\r\n"), "1:one 2:two");
    check(SLICE("one\r"), "1:one");
    check(SLICE("o\rne\n"), "1!");
    check(SLICE("one\r\r\n"), "1!");
    check(SLICE("\r\n\r"), "1- 2-");
}

static void empty_lines_count(void **state)
{
    (void)state;
    check(SLICE("\n\na\n\n"), "1- 2- 3:a 4-");
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    check(SLICE("a\0b\nc"), "1! 2:c");
    check(SLICE("\033[2J\nc"), "1! 2:c");
    check(SLICE("\xC3\n\xA9\n"), "1! 2!");
    check(SLICE("\xC2\x85\n"), "1!");
}

static void a_line_has_a_longest_length(void **state)
{
    (void)state;
    check(SLICE("12345678\n"), "1:12345678");
    check(SLICE("12345678\r\nb"), "1:12345678 2:b");
    check(SLICE("12345678"), "1:12345678");
    check(SLICE("a\n123456789"), "1:a 2+");
    check(SLICE("a\n123456789\nb\n"), "1:a 2+");
    check(SLICE("a\n1234567890123456789"), "1:a 2+");
}

static void no_memory_is_said(void **state)
{
    struct lines lines;

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(lines_init(&lines, BYTES_MAX), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_counted_and_whole),
        cmocka_unit_test(a_cr_before_the_end_is_dropped),
        cmocka_unit_test(empty_lines_count),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(a_line_has_a_longest_length),
        cmocka_unit_test(no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
