/*
 * The bars, in whatever columns; what was missed, in words; what is not
 * confirmed yet.
 */
#include "client/gap.h"
#include "client/posts.h"
#include "client/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct conversations *all;
static struct status status;

static int set_up(void **state)
{
    (void)state;
    all = conversations_create();
    if (!all)
        return -1;
    status = (struct status){
        .palette = palette_for(THEME_ANY, 0, false),
        .clock = SLICE("13:36"),
        .nick = SLICE("alice"),
        .url = SLICE("text 127.0.0.1:4000"),
        .rtt = SLICE("0.2 ms"),
        .conversations = all,
    };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    conversations_destroy(all);
    return 0;
}

static void make(const char *name, unsigned said, bool addressed)
{
    struct conversation *made = conversation_make(all, slice_of(name));

    assert_non_null(made);
    for (unsigned i = 0; i < said; i++)
        conversation_said(all, made, addressed);
}

/* As it is drawn, less the spaces at its end. */
static const char *drawn(const struct row *row)
{
    static char text[8192];
    size_t length = 0;

    for (size_t i = 0; i < row->count; i++) {
        struct slice span = row->spans[i].text;

        (void)memcpy(text + length, span.bytes, span.length);
        length += span.length;
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    text[length] = '\0';
    return text;
}

static void check(unsigned columns, const char *expected)
{
    struct row row;

    status.columns = columns;
    status_row(&status, &row);
    assert_string_equal(drawn(&row), expected);
}

static void parts_fall_away(void **state)
{
    (void)state;
    make("lobby", 0, false);
    make("tea", 3, false);
    make("@bob", 1, true);
    make("den", 0, false);
    check(80, " 13:36 alice  [1 lobby] 2 tea\u00B73 3 @bob!1 4 den       "
              "text 127.0.0.1:4000 0.2 ms");
    check(60,
          " 13:36 alice  [1 lobby] 2 tea\u00B73 3 @bob!1 4 den       0.2 ms");
    check(50, " 13:36 alice  [1 lobby] 2 tea\u00B73 3 @bob!1 4 den");
    check(45, " alice  [1 lobby] 2 tea\u00B73 3 @bob!1 4 den");
    check(37, " alice  [1 lobby] 2 tea\u00B73 3 @bob!1 4");
    check(36, " [1 lobby] 2 tea\u00B73 3 @bob!1 4");
    check(27, " [1 lobby] 2 tea\u00B73 3 @bob!1");
    check(5, " [1 lobby] 2 tea\u00B73 3 @bob!1");
}

static void trouble_stays_longer_than_what_is_well(void **state)
{
    (void)state;
    make("lobby", 0, false);
    status.trouble = SLICE("away: again in 4 s");
    status.rtt = SLICE("");
    status.progress = SLICE("2 sent");
    check(80, " 13:36 alice  [1 lobby]           "
              "2 sent text 127.0.0.1:4000 away: again in 4 s");
    check(40, " [1 lobby]    2 sent away: again in 4 s");
    check(32, " [1 lobby]   away: again in 4 s");
    check(20, " [1 lobby]");
}

static void a_notice_is_instead_of_conversations(void **state)
{
    struct row row;

    (void)state;
    make("lobby", 0, false);
    status.notice = SLICE("alice  alina");
    check(80, " alice  alina                                        "
              "text 127.0.0.1:4000 0.2 ms");
    status_topic(&status, &row);
    assert_string_equal(drawn(&row), " lobby");
}

static void the_topic(void **state)
{
    struct row row;

    (void)state;
    status.columns = 40;
    status_topic(&status, &row);
    assert_string_equal(drawn(&row), "");
    assert_int_equal(row.columns, 40);
    make("lobby", 0, false);
    conversation_set_topic(conversations_shown(all), SLICE("tea at four"));
    status_topic(&status, &row);
    assert_string_equal(drawn(&row), " lobby \u2014 tea at four");
}

static void in_whatever_columns_it_is_as_wide_as_they(void **state)
{
    char name[16];
    struct row row;

    (void)state;
    for (int i = 0; i < CONVERSATIONS_MAX; i++) {
        (void)snprintf(name, sizeof(name), i % 2 ? "@n%d" : "r%d", i);
        make(name, i % 3 == 0 ? (unsigned)i : 0, i % 2);
    }
    for (status.columns = 0; status.columns < 1500; status.columns++) {
        status_row(&status, &row);
        assert_true(row.columns >= status.columns);
        if (status.columns >= 400)
            assert_int_equal(row.columns, status.columns);
        assert_non_null(strstr(drawn(&row), "r60\u00B760"));
        assert_non_null(strstr(drawn(&row), "@n63!63"));
    }
}

/* -- gaps -- */

static void check_gap(uint64_t missed, uint64_t away_ms, const char *expected)
{
    struct builder builder = {.length = 0};

    build_gap(&builder, missed, away_ms);
    assert_true(slice_equals(builder_slice(&builder), slice_of(expected)));
}

static void gaps_in_words(void **state)
{
    (void)state;
    check_gap(0, 12000, "back after 12 s; nothing was missed");
    check_gap(1, 1499, "back after 1 s; 1 message was missed");
    check_gap(4, 61000, "back after 1 min 1 s; 4 messages were missed");
    check_gap(GAP_UNCOUNTED, 2 * 3600000 + 5 * 60000 + 59000,
              "back after 2 h 5 min; what was said meanwhile may have been "
              "missed");
    check_gap(7, 0,
              "7 messages were missed: they came faster than they could be "
              "read");
}

/* -- posts -- */

static void posts_are_taken_by_their_ticket(void **state)
{
    struct posts posts;
    struct post post;

    (void)state;
    posts_init(&posts);
    assert_false(posts_take(&posts, 1, &post));
    assert_true(posts_add(&posts, 1, 10, SLICE("tea"), SLICE("one")));
    assert_true(posts_add(&posts, 2, 20, SLICE("@bob"), SLICE("two")));
    assert_true(posts_add(&posts, 3, 30, SLICE("tea"), SLICE("three")));
    assert_int_equal(posts_late(&posts, 9), 0);
    assert_int_equal(posts_late(&posts, 20), 2);
    assert_true(posts_take(&posts, 2, &post));
    assert_string_equal(post.to, "@bob");
    assert_true(
        slice_equals((struct slice){post.text, post.length}, SLICE("two")));
    free(post.text);
    assert_false(posts_take(&posts, 2, &post));
    assert_int_equal(posts_late(&posts, 100), 2);
    alloc_fail_at(1);
    assert_false(posts_add(&posts, 4, 40, SLICE("tea"), SLICE("four")));
    assert_int_equal(posts.count, 2);
    posts_release(&posts);
}

static void posts_are_bounded(void **state)
{
    struct posts posts;

    (void)state;
    posts_init(&posts);
    for (uint64_t i = 0; i < POSTS_MAX; i++)
        assert_true(posts_add(&posts, i, i, SLICE("tea"), SLICE("x")));
    assert_false(posts_add(&posts, 99, 99, SLICE("tea"), SLICE("x")));
    posts_release(&posts);
    assert_int_equal(posts.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_fall_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trouble_stays_longer_than_what_is_well,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_notice_is_instead_of_conversations,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_topic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            in_whatever_columns_it_is_as_wide_as_they, set_up, tear_down),
        cmocka_unit_test(gaps_in_words),
        cmocka_unit_test(posts_are_taken_by_their_ticket),
        cmocka_unit_test(posts_are_bounded),
    };

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
