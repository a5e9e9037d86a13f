/*
 * An application in the place of rooms: who is let in and told of as gone, once
 * each; what is said to it, and how that is answered.
 */
#include "tests/unit/support_chat_application.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- In and out ---------------------------------------------------------- */

static void test_each_dialect_is_welcomed(void **state)
{
    struct client *text, *frame, *secure;

    (void)state;
    desk_start_default();
    text = client_connect();
    engine_run();
    client_expect_start(text, "* welcome to ringchat, you are guest-");
    frame = binary_connect(DIALECT_FRAME);
    secure = binary_connect(DIALECT_SECURE);
    engine_run();
    assert_int_equal(visitor_count, 1); /* they have not said who they are */
    client_expect_start(frame, "SESSION_INIT ");
    client_expect_start(secure, "SESSION_INIT ");
    frame_hello(frame, "fred");
    secure_hello(secure, "sue", false);
    engine_run();
    client_expect(frame, "WELCOME fred desk");
    client_expect(secure, "WELCOME sue desk");
    clients_expect_nothing();
    assert_int_equal(visitor_count, 3);
    assert_true(slice_equals(application_nick(frame->session), SLICE("fred")));
    assert_int_equal(application_dialect(text->session), DIALECT_TEXT);
    assert_int_equal(application_dialect(secure->session), DIALECT_SECURE);
    assert_int_equal(application_worker(frame->session), frame->worker);
    desk_stop();
}

static void leave_by_eof(struct client *client)
{
    client_half_close(client);
}

static void leave_by_quit(struct client *client)
{
    client_send(client, "/quit");
}

static void leave_by_end(struct client *client)
{
    client_send(client, "end");
}

static void leave_by_error(struct client *client)
{
    client_send(client, "lagged");
}

static void leave_by_silence(struct client *client)
{
    (void)client;
    engine_wait(2 * SECONDS);
}

static void test_departures(void **state)
{
    static const struct {
        void (*leave)(struct client *);
        enum departure departure;
        enum error_code code;
        const char *last_word;
    } cases[] = {
        {leave_by_eof, DEPARTURE_END, ERROR_NONE, NULL},
        {leave_by_quit, DEPARTURE_QUIT, ERROR_NONE, "* bye"},
        {leave_by_end, DEPARTURE_CLOSED, ERROR_NONE, "* bye"},
        {leave_by_error, DEPARTURE_ERROR, ERROR_LAGGED, "! lagged"},
        {client_reset, DEPARTURE_RESET, ERROR_NONE, NULL},
        {leave_by_silence, DEPARTURE_ERROR, ERROR_TIMEOUT, "! timeout"},
    };
    struct chat_config config = desk_config();

    (void)state;
    config.idle_timeout_ns = SECONDS;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct client *client;

        desk_start(&config);
        client = client_open("ann");
        cases[i].leave(client);
        engine_wait(2 * SECONDS);
        if (cases[i].last_word)
            client_expect_start(client, cases[i].last_word);
        client_expect_nothing(client);
        assert_true(client->closed);
        expect_gone(&visitors[0], cases[i].departure, cases[i].code);
        desk_stop();
    }
}

static void test_departures_of_binary_peers(void **state)
{
    struct client *said, *ended;

    (void)state;
    desk_start_default();
    said = binary_open(DIALECT_FRAME, "ann");
    ended = binary_open(DIALECT_SECURE, "bob");
    frame_disconnect(said);
    secure_send(ended, MESSAGE, ",\"id\":5", "end", 3);
    engine_wait(2 * SECONDS);
    client_expect(said, "DISCONNECT 0");
    client_expect(ended, "ACK 5 seq=0");
    client_expect(ended, "DISCONNECT 0");
    clients_expect_nothing();
    expect_gone(&visitors[0], DEPARTURE_QUIT, ERROR_NONE);
    expect_gone(&visitors[1], DEPARTURE_CLOSED, ERROR_NONE);
    desk_stop();
}

/* Who has never been let in is not told of. */
static void test_strangers(void **state)
{
    struct client *frame;

    (void)state;
    desk_start_default();
    frame = binary_connect(DIALECT_FRAME);
    engine_run();
    client_half_close(frame);
    frame = binary_connect(DIALECT_FRAME);
    engine_wait(11 * SECONDS);
    client_expect_start(frame, "SESSION_INIT ");
    client_expect_start(frame, "ERROR 30 ");
    assert_int_equal(visitor_count, 0);
    desk_stop();
}

static void test_refused_at_the_door(void **state)
{
    struct client *text, *frame, *late;

    (void)state;
    desk_start_default();
    doors_are_shut = true;
    text = client_connect();
    engine_wait(2 * SECONDS);
    client_expect_start(text, "* welcome ");
    client_expect(text, "[desk] desk: closed today");
    client_expect(text, "* bye");
    frame = binary_connect(DIALECT_FRAME);
    engine_run();
    frame_hello(frame, "ann");
    engine_wait(2 * SECONDS);
    client_expect_start(frame, "SESSION_INIT ");
    client_expect(frame, "WELCOME ann desk");
    client_expect(frame, "MESSAGE 1 desk desk: closed today");
    client_expect(frame, "DISCONNECT 0");
    clients_expect_nothing();
    assert_true(text->closed && frame->closed);
    assert_int_equal(visitor_count, 0);
    doors_are_shut = false;
    late = binary_open(DIALECT_FRAME, "ann"); /* the nick is free */
    assert_ptr_equal(visitors[0].session, late->session);
    desk_stop();
}

/* ---- What is said to it -------------------------------------------------- */

static void test_messages(void **state)
{
    struct client *text, *frame;

    (void)state;
    desk_start_default();
    text = client_open("tess");
    frame = binary_open(DIALECT_FRAME, "fred");
    client_tell(text, "hello");
    assert_int_equal(last.kind, REQUEST_MESSAGE);
    assert_int_equal(last.target, TARGET_CURRENT);
    assert_string_equal(last_text, "hello");
    client_tell(text, "//hello");
    assert_string_equal(last_text, "/hello");
    frame_message(frame, 7, "#Desk", "in the room");
    engine_run();
    assert_string_equal(last_text, "in the room");
    assert_int_equal(last.id, 7);
    client_expect(frame, "ACK 7 seq=0");
    frame_message(frame, 8, "@tess", "in private");
    engine_run();
    assert_int_equal(last.target, TARGET_NICK);
    assert_string_equal(last_name, "tess");
    client_expect(frame, "ACK 8 seq=0");
    assert_int_equal(visitor_of(text)->heard, 2);
    assert_int_equal(visitor_of(frame)->heard, 2);
    assert_int_equal(engine_metrics().messages, 4);
    clients_expect_nothing();
    desk_stop();
}

/* There is one room; what cannot be a name is told apart. */
static void test_messages_elsewhere(void **state)
{
    struct client *frame;

    (void)state;
    desk_start_default();
    frame = binary_open(DIALECT_FRAME, "fred");
    frame_message(frame, 1, "lobby", "hello");
    frame_message(frame, 2, "desks", "hello");
    frame_message(frame, 3, "@1", "hello");
    frame_message(frame, 4, "@", "hello");
    frame_message(frame, 5, "my desk", "hello");
    frame_message(frame, 6, "#", "hello");
    engine_run();
    client_expect(frame, "ERROR 8 id=1 no-such-room");
    client_expect(frame, "ERROR 8 id=2 no-such-room");
    for (unsigned id = 3; id <= 6; id++)
        client_expect(frame, "ERROR 5 id=%u bad-name", id);
    client_expect_nothing(frame);
    assert_int_equal(visitor_of(frame)->heard, 0);
    desk_stop();
}

/* What is wrong never gets so far. */
static void test_bad_input(void **state)
{
    struct client *text;

    (void)state;
    desk_start_default();
    text = client_open("tess");
    client_tell(text, "bad \x01 text");
    client_expect_start(text, "! bad-text ");
    client_tell(text, "%05000d", 1);
    client_expect_start(text, "! line-too-long ");
    client_tell(text, "%s", "");
    client_tell(text, "/echo");
    client_expect(text, "! usage /echo TEXT");
    client_expect_nothing(text);
    assert_int_equal(visitor_of(text)->heard, 0);
    desk_stop();
}

static void test_answers(void **state)
{
    static const struct {
        const char *command;
        int result;
        const char *first, *second;
    } cases[] = {
        {"one", 0, "REPLY 9: one", NULL},
        {"two", 0, "REPLY 9 and more: one", "REPLY 9: two"},
        {"part", 0, "REPLY 9 and more: one", "REPLY 9"},
        {"three", -EINVAL, "REPLY 9: one", NULL},
        {"nothing", 0, "ERROR 3 id=9 unknown-command", NULL},
        {"tell", 0, "MESSAGE 0 @ desk: psst", "ERROR 3 id=9 unknown-command"},
        {"no", 0, "ERROR 50 id=9 unavailable not today", NULL},
        {"no, no", -EINVAL, "ERROR 4 id=9 usage not today", NULL},
        {"part and no", 0, "REPLY 9 and more: one",
         "ERROR 4 id=9 usage not today"},
        {"end", 0, "REPLY 9: bye", "DISCONNECT 0"},
        {"one and end", -EPIPE, "REPLY 9: one", "DISCONNECT 0"},
        {"lagged", 0, "ERROR 31 id=9 lagged you read too slowly", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct client *frame;

        desk_start_default();
        frame = binary_open(DIALECT_FRAME, "fred");
        frame_command(frame, 9, "%s", cases[i].command);
        engine_run();
        client_expect(frame, "%s", cases[i].first);
        if (cases[i].second)
            client_expect(frame, "%s", cases[i].second);
        client_expect_nothing(frame);
        assert_int_equal(last.kind, REQUEST_COMMAND);
        assert_int_equal(visitors[0].result, cases[i].result);
        desk_stop();
    }
}

/* A message has its ACK, or the error in place of it. */
static void test_answers_to_messages(void **state)
{
    struct client *frame;

    (void)state;
    desk_start_default();
    frame = binary_open(DIALECT_FRAME, "fred");
    frame_message(frame, 1, "", "say one");
    frame_message(frame, 2, "", "say two");
    frame_message(frame, 0, "", "nothing");
    frame_message(frame, 3, "", "no");
    frame_message(frame, 0, "", "no");
    engine_run();
    client_expect(frame, "MESSAGE 1 desk desk: one");
    client_expect(frame, "ACK 1 seq=1");
    client_expect(frame, "MESSAGE 2 desk desk: two");
    client_expect(frame, "ACK 2 seq=2");
    client_expect(frame, "ERROR 50 id=3 unavailable not today");
    client_expect(frame, "ERROR 50 id=0 unavailable not today");
    frame_message(frame, 4, "", "one"); /* replies are for commands */
    engine_run();
    assert_int_equal(visitor_of(frame)->result, -EINVAL);
    client_expect(frame, "ACK 4 seq=2");
    frame_message(frame, 5, "", "lagged");
    engine_run();
    client_expect_start(frame, "ERROR 31 id=5 lagged ");
    client_expect_nothing(frame);
    desk_stop();
}

/* Outside of `message`, or of somebody else, there is nothing to answer. */
static void test_answers_to_nothing(void **state)
{
    struct client *ann;

    (void)state;
    desk_start_default();
    ann = client_open("ann");
    assert_int_equal(desk_reply(ann->session, "one", false), -EINVAL);
    assert_int_equal(desk_refuse(ann->session, ERROR_USAGE), -EINVAL);
    client_tell(ann, "/one");
    client_expect(ann, "* one");
    assert_int_equal(desk_reply(ann->session, "one", false), -EINVAL);
    clients_expect_nothing();
    desk_stop();
}

/* ---- Commands that there are in any case ----------------------------------
 */

static void test_commands_that_stay(void **state)
{
    struct client *ann;

    (void)state;
    desk_start_default();
    ann = client_open("ann");
    client_tell(ann, "/echo  two words");
    client_expect(ann, " two words");
    client_tell(ann, "/time");
    client_expect_start(ann, "* time ");
    client_tell(ann, "/ping");
    client_expect_start(ann, "* pong rtt_us=");
    client_tell(ann, "/throughput");
    client_expect_start(ann, "* throughput in=");
    client_tell(ann, "/metrics");
    client_expect_start(ann, "* ");
    client_forget(ann);
    client_tell(ann, "/nick anna");
    client_expect(ann, "* you are now anna");
    assert_int_equal(visitor_of(ann)->heard, 0);
    client_tell(ann, "/quit");
    client_expect(ann, "* bye");
    client_expect_nothing(ann);
    desk_stop();
}

static void test_help(void **state)
{
    static const char *const offered[] = {
        "help", "time", "ping", "echo", "nick", "metrics", "throughput", "quit",
    };
    struct client *ann, *fred;

    (void)state;
    desk_start_default();
    ann = client_open("ann");
    fred = binary_open(DIALECT_FRAME, "fred");
    client_tell(ann, "/help");
    frame_command(fred, 1, "help");
    engine_run();
    for (size_t i = 0; i < ARRAY_LENGTH(offered); i++) {
        bool is_last = i + 1 == ARRAY_LENGTH(offered);
        char line[64];

        (void)snprintf(line, sizeof(line), "* /%s — ", offered[i]);
        client_expect_start(ann, line);
        (void)snprintf(line, sizeof(line), "REPLY 1%s: /%s — ",
                       is_last ? "" : " and more", offered[i]);
        client_expect_start(fred, line);
    }
    clients_expect_nothing();
    desk_stop();
}

/* Those of rooms are the application's, as all that it may know are; each with
 * the whole of its line. */
static void test_commands_of_rooms(void **state)
{
    static const char *const lines[] = {
        "join den", "leave", "rooms", "who", "msg bob hi  there", "topic x", "",
    };
    struct client *ann;

    (void)state;
    desk_start_default();
    ann = client_open("ann");
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        client_tell(ann, "/%s", lines[i]);
        client_expect(ann, "! unknown-command");
        assert_string_equal(last_text, lines[i]);
        assert_int_equal(visitor_of(ann)->heard, i + 1);
    }
    client_expect_nothing(ann);
    desk_stop();
}

/* Its name is nobody else's, and nicks are of all workers. */
static void test_nicks(void **state)
{
    struct client *ann, *bob;

    (void)state;
    desk_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(bob, "/nick ANN");
    client_expect(bob, "! nick-in-use ANN");
    client_tell(bob, "/nick Desk");
    client_expect(bob, "! nick-in-use Desk");
    client_tell(ann, "/nick zoe");
    client_expect(ann, "* you are now zoe");
    client_tell(bob, "/nick ann");
    client_expect(bob, "* you are now ann");
    assert_true(slice_equals(application_nick(bob->session), SLICE("ann")));
    clients_expect_nothing();
    desk_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_dialect_is_welcomed),
        cmocka_unit_test(test_departures),
        cmocka_unit_test(test_departures_of_binary_peers),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_refused_at_the_door),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_messages_elsewhere),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_answers_to_messages),
        cmocka_unit_test(test_answers_to_nothing),
        cmocka_unit_test(test_commands_that_stay),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_commands_of_rooms),
        cmocka_unit_test(test_nicks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
