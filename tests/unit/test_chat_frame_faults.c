/*
 * Frames that are wrong, and those that never become whole: what closes and
 * what does not, what came before takes effect and nothing after; and that an
 * error which nobody asked for has no number.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

#include <string.h>

#define FRAME_TIMEOUT (30 * SECONDS)

static struct client *ann, *bob;

/* ann by frames, bob by text. */
static void start_with(const struct chat_config *config)
{
    engine_start(config);
    assert_non_null(engine.chat);
    ann = binary_open(DIALECT_FRAME, "ann");
    bob = client_open("bob");
    ann->answers = true;
    engine_forget();
}

static void start(void)
{
    struct chat_config config = engine_config();

    start_with(&config);
}

/* Without pings, whose answers would come within a frame that is begun. */
static struct chat_config patient_config(void)
{
    struct chat_config config = engine_config();

    config.heartbeat_ns = config.idle_timeout_ns = 0;
    return config;
}

static void start_patient(void)
{
    struct chat_config config = patient_config();

    start_with(&config);
}

static void message(uint32_t id, const char *text)
{
    frame_message(ann, id, "", "%s", text);
    engine_run();
}

/* ann has been told the error as her last word. */
static void expect_closed(const char *error)
{
    client_expect_start(ann, error);
    client_expect_nothing(ann);
    assert_true(ann->shut);
    engine_wait(LINGER_NS);
    assert_true(ann->closed);
}

/* ---- What does not close ------------------------------------------------- */

static void test_unknown_types(void **state)
{
    static const unsigned types[] = {0,  12,  13,  14,  15,    20,
                                     21, 100, 255, 256, 65535, 0x0404};

    (void)state;
    start();
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        frame_send(ann, types[i], "\xff\x1b what is this", i);
        engine_run();
        client_expect(ann, "ERROR 22 id=0 unknown-type");
        client_expect_nothing(ann);
    }
    message(1, "goes on");
    client_expect(ann, "ACK 1 seq=1");
    engine_stop();
}

static void test_no_transfers(void **state)
{
    (void)state;
    start();
    for (unsigned type = FILE_OFFER; type <= FILE_END; type++) {
        frame_send(ann, type, "\xff\0any", type - FILE_OFFER);
        engine_run();
        client_expect(ann, "ERROR 50 id=0 unavailable no file transfers");
        client_expect_nothing(ann);
    }
    message(1, "goes on");
    client_expect(ann, "ACK 1 seq=1");
    engine_stop();
}

/* ---- What closes --------------------------------------------------------- */

struct fault {
    unsigned type;
    const char *body;
    size_t length;
};

static const struct fault faults[] = {
    {SESSION_INIT, "", 0},
    {ERROR, "\0\1\0\0\0\0", 6},
    {REPLY, "\0\0\0\0\0", 5},
    {NOTICE, "\1\0\0", 3},
    {ACK, "\0\0\0\0\0\0\0\0\0\0\0\0", 12},
    {WELCOME, "\0\0", 2},
    {HEARTBEAT, "\0\0\0\0\0\0\0\0", 8},
    {MESSAGE, "", 0},
    {MESSAGE, "\0\0\0\7", 4},
    {MESSAGE, "\0\0\0\7\5lobb", 9},
    {MESSAGE, "\0\0\0\7\xff", 5},
    {COMMAND, "", 0},
    {COMMAND, "\0\0\0", 3},
    {DISCONNECT, "", 0},
    {DISCONNECT, "\0", 1},
};

/* Whole frames before it take effect, and nothing after it does; also if all
 * of it comes in pieces. */
static void among_others(const struct fault *fault, size_t receive_max)
{
    start();
    ann->receive_max = receive_max;
    frame_message(ann, 1, "", "before");
    frame_command(ann, 2, "echo before");
    frame_send(ann, fault->type, fault->body, fault->length);
    frame_message(ann, 3, "", "after");
    frame_disconnect(ann);
    engine_run();
    client_expect(ann, "ACK 1 seq=1");
    if (receive_max < 5)
        client_expect(ann, "MESSAGE 1 lobby ann: before");
    client_expect(ann, "REPLY 2: before");
    if (receive_max >= 5)
        client_expect(ann, "MESSAGE 1 lobby ann: before");
    expect_closed("ERROR 20 id=");
    client_expect(bob, "[lobby] ann: before");
    client_expect(bob, "[lobby] * ann left");
    client_expect_nothing(bob);
    assert_int_equal(engine_logged("nick=ann reason=bad-frame "), 1);
    engine_stop();
}

static void test_bad_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
        among_others(&faults[i], RECEIVE_BYTES_MAX);
        among_others(&faults[i], 1);
    }
}

/* A length is refused before the body comes, and the largest one is not. */
static void too_large(uint32_t most)
{
    struct chat_config config = engine_config();
    unsigned char head[4] = {0, MESSAGE};
    uint32_t length = most - 5;

    config.wire.frame_bytes_max = most;
    start_with(&config);
    frame_message(ann, 1, "", "%0*u", (int)length, 7);
    engine_run();
    client_expect(ann, "ACK 1 seq=1");
    client_forget(ann);
    client_forget(bob);
    if (most < 65535) {
        head[2] = (unsigned char)((most + 1) >> 8);
        head[3] = (unsigned char)(most + 1);
        client_send_bytes(ann, head, sizeof(head));
        engine_run();
        expect_closed("ERROR 21 id=0 too-large ");
    }
    engine_stop();
}

static void test_too_large(void **state)
{
    static const uint32_t limits[] = {100, 255, 256, 16384, 65534, 65535};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++)
        too_large(limits[i]);
}

/* ---- The end of the stream ----------------------------------------------- */

/* Within a frame it is the end, without a word about the frame. */
static void test_end_within_a_frame(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < 14; cut++) {
        start();
        frame_command(ann, 1, "echo before");
        client_send_bytes(ann, "\0\4\0\12\0\0\0\2\0after", cut);
        client_half_close(ann);
        engine_run();
        client_expect(ann, "REPLY 1: before");
        client_expect_nothing(ann);
        assert_true(ann->closed && ann->drained);
        assert_int_equal(engine_logged("nick=ann reason=eof "), 1);
        client_expect(bob, "[lobby] * ann left");
        client_expect_nothing(bob);
        engine_stop();
    }
}

/* ---- A frame that is not finished ---------------------------------------- */

/* Not a nanosecond too early. */
static void expect_timeout_after(uint64_t ns)
{
    engine_wait(ns - 1);
    client_expect_nothing(ann);
    assert_false(ann->shut);
    engine_wait(1);
    client_expect(bob, "[lobby] * ann left");
    expect_closed("ERROR 30 id=0 timeout ");
}

static void test_frame_timeout(void **state)
{
    (void)state;
    for (size_t begun = 1; begun < 14; begun++) {
        start_patient();
        engine_wait(1000 * SECONDS / begun); /* between frames there is none */
        client_send_bytes(ann, "\0\4\0\12\0\0\0\2\0after", begun);
        expect_timeout_after(FRAME_TIMEOUT);
        engine_stop();
    }
}

/* Bytes of it give no more time, if it is not whole. */
static void test_slow_frame(void **state)
{
    static const char frame[] = "\0\4\0\12\0\0\0\2\0after";

    (void)state;
    start_patient();
    for (size_t i = 0; i < 13; i++) {
        client_send_bytes(ann, frame + i, 1);
        engine_wait(2 * SECONDS);
    }
    expect_timeout_after(FRAME_TIMEOUT - 26 * SECONDS);
    start_patient();
    for (size_t i = 0; i < 14; i++) {
        client_send_bytes(ann, frame + i, 1);
        engine_wait(2 * SECONDS);
    }
    client_expect(ann, "ACK 2 seq=1");
    engine_wait(100 * SECONDS);
    assert_false(ann->shut);
    engine_stop();
}

/* Each frame has its own time, from when it begins. */
static void test_each_frame_its_time(void **state)
{
    (void)state;
    start_patient();
    for (unsigned i = 0; i < 10; i++) {
        client_send_bytes(ann, "\0\7\0\14\0\0", 6);
        engine_wait(FRAME_TIMEOUT - 1);
        client_send_bytes(ann, "\0\1echo one", 10);
        engine_run();
        client_expect(ann, "REPLY 1: one");
        engine_wait(i * 100 * SECONDS);
        client_send_bytes(ann, "\0\7\0\14\0\0\0\2echo", 12);
        engine_wait(20 * SECONDS);
        client_send_bytes(ann, " two", 4); /* and the next one begins */
        client_send_bytes(ann, "\0", 1);
        engine_run();
        client_expect(ann, "REPLY 2: two");
        engine_wait(20 * SECONDS);
        client_send_bytes(ann, "\7\0\4\0\0\0\3", 7);
        engine_run();
        client_expect_start(ann, "ERROR 3 id=3 ");
    }
    engine_stop();
}

static void test_no_frame_timeout(void **state)
{
    struct chat_config config = patient_config();

    (void)state;
    config.frame_timeout_ns = 0;
    start_with(&config);
    client_send_bytes(ann, "\0\7\0", 3);
    engine_wait(10000 * SECONDS);
    client_send_bytes(ann, "\14\0\0\0\1echo one", 13);
    engine_run();
    client_expect(ann, "REPLY 1: one");
    engine_stop();
}

/* What waits to be parsed begins when it is. */
static void test_begins_when_parsed(void **state)
{
    struct chat_config config = patient_config();

    (void)state;
    config.rate_per_second = 1;
    start_with(&config);
    client_send_bytes(ann, "\0", 1);
    engine_wait(10 * SECONDS);
    client_send_bytes(ann, "\7\0\14\0\0\0\1echo one", 15);
    for (unsigned i = 0; i < 100; i++)
        frame_command(ann, 0, "echo %u", i);
    client_send_bytes(ann, "\0", 1);
    engine_wait(100 * SECONDS); /* two at once, then one a second */
    client_expect(ann, "REPLY 1: one");
    for (unsigned i = 0; i < 100; i++)
        client_expect(ann, "REPLY 0: %u", i);
    expect_timeout_after(FRAME_TIMEOUT);
    engine_stop();
}

/* While it is not read from, its time stands still: here it does not read what
 * bob tells it. */
static void test_paused_within_a_frame(void **state)
{
    (void)state;
    start_patient();
    client_send_bytes(ann, "\0", 1);
    engine_wait(10 * SECONDS);
    client_stall(ann);
    for (unsigned i = 0; i < 20; i++)
        client_tell(bob, "/msg ann %04000u", i);
    client_send_bytes(ann, "\7", 1);
    engine_run();
    assert_true(session_paused(ann->session));
    engine_wait(50 * SECONDS);
    assert_false(ann->closed);
    client_unstall(ann);
    for (unsigned i = 0; i < 20; i++)
        client_expect(ann, "MESSAGE 0 @ bob: %04000u", i);
    client_forget(bob);
    expect_timeout_after(FRAME_TIMEOUT - 10 * SECONDS);
    engine_stop();
}

static void test_away(void **state)
{
    (void)state;
    start_patient();
    client_send_bytes(ann, "\0", 1);
    engine_wait(10 * SECONDS);
    engine.now_ns += 100 * SECONDS;
    engine_was_away(100 * SECONDS);
    expect_timeout_after(FRAME_TIMEOUT - 10 * SECONDS);
    engine_stop();
}

/* ---- The rate ------------------------------------------------------------ */

/* How many of a kind may be said at once, at 10 a second. */
static size_t at_once(void (*say)(void))
{
    struct chat_config config = engine_config();
    size_t taken = 0;

    config.rate_per_second = 10;
    start_with(&config);
    for (; taken < 100 && !session_paused(ann->session); taken++) {
        say();
        engine_run();
    }
    assert_false(ann->shut);
    engine_stop();
    return taken;
}

static void say_message(void)
{
    frame_message(ann, 1, "", "hello");
}

static void say_command(void)
{
    frame_command(ann, 1, "time");
}

static void say_what_is_wrong(void)
{
    frame_message(ann, 1, "", "%s", "");
}

static void say_unknown_type(void)
{
    frame_send(ann, 99, "", 0);
}

static void say_ping(void)
{
    frame_beat(ann, PING, 1);
}

static void say_pong(void)
{
    frame_beat(ann, PONG, 1);
}

static void test_rate(void **state)
{
    (void)state;
    assert_int_equal(at_once(say_message), 20);
    assert_int_equal(at_once(say_command), 20);
    assert_int_equal(at_once(say_what_is_wrong), 20);
    assert_int_equal(at_once(say_unknown_type), 20);
    assert_int_equal(at_once(say_ping), 100);
    assert_int_equal(at_once(say_pong), 100);
}

/* ---- Errors that nobody asked for ---------------------------------------- */

/* ann has said and asked with numbers before. */
static void start_with_numbers(const struct chat_config *config)
{
    start_with(config);
    frame_message(ann, 11, "", "hello");
    frame_command(ann, 12, "help");
    frame_command(ann, 13, "no such thing");
    frame_message(ann, 14, "", "%s", "");
    frame_message(ann, 15, "@bob", "in private");
    engine_run();
    engine_forget();
}

static void test_no_number_of_earlier(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    start_with_numbers(&config);
    ann->answers = false;
    engine_wait(20 * SECONDS);
    client_expect(ann, "PING 1");
    client_expect(ann, "PING 2");
    client_expect(ann, "PING 3");
    expect_closed("ERROR 30 id=0 timeout ");
    engine_stop();
    start_with_numbers(&config);
    engine_shutdown();
    engine_run();
    expect_closed("ERROR 33 id=0 shutdown ");
    engine_stop();
    start_with_numbers(&config);
    client_send_bytes(ann, "\0", 1);
    engine_wait(FRAME_TIMEOUT);
    expect_closed("ERROR 30 id=0 timeout ");
    engine_stop();
    start_with_numbers(&config);
    frame_send(ann, 99, "", 0);
    frame_send(ann, FILE_DATA, "", 0);
    frame_send(ann, WELCOME, "", 0);
    engine_run();
    client_expect(ann, "ERROR 22 id=0 unknown-type");
    client_expect_start(ann, "ERROR 50 id=0 unavailable ");
    expect_closed("ERROR 20 id=0 bad-frame ");
    engine_stop();
}

/* One that stalls, is told of it when it takes something again. */
static void test_no_number_of_earlier_when_stalled(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    start_with_numbers(&config);
    client_stall(ann);
    frame_command(ann, 16, "echo unread");
    engine_wait(60 * SECONDS);
    client_unstall(ann);
    client_expect(ann, "REPLY 16: unread");
    expect_closed("ERROR 30 id=0 timeout ");
    engine_stop();
    config.slow_consumer = SLOW_CONSUMER_DISCONNECT;
    config.room_window_bytes = 1000;
    start_with_numbers(&config);
    client_stall(ann);
    frame_message(ann, 16, "", "%0500d", 1);
    for (unsigned i = 0; i < 10; i++)
        client_tell(bob, "%0500u", i);
    client_unstall(ann);
    client_expect(ann, "ACK 16 seq=2");
    expect_closed("ERROR 31 id=0 lagged ");
    engine_stop();
}

/* A message that finds no memory is answered by the error, as one of it. */
static void test_number_of_a_fault(void **state)
{
    uint64_t limit;

    (void)state;
    start();
    message(7, "one that needs little");
    engine_forget();
    limit = engine.chat->budget->limit_bytes;
    engine.chat->budget->limit_bytes = engine.chat->budget->used_bytes;
    frame_message(ann, 8, "", "%010000d", 1);
    engine_run();
    engine.chat->budget->limit_bytes = limit;
    expect_closed("ERROR 99 id=8 internal session=1");
    client_expect(bob, "[lobby] * ann left");
    client_expect_nothing(bob);
    engine_stop();
}

/* A frame of which the rest finds no memory has no number yet. */
static void test_no_memory_for_a_frame(void **state)
{
    (void)state;
    start();
    message(7, "");
    client_forget(ann);
    client_send_bytes(ann, "\0\4\0\12\0\0\0\7\0", 9);
    alloc_fail_at(1);
    engine_turn();
    alloc_fail_at(0);
    engine_run();
    expect_closed("ERROR 99 id=0 internal session=1");
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_types),
        cmocka_unit_test(test_no_transfers),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_end_within_a_frame),
        cmocka_unit_test(test_frame_timeout),
        cmocka_unit_test(test_slow_frame),
        cmocka_unit_test(test_each_frame_its_time),
        cmocka_unit_test(test_no_frame_timeout),
        cmocka_unit_test(test_begins_when_parsed),
        cmocka_unit_test(test_paused_within_a_frame),
        cmocka_unit_test(test_away),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_no_number_of_earlier),
        cmocka_unit_test(test_no_number_of_earlier_when_stalled),
        cmocka_unit_test(test_number_of_a_fault),
        cmocka_unit_test(test_no_memory_for_a_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
