/*
 * Conversations: which there are, which gives way, what is unread, who is
 * there.
 */
#include "client/conversation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"

#include <stdio.h>
#include <string.h>

static struct conversations *all;

static int set_up(void **state)
{
    (void)state;
    all = conversations_create();
    return all ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    conversations_destroy(all);
    return 0;
}

static struct conversation *make(const char *name)
{
    struct conversation *made = conversation_make(all, slice_of(name));

    assert_non_null(made);
    return made;
}

static void names(void **state)
{
    static const char *const bad[] = {"",
                                      "@",
                                      "tea room",
                                      "@2bob",
                                      "#tea",
                                      "t\xC3\xA9",
                                      "@abcdefghijklmnopqrstuvwxy",
                                      "123456789012345678901234567890123"};
    struct conversation *tea;

    (void)state;
    tea = make("Tea");
    assert_ptr_equal(make("tEA"), tea);
    assert_ptr_equal(conversation_find(all, SLICE("tea")), tea);
    assert_string_equal(tea->name, "Tea");
    assert_null(conversation_find(all, SLICE("te")));
    assert_false(conversation_is_private(tea));
    assert_true(conversation_is_private(make("@abcdefghijklmnopqrstuvwx")));
    (void)make("12345678901234567890123456789012");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_null(conversation_make(all, slice_of(bad[i])));
    assert_int_equal(conversations_count(all), 3);
}

static void the_first_is_shown_and_its_neighbour_after_it(void **state)
{
    struct conversation *a, *b, *c;

    (void)state;
    assert_null(conversations_shown(all));
    assert_null(conversations_unread(all));
    a = make("a");
    b = make("b");
    c = make("c");
    assert_ptr_equal(conversations_shown(all), a);
    conversations_show(all, b);
    conversation_close(all, b);
    assert_ptr_equal(conversations_shown(all), a);
    conversation_close(all, a);
    assert_ptr_equal(conversations_shown(all), c);
    assert_int_equal(conversation_index(all, c), 0);
    conversation_close(all, c);
    assert_null(conversations_shown(all));
}

static void what_is_unread(void **state)
{
    struct conversation *a = make("a"), *b = make("b"), *c = make("c"),
                        *d = make("@d");

    (void)state;
    conversation_said(all, a, true); /* it is shown */
    assert_int_equal(a->unread, 0);
    conversation_said(all, b, false);
    conversation_said(all, c, false);
    assert_ptr_equal(conversations_unread(all), b);
    conversation_said(all, d, true);
    conversation_said(all, d, true);
    assert_ptr_equal(conversations_unread(all), d);
    assert_int_equal(d->unread, 2);
    assert_int_equal(d->addressed, 2);
    conversations_show(all, d);
    assert_int_equal(d->unread, 0);
    assert_int_equal(d->addressed, 0);
    assert_ptr_equal(conversations_unread(all), b);
    conversations_show(all, b);
    assert_ptr_equal(conversations_unread(all), c);
    conversations_show(all, c);
    assert_null(conversations_unread(all));
}

/* Fills all places but those that there are. */
static void fill(const char *prefix)
{
    char name[32];

    for (size_t i = conversations_count(all); i < CONVERSATIONS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "%s%zu", prefix, i);
        make(name)->heard_us = 100 + i;
    }
}

static void who_gives_way(void **state)
{
    struct conversation *room = make("room"), *left = make("left"),
                        *unread = make("@unread"), *old = make("@old");

    (void)state;
    room->is_member = true;
    room->heard_us = left->heard_us = unread->heard_us = 1;
    old->heard_us = 2;
    conversations_show(all, room);
    conversation_said(all, unread, true);
    fill("@n");
    (void)make("@new1");
    assert_null(conversation_find(all, SLICE("left")));
    conversation_find(all, SLICE("@new1"))->heard_us = 1000;
    (void)make("@new2");
    assert_null(conversation_find(all, SLICE("@old")));
    assert_non_null(conversation_find(all, SLICE("@unread")));
    assert_non_null(conversation_find(all, SLICE("room")));
    assert_int_equal(conversations_count(all), CONVERSATIONS_MAX);
}

static void none_gives_way(void **state)
{
    (void)state;
    fill("r");
    for (size_t i = 0; i < CONVERSATIONS_MAX; i++)
        conversations_at(all, i)->is_member = true;
    assert_null(conversation_make(all, SLICE("one-more")));
    assert_int_equal(conversations_count(all), CONVERSATIONS_MAX);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        alloc_fail_at(i);
        assert_null(conversation_make(all, SLICE("a")));
        assert_int_equal(conversations_count(all), 0);
    }
    alloc_fail_at(1);
    assert_null(conversations_create());
    conversations_destroy(NULL);
}

static void topics_are_cut_at_a_character(void **state)
{
    struct conversation *tea = make("tea");
    char topic[TOPIC_BYTES_MAX + 2];

    (void)state;
    (void)memset(topic, 'x', sizeof(topic));
    topic[TOPIC_BYTES_MAX - 1] = '\xE6';
    topic[TOPIC_BYTES_MAX] = '\xBC';
    topic[TOPIC_BYTES_MAX + 1] = '\xA2';
    conversation_set_topic(tea, (struct slice){topic, sizeof(topic)});
    assert_int_equal(tea->topic_length, TOPIC_BYTES_MAX - 1);
    conversation_set_topic(tea, (struct slice){topic, TOPIC_BYTES_MAX - 1});
    assert_int_equal(tea->topic_length, TOPIC_BYTES_MAX - 1);
    conversation_set_topic(tea, (struct slice){NULL, 0});
    assert_int_equal(tea->topic_length, 0);
}

static void who_is_addressed(void **state)
{
    static const struct {
        const char *text;
        bool addressed;
    } cases[] = {{"bob", true},         {"BOB: hello", true},
                 {"hello bob", true},   {"hello, bob's", true},
                 {"(bob)", true},       {"bobby", false},
                 {"abob", false},       {"bob-2", false},
                 {"b\u00F6bob", false}, {"bob\u00E9", false},
                 {"bobby bob", true},   {"bo", false},
                 {"", false},           {"@bob", true},
                 {"bob_", false},       {"1bob", false},
                 {"\u6F22 bob!", true}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (is_addressed(slice_of(cases[i].text), SLICE("Bob")) !=
            cases[i].addressed)
            fail_msg("%s", cases[i].text);
    }
    assert_false(is_addressed(SLICE("hello"), SLICE("")));
}

/* -- who is there -- */

static void check_nicks(struct nicks *nicks, const char *expected)
{
    struct slice listed[8];
    char text[256] = "";
    size_t count = nicks_list(nicks, listed, 8);

    for (size_t i = 0; i < count; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
                       "%.*s ", (int)listed[i].length, listed[i].bytes);
    assert_string_equal(text, expected);
}

static void who_spoke_last_is_first(void **state)
{
    struct nicks *nicks = nicks_create();

    (void)state;
    assert_non_null(nicks);
    check_nicks(nicks, "");
    nicks_add(nicks, SLICE("dave"), 0);
    nicks_add(nicks, SLICE("bob"), 0);
    nicks_add(nicks, SLICE("bobby"), 0);
    nicks_add(nicks, SLICE("carol"), 5);
    nicks_add(nicks, SLICE("alice"), 3);
    check_nicks(nicks, "carol alice bob bobby dave ");
    nicks_add(nicks, SLICE("Dave"), 9);
    nicks_add(nicks, SLICE("carol"), 0); /* it spoke nevertheless */
    nicks_remove(nicks, SLICE("ALICE"));
    nicks_remove(nicks, SLICE("erin"));
    nicks_remove(nicks, SLICE("a name that is far too long to be a nick"));
    nicks_add(nicks, SLICE("a name that is far too long to be a nick"), 10);
    nicks_add(nicks, SLICE(""), 10);
    check_nicks(nicks, "Dave carol bob bobby ");
    nicks_destroy(nicks);
    nicks_destroy(NULL);
}

static void who_is_not_listed_is_gone(void **state)
{
    struct nicks *nicks = nicks_create();

    (void)state;
    assert_non_null(nicks);
    nicks_settle(nicks);
    nicks_add(nicks, SLICE("alice"), 3);
    nicks_add(nicks, SLICE("bob"), 0);
    nicks_add(nicks, SLICE("carol"), 5);
    nicks_settle(nicks);
    nicks_doubt(nicks);
    check_nicks(nicks, "carol alice bob ");
    nicks_add(nicks, SLICE("alice"), 0);
    nicks_add(nicks, SLICE("dave"), 0);
    nicks_settle(nicks);
    check_nicks(nicks, "alice dave ");
    nicks_doubt(nicks);
    nicks_settle(nicks);
    check_nicks(nicks, "");
    nicks_destroy(nicks);
}

static void who_was_silent_longest_is_forgotten(void **state)
{
    struct nicks *nicks = nicks_create();
    static struct slice listed[NICKS_MAX + 1];
    char nick[16];

    (void)state;
    assert_non_null(nicks);
    for (unsigned i = 0; i <= NICKS_MAX; i++) {
        (void)snprintf(nick, sizeof(nick), "n%u", i);
        nicks_add(nicks, slice_of(nick), i == 7 ? 1 : i + 2);
    }
    assert_int_equal(nicks_list(nicks, listed, NICKS_MAX + 1), NICKS_MAX);
    for (size_t i = 0; i < NICKS_MAX; i++)
        assert_false(slice_equals(listed[i], SLICE("n7")));
    nicks_destroy(nicks);
}

static void without_memory_nobody_is_known(void **state)
{
    struct nicks *nicks;

    (void)state;
    alloc_fail_at(1);
    assert_null(nicks_create());
    nicks = nicks_create();
    assert_non_null(nicks);
    alloc_fail_at(1);
    nicks_add(nicks, SLICE("bob"), 1);
    check_nicks(nicks, "");
    nicks_add(nicks, SLICE("bob"), 1);
    check_nicks(nicks, "bob ");
    nicks_destroy(nicks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            the_first_is_shown_and_its_neighbour_after_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_unread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_gives_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_gives_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_there_is_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topics_are_cut_at_a_character, set_up,
                                        tear_down),
        cmocka_unit_test(who_is_addressed),
        cmocka_unit_test(who_spoke_last_is_first),
        cmocka_unit_test(who_is_not_listed_is_gone),
        cmocka_unit_test(who_was_silent_longest_is_forgotten),
        cmocka_unit_test(without_memory_nobody_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
