/*
 * The input line: what is a character to the cursor, what stays on the screen.
 */
#include "client/cluster.h"
#include "client/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/utf8.h"
#include "tests/unit/support_random.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* é as a letter and an accent; an astronaut (woman, joiner, rocket); a family
 * of four; Germany's flag; a waving hand of dark skin; a Korean syllable in
 * three letters; a heart, asked to be a picture. */
#define E_ACUTE "e\u0301"
#define WOMAN "\U0001F469"
#define ROCKET "\U0001F680"
#define ZWJ "\u200D"
#define ASTRONAUT WOMAN ZWJ ROCKET
#define FAMILY "\U0001F468" ZWJ WOMAN ZWJ "\U0001F467" ZWJ "\U0001F466"
#define D "\U0001F1E9"
#define E "\U0001F1EA"
#define GERMANY D E
#define DARK_HAND "\U0001F44B\U0001F3FF"
#define HAN "\u1112\u1161\u11AB"
#define HEART "\u2764\uFE0F"
#define KANJI "\u6F22"
/* From right to left, whatever comes; and an isolate. Both end before a string
 * does, or it would be a trap to its readers. */
#define OVERRIDE(text) "\u202E" text "\u202C"
#define ISOLATE(text) "\u2066" text "\u2069"

static struct edit edit;

static int set_up(void **state)
{
    (void)state;
    edit_init(&edit);
    return 0;
}

static void type(const char *text)
{
    assert_true(edit_insert(&edit, slice_of(text)));
}

/* The line, with | where the cursor is. */
static void check(const char *expected)
{
    char with_cursor[EDIT_BYTES_MAX + 2];

    (void)snprintf(with_cursor, sizeof(with_cursor), "%.*s|%.*s",
                   (int)edit.cursor, edit.bytes,
                   (int)(edit.length - edit.cursor), edit.bytes + edit.cursor);
    assert_string_equal(with_cursor, expected);
}

static void check_view(unsigned columns, const char *expected, unsigned cursor)
{
    struct edit_view view = edit_view(&edit, columns);
    char shown[EDIT_BYTES_MAX + 3];

    (void)snprintf(shown, sizeof(shown), "%s%.*s%s",
                   view.hidden_left ? "<" : "", (int)view.shown.length,
                   view.shown.bytes, view.hidden_right ? ">" : "");
    assert_string_equal(shown, expected);
    assert_int_equal(view.cursor, cursor);
}

/* -- clusters and cells -- */

static void columns_are_those_of_a_terminal(void **state)
{
    static const struct {
        const char *text;
        unsigned columns;
    } cases[] = {
        {"", 0},
        {"a", 1},
        {E_ACUTE, 1},
        {KANJI, 2},
        {"\uFF21", 2},
        {WOMAN, 2},
        {ASTRONAUT, 4},
        {FAMILY, 8},
        {GERMANY, 2},
        {DARK_HAND, 2},
        {HEART, 1},
        {HAN, 2},
        {"\u0301", 1},
        {"a\u200B\u0301", 2},
        {OVERRIDE("abc"), 3},
        {ISOLATE(""), 0},
        {"\U0010FFFF", 1},
        {"\U0001FAE8", 1}, /* since Unicode 15 */
        {"\u0915\u093F", 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (text_columns(slice_of(cases[i].text)) != cases[i].columns)
            fail_msg("case %zu: %u", i, text_columns(slice_of(cases[i].text)));
    }
}

static void a_cell_has_no_more_marks_than_are_drawn(void **state)
{
    char text[1 + 2 * 1000 + 1] = "a";
    struct cell cell;

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        (void)memcpy(text + 1 + 2 * i, "\u0301", 3);
    cell = cell_next(slice_of(text));
    assert_int_equal(cell.taken, 2001);
    assert_int_equal(cell.count, CELL_CHARS_MAX);
    assert_int_equal(cell.columns, 1);
}

static void nothing_that_changes_direction_or_joins_is_drawn(void **state)
{
    struct slice text = SLICE("\u200Ea" OVERRIDE("b") ISOLATE("c") ZWJ
                              "\u061C\uFE0F\U000E0041");

    (void)state;
    while (text.length > 0) {
        struct cell cell = cell_next(text);

        for (size_t i = 0; i < cell.count; i++)
            assert_in_range(cell.shown[i], 'a', 'c');
        text.bytes += cell.taken;
        text.length -= cell.taken;
    }
}

/* Of a line of GraphemeBreakTest.txt, "÷ 0020 × 0308 ÷": the text, its places,
 * and which of these are boundaries. */
struct break_case {
    char text[256];
    size_t length, count;
    size_t places[64];
    bool breaks[64];
};

/* False: it has characters that a line has not. */
static bool add_character(struct break_case *made, unsigned long code)
{
    mbstate_t shift = {0};

    if (code < 0x20 || (code >= 0x7F && code < 0xA0) ||
        (code >= 0xD800 && code < 0xE000))
        return false;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): `shift` is ours */
    made->length += wcrtomb(made->text + made->length, (wchar_t)code, &shift);
    return true;
}

static bool read_case(const char *at, struct break_case *made)
{
    made->length = made->count = 0;
    while (*at != '\0' && *at != '#') {
        bool is_break = strncmp(at, "÷", 2) == 0;
        char *end;
        unsigned long code = strtoul(at, &end, 16);

        if (is_break || strncmp(at, "×", 2) == 0) {
            made->breaks[made->count] = is_break;
            made->places[made->count++] = made->length;
            at += 2;
        } else if (end == at) {
            at++;
        } else {
            if (!add_character(made, code))
                return false;
            at = end;
        }
    }
    return made->count > 0;
}

static void clusters_are_those_of_unicode(void **state)
{
    FILE *file =
        fopen("/usr/share/unicode/auxiliary/GraphemeBreakTest.txt", "re");
    char line[4096];
    struct break_case made;
    size_t cases = 0;

    (void)state;
    assert_non_null(file); /* Debian's unicode-data */
    while (fgets(line, sizeof(line), file)) {
        if (!read_case(line, &made))
            continue;
        cases++;
        for (size_t i = 0; i < made.count; i++) {
            struct slice text = {made.text, made.length};
            size_t place = made.places[i];

            if ((cluster_from(text, place) == place) != made.breaks[i])
                fail_msg("place %zu of: %s", i, line);
        }
    }
    (void)fclose(file);
    assert_true(cases > 400);
}

/* -- editing -- */

static void the_cursor_steps_over_whole_clusters(void **state)
{
    static const char *const clusters[] = {
        "a", E_ACUTE, KANJI, ASTRONAUT, FAMILY, GERMANY, DARK_HAND, HAN, HEART};
    size_t count = sizeof(clusters) / sizeof(*clusters), at;

    (void)state;
    for (size_t i = 0; i < count; i++)
        type(clusters[i]);
    at = edit.length;
    assert_false(edit_move(&edit, EDIT_RIGHT));
    for (size_t i = count; i-- > 0;) {
        assert_true(edit_move(&edit, EDIT_LEFT));
        at -= strlen(clusters[i]);
        assert_int_equal(edit.cursor, at);
    }
    assert_false(edit_move(&edit, EDIT_LEFT));
    for (size_t i = 0; i < count; i++) {
        assert_true(edit_delete(&edit, EDIT_RIGHT));
        assert_int_equal(edit.cursor, 0);
    }
    check("|");
    assert_false(edit_delete(&edit, EDIT_LEFT));
    assert_false(edit_delete(&edit, EDIT_RIGHT));
}

static void what_joins_takes_the_cursor_along(void **state)
{
    (void)state;
    type(WOMAN ROCKET);
    assert_true(edit_move(&edit, EDIT_LEFT));
    check(WOMAN "|" ROCKET);
    type(ZWJ);
    check(ASTRONAUT "|");

    edit_init(&edit);
    type(D "x" E);
    assert_true(edit_move(&edit, EDIT_LEFT));
    assert_true(edit_delete(&edit, EDIT_LEFT));
    check(GERMANY "|");

    edit_init(&edit);
    type("\u0301"); /* an accent on nothing, and then its letter */
    assert_true(edit_move(&edit, EDIT_START));
    type("e");
    check(E_ACUTE "|");
}

static void words_and_kills(void **state)
{
    (void)state;
    type("/msg bob  " KANJI "s it " GERMANY);
    assert_true(edit_kill(&edit, EDIT_WORD_LEFT));
    check("/msg bob  " KANJI "s it |");
    assert_true(edit_kill(&edit, EDIT_WORD_LEFT));
    check("/msg bob  " KANJI "s |");
    assert_true(edit_yank(&edit));
    assert_true(edit_yank(&edit));
    check("/msg bob  " KANJI "s it it |");
    assert_true(edit_move(&edit, EDIT_START));
    assert_false(edit_move(&edit, EDIT_WORD_LEFT));
    assert_true(edit_move(&edit, EDIT_WORD_RIGHT));
    check("/msg| bob  " KANJI "s it it ");
    assert_true(edit_move(&edit, EDIT_WORD_RIGHT));
    assert_true(edit_move(&edit, EDIT_WORD_RIGHT));
    check("/msg bob  " KANJI "s| it it ");
    assert_true(edit_kill(&edit, EDIT_END));
    assert_true(edit_kill(&edit, EDIT_START));
    check("|");
    assert_false(edit_kill(&edit, EDIT_START));
    assert_true(edit_yank(&edit)); /* what came to nothing killed nothing */
    check("/msg bob  " KANJI "s|");
}

static void a_completion_takes_the_place_of_what_was_typed(void **state)
{
    (void)state;
    type("hello bo!");
    assert_true(edit_move(&edit, EDIT_LEFT));
    assert_true(edit_replace(&edit, 6, SLICE("bob")));
    check("hello bob|!");
}

static void only_a_line_of_text_gets_in(void **state)
{
    static const char *const bad[] = {"\t",      "a\nb",        "\r",
                                      "\x1B[2J", "\x7F",        "\xC2\x9B",
                                      "\xC3",    "\xED\xA0\x80"};

    (void)state;
    type("ab");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(edit_insert(&edit, slice_of(bad[i])));
        assert_false(edit_set(&edit, slice_of(bad[i])));
    }
    assert_false(edit_insert(&edit, (struct slice){"\0", 1}));
    check("ab|");
}

static void a_full_line_takes_no_more_and_is_not_cut(void **state)
{
    static char full[EDIT_BYTES_MAX + 1];

    (void)state;
    (void)memset(full, 'x', sizeof(full));
    assert_false(edit_set(&edit, (struct slice){full, sizeof(full)}));
    assert_true(edit_set(&edit, (struct slice){full, EDIT_BYTES_MAX - 1}));
    assert_false(edit_insert(&edit, SLICE("é")));
    assert_int_equal(edit.length, EDIT_BYTES_MAX - 1);
    type("y");
    assert_false(edit_insert(&edit, SLICE("z")));
    assert_true(edit_replace(&edit, EDIT_BYTES_MAX - 1, SLICE("z")));
    assert_int_equal(edit.length, EDIT_BYTES_MAX);
}

/* -- the part that is seen -- */

static void what_fits_is_all_shown(void **state)
{
    (void)state;
    check_view(1, "", 0);
    type("abc");
    check_view(80, "abc", 3);
    check_view(4, "abc", 3);
    edit_move(&edit, EDIT_START);
    check_view(4, "abc", 0);
}

static void the_cursor_is_scrolled_to_the_middle(void **state)
{
    (void)state;
    type("abcdefghij");
    check_view(10, "<fghij", 6);
    edit_move(&edit, EDIT_LEFT); /* and stays until it would leave */
    check_view(10, "<fghij", 5);
    edit_move(&edit, EDIT_START);
    check_view(9, "abcdefgh>", 0);
    check_view(10, "abcdefghij", 0); /* the cursor is not behind it */
}

static void no_wide_character_is_cut(void **state)
{
    (void)state;
    type(KANJI KANJI KANJI KANJI KANJI);
    edit_move(&edit, EDIT_START);
    check_view(8, KANJI KANJI KANJI ">", 0);
    check_view(7, KANJI KANJI KANJI ">", 0);
    check_view(6, KANJI KANJI ">", 0);
    edit_move(&edit, EDIT_RIGHT);
    check_view(6, KANJI KANJI ">", 2);
    edit_move(&edit, EDIT_RIGHT); /* it would stand on the > */
    check_view(6, "<" KANJI KANJI ">", 3);
}

static void a_cluster_wider_than_the_window_is_shown_in_part(void **state)
{
    (void)state;
    type(FAMILY);
    edit_move(&edit, EDIT_START);
    check_view(9, FAMILY, 0);
    check_view(5, "\U0001F468" ZWJ WOMAN ZWJ ">", 0);
    check_view(2, ">", 0);
    check_view(1, ">", 0);
}

/* -- whatever is typed -- */

static const char *const pieces[] = {"a",
                                     "b",
                                     " ",
                                     "é",
                                     "\u0301",
                                     KANJI,
                                     ZWJ,
                                     WOMAN,
                                     ROCKET,
                                     D,
                                     E,
                                     DARK_HAND,
                                     "\u200B",
                                     "\u0600",
                                     "\u1112",
                                     "\u1161",
                                     "\u11AB",
                                     "\uFE0F",
                                     (OVERRIDE("")),
                                     "word ",
                                     FAMILY,
                                     "\u0E33",
                                     "\U0010FFFF"};

static void check_invariants(unsigned columns)
{
    struct slice text = edit_text(&edit);
    struct edit_view view = edit_view(&edit, columns), again;
    struct slice before = {edit.bytes + edit.first, 0};

    assert_int_equal(cluster_from(text, edit.cursor), edit.cursor);
    assert_int_equal(cluster_from(text, edit.first), edit.first);
    assert_true(edit.first <= edit.cursor);
    assert_true(view.cursor < columns);
    assert_true(view.columns + view.hidden_left + view.hidden_right <= columns);
    assert_int_equal(view.columns, text_columns(view.shown));
    before.length = edit.cursor - edit.first;
    if (columns > 12) { /* more than the widest cluster and both marks */
        assert_int_equal(view.cursor, text_columns(before) + view.hidden_left);
        assert_true(edit.first + view.shown.length >= edit.cursor);
        assert_true(view.hidden_right ==
                    (edit.first + view.shown.length < edit.length));
    }
    again = edit_view(&edit, columns);
    assert_memory_equal(&again.cursor, &view.cursor, sizeof(view.cursor));
    assert_ptr_equal(again.shown.bytes, view.shown.bytes);
}

static void one_step(struct rng *random)
{
    enum edit_move move = (enum edit_move)rng_below(random, EDIT_END + 1);

    switch (rng_below(random, 8)) {
    case 0:
        (void)edit_move(&edit, move);
        break;
    case 1:
        (void)edit_delete(&edit, rng_below(random, 4) ? EDIT_LEFT : move);
        break;
    case 2:
        if (rng_below(random, 8) == 0)
            (void)edit_kill(&edit, move);
        break;
    case 3:
        if (edit.length < 200)
            (void)edit_yank(&edit);
        break;
    default:
        (void)edit_insert(
            &edit,
            slice_of(
                pieces[rng_below(random, sizeof(pieces) / sizeof(*pieces))]));
    }
}

static void invariants_hold_whatever_is_typed(void **state)
{
    struct rng random = {1};

    (void)state;
    for (int i = 0; i < 30000; i++) {
        one_step(&random);
        check_invariants(1 + (unsigned)rng_below(&random, 30));
        if (edit.length > 300)
            assert_true(edit_set(&edit, SLICE("")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_those_of_a_terminal),
        cmocka_unit_test(a_cell_has_no_more_marks_than_are_drawn),
        cmocka_unit_test(nothing_that_changes_direction_or_joins_is_drawn),
        cmocka_unit_test(clusters_are_those_of_unicode),
        cmocka_unit_test_setup(the_cursor_steps_over_whole_clusters, set_up),
        cmocka_unit_test_setup(what_joins_takes_the_cursor_along, set_up),
        cmocka_unit_test_setup(words_and_kills, set_up),
        cmocka_unit_test_setup(a_completion_takes_the_place_of_what_was_typed,
                               set_up),
        cmocka_unit_test_setup(only_a_line_of_text_gets_in, set_up),
        cmocka_unit_test_setup(a_full_line_takes_no_more_and_is_not_cut,
                               set_up),
        cmocka_unit_test_setup(what_fits_is_all_shown, set_up),
        cmocka_unit_test_setup(the_cursor_is_scrolled_to_the_middle, set_up),
        cmocka_unit_test_setup(no_wide_character_is_cut, set_up),
        cmocka_unit_test_setup(a_cluster_wider_than_the_window_is_shown_in_part,
                               set_up),
        cmocka_unit_test_setup(invariants_hold_whatever_is_typed, set_up),
    };

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
