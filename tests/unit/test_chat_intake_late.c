/*
 * What comes while the session is paused, as an engine brings it that had
 * ordered it before: it waits in pieces, and then all of it is acted on in its
 * order, once, as if it had come later. And whatever becomes of the session,
 * its memory is given back.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

#include <stdio.h>
#include <string.h>

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

/* As an engine that had ordered it before: the next piece of what the client
 * has sent, whether or not it is read from. */
static void bring(struct client *client, size_t length)
{
    const char *from = client->in.data + client->in_from;
    enum verdict verdict;

    assert_true(length <= client->in.length - client->in_from);
    client->in_from += length;
    verdict = session_receive(client->session, from, length);
    client->reading = verdict == VERDICT_CONTINUE;
    assert_int_equal(session_paused(client->session), !client->reading);
}

/* All of it, in pieces of that length. */
static void bring_all(struct client *client, size_t piece)
{
    while (client->in_from < client->in.length && !client->closed) {
        size_t left = client->in.length - client->in_from;

        bring(client, left < piece ? left : piece);
    }
}

static uint64_t used_bytes(void)
{
    return engine.chat->budget.used_bytes;
}

/* What the chat of start_paused has when nothing happens. */
static uint64_t idle_bytes;

/* A client that has used up its rate, of one request a second. */
static struct client *start_paused(void)
{
    struct chat_config config = engine_config();
    struct client *client;

    config.rate_per_second = 1;
    engine_start(&config);
    client = client_connect();
    assert_non_null(client);
    client_tell(client, "/echo and all that is kept for it");
    engine_wait(60 * SECONDS);
    client_forget(client);
    idle_bytes = used_bytes();
    send_echoes(client, 0, 2);
    engine_run();
    expect_echoes(client, 0, 2);
    send_echoes(client, 2, 1);
    engine_run();
    assert_true(session_paused(client->session));
    return client;
}

static const char late_script[] = "/echo 3\n/echo 4\r\n\n"
                                  "/echo \xc3\xa4 \xe2\x82\xac\n"
                                  "/\n/echo 5\n";

/* One by one, as the rate has it, and no more. */
static void expect_late_script(struct client *client)
{
    static const char *const replies[] = {
        "2", "3", "4", "\xc3\xa4 \xe2\x82\xac", "! unknown-command", "5",
    };

    client_expect_nothing(client);
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        engine_wait(SECONDS - 1);
        client_expect_nothing(client);
        engine_wait(1);
        client_expect_start(client, replies[i]);
        client_expect_nothing(client);
    }
    engine_wait(10 * SECONDS);
    client_expect_nothing(client);
    assert_false(session_paused(client->session));
}

/* The first piece is of another length than the others. */
static void late_pieces(size_t first, size_t others)
{
    struct client *client = start_paused();

    client_send_bytes(client, late_script, sizeof(late_script) - 1);
    bring(client, first);
    bring_all(client, others);
    assert_true(used_bytes() > sizeof(late_script));
    expect_late_script(client);
    client_tell(client, "\r"); /* the decoder lets go of what it put together */
    engine_wait(60 * SECONDS);
    assert_int_equal(used_bytes(), idle_bytes);
    engine_stop();
}

static void test_late_pieces_of_every_length(void **state)
{
    (void)state;
    for (size_t length = 1; length < sizeof(late_script); length++) {
        late_pieces(length, length);
        late_pieces(length, sizeof(late_script));
    }
}

static void secure_echo(struct client *client, uint32_t id)
{
    char fields[32], text[16];
    int length = snprintf(text, sizeof(text), "echo %u", id);

    (void)snprintf(fields, sizeof(fields), ",\"id\":%u", id);
    secure_send(client, COMMAND, fields, text, (size_t)length);
}

/* So too what is no line, and comes to be acted on in several turns. */
static void late_messages(enum dialect dialect, size_t piece)
{
    struct chat_config config = engine_config();
    struct client *client;

    config.rate_per_second = 1;
    config.heartbeat_ns = 0;
    engine_start(&config);
    client = binary_open(dialect, "ann");
    for (uint32_t id = 1; id <= 8; id++) {
        if (dialect == DIALECT_FRAME)
            frame_command(client, id, "echo %u", id);
        else
            secure_echo(client, id);
        if (id == 3)
            engine_run();
    }
    assert_true(session_paused(client->session));
    bring_all(client, piece);
    engine_wait(20 * SECONDS);
    for (uint32_t id = 1; id <= 8; id++)
        client_expect(client, "REPLY %u: %u", id, id);
    client_expect_nothing(client);
    assert_false(session_paused(client->session));
    engine_stop();
}

static void test_late_messages(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        late_messages(DIALECT_FRAME, piece);
        late_messages(DIALECT_SECURE, piece * 7);
    }
}

/* The session goes on as soon as it may, and is read again, though more had
 * come than its next request: that is acted on before what it sends then. */
static void test_late_pieces_before_new_ones(void **state)
{
    struct client *client = start_paused();

    (void)state;
    client_send(client, "/echo 3");
    client_send_bytes(client, "/echo", 5);
    bring_all(client, 3);
    client_send_bytes(client, " 4\n", 3);
    send_echoes(client, 5, 2);
    engine_wait(2 * SECONDS);
    expect_echoes(client, 2, 2);
    client_expect_nothing(client);
    engine_wait(10 * SECONDS);
    expect_echoes(client, 4, 3);
    client_expect_nothing(client);
    engine_stop();
}

/* The end of the stream comes behind what is kept, the last line of which has
 * no end. */
static void test_end_behind_late_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 20; piece++) {
        struct client *client = start_paused();

        send_echoes(client, 3, 1);
        client_send_bytes(client, "/echo 4\r", 8);
        bring_all(client, piece);
        client_half_close(client);
        client->eof_told = true;
        session_eof(client->session);
        engine_wait(2 * SECONDS);
        expect_echoes(client, 2, 2);
        assert_false(client->closed);
        engine_wait(SECONDS);
        client_expect(client, "4");
        client_expect_nothing(client);
        assert_true(client->closed);
        assert_int_equal(engine_logged(" reason=eof "), 1);
        engine_stop();
    }
}

/* Behind /quit nothing counts, in whichever piece it is; and none is kept. */
static void test_quit_before_late_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 20; piece++) {
        struct client *client = start_paused();
        uint64_t used = used_bytes();

        client_send(client, "/quit");
        send_echoes(client, 3, 1000);
        bring_all(client, piece);
        assert_true(used_bytes() > used + 8000);
        engine_wait(SECONDS);
        client_expect(client, "2");
        client_expect_nothing(client);
        engine_wait(SECONDS - 1);
        client_expect_nothing(client);
        engine_wait(1);
        client_expect(client, "* bye");
        client_expect_nothing(client);
        assert_true(client->shut);
        assert_true(used_bytes() < used + 1000);
        send_echoes(client, 0, 10);
        bring_all(client, piece); /* it lingers */
        client_expect_nothing(client);
        engine_stop();
    }
}

/* Ways of ending while pieces wait. */
enum cause { CAUSE_RESET, CAUSE_SHUTDOWN, CAUSE_STALL, CAUSE_FREED_LATE };

static void end_with_late_pieces(enum cause cause)
{
    struct chat_config config = engine_config();
    struct client *client;

    config.stall_timeout_ns = 5 * SECONDS;
    engine_start(&config);
    client = client_open("ann");
    client_stall(client);
    send_echoes(client, 0, 15000);
    engine_run();
    assert_true(session_paused(client->session));
    send_echoes(client, 0, 1000);
    bring_all(client, 100);
    client->completes_late = cause == CAUSE_FREED_LATE;
    switch (cause) {
    case CAUSE_RESET:
        client_reset(client);
        break;
    case CAUSE_SHUTDOWN:
        engine_shutdown();
        client_unstall(client);
        break;
    case CAUSE_STALL:
        engine_wait(10 * SECONDS);
        break;
    case CAUSE_FREED_LATE:
        client->takes = 10;
        engine_turn();
        assert_int_not_equal(client->flying_count, 0);
        client_reset(client);
        break;
    }
    engine_wait(10 * SECONDS);
    assert_true(client->closed);
    engine_stop();
}

static void test_end_with_late_pieces(void **state)
{
    (void)state;
    for (enum cause cause = CAUSE_RESET; cause <= CAUSE_FREED_LATE; cause++)
        end_with_late_pieces(cause);
}

/* Without memory for the nth of them. */
static void late_pieces_fail_at(unsigned n)
{
    struct client *client = start_paused();
    struct client *bob = client_open("bob");

    engine_forget();
    send_echoes(client, 3, 10);
    alloc_fail_at(n);
    bring_all(client, 10);
    alloc_fail_at(0);
    assert_false(session_paused(client->session));
    engine_run();
    client_expect_start(client, "! internal session=");
    client_expect_nothing(client);
    assert_true(client->shut);
    assert_int_equal(engine_logged("no memory for what was received"), 1);
    client_tell(bob, "still here");
    client_expect_start(bob, "[lobby] * guest-");
    client_expect(bob, "[lobby] bob: still here");
    engine_stop();
}

static void test_no_memory_for_a_late_piece(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 8; n++)
        late_pieces_fail_at(n);
}

/* What it had sent before takes no memory any more when it is told that there
 * was none: its last word needs some. */
static void test_no_memory_is_told(void **state)
{
    struct client *client = start_paused();
    uint64_t used;

    (void)state;
    send_echoes(client, 3, 1);
    engine_wait(SECONDS);
    expect_echoes(client, 2, 1);
    used = used_bytes();
    engine.chat->budget.limit_bytes = used + 20000;
    send_echoes(client, 3, 10000);
    bring_all(client, 8);
    assert_false(session_paused(client->session));
    assert_true(used_bytes() < used + 1000);
    engine_run();
    client_expect_start(client, "! internal session=");
    assert_true(client->shut);
    engine.chat->budget.limit_bytes = UINT64_MAX / 2;
    engine_stop();
}

/* A client that does not read has been brought so many pieces of RECEIVE_BYTES_
 * MAX that wait. */
static struct client *start_with_large_pieces(size_t pieces, size_t *echoes)
{
    struct client *client;
    char text[4001];
    size_t count = pieces * RECEIVE_BYTES_MAX / 4000 + pieces;
    uint64_t used;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    engine_start_default();
    client = client_open("ann");
    engine_wait(60 * SECONDS);
    idle_bytes = used_bytes();
    client_stall(client);
    send_echoes(client, 0, 15000);
    engine_run();
    client_send_bytes(client, "\n", 1); /* whatever of the last was kept */
    assert_true(session_paused(client->session));
    for (size_t i = 0; i < count; i++)
        client_send(client, "/echo %zu %s", i, text);
    used = used_bytes();
    bring_all(client, RECEIVE_BYTES_MAX);
    assert_true(used_bytes() > used + pieces * RECEIVE_BYTES_MAX);
    *echoes = count;
    return client;
}

static void test_large_late_pieces(void **state)
{
    struct client *client;
    size_t count;

    (void)state;
    client = start_with_large_pieces(5, &count);
    client_unstall(client);
    assert_false(session_paused(client->session));
    expect_echoes(client, 0, 15000);
    for (size_t i = 0; i < count; i++) {
        char start[24];

        (void)snprintf(start, sizeof(start), "%zu x", i);
        client_expect_start(client, start);
    }
    client_expect_nothing(client);
    engine_wait(60 * SECONDS);
    assert_true(used_bytes() < idle_bytes + 2 * RECEIVE_BYTES_MAX);
    engine_stop();
}

/* Small pieces do not wait for a turn each: as much is acted on in one as one
 * receive may bring. */
static void test_small_late_pieces_wait_for_few_turns(void **state)
{
    struct client *client;
    uint64_t turns;

    (void)state;
    engine_start_default();
    client = client_open("ann");
    client_stall(client);
    send_echoes(client, 0, 15000);
    engine_run();
    assert_true(session_paused(client->session));
    bring_all(client, RECEIVE_BYTES_MAX);
    for (size_t i = 0; i < 4000; i++)
        client_send_bytes(client, "\n", 1);
    bring_all(client, 1);
    turns = engine.turns;
    client_unstall(client);
    assert_false(session_paused(client->session));
    assert_true(engine.turns < turns + 20);
    expect_echoes(client, 0, 15000);
    client_expect_nothing(client);
    engine_stop();
}

/* Others have their turn in between: no more of what waits is acted on at a
 * time than one receive may bring, though nothing else holds it up. */
static void test_late_pieces_take_turns(void **state)
{
    struct client *client = start_paused();
    uint64_t used, turns = 0;

    (void)state;
    for (size_t i = 0; i < 8 * (size_t)RECEIVE_BYTES_MAX; i++)
        client_send_bytes(client, "\n", 1); /* which count for no rate */
    bring_all(client, 1000);
    engine.now_ns += 2 * SECONDS;
    used = used_bytes();
    for (; session_paused(client->session); turns++) {
        engine.now_ns++;
        engine_turn();
        assert_true(used_bytes() + RECEIVE_BYTES_MAX * 11 / 10 >= used);
        used = used_bytes();
    }
    assert_in_range(turns, 7, 9);
    expect_echoes(client, 2, 1);
    client_expect_nothing(client);
    engine_stop();
}

/* No time runs for a frame that has begun meanwhile, before the session is read
 * from again. */
static void test_no_time_for_a_late_frame(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.rate_per_second = 0.1;
    config.heartbeat_ns = 0;
    config.frame_timeout_ns = 5 * SECONDS;
    engine_start(&config);
    client = binary_open(DIALECT_FRAME, "ann");
    for (uint32_t id = 1; id <= 3; id++)
        frame_command(client, id, "echo %u", id);
    engine_run();
    assert_true(session_paused(client->session));
    frame_command(client, 4, "echo 4");
    client->in.length = client->in_from + 4; /* the rest never comes */
    bring_all(client, 1);
    engine_wait(30 * SECONDS - 1);
    assert_true(session_paused(client->session));
    engine_wait(1);
    assert_false(session_paused(client->session));
    for (uint32_t id = 1; id <= 3; id++)
        client_expect(client, "REPLY %u: %u", id, id);
    engine_wait(5 * SECONDS - 1);
    client_expect_nothing(client);
    engine_wait(1);
    client_expect_start(client, "ERROR");
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_pieces_of_every_length),
        cmocka_unit_test(test_late_messages),
        cmocka_unit_test(test_late_pieces_before_new_ones),
        cmocka_unit_test(test_end_behind_late_pieces),
        cmocka_unit_test(test_quit_before_late_pieces),
        cmocka_unit_test(test_end_with_late_pieces),
        cmocka_unit_test(test_no_memory_for_a_late_piece),
        cmocka_unit_test(test_no_memory_is_told),
        cmocka_unit_test(test_large_late_pieces),
        cmocka_unit_test(test_small_late_pieces_wait_for_few_turns),
        cmocka_unit_test(test_late_pieces_take_turns),
        cmocka_unit_test(test_no_time_for_a_late_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
