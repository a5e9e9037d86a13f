/*
 * Layout: where rows break, what stands before them, in whatever columns.
 */
#include "client/cluster.h"
#include "client/layout.h"
#include "client/tame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#define KANJI "\u6F22"
#define FAMILY "\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466"

static struct layout layout;

static int set_up(void **state)
{
    (void)state;
    layout = (struct layout){
        .columns = 80,
        .palette = palette_for(THEME_ANY, 0, false),
        .utc_offset_s = 3600,
    };
    return 0;
}

static struct line message(const char *nick, const char *text)
{
    return (struct line){.kind = LINE_MESSAGE,
                         .time_us = UINT64_C(1795267823000000),
                         .nick = slice_of(nick),
                         .text = slice_of(text)};
}

static void append(char *out, size_t size, struct slice text)
{
    size_t length = strlen(out);

    (void)snprintf(out + length, size - length, "%.*s", (int)text.length,
                   text.bytes ? text.bytes : "");
}

/* All rows, each with its end as |. */
static void check(unsigned columns, const struct line *line,
                  const char *expected)
{
    char drawn[1024] = "";
    struct wrap wrap;
    struct row row;
    size_t rows = 0;

    layout.columns = columns;
    wrap_begin(&wrap, &layout, line);
    for (; wrap_next(&wrap, &row); rows++) {
        for (size_t i = 0; i < row.count; i++)
            append(drawn, sizeof(drawn), row.spans[i].text);
        append(drawn, sizeof(drawn), SLICE("|"));
    }
    assert_string_equal(drawn, expected);
    assert_int_equal(layout_rows(&layout, line), rows);
}

static void what_stands_before_the_text(void **state)
{
    struct line line = message("bob", "hello");

    (void)state;
    check(80, &line, "14:30 bob: hello|");
    check(24, &line, "14:30 bob: hello|");
    check(23, &line, "bob: hello|");
    line.kind = LINE_DOUBT;
    check(80, &line, "14:30 bob: hello|");
    line.kind = LINE_PRESENCE;
    check(80, &line, "14:30 \u00B7 hello|");
    line.kind = LINE_REPLY;
    check(80, &line, "14:30 * hello|");
    line.kind = LINE_ERROR;
    check(80, &line, "14:30 ! hello|");
    line.kind = LINE_GAP;
    check(80, &line, "14:30 \u2500\u2500 hello|");
}

static void check_clock(uint64_t second, int64_t offset, const char *expected)
{
    char clock[6] = "";

    layout.utc_offset_s = offset;
    layout_clock(&layout, second * 1000000, clock);
    assert_string_equal(clock, expected);
}

static void clocks(void **state)
{
    (void)state;
    check_clock(0, 0, "00:00");
    check_clock(59, -60, "23:59");
    check_clock(0, -12 * 3600, "12:00");
    check_clock(86399, 0, "23:59");
    check_clock(86400 - 3600, 3600, "00:00");
    check_clock(0, 14 * 3600, "14:00");
    check_clock(0, 5 * 3600 + 2700, "05:45");
}

static void rows_break_behind_spaces(void **state)
{
    struct line line = message("bob", "a message that is too long for one row");

    (void)state;
    check(40, &line,
          "14:30 bob: a message that is too long|"
          "           for one row|");
    check(39, &line, "14:30 bob: a message that is too long|for one row|");
    check(12, &line, "bob: a|message that|is too long|for one row|");
    line = message("a-very-long-nick", "one two three four five");
    check(42, &line, "14:30 a-very-long-nick: one two three four|     five|");
    line = message("bob", "   spaces   in   a   row     ");
    check(15, &line, "bob:    spaces|in   a   row|");
    check(80, &line, "14:30 bob:    spaces   in   a   row     |");
}

static void rows_break_beside_wide_characters(void **state)
{
    struct line line =
        message("b", KANJI KANJI KANJI "a" KANJI KANJI "bc" KANJI);

    (void)state;
    check(9, &line, "b: " KANJI KANJI KANJI "|a" KANJI KANJI "bc" KANJI "|");
    check(8, &line,
          "b: " KANJI KANJI "|" KANJI "a" KANJI KANJI "|bc" KANJI "|");
}

static void rows_break_where_nothing_else_helps(void **state)
{
    struct line line = message("b", "abcdefghij");

    (void)state;
    check(6, &line, "b: abc|defghi|j|");
    check(1, &line, "b: |a|b|c|d|e|f|g|h|i|j|");
    check(3, &line, "b: |abc|def|ghi|j|");
    line = message("b", "e\u0301e\u0301e\u0301");
    check(5, &line, "b: e\u0301e\u0301|e\u0301|");
    line = message("b", "x" FAMILY "y");
    check(12, &line, "b: x" FAMILY "|y|");
    check(8, &line, "b: x|" FAMILY "|y|");
    check(5, &line,
          "b: x|\U0001F468\u200D\U0001F469\u200D|\U0001F467\u200D\U0001F466y|");
    line = message("b", "");
    check(80, &line, "14:30 b: |");
    check(1, &line, "b: |");
}

static void who_is_addressed_sees_it(void **state)
{
    struct line line = message("bob", "alice: hello");
    struct wrap wrap;
    struct row row;

    (void)state;
    line.addressed = true;
    wrap_begin(&wrap, &layout, &line);
    assert_true(wrap_next(&wrap, &row));
    assert_true(row.spans[1].look.reverse);
    assert_true(row.spans[row.count - 1].look.bold);
    line.addressed = false;
    wrap_begin(&wrap, &layout, &line);
    assert_true(wrap_next(&wrap, &row));
    assert_false(row.spans[1].look.reverse);
    assert_false(row.spans[row.count - 1].look.bold);
}

/* -- whatever is said -- */

static const char *const pieces[] = {"a",
                                     "bc ",
                                     " ",
                                     KANJI,
                                     "e\u0301",
                                     FAMILY,
                                     "\u0301",
                                     "\u200D",
                                     "\u1112",
                                     "\U0001F1E9",
                                     "  ",
                                     "word",
                                     "\u0915\u093F",
                                     "\u0600",
                                     "longer-than-a-row"};

static size_t put(char *at, struct slice text)
{
    (void)memcpy(at, text.bytes, text.length);
    return text.length;
}

static size_t make_text(struct rng *random, char *out, size_t size)
{
    size_t length = 0, count = rng_below(random, 40);

    for (size_t i = 0; i < count; i++) {
        struct slice piece = slice_of(
            pieces[rng_below(random, sizeof(pieces) / sizeof(*pieces))]);

        if (length + piece.length > size)
            break;
        length += put(out + length, piece);
    }
    return length;
}

static size_t without_spaces(char *text, size_t length)
{
    size_t kept = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] != ' ')
            text[kept++] = text[i];
    }
    return kept;
}

/* All text is in the rows, in order, but for the spaces where they break; none
 * is wider than the screen, unless by one character that is wider itself. */
static void check_rows(struct line *line, char *original)
{
    char drawn[2048];
    struct wrap wrap;
    struct row row;
    size_t length = 0;

    wrap_begin(&wrap, &layout, line);
    for (bool first = true; wrap_next(&wrap, &row); first = false) {
        struct slice last = {NULL, 0};
        bool has_text;

        if (row.count > 0)
            last = row.spans[row.count - 1].text;
        has_text = last.length > 0 && last.bytes >= line->text.bytes &&
                   last.bytes < line->text.bytes + line->text.length;
        if (!first && layout.columns > 1)
            assert_true(row.columns <= layout.columns);
        if (!has_text)
            continue;
        (void)memcpy(drawn + length, last.bytes, last.length);
        length += last.length;
    }
    length = without_spaces(drawn, length);
    assert_int_equal(length, without_spaces(original, line->text.length));
    assert_memory_equal(drawn, original, length);
}

static void nothing_is_lost(void **state)
{
    struct rng random = {1};
    char text[1024] = "", original[1024];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct line line = message("bob", "");

        line.text =
            (struct slice){text, make_text(&random, text, sizeof(text))};
        (void)memcpy(original, text, line.text.length);
        layout.columns = 1 + (unsigned)rng_below(&random, 60);
        check_rows(&line, original);
    }
}

/* As long as a message may be, and one cluster, or marks upon a letter: it
 * ends, soon, in a terminal of two columns too. */
static void the_longest_that_there_is(void **state)
{
    static char text[TAMED_BYTES_MAX];
    struct line line = message("bob", "");

    (void)state;
    line.text = (struct slice){text, sizeof(text) / 7 * 7};
    for (size_t i = 0; i + 7 <= sizeof(text); i += 7)
        (void)put(text + i, SLICE("\U0001F468\u200D"));
    layout.columns = 2;
    assert_int_equal(layout_rows(&layout, &line), 1 + sizeof(text) / 7);
    line.text.length = 1 + (sizeof(text) - 1) / 2 * 2;
    text[0] = 'e';
    for (size_t i = 1; i + 2 <= sizeof(text); i += 2)
        (void)put(text + i, SLICE("\u0301"));
    assert_int_equal(layout_rows(&layout, &line), 2);
    (void)memset(text, 'x', sizeof(text));
    line.text.length = sizeof(text);
    layout.columns = 1;
    assert_int_equal(layout_rows(&layout, &line), 1 + sizeof(text));
}

/* -- rows -- */

static void a_row_takes_what_it_has_room_for(void **state)
{
    static char text[ROW_BYTES_MAX];
    struct look look = {COLOUR_NONE, COLOUR_NONE, false, false};
    struct row row;

    (void)state;
    (void)memset(text, 'x', sizeof(text));
    row_clear(&row);
    row_fill(&row, look, 100);
    assert_int_equal(row.columns, 100);
    row_fill(&row, look, 99);
    assert_int_equal(row.columns, 100);
    row_copy(&row, look, (struct slice){text, sizeof(text)});
    assert_int_equal(row.columns, 100 + ROW_BYTES_MAX);
    row_copy(&row, look, SLICE("x"));
    assert_int_equal(row.columns, 100 + ROW_BYTES_MAX);
    for (int i = 0; i < SPANS_MAX; i++)
        row_add(&row, look, SLICE(KANJI));
    assert_int_equal(row.count, SPANS_MAX);
    row_clear(&row);
    assert_int_equal(row.count, 0);
    assert_int_equal(row.columns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_stands_before_the_text, set_up),
        cmocka_unit_test_setup(clocks, set_up),
        cmocka_unit_test_setup(rows_break_behind_spaces, set_up),
        cmocka_unit_test_setup(rows_break_beside_wide_characters, set_up),
        cmocka_unit_test_setup(rows_break_where_nothing_else_helps, set_up),
        cmocka_unit_test_setup(who_is_addressed_sees_it, set_up),
        cmocka_unit_test_setup(nothing_is_lost, set_up),
        cmocka_unit_test_setup(the_longest_that_there_is, set_up),
        cmocka_unit_test(a_row_takes_what_it_has_room_for),
    };

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
