/*
 * What comes in: however it is cut, all of it is acted on in its order; and
 * when it may not be yet (the rate, replies that are not read), it waits and
 * nothing is lost, while no deadline runs against the peer.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"

#include <stdio.h>
#include <string.h>

static struct client *start_with_rate(double rate)
{
    struct chat_config config = engine_config();
    struct client *client;

    config.rate_per_second = rate;
    engine_start(&config);
    client = client_connect();
    assert_non_null(client);
    engine_run();
    client_forget(client);
    return client;
}

static void send_echoes(struct client *client, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++)
        client_send(client, "/echo %zu", i);
}

static void expect_echoes(struct client *client, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++)
        client_expect(client, "%zu", i);
}

/* ---- Pieces ------------------------------------------------------------- */

static void test_every_piece_length(void **state)
{
    static const char script[] = "/nick Ann\nhello\r\n\n/echo a b\n"
                                 "\xc3\xa4\n//x\n/topic t\nlast";
    struct client *client;

    (void)state;
    for (size_t piece = 1; piece < sizeof(script); piece++) {
        engine_start_default();
        client = client_open("ann");
        client->receive_max = piece;
        client_send_bytes(client, script, sizeof(script) - 1);
        client_half_close(client);
        engine_run();
        assert_true(client->closed);
        assert_false(client->shut);
        /* Replies may come before what was in the room. */
        for (size_t i = 0; i < 9; i++)
            assert_non_null(client_line(client));
        client_expect_nothing(client);
        engine_stop();
    }
}

static void test_last_line_without_end(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_send_bytes(ann, "one\ntwo\r", 8);
    client_half_close(ann);
    engine_run();
    client_expect(ann, "[lobby] ann: one");
    client_expect(ann, "[lobby] ann: two");
    client_expect_nothing(ann);
    assert_true(ann->closed);
    client_expect(bob, "[lobby] ann: one");
    client_expect(bob, "[lobby] ann: two");
    client_expect(bob, "[lobby] * ann left");
    engine_stop();
}

/* The last line may be wrong, too long or the end itself. */
static void last_line(const char *line, size_t length, const char *reply)
{
    struct client *client;

    engine_start_default();
    client = client_connect();
    client_send_bytes(client, line, length);
    client_half_close(client);
    engine_run();
    client_expect_start(client, "* welcome");
    client_expect_start(client, reply);
    client_expect_nothing(client);
    assert_true(client->closed);
    engine_stop();
}

static void test_last_line_of_any_kind(void **state)
{
    static char line[4098];

    (void)state;
    memset(line, 'x', sizeof(line));
    last_line("/echo hi", 8, "hi");
    last_line("/", 1, "! unknown-command");
    last_line("/quit", 5, "* bye");
    last_line("a\x01", 2, "! bad-text");
    last_line("GET / HTTP/1.1", 14, "! wrong-protocol");
    last_line(line, 4096, "[lobby] guest-");
    last_line(line, 4097, "! line-too-long");
    line[4096] = '\r';
    last_line(line, 4097, "[lobby] guest-");
    line[4096] = 'x';
    line[4097] = '\r';
    last_line(line, 4098, "! line-too-long");
}

/* ---- Unread replies ----------------------------------------------------- */

static void test_unread_replies_pause(void **state)
{
    struct client *ann, *bob;
    size_t count = 40000;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_stall(ann);
    send_echoes(ann, 0, count);
    engine_run();
    assert_true(session_paused(ann->session));
    assert_true(session_unread(ann->session) > REPLIES_UNREAD_MAX);
    assert_true(session_unread(ann->session) < REPLIES_UNREAD_MAX + 10);
    /* What was not received yet stays with the peer. */
    assert_true(ann->in.length - ann->in_from > (size_t)MIB / 8);
    client_tell(bob, "not disturbed");
    client_expect(bob, "[lobby] bob: not disturbed");
    client_unstall(ann);
    assert_false(session_paused(ann->session));
    for (size_t i = 0; i < count;) {
        const char *line = client_line(ann);
        char expected[24];

        assert_non_null(line);
        (void)snprintf(expected, sizeof(expected), "%zu", i);
        if (line[0] == '[')
            continue;
        assert_string_equal(line, expected);
        i++;
    }
    engine_stop();
}

/* The peer takes a little at a time: read from again whenever it may be. */
static void trickle(uint64_t bytes, size_t receive_max)
{
    struct client *client;
    size_t count = 12000;

    engine_start_default();
    client = client_open("ann");
    client->receive_max = receive_max;
    client_stall(client);
    send_echoes(client, 0, count);
    while (client_unread(client) < count * 5) {
        client->takes += bytes;
        engine_run();
        if (session_unread(client->session) > REPLIES_UNREAD_MAX)
            assert_true(session_paused(client->session));
        if (client->in_from == client->in.length && client->takes > 0)
            break;
        assert_true(session_unread(client->session) < REPLIES_UNREAD_MAX + 10);
    }
    client_unstall(client);
    expect_echoes(client, 0, count);
    client_expect_nothing(client);
    engine_stop();
}

static void test_read_again_as_it_reads(void **state)
{
    (void)state;
    trickle(100, 100);
    trickle(997, RECEIVE_BYTES_MAX);
    trickle(10000, 4096);
    trickle(70000, RECEIVE_BYTES_MAX);
}

/* One command may make more replies than may be unread. */
static void test_one_large_reply(void **state)
{
    struct client *client;

    (void)state;
    engine_start_default();
    clients_connect(1000);
    client = &engine.clients[0];
    client_stall(client);
    for (size_t i = 0; i < 20; i++)
        client_send(client, "/who");
    send_echoes(client, 0, 3);
    engine_run();
    assert_true(session_paused(client->session));
    client_unstall(client);
    for (size_t i = 0; i < 20; i++) {
        for (size_t j = 0; j < 1000; j++)
            client_expect_start(client, "* guest-");
        client_expect(client, "* end of who");
    }
    expect_echoes(client, 0, 3);
    client_expect_nothing(client);
    engine_stop();
}

/* ---- Rate --------------------------------------------------------------- */

/* A burst of twice the rate, then one at a time; nothing is lost. */
static void rate_of(double rate, size_t receive_max)
{
    struct client *client = start_with_rate(rate);
    size_t burst = rate > 0.5 ? (size_t)(2 * rate) : 1;
    uint64_t interval = (uint64_t)((double)SECONDS / rate);
    size_t count = burst + 20;

    client->receive_max = receive_max;
    send_echoes(client, 0, count);
    engine_run();
    expect_echoes(client, 0, burst);
    client_expect_nothing(client);
    assert_true(session_paused(client->session));
    for (size_t i = burst; i < count; i++) {
        engine_wait(interval - 1);
        client_expect_nothing(client);
        engine_wait(1);
        client_expect(client, "%zu", i);
        client_expect_nothing(client);
    }
    assert_true(session_paused(client->session));
    engine_wait(interval);
    assert_false(session_paused(client->session));
    engine_stop();
}

static void test_rate(void **state)
{
    (void)state;
    rate_of(5, RECEIVE_BYTES_MAX);
    rate_of(5, 1);
    rate_of(1, 7);
    rate_of(0.5, RECEIVE_BYTES_MAX);
    rate_of(0.1, RECEIVE_BYTES_MAX);
    rate_of(1000, 100);
}

/* Who has been silent has its burst again; who talks at the rate never waits.
 */
static void test_burst_comes_back(void **state)
{
    struct client *client = start_with_rate(5);

    (void)state;
    for (size_t round = 0; round < 3; round++) {
        send_echoes(client, 0, 10);
        engine_run();
        expect_echoes(client, 0, 10);
        engine_wait(2 * SECONDS);
    }
    for (size_t i = 0; i < 50; i++) {
        send_echoes(client, i, 1);
        engine_wait(SECONDS / 5);
        client_expect(client, "%zu", i);
    }
    send_echoes(client, 0, 10);
    engine_run();
    expect_echoes(client, 0, 10);
    client_expect_nothing(client);
    engine_stop();
}

/* Messages, commands and errors count, empty lines do not. */
static void test_what_counts(void **state)
{
    struct client *client = start_with_rate(2);

    (void)state;
    for (size_t i = 0; i < 100; i++)
        client_send(client, "%s", i & 1 ? "\r" : "");
    client_tell(client, "/unknown");
    client_tell(client, "a\x01");
    client_send(client, "/leave");
    client_tell(client, "to no room");
    client_expect_start(client, "! unknown-command");
    client_expect_start(client, "! bad-text");
    client_expect(client, "* left lobby");
    client_expect_start(client, "! no-room");
    client_tell(client, "/echo 5");
    client_expect_nothing(client);
    engine_wait(SECONDS / 2);
    client_expect(client, "5");
    engine_stop();
}

static void test_rate_of_one_is_no_others(void **state)
{
    struct client *ann = start_with_rate(1);
    struct client *bob = client_connect();

    (void)state;
    send_echoes(ann, 0, 10);
    engine_run();
    assert_true(session_paused(ann->session));
    client_forget(bob);
    client_tell(bob, "hello");
    client_expect_start(bob, "[lobby] guest-");
    expect_echoes(ann, 0, 2);
    client_expect_start(ann, "[lobby] * guest-");
    client_expect_start(ann, "[lobby] guest-");
    engine_stop();
}

/* It ends while it waits: what was sent before is acted on, at the rate. */
static void end_while_paused(bool told)
{
    struct client *client = start_with_rate(1);

    send_echoes(client, 0, 4);
    client_send_bytes(client, "/echo 4", 7);
    client_half_close(client);
    engine_run();
    expect_echoes(client, 0, 2);
    assert_true(session_paused(client->session));
    if (told) {
        /* An engine may see the end of a stream that it does not read. */
        client->eof_told = true;
        session_eof(client->session);
    }
    for (size_t i = 2; i < 4; i++) {
        engine_wait(SECONDS);
        client_expect(client, "%zu", i);
    }
    assert_false(client->closed);
    engine_wait(SECONDS);
    client_expect(client, "4");
    client_expect_nothing(client);
    assert_true(client->closed);
    assert_int_equal(engine_logged(" reason=eof "), 1);
    engine_stop();
}

static void test_end_while_paused(void **state)
{
    (void)state;
    end_while_paused(false);
    end_while_paused(true);
}

/* As above, with /quit in what waits. */
static void test_quit_while_paused(void **state)
{
    struct client *client = start_with_rate(1);

    (void)state;
    send_echoes(client, 0, 2);
    client_send(client, "/quit");
    send_echoes(client, 3, 10);
    engine_run();
    expect_echoes(client, 0, 2);
    client_expect_nothing(client);
    engine_wait(SECONDS);
    client_expect(client, "* bye");
    client_expect_nothing(client);
    assert_true(client->shut);
    engine_wait(SECONDS);
    assert_true(client->closed);
    engine_stop();
}

/* Both at once: over its rate, and not reading. */
static void test_rate_and_unread_replies(void **state)
{
    struct client *client = start_with_rate(10);
    char text[4001];
    size_t count = 60;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    client_stall(client);
    for (size_t i = 0; i < count; i++)
        client_send(client, "/echo %zu %s", i, text);
    engine_wait(30 * SECONDS);
    assert_true(session_paused(client->session));
    assert_true(session_unread(client->session) > REPLIES_UNREAD_MAX);
    assert_true(session_unread(client->session) < REPLIES_UNREAD_MAX + 4096);
    client_unstall(client);
    engine_wait(10 * SECONDS);
    for (size_t i = 0; i < count; i++)
        client_expect(client, "%zu %s", i, text);
    client_expect_nothing(client);
    engine_stop();
}

/* ---- Deadlines stand still ---------------------------------------------- */

/* Waits longer for its rate than it may be idle; then as long as it had left.
 */
static void test_no_idle_time_while_paused(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.rate_per_second = 0.1;
    config.idle_timeout_ns = 5 * SECONDS;
    engine_start(&config);
    client = client_connect();
    engine_run();
    client_forget(client);
    send_echoes(client, 0, 5);
    engine_wait(49 * SECONDS);
    expect_echoes(client, 0, 5);
    client_expect_nothing(client);
    assert_true(session_paused(client->session));
    engine_wait(SECONDS);
    assert_false(session_paused(client->session));
    engine_wait(5 * SECONDS - 1);
    client_expect_nothing(client);
    engine_wait(1);
    client_expect_start(client, "! timeout");
    engine_stop();
}

/* Paused for what it does not read: no idle time-out, but one for that. */
static void test_no_idle_time_while_unread(void **state)
{
    struct chat_config config = engine_config();
    struct client *ann, *bob;

    (void)state;
    config.idle_timeout_ns = 100 * SECONDS;
    config.stall_timeout_ns = 1000 * SECONDS;
    engine_start(&config);
    ann = client_open("ann");
    bob = client_open("bob");
    client_stall(ann);
    engine_wait(90 * SECONDS);
    /* The last line that is acted on resets the time. */
    send_echoes(ann, 0, 15000);
    engine_run();
    client_tell(bob, "/echo I live");
    engine_wait(99 * SECONDS);
    client_tell(bob, "/echo I live");
    engine_wait(99 * SECONDS);
    assert_true(session_paused(ann->session));
    client_unstall(ann);
    assert_false(session_paused(ann->session));
    engine_wait(100 * SECONDS - 1);
    assert_false(ann->shut);
    engine_wait(1);
    assert_true(ann->shut);
    engine_stop();
}

/* What had passed when the pause began has passed when it ends. */
static void test_time_goes_on_where_it_stood(void **state)
{
    struct chat_config config = engine_config();
    struct client *ann, *bob;

    (void)state;
    config.idle_timeout_ns = 100 * SECONDS;
    config.stall_timeout_ns = 0;
    engine_start(&config);
    ann = client_open("ann");
    bob = client_open("bob");
    client_stall(ann);
    engine_wait(70 * SECONDS);
    /* More than may be unread comes from bob; ann's next bytes wait. */
    for (size_t i = 0; i < 20; i++)
        client_tell(bob, "/msg ann %04000d", 1);
    client_send_bytes(ann, "par", 3);
    engine_run();
    assert_true(session_paused(ann->session));
    for (size_t i = 0; i < 10; i++) {
        engine_wait(90 * SECONDS);
        client_tell(bob, "/echo I live");
    }
    client_unstall(ann);
    assert_false(session_paused(ann->session));
    engine_wait(30 * SECONDS - 1);
    assert_false(ann->shut);
    engine_wait(1);
    assert_true(ann->shut);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_piece_length),
        cmocka_unit_test(test_last_line_without_end),
        cmocka_unit_test(test_last_line_of_any_kind),
        cmocka_unit_test(test_unread_replies_pause),
        cmocka_unit_test(test_read_again_as_it_reads),
        cmocka_unit_test(test_one_large_reply),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_burst_comes_back),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_rate_of_one_is_no_others),
        cmocka_unit_test(test_end_while_paused),
        cmocka_unit_test(test_quit_while_paused),
        cmocka_unit_test(test_rate_and_unread_replies),
        cmocka_unit_test(test_no_idle_time_while_paused),
        cmocka_unit_test(test_no_idle_time_while_unread),
        cmocka_unit_test(test_time_goes_on_where_it_stood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
