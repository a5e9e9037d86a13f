/*
 * Private messages, and the bound on what a receiver may leave unread.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"

#include <string.h>

#define RECORD 4096

/* A command that becomes a record of RECORD bytes for who receives it. */
static void send_record(struct client *from, const char *to)
{
    static const char around[] = "(private) ann: \n";
    char text[RECORD - sizeof(around) + 2];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    client_tell(from, "/msg %s %s", to, text);
}

static void start(struct client **ann, struct client **bob)
{
    engine_start_default();
    *ann = client_open("ann");
    *bob = client_open("bob");
    engine_forget();
}

/* Sends until the receiver is busy; returns how many it took. */
static size_t fill(struct client *from, const char *to)
{
    size_t count = 0;

    for (;; count++) {
        const char *line;

        send_record(from, to);
        line = client_line(from);
        assert_non_null(line);
        if (strncmp(line, "! receiver-busy", 15) == 0)
            return count;
        assert_string_equal(line, "* sent to bob");
    }
}

/* At 256 KiB exactly one more is taken, above none. */
static void test_boundary(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(bob);
    assert_int_equal(fill(ann, "bob"), PRIVATE_UNREAD_MAX / RECORD + 1);
    assert_int_equal(session_unread(bob->session), PRIVATE_UNREAD_MAX + RECORD);
    bob->takes = RECORD - 1;
    engine_run();
    assert_int_equal(fill(ann, "bob"), 0);
    bob->takes = 1;
    engine_run();
    assert_int_equal(fill(ann, "bob"), 1);
    client_tell(ann, "/msg ann to another");
    client_expect(ann, "(private) ann: to another");
    client_expect(ann, "* sent to ann");
    client_unstall(bob);
    for (size_t i = 0; i < PRIVATE_UNREAD_MAX / RECORD + 2; i++)
        client_expect_start(bob, "(private) ann: xxx");
    client_expect_nothing(bob);
    send_record(ann, "bob");
    client_expect(ann, "* sent to bob");
    assert_int_equal(engine_metrics().errors, 3);
    engine_stop();
}

/* What waits in its rooms does not count. */
static void test_rooms_do_not_count(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(bob);
    for (size_t i = 0; i < 200; i++)
        client_tell(ann, "%02000d", 1);
    client_forget(ann);
    assert_int_equal(session_unread(bob->session), 0);
    send_record(ann, "bob");
    client_expect(ann, "* sent to bob");
    engine_stop();
}

/* A session that is not read from for its unread replies takes private
 * messages still, and what it is sent waits in its order. */
static void test_to_one_that_is_paused(void **state)
{
    struct client *ann, *bob;
    size_t echoes = 3000;

    (void)state;
    start(&ann, &bob);
    client_stall(bob);
    for (size_t i = 0; i < echoes; i++)
        client_send(bob, "/echo %050zu", i);
    engine_run();
    assert_true(session_paused(bob->session));
    client_tell(ann, "/msg bob one");
    client_tell(ann, "/msg bob two");
    client_expect(ann, "* sent to bob");
    client_expect(ann, "* sent to bob");
    client_unstall(bob);
    for (size_t i = 0, privates = 0; i < echoes + 2; i++) {
        const char *line = client_line(bob);

        assert_non_null(line);
        if (line[0] != '(')
            continue;
        assert_string_equal(line, privates++ ? "(private) ann: two"
                                             : "(private) ann: one");
    }
    client_expect_nothing(bob);
    engine_stop();
}

/* Private messages that it does not read stop a session from being read too,
 * until it reads them. */
static void test_unread_private_messages_pause(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(bob);
    fill(ann, "bob");
    client_tell(bob, "/echo later");
    assert_true(session_paused(bob->session));
    client_unstall(bob);
    while (client_unread(bob) > strlen("later\n"))
        client_expect_start(bob, "(private) ann: xxx");
    client_expect(bob, "later");
    engine_stop();
}

static void test_to_one_that_has_gone(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(bob);
    client_tell(ann, "hello");
    client_tell(bob, "/quit");
    engine_forget();
    client_tell(ann, "/msg bob hi");
    client_expect(ann, "! no-such-nick bob");
    client_unstall(bob);
    client_expect(bob, "[lobby] ann: hello");
    client_expect(bob, "* bye");
    client_expect_nothing(bob);
    engine_stop();
}

/* To somebody in no common room, and in none at all. */
static void test_without_a_room(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_tell(ann, "/leave");
    client_tell(bob, "/leave");
    engine_forget();
    client_tell(ann, "/msg bob hi");
    client_expect(ann, "* sent to bob");
    client_expect(bob, "(private) ann: hi");
    clients_expect_nothing();
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundary),
        cmocka_unit_test(test_rooms_do_not_count),
        cmocka_unit_test(test_to_one_that_is_paused),
        cmocka_unit_test(test_unread_private_messages_pause),
        cmocka_unit_test(test_to_one_that_has_gone),
        cmocka_unit_test(test_without_a_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
