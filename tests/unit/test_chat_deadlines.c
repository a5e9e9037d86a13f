/*
 * The time-outs, each to the nanosecond: one before it nothing has happened,
 * at it has. chat_deadline names each, or the engine would sleep through it.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"

#include <string.h>

static void start(struct client **ann, struct client **bob)
{
    engine_start_default();
    *ann = client_open("ann");
    *bob = client_open("bob");
    engine_forget();
}

/* ---- Idle --------------------------------------------------------------- */

static void test_idle(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    engine_wait(100 * SECONDS);
    client_tell(bob, "/echo I live");
    client_forget(bob);
    engine_wait(500 * SECONDS - 1);
    client_expect_nothing(ann);
    engine_wait(1);
    client_expect_start(ann, "! timeout");
    client_expect_nothing(ann);
    assert_true(ann->shut);
    client_expect(bob, "[lobby] * ann left");
    engine_wait(LINGER_NS - 1);
    assert_false(ann->closed);
    engine_wait(1);
    assert_true(ann->closed);
    assert_int_equal(engine_logged(" reason=timeout "), 1);
    engine_wait(99 * SECONDS - 1);
    client_expect_nothing(bob);
    engine_wait(1);
    client_expect_start(bob, "! timeout");
    engine_stop();
}

/* Any whole line counts, an empty one too; part of one does not. */
static void test_what_is_heard(void **state)
{
    static const char *const lines[] = {"", "hello", "/unknown", "a\x01"};
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        engine_wait(599 * SECONDS);
        client_tell(ann, "%s", lines[i]);
        client_tell(bob, "%s", "");
    }
    for (size_t i = 0; i < 6; i++) {
        engine_wait(99 * SECONDS);
        client_send_bytes(ann, "x", 1);
        engine_run();
    }
    assert_false(ann->shut);
    engine_wait(6 * SECONDS - 1);
    assert_false(ann->shut);
    engine_wait(1);
    assert_true(ann->shut);
    engine_stop();
}

static void test_no_time_outs(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.idle_timeout_ns = config.stall_timeout_ns = 0;
    engine_start(&config);
    client = client_open("ann");
    assert_true(chat_deadline(engine.chat) == UINT64_MAX);
    client_stall(client);
    client_tell(client, "hello");
    assert_true(chat_deadline(engine.chat) == UINT64_MAX);
    engine_wait(1000000 * SECONDS);
    assert_false(client->closed || client->shut);
    client_unstall(client);
    client_expect(client, "[lobby] ann: hello");
    engine_stop();
}

/* ---- Stall -------------------------------------------------------------- */

/* It takes nothing for a minute; the error is then offered for a second. */
static void test_stall(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    engine_wait(10 * SECONDS);
    client_tell(bob, "hello");
    engine_wait(60 * SECONDS - 1);
    assert_int_equal(engine_logged("error=timeout"), 0);
    engine_wait(1);
    assert_int_equal(engine_logged("error=timeout"), 1);
    client_expect(bob, "[lobby] bob: hello");
    client_expect(bob, "[lobby] * ann left");
    engine_wait(LINGER_NS - 1);
    assert_false(ann->closed);
    engine_wait(1);
    assert_true(ann->closed);
    client_expect_nothing(ann);
    assert_int_equal(engine_logged(" reason=timeout "), 1);
    engine_stop();
}

/* While nobody sends to it, it cannot take anything. */
static void test_stall_while_away(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    client_tell(bob, "hello");
    engine_wait(10 * SECONDS);
    engine.now_ns += 100 * SECONDS;
    engine_was_away(100 * SECONDS);
    engine_wait(50 * SECONDS - 1);
    assert_int_equal(engine_logged("error=timeout"), 0);
    engine_wait(1);
    assert_int_equal(engine_logged("error=timeout"), 1);
    engine_stop();
}

/* That it is tried again is no progress. */
static void test_trying_is_no_progress(void **state)
{
    struct client *ann, *bob;
    struct iovec vectors[2];

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    client_tell(bob, "hello");
    for (unsigned i = 0; i < 59; i++) {
        engine_wait(SECONDS);
        assert_int_equal(session_pending(ann->session, vectors, 2), 1);
        session_sent(ann->session, 0);
    }
    assert_int_equal(engine_logged("error=timeout"), 0);
    engine_wait(SECONDS);
    assert_int_equal(engine_logged("error=timeout"), 1);
    engine_stop();
}

/* Every byte that it takes counts. */
static void test_progress_is_no_stall(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    client_tell(bob, "a rather slow reader");
    for (size_t i = 0; i < 8; i++) {
        engine_wait(60 * SECONDS - 1);
        ann->takes = 1;
        engine_run();
    }
    assert_int_equal(engine_logged("error=timeout"), 0);
    client_unstall(ann);
    client_expect(ann, "[lobby] bob: a rather slow reader");
    engine_wait(70 * SECONDS);
    assert_false(ann->closed || ann->shut);
    engine_stop();
}

/* In the second that the error is offered the peer wakes up. */
static void test_wakes_up_in_time(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    client_tell(bob, "hello");
    engine_wait(60 * SECONDS + LINGER_NS - 1);
    client_unstall(ann);
    client_expect(ann, "[lobby] bob: hello");
    client_expect_start(ann, "! timeout");
    client_expect_nothing(ann);
    assert_true(ann->shut);
    engine_stop();
}

/* ---- A closing error ---------------------------------------------------- */

static void fail_with_backlog(struct client *ann, struct client *bob)
{
    client_stall(ann);
    for (size_t i = 0; i < 50; i++)
        client_tell(bob, "%0100d", 1);
    client_tell(ann, "\x16\x03");
}

/* Gone, with a closing error to tell, and it takes nothing. */
static void test_closing_error_is_given_up(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    ann = client_connect();
    engine_run();
    fail_with_backlog(ann, bob);
    engine_wait(LINGER_NS - 1);
    assert_false(ann->closed);
    engine_wait(1);
    assert_true(ann->closed);
    assert_int_equal(engine_logged(" reason=wrong-protocol "), 1);
    engine_stop();
}

/* It takes a little all the time: for --drain-timeout, not longer. */
static void test_closing_error_for_the_drain_timeout(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    ann = client_connect();
    engine_run();
    fail_with_backlog(ann, bob);
    for (size_t i = 0; i < 10; i++) {
        assert_false(ann->closed);
        engine_wait(SECONDS / 2);
        ann->takes = 1;
        engine_run();
    }
    engine_wait(1);
    assert_true(ann->closed);
    engine_stop();
}

/* In time it has all that was before, and the error. */
static void test_closing_error_in_time(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    ann = client_connect();
    engine_run();
    client_forget(ann);
    fail_with_backlog(ann, bob);
    engine_wait(LINGER_NS - 1);
    client_unstall(ann);
    for (size_t i = 0; i < 50; i++)
        client_expect(ann, "[lobby] bob: %0100d", 1);
    client_expect_start(ann, "! wrong-protocol");
    client_expect_nothing(ann);
    assert_true(ann->shut);
    engine_stop();
}

/* After the error it is read from for a second, in vain. */
static void test_linger(void **state)
{
    struct client *client;

    (void)state;
    engine_start_default();
    client = client_connect();
    engine_run();
    client_tell(client, "\x16\x03");
    assert_true(client->shut);
    client_forget(client);
    for (size_t i = 0; i < 10; i++) {
        engine_wait(SECONDS / 10 - 1);
        client_tell(client, "unheard");
    }
    assert_false(client->closed);
    engine_wait(10);
    assert_true(client->closed);
    client_expect_nothing(client);
    engine_stop();
}

static void test_linger_until_the_end_of_stream(void **state)
{
    struct client *client;

    (void)state;
    engine_start_default();
    client = client_connect();
    engine_run();
    client_tell(client, "\x16\x03");
    engine_wait(SECONDS / 2);
    client_send(client, "unheard");
    client_half_close(client);
    engine_run();
    assert_true(client->closed);
    engine_stop();
}

/* Nobody to wait for: it has closed its side before. */
static void test_no_linger_after_the_end_of_stream(void **state)
{
    struct client *client;

    (void)state;
    engine_start_default();
    client = client_connect();
    client_send(client, "\x16\x03");
    client_half_close(client);
    engine_run();
    client_expect_start(client, "* welcome");
    client_expect_start(client, "! wrong-protocol");
    client_expect_nothing(client);
    assert_true(client->shut);
    engine_wait(LINGER_NS);
    assert_true(client->closed);
    engine_stop();
}

/* ---- Refused ------------------------------------------------------------ */

static struct client *start_and_be_refused(void)
{
    struct chat_config config = engine_config();
    struct client *client;

    config.sessions_max = 0;
    engine_start(&config);
    client = client_connect();
    assert_non_null(client);
    return client;
}

static void test_refused(void **state)
{
    struct client *client = start_and_be_refused();

    (void)state;
    client_send(client, "hello");
    engine_run();
    client_expect_start(client, "! server-full");
    client_expect_nothing(client);
    assert_true(client->shut);
    engine_wait(LINGER_NS - 1);
    assert_false(client->closed);
    engine_wait(1);
    assert_true(client->closed);
    assert_int_equal(engine_logged("refused session=1 peer=nowhere "
                                   "reason=server-full\n"),
                     1);
    engine_stop();
}

static void test_refused_and_takes_nothing(void **state)
{
    struct client *client = start_and_be_refused();

    (void)state;
    client_stall(client);
    engine_wait(LINGER_NS - 1);
    assert_false(client->closed);
    engine_wait(1);
    assert_true(client->closed);
    engine_stop();
}

/* ---- A stop ------------------------------------------------------------- */

/* It takes a little all the time: for --drain-timeout after the stop. */
static void test_stop_lasts_for_the_drain_timeout(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    for (size_t i = 0; i < 50; i++)
        client_tell(bob, "hello");
    engine_shutdown();
    for (size_t i = 0; i < 50; i++) {
        engine_wait(SECONDS / 10 - 1);
        assert_false(ann->closed);
        ann->takes = 1;
        engine_run();
    }
    engine_wait(51);
    assert_true(ann->closed);
    assert_int_equal(engine_logged(" reason=shutdown "), 2);
    engine_stop();
}

/* And no shorter if it takes nothing; with a second to linger after it. */
static void test_stop_waits_for_one_that_is_stalled(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    client_tell(bob, "hello");
    engine_shutdown();
    engine_wait(5 * SECONDS - 1);
    assert_false(ann->closed);
    client_unstall(ann);
    client_expect(ann, "[lobby] bob: hello");
    client_expect_start(ann, "! shutdown");
    client_expect_nothing(ann);
    assert_true(ann->shut);
    engine_wait(LINGER_NS);
    assert_true(ann->closed);
    engine_stop();
}

/* A stop gives who is ending already no more time than the others. */
static void test_stop_of_one_that_is_ending(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    client_tell(bob, "hello");
    client_tell(ann, "/quit");
    engine_wait(30 * SECONDS);
    assert_false(ann->closed);
    engine_shutdown();
    engine_wait(5 * SECONDS + 1);
    assert_true(ann->closed);
    engine_stop();
}

/* Nor who comes while it lasts: all is over when the time is. */
static void test_stop_of_one_that_comes_late(void **state)
{
    struct client *ann, *bob, *late;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    client_tell(bob, "hello");
    engine_shutdown();
    engine_wait(5 * SECONDS - SECONDS / 10);
    late = client_connect();
    client_stall(late);
    engine_wait(SECONDS / 10 + 1);
    assert_true(ann->closed);
    assert_true(late->closed);
    engine_stop();
}

static void test_stop_without_time(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(&ann, &bob);
    client_stall(ann);
    client_tell(bob, "hello");
    chat_shutdown(engine.chat, 0);
    engine_run();
    client_expect(bob, "[lobby] bob: hello");
    client_expect_start(bob, "! shutdown");
    engine_wait(LAST_OFFER_NS);
    assert_true(ann->closed);
    engine_wait(LINGER_NS);
    assert_true(bob->closed);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_what_is_heard),
        cmocka_unit_test(test_no_time_outs),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_stall_while_away),
        cmocka_unit_test(test_trying_is_no_progress),
        cmocka_unit_test(test_progress_is_no_stall),
        cmocka_unit_test(test_wakes_up_in_time),
        cmocka_unit_test(test_closing_error_is_given_up),
        cmocka_unit_test(test_closing_error_for_the_drain_timeout),
        cmocka_unit_test(test_closing_error_in_time),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_linger_until_the_end_of_stream),
        TEST_ALONE(test_no_linger_after_the_end_of_stream),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_and_takes_nothing),
        cmocka_unit_test(test_stop_lasts_for_the_drain_timeout),
        cmocka_unit_test(test_stop_waits_for_one_that_is_stalled),
        cmocka_unit_test(test_stop_of_one_that_is_ending),
        cmocka_unit_test(test_stop_of_one_that_comes_late),
        TEST_ALONE(test_stop_without_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
