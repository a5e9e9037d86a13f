/*
 * Heartbeats, to the nanosecond: when a ping is due and from when it counts,
 * what counts as an answer, and the end of a peer that gives none.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

#include <string.h>

#define INTERVAL (5 * SECONDS)
#define PING_BYTES 13

static struct client *ann, *bob;

/* ann by frames, welcomed just now; bob by text. */
static void start_with(const struct chat_config *config)
{
    engine_start(config);
    assert_non_null(engine.chat);
    bob = client_open("bob");
    ann = binary_open(DIALECT_FRAME, "ann");
    engine_forget();
}

static void start(void)
{
    struct chat_config config = engine_config();

    start_with(&config);
}

static void beat(struct client *client, enum beat kind, uint64_t stamp)
{
    frame_beat(client, kind, stamp);
    engine_run();
}

/* Nothing comes for so long, but for the line at the end of it. */
static void expect_after(struct client *client, uint64_t ns, const char *wanted)
{
    engine_wait(ns - 1);
    client_expect_nothing(client);
    engine_wait(1);
    client_expect_start(client, wanted);
    client_expect_nothing(client);
}

static void expect_rtt(struct client *client, unsigned us)
{
    frame_command(client, 9, "ping");
    engine_run();
    client_expect(client, "REPLY 9: pong rtt_us=%u", us);
}

static void expect_dead(void)
{
    assert_true(ann->shut);
    client_expect(bob, "[lobby] * ann left");
    client_expect_nothing(bob);
    assert_int_equal(engine_logged("nick=ann error=timeout"), 1);
    engine_wait(LINGER_NS);
    assert_true(ann->closed);
    assert_int_equal(engine_logged(" reason=timeout "), 1);
}

/* ---- When they are due --------------------------------------------------- */

/* The first one an interval after WELCOME, not after SESSION_INIT; each
 * further one an interval after the one before, whenever that is answered. */
static void test_interval(void **state)
{
    struct client *client;

    (void)state;
    start();
    ann->answers = true;
    client = binary_connect(DIALECT_FRAME);
    engine_wait(3 * SECONDS);
    frame_hello(client, "carl");
    engine_run();
    client_forget(client);
    expect_after(client, INTERVAL, "PING 1");
    for (uint64_t stamp = 1; stamp < 20; stamp++) {
        engine_wait(stamp * 200 * MS);
        beat(client, PONG, stamp);
        client_expect_nothing(client);
        engine_wait(INTERVAL - stamp * 200 * MS - 1);
        client_expect_nothing(client);
        engine_wait(1);
        client_expect(client, "PING %u", (unsigned)stamp + 1);
    }
    engine_stop();
}

/* Each session has times of its own. */
static void test_each_its_own(void **state)
{
    struct client *carl;

    (void)state;
    start();
    engine_wait(1);
    carl = binary_open(DIALECT_FRAME, "carl");
    engine_forget();
    expect_after(ann, INTERVAL - 1, "PING 1");
    client_expect_nothing(carl);
    expect_after(carl, 1, "PING 1");
    client_expect_nothing(ann);
    engine_stop();
}

static void test_no_heartbeats(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.heartbeat_ns = 0;
    config.idle_timeout_ns = config.stall_timeout_ns = 0;
    config.handshake_timeout_ns = 0;
    start_with(&config);
    assert_true(chat_deadline(engine.chat) == UINT64_MAX);
    engine_wait(100000 * SECONDS);
    clients_expect_nothing();
    expect_rtt(ann, 0);
    engine_stop();
}

/* Who answers stays. */
static void test_lives_on(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.idle_timeout_ns = 0; /* for bob, who says nothing */
    start_with(&config);
    ann->answers = true;
    for (unsigned i = 0; i < 100; i++) {
        ann->completes_late = i % 2;
        engine_wait(10 * SECONDS);
    }
    assert_int_equal(ann->session->binary->stamp, 200);
    assert_int_equal(ann->session->binary->unanswered, 0);
    client_expect_nothing(ann);
    expect_rtt(ann, 1);
    engine_stop();
}

/* ---- No answer ----------------------------------------------------------- */

static void test_three_unanswered(void **state)
{
    (void)state;
    start();
    expect_after(ann, INTERVAL, "PING 1");
    expect_after(ann, INTERVAL, "PING 2");
    expect_after(ann, INTERVAL, "PING 3");
    expect_after(ann, INTERVAL, "ERROR 30 id=0 timeout ");
    expect_dead();
    engine_stop();
}

/* What else it sends shows that it lives; but it is not what was asked. */
static void test_nothing_else_counts(void **state)
{
    (void)state;
    start();
    for (uint64_t i = 1; i < 20; i++) {
        engine_wait(SECONDS);
        frame_beat(ann, PING, i / 5);
        frame_command(ann, 0, "time");
        frame_message(ann, 0, "", "hello");
        engine_run();
        client_forget(ann);
        client_forget(bob);
    }
    expect_after(ann, SECONDS, "ERROR 30 id=0 timeout ");
    expect_dead();
    engine_stop();
}

/* Stamps that no ping had, has yet, or that have been answered. */
static void test_no_answers(void **state)
{
    static const uint64_t stamps[] = {
        0, 2, 3, 4, 1 + (UINT64_C(1) << 32), UINT64_MAX};

    (void)state;
    start();
    beat(ann, PONG, 0);
    beat(ann, PONG, 1); /* before it is asked */
    expect_after(ann, INTERVAL, "PING 1");
    for (size_t i = 0; i < ARRAY_LENGTH(stamps); i++)
        beat(ann, PONG, stamps[i]);
    assert_int_equal(ann->session->binary->unanswered, 1);
    expect_rtt(ann, 0);
    beat(ann, PONG, 1);
    assert_int_equal(ann->session->binary->unanswered, 0);
    expect_after(ann, INTERVAL, "PING 2");
    beat(ann, PONG, 1); /* again */
    expect_after(ann, INTERVAL, "PING 3");
    expect_after(ann, INTERVAL, "PING 4");
    beat(ann, PONG, 1);
    expect_after(ann, INTERVAL, "ERROR 30 id=0 timeout ");
    expect_dead();
    engine_stop();
}

/* An answer to an earlier one counts for those up to it, whenever it comes. */
static void test_late_answers(void **state)
{
    (void)state;
    for (uint64_t answered = 1; answered <= 3; answered++) {
        start();
        expect_after(ann, INTERVAL, "PING 1");
        expect_after(ann, INTERVAL, "PING 2");
        expect_after(ann, INTERVAL, "PING 3");
        engine_wait(INTERVAL - 1);
        beat(ann, PONG, answered);
        for (uint64_t stamp = 1; stamp < answered; stamp++)
            beat(ann, PONG, stamp); /* it is over with those */
        expect_after(ann, 1, "PING 4");
        for (uint64_t i = 1; i < answered; i++)
            expect_after(ann, INTERVAL, "PING ");
        expect_after(ann, INTERVAL, "ERROR 30 id=0 timeout ");
        expect_dead();
        engine_stop();
    }
}

/* ---- A ping counts from when it was sent --------------------------------- */

/* To a peer that takes nothing there is one ping, and that does not count. */
static void test_stalled(void **state)
{
    (void)state;
    start();
    engine_wait(SECONDS);
    client_stall(ann);
    engine_wait(34 * SECONDS);
    assert_int_equal(ann->session->binary->stamp, 1);
    ann->takes = PING_BYTES - 1;
    engine_run();
    engine_wait(20 * SECONDS);
    assert_null(client_line(ann));
    assert_int_equal(ann->session->binary->stamp, 1);
    client_unstall(ann);
    client_expect(ann, "PING 1");
    expect_after(ann, INTERVAL, "PING 2");
    beat(ann, PONG, 1); /* and so does the time to the answer */
    expect_rtt(ann, INTERVAL / 1000 + 1);
    beat(ann, PONG, 2);
    expect_after(ann, INTERVAL, "PING 3");
    engine_stop();
}

/* That is for the stall time-out to end. */
static void test_stalled_for_ever(void **state)
{
    (void)state;
    start();
    client_stall(ann);
    engine_wait(INTERVAL + 60 * SECONDS - 1);
    client_expect_nothing(bob);
    engine_wait(1);
    client_expect(bob, "[lobby] * ann left");
    assert_int_equal(ann->session->binary->stamp, 1);
    engine_stop();
}

/* What comes before it must be sent first, what comes after it need not. */
static void test_between_replies(void **state)
{
    (void)state;
    start();
    client_stall(ann);
    frame_command(ann, 1, "echo before");
    engine_wait(INTERVAL);
    client_tell(bob, "in the room");
    frame_command(ann, 2, "echo after %0*d", 10000, 1);
    engine_run();
    ann->takes = strlen("TyLnId__mbefore");
    engine_wait(20 * SECONDS);
    client_expect(ann, "REPLY 1: before");
    ann->takes = PING_BYTES - 1;
    engine_wait(20 * SECONDS);
    assert_int_equal(ann->session->binary->stamp, 1);
    ann->takes = 1;
    engine_run();
    client_expect(ann, "PING 1");
    engine_wait(2 * SECONDS);
    beat(ann, PONG, 1);
    engine_wait(INTERVAL - 2 * SECONDS - 1);
    assert_int_equal(ann->session->binary->stamp, 1);
    engine_wait(1);
    assert_int_equal(ann->session->binary->stamp, 2);
    ann->answers = true;
    client_unstall(ann);
    client_expect_start(ann, "REPLY 2: after 0000");
    client_expect(ann, "MESSAGE 1 lobby bob: in the room");
    engine_stop();
}

/* The engine learns that it has been sent a while after the peer has it. */
static void test_sent_late(void **state)
{
    (void)state;
    start();
    ann->completes_late = true;
    engine_wait(INTERVAL - 1);
    engine.now_ns += 1;
    engine_turn();
    client_expect(ann, "PING 1");
    engine.now_ns += SECONDS;
    expect_after(ann, INTERVAL, "PING 2");
    engine_stop();
}

/* And the answer may be there before that: it is one. */
static void test_answered_before_sent(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 2; turns++) { /* for either order */
        start();
        ann->completes_late = true;
        for (uint64_t stamp = 1; stamp < 10; stamp++) {
            engine_wait(INTERVAL - 1);
            if (turns % 2)
                engine_turn();
            engine.now_ns += 1;
            engine_turn();
            client_expect(ann, "PING %u", (unsigned)stamp);
            frame_beat(ann, PONG, stamp + 1);
            frame_beat(ann, PONG, stamp);
            engine_run();
            client_expect_nothing(ann);
            assert_int_equal(ann->session->binary->unanswered, 0);
            assert_int_equal(ann->session->binary->rtt_us, 1);
        }
        engine_stop();
    }
}

/* But not before the ping has been offered to the engine: here it waits behind
 * what is said in the room. */
static void test_answered_before_offered(void **state)
{
    (void)state;
    start();
    client_stall(ann);
    client_tell(bob, "it does not take this");
    engine_wait(INTERVAL);
    assert_int_equal(ann->session->binary->stamp, 1);
    beat(ann, PONG, 1);
    assert_int_equal(ann->session->binary->unanswered, 1);
    ann->takes = ann->flight.length;
    engine_run();
    client_expect(ann, "MESSAGE 1 lobby bob: it does not take this");
    engine_wait(20 * SECONDS);
    client_unstall(ann);
    client_expect(ann, "PING 1");
    expect_rtt(ann, 0);
    expect_after(ann, INTERVAL, "PING 2");
    engine_stop();
}

/* ---- Round trips --------------------------------------------------------- */

static void test_round_trip(void **state)
{
    (void)state;
    start();
    ann->link.rtt_us = 4567; /* the kernel's, which is not asked for it */
    expect_rtt(ann, 0);
    expect_after(ann, INTERVAL, "PING 1");
    engine_wait(183 * 1000 - 1);
    beat(ann, PONG, 1);
    expect_rtt(ann, 183);
    engine_wait(INTERVAL - 183 * 1000 + 1);
    client_expect(ann, "PING 2");
    beat(ann, PONG, 2); /* in no time: 0 would be none */
    expect_rtt(ann, 1);
    expect_after(ann, INTERVAL, "PING 3");
    expect_after(ann, INTERVAL, "PING 4");
    engine_wait(7 * MS - 1);
    beat(ann, PONG, 3);
    expect_rtt(ann, 5007000);
    beat(ann, PONG, 4);
    expect_rtt(ann, 7000);
    client_tell(bob, "/metrics");
    assert_non_null(memmem(bob->out.data, bob->out.length,
                           "* latency_max_us 5007000\n", 25));
    assert_int_equal(engine_metrics().latency_us.count, 4);
    frame_command(ann, 1, "metrics");
    engine_run();
    assert_int_equal(engine_metrics().latency_us.count, 4);
    engine_stop();
}

/* ---- The session's own clock --------------------------------------------- */

/* While its rate keeps it from being read, its answer cannot be read either. */
static void test_paused(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.rate_per_second = 1;
    start_with(&config);
    expect_after(ann, INTERVAL, "PING 1");
    engine_wait(30 * 1000);
    for (unsigned i = 0; i < 30; i++)
        frame_command(ann, 0, "echo %u", i);
    frame_beat(ann, PONG, 1);
    engine_run();
    assert_true(session_paused(ann->session));
    engine_wait(29 * SECONDS - 1); /* it may say two at once */
    assert_true(session_paused(ann->session));
    assert_int_equal(ann->session->binary->unanswered, 1);
    engine_wait(1);
    assert_int_equal(ann->session->binary->unanswered, 0);
    for (unsigned i = 0; i < 30; i++)
        client_expect(ann, "REPLY 0: %u", i);
    expect_after(ann, INTERVAL - 30 * 1000, "PING 2");
    expect_rtt(ann, 31);
    engine_stop();
}

static void test_away(void **state)
{
    (void)state;
    start();
    engine_wait(2 * SECONDS);
    engine.now_ns += 100 * SECONDS;
    engine_was_away(100 * SECONDS);
    expect_after(ann, 3 * SECONDS, "PING 1");
    engine_wait(10 * 1000);
    engine.now_ns += 100 * SECONDS;
    engine_was_away(100 * SECONDS);
    beat(ann, PONG, 1);
    expect_rtt(ann, 11);
    expect_after(ann, INTERVAL - 10 * 1000, "PING 2");
    engine_stop();
}

/* ---- Pings by the client ------------------------------------------------- */

static void test_pings_by_the_client(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.rate_per_second = 1; /* they do not count for it */
    start_with(&config);
    beat(ann, PING, 0);
    client_expect(ann, "PONG 0");
    beat(ann, PING, UINT64_MAX);
    client_expect(ann, "PONG 18446744073709551615");
    for (unsigned i = 0; i < 1000; i++)
        frame_beat(ann, PING, i);
    engine_run();
    for (unsigned i = 0; i < 1000; i++)
        client_expect(ann, "PONG %u", i);
    clients_expect_nothing();
    assert_int_equal(ann->session->binary->unanswered, 0);
    engine_stop();
}

/* Who does not read the answers is not read from. */
static void test_pings_and_no_reading(void **state)
{
    (void)state;
    start();
    client_stall(ann);
    for (unsigned i = 0; i < 20000; i++)
        frame_beat(ann, PING, i);
    engine_run();
    assert_true(session_paused(ann->session));
    assert_true(session_unread(ann->session) <
                REPLIES_UNREAD_MAX + 2 * PING_BYTES);
    client_unstall(ann);
    for (unsigned i = 0; i < 20000; i++)
        client_expect(ann, "PONG %u", i);
    clients_expect_nothing();
    engine_stop();
}

static void test_bad_heartbeats(void **state)
{
    static const struct {
        const char *body;
        size_t length;
    } bodies[] = {{"", 0},
                  {"\0", 1},
                  {"\0\0\0\0\0\0\0\0", 8},
                  {"\0\0\0\0\0\0\0\0\0\0", 10},
                  {"\2\0\0\0\0\0\0\0\0", 9},
                  {"\xff\0\0\0\0\0\0\0\0", 9}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        start();
        frame_send(ann, HEARTBEAT, bodies[i].body, bodies[i].length);
        engine_run();
        client_expect_start(ann, "ERROR 20 id=0 bad-frame ");
        client_expect_nothing(ann);
        assert_true(ann->shut);
        engine_stop();
    }
}

/* ---- At the end ---------------------------------------------------------- */

/* Who has said that it goes is not asked any more, however long it takes. */
static void test_none_after_the_end(void **state)
{
    (void)state;
    start();
    client_stall(ann);
    frame_message(ann, 0, "", "hello");
    frame_command(ann, 1, "quit");
    engine_run();
    for (unsigned i = 0; i < 10; i++) {
        engine_wait(20 * SECONDS);
        ann->takes = 3;
        engine_run();
    }
    client_unstall(ann);
    client_expect(ann, "MESSAGE 1 lobby ann: hello");
    client_expect(ann, "REPLY 1: bye");
    client_expect(ann, "DISCONNECT 0");
    engine_wait(10 * SECONDS);
    client_expect_nothing(ann);
    assert_true(ann->closed);
    engine_stop();
}

/* A ping that is queued is sent nevertheless, and its answer is of no use. */
static void test_ping_before_the_end(void **state)
{
    (void)state;
    start();
    client_stall(ann);
    frame_command(ann, 1, "echo unread");
    engine_wait(INTERVAL);
    frame_disconnect(ann);
    frame_beat(ann, PONG, 1);
    engine_run();
    client_unstall(ann);
    client_expect(ann, "REPLY 1: unread");
    client_expect(ann, "PING 1");
    client_expect(ann, "DISCONNECT 0");
    beat(ann, PONG, 1);
    engine_wait(LINGER_NS);
    client_expect_nothing(ann);
    assert_true(ann->closed);
    assert_int_equal(engine_metrics().latency_us.count, 0);
    engine_stop();
}

/* ---- In `secure` --------------------------------------------------------- */

static void secure_beat(struct client *client, const char *fields)
{
    secure_send(client, HEARTBEAT, fields, "", 0);
    engine_run();
}

static void test_secure(void **state)
{
    struct client *carl;

    (void)state;
    start();
    ann->answers = true;
    carl = binary_open(DIALECT_SECURE, "carl");
    expect_after(carl, INTERVAL, "PING 1");
    engine_wait(6999);
    secure_beat(carl, ",\"kind\":\"pong\",\"stamp\":1");
    secure_beat(carl, ",\"kind\":\"ping\",\"stamp\":9007199254740991");
    client_expect(carl, "PONG 9007199254740991");
    secure_send(carl, COMMAND, ",\"id\":5", "ping", 4);
    engine_run();
    client_expect(carl, "REPLY 5: pong rtt_us=7");
    expect_after(carl, INTERVAL - 6999, "PING 2");
    expect_after(carl, INTERVAL, "PING 3");
    expect_after(carl, INTERVAL, "PING 4");
    expect_after(carl, INTERVAL, "ERROR 30 id=0 timeout ");
    engine_stop();
}

/* In the middle of a frame it cannot answer: what ends that is the frame's own
 * time, and then it has until the next ping would be due. */
static void test_within_a_frame(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.frame_timeout_ns = 6 * INTERVAL;
    start_with(&config);
    client_send_bytes(ann, "\0\3\0", 3);
    for (unsigned stamp = 1; stamp <= 3; stamp++) {
        engine_wait(INTERVAL);
        client_expect(ann, "PING %u", stamp);
    }
    engine_wait(2 * INTERVAL + SECONDS);
    client_expect_nothing(ann);
    client_send_bytes(ann, "\x9\1\0\0\0\0\0\0\0\3", 10);
    expect_after(ann, INTERVAL - SECONDS, "PING 4");
    client_send_bytes(ann, "\0\3\0", 3);
    expect_after(ann, INTERVAL, "PING 5");
    expect_after(ann, INTERVAL, "PING 6");
    expect_after(ann, 4 * INTERVAL, "ERROR 30 id=0 timeout");
    expect_dead();
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_a_frame),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_each_its_own),
        cmocka_unit_test(test_no_heartbeats),
        cmocka_unit_test(test_lives_on),
        cmocka_unit_test(test_three_unanswered),
        cmocka_unit_test(test_nothing_else_counts),
        cmocka_unit_test(test_no_answers),
        cmocka_unit_test(test_late_answers),
        cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_stalled_for_ever),
        cmocka_unit_test(test_between_replies),
        cmocka_unit_test(test_sent_late),
        cmocka_unit_test(test_answered_before_sent),
        cmocka_unit_test(test_answered_before_offered),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_away),
        cmocka_unit_test(test_pings_by_the_client),
        cmocka_unit_test(test_pings_and_no_reading),
        cmocka_unit_test(test_bad_heartbeats),
        cmocka_unit_test(test_none_after_the_end),
        cmocka_unit_test(test_ping_before_the_end),
        cmocka_unit_test(test_secure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
