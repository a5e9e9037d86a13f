/*
 * Binary clients that are never welcomed: for how long they may say nothing,
 * those that are not let in, and that whatever becomes of one, nothing of it
 * stays, neither when memory fails.
 */
#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

#include <stdio.h>
#include <string.h>

#define INIT "SESSION_INIT version=1 heartbeat=5 largest=16384"

static struct client *bob;

/* bob is in the lobby, by text. */
static void start_with(const struct chat_config *config)
{
    engine_start(config);
    assert_non_null(engine.chat);
    bob = client_open("bob");
}

static void start(void)
{
    struct chat_config config = engine_config();

    start_with(&config);
}

/* One that has been asked and has not answered. */
static struct client *stranger(void)
{
    struct client *client = binary_connect(DIALECT_FRAME);

    engine_run();
    client_expect(client, INIT);
    client_expect_nothing(client);
    return client;
}

static void hello(struct client *client, const char *nick)
{
    frame_hello(client, nick);
    engine_run();
}

/* It has been told the error as its last word, and nobody has noticed. */
static void expect_closed(struct client *client, const char *error)
{
    client_expect_start(client, error);
    client_expect_nothing(client);
    assert_true(client->shut);
    engine_wait(LINGER_NS);
    assert_true(client->closed);
    clients_expect_nothing();
}

/* ---- Time ---------------------------------------------------------------- */

/* Not a nanosecond too early. */
static void expect_timeout_after(struct client *client, uint64_t ns)
{
    engine_wait(ns - 1);
    client_expect_nothing(client);
    assert_false(client->shut);
    engine_wait(1);
    expect_closed(client, "ERROR 30 id=0 timeout ");
    assert_int_equal(engine_logged(" reason=timeout "), 1);
}

static void test_timeout(void **state)
{
    (void)state;
    start();
    expect_timeout_after(stranger(), 10 * SECONDS);
    engine_stop();
}

/* Neither what it is told nor what is not whole gives it more time. */
static void test_errors_give_no_time(void **state)
{
    struct client *client;

    (void)state;
    start();
    client = stranger();
    for (unsigned i = 0; i < 9; i++) {
        engine_wait(SECONDS);
        hello(client, i % 2 ? "bob" : "1");
        client_expect_start(client, "ERROR ");
    }
    client_send_bytes(client, "\0\2\0", 3);
    expect_timeout_after(client, SECONDS);
    engine_stop();
}

static void test_in_time(void **state)
{
    struct client *client;

    (void)state;
    start();
    client = stranger();
    engine_wait(10 * SECONDS - 1);
    hello(client, "ann");
    client_expect(client, "WELCOME ann lobby");
    engine_wait(4 * SECONDS);
    client_expect_nothing(client);
    engine_stop();
}

static void test_no_timeout(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.handshake_timeout_ns = 0;
    config.idle_timeout_ns = config.stall_timeout_ns = 0;
    start_with(&config);
    client = stranger();
    assert_true(chat_deadline(engine.chat) == UINT64_MAX);
    engine_wait(100000 * SECONDS);
    hello(client, "ann");
    client_expect(client, "WELCOME ann lobby");
    engine_stop();
}

/* A greeting that has begun is a frame that has. */
static void test_frame_timeout(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.frame_timeout_ns = 3 * SECONDS;
    start_with(&config);
    client = stranger();
    engine_wait(2 * SECONDS);
    client_send_bytes(client, "\0", 1);
    expect_timeout_after(client, 3 * SECONDS);
    engine_stop();
}

/* While nobody listens, no time passes. */
static void test_away(void **state)
{
    struct client *client;

    (void)state;
    start();
    client = stranger();
    engine_wait(4 * SECONDS);
    engine.now_ns += 100 * SECONDS;
    engine_was_away(100 * SECONDS);
    expect_timeout_after(client, 6 * SECONDS);
    engine_stop();
}

/* One that does not read what it is told is not read from; that gains it no
 * time. */
static void test_paused(void **state)
{
    struct client *client;

    (void)state;
    start();
    client = stranger();
    engine_wait(4 * SECONDS);
    client_stall(client);
    for (unsigned i = 0; i < 2000; i++)
        frame_hello(client, "1");
    engine_run();
    assert_true(session_paused(client->session));
    engine_wait(6 * SECONDS - 1);
    assert_int_equal(engine_logged("error=timeout"), 0);
    engine_wait(1);
    assert_int_equal(engine_logged("error=timeout"), 1);
    engine_wait(LINGER_NS);
    assert_true(client->closed);
    engine_stop();
}

/* Nor does it lose what it had while nobody listened; and whatever bob has
 * said, it is let in. */
static void test_let_in_after_away(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.room_window_bytes = 4096;
    start_with(&config);
    client = stranger();
    engine.now_ns += 100 * SECONDS;
    engine_was_away(100 * SECONDS);
    for (unsigned i = 0; i < 30; i++)
        client_send(bob, "%0100u", i);
    frame_hello(client, "ann");
    engine_turn();
    assert_false(session_paused(client->session));
    client_expect(client, "WELCOME ann lobby");
    engine_stop();
}

/* ---- Not let in ---------------------------------------------------------- */

static void test_server_full(void **state)
{
    struct chat_config config = engine_config();
    struct client *in, *out;

    (void)state;
    config.sessions_max = 2;
    start_with(&config);
    in = stranger(); /* has a place, though it is nobody */
    out = binary_connect(DIALECT_FRAME);
    frame_hello(out, "ann");
    engine_run();
    expect_closed(out, "ERROR 32 id=0 server-full ");
    client_reset(in);
    in = stranger();
    hello(in, "ann");
    client_expect(in, "WELCOME ann lobby");
    engine_stop();
}

static void test_too_many_of_an_address(void **state)
{
    struct peer peer = {.name = "nowhere", .counted = true, .address = {1}};
    struct chat_config config = engine_config();
    struct client *one, *two;

    (void)state;
    config.sessions_per_address_max = 1;
    start_with(&config);
    one = client_connect_as(DIALECT_FRAME, &peer);
    two = client_connect_as(DIALECT_FRAME, &peer);
    engine_run();
    client_expect(one, INIT);
    expect_closed(two, "ERROR 32 id=0 server-full ");
    engine_wait(10 * SECONDS);
    client_expect_start(one, "ERROR 30 "); /* and then there is a place */
    two = client_connect_as(DIALECT_FRAME, &peer);
    engine_run();
    client_expect(two, INIT);
    engine_stop();
}

static void test_shutdown(void **state)
{
    struct client *in, *out;

    (void)state;
    start();
    in = stranger();
    engine_shutdown();
    out = binary_connect(DIALECT_FRAME);
    frame_hello(in, "ann");
    engine_run();
    client_expect_start(in, "ERROR 33 id=0 shutdown ");
    client_expect_start(bob, "! shutdown");
    expect_closed(out, "ERROR 33 id=0 shutdown ");
    assert_true(in->closed);
    engine_stop();
}

/* What an engine keeps for those who get no session at all. */
static void test_refusal(void **state)
{
    static const enum dialect dialects[] = {DIALECT_FRAME, DIALECT_SECURE};

    (void)state;
    engine_start_default();
    for (size_t i = 0; i < ARRAY_LENGTH(dialects); i++) {
        unsigned char bytes[REFUSAL_BYTES_MAX];
        struct client nobody = {.dialect = dialects[i]};
        size_t length = chat_refusal(engine.chat, dialects[i], bytes);

        bytes_append(&nobody.out, bytes, length);
        client_expect(&nobody, "ERROR 32 id=0 server-full try again later");
        client_expect_nothing(&nobody);
        bytes_release(&nobody.out);
    }
    engine_stop();
}

/* ---- Gone ---------------------------------------------------------------- */

static void expect_nothing_left(void)
{
    assert_int_equal(engine.chat->binaries_pool.objects, 0);
    assert_int_equal(engine.chat->shards->sessions, 1);
    assert_int_equal(engine.chat->timers.count, 1);
}

/* By its end of stream, within a greeting or not: without a word. */
static void test_end_of_stream(void **state)
{
    (void)state;
    for (size_t length = 0; length < 9; length++) {
        struct client *client;

        start();
        client = stranger();
        client_send_bytes(client, "\0\2\0\5\1\3ann", length);
        client_half_close(client);
        engine_run();
        assert_true(client->closed && client->drained);
        clients_expect_nothing();
        expect_nothing_left();
        assert_int_equal(engine_logged(" reason=eof "), 1);
        engine_stop();
    }
}

/* A greeting that is whole is one, whoever ends then. */
static void test_greeting_and_end_of_stream(void **state)
{
    struct client *client;

    (void)state;
    start();
    client = stranger();
    frame_hello(client, "ann");
    client_half_close(client);
    engine_run();
    client_expect(client, "WELCOME ann lobby");
    client_expect(bob, "[lobby] * ann joined");
    client_expect(bob, "[lobby] * ann left");
    assert_true(client->closed && client->drained);
    clients_expect_nothing();
    expect_nothing_left();
    engine_stop();
}

static void test_reset(void **state)
{
    (void)state;
    for (size_t length = 0; length < 9; length++) {
        struct client *client;

        start();
        client = binary_connect(DIALECT_FRAME);
        client->completes_late = true;
        client_send_bytes(client, "\0\2\0\5\1\3ann", length);
        engine_turn();
        client_reset(client); /* while it is being asked */
        engine_run();
        client_expect_nothing(bob);
        expect_nothing_left();
        assert_int_equal(engine_logged(" reason=reset "), 1);
        engine_stop();
    }
}

/* ---- Want of memory ------------------------------------------------------ */

/* Says who it is, if it is asked. */
static void answer(struct client *client, unsigned dialect)
{
    const char *asked = client_line(client);

    if (!asked || strncmp(asked, "SESSION_INIT ", 13) != 0)
        return;
    if (dialect == DIALECT_FRAME)
        frame_hello(client, "ann");
    else
        secure_hello(client, "ann", dialect == SEALED_CLIENT);
    engine_run();
}

/* One comes while memory fails, and goes when it does not fail any more;
 * whether it has been welcomed. */
static bool come_and_go(unsigned dialect)
{
    struct peer peer = {.name = "nowhere", .counted = true, .address = {1}};
    struct client *client = client_connect_as(
        dialect == DIALECT_FRAME ? DIALECT_FRAME : DIALECT_SECURE, &peer);
    bool welcomed;

    engine_run();
    if (client)
        answer(client, dialect);
    alloc_fail_at(0);
    welcomed = client && !client->closed && !client->shut;
    if (welcomed) {
        client_expect(client, "WELCOME ann lobby");
        client_reset(client);
        engine_run();
    }
    return welcomed;
}

static void expect_came_and_went(void)
{
    const char *line = client_line(bob);

    if (line) {
        assert_string_equal(line, "[lobby] * ann joined");
        client_expect(bob, "[lobby] * ann left");
    }
    client_expect_nothing(bob);
}

/* Whether there was an nth allocation to fail. */
static bool fails_at(unsigned n, unsigned dialect)
{
    struct chat_config config = engine_config();
    unsigned long before;

    config.sessions_per_address_max = 1;
    start_with(&config);
    before = alloc_count();
    alloc_fail_at(n);
    come_and_go(dialect);
    before = alloc_count() - before;
    expect_came_and_went();
    engine_wait(LINGER_NS);
    expect_nothing_left();
    assert_true(come_and_go(dialect)); /* the next one has the nick */
    expect_came_and_went();
    expect_nothing_left();
    engine_stop();
    return before >= n;
}

static void each_allocation_fails(unsigned dialect)
{
    unsigned n = 1;

    while (fails_at(n, dialect))
        n++;
    assert_true(n > 3);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    each_allocation_fails(DIALECT_FRAME);
    each_allocation_fails(DIALECT_SECURE);
    each_allocation_fails(SEALED_CLIENT);
}

/* Whoever comes first makes the room and the tables as well. */
static bool first_fails_at(unsigned n, unsigned dialect)
{
    unsigned long before;

    engine_start_default();
    before = alloc_count();
    alloc_fail_at(n);
    come_and_go(dialect);
    before = alloc_count() - before;
    engine_wait(LINGER_NS);
    assert_int_equal(engine.chat->binaries_pool.objects, 0);
    assert_int_equal(engine.chat->rooms_pool.objects, 0);
    assert_true(come_and_go(dialect));
    engine_stop();
    return before >= n;
}

static void test_each_allocation_fails_for_the_first(void **state)
{
    unsigned n = 1;

    (void)state;
    while (first_fails_at(n, DIALECT_FRAME))
        n++;
    assert_true(n > 8);
    for (n = 1; first_fails_at(n, SEALED_CLIENT); n++)
        ;
    assert_true(n > 8);
}

/* It comes, the first one by frames, and there is no memory to tell sue: then
 * it has not come, and the room has nothing in frames. */
static void test_no_memory_to_join(void **state)
{
    void *taken[256];
    struct pool *small;
    struct client *client;
    size_t count = 0;

    (void)state;
    start();
    binary_open(DIALECT_SECURE, "sue");
    client = stranger();
    client_forget(bob);
    small = &engine.chat->segments.small;
    while (small->partial || small->spare) {
        assert_true(count < ARRAY_LENGTH(taken));
        taken[count++] = pool_alloc(small);
    }
    frame_hello(client, "ann");
    alloc_fail_at(1);
    engine_turn();
    alloc_fail_at(0);
    while (count > 0)
        pool_free(small, taken[--count]);
    engine_run();
    client_expect_start(client, "ERROR 99 id=0 internal session=");
    clients_expect_nothing();
    assert_int_equal(engine_logged("cause=no memory for a room"), 1);
    assert_null(engine_room("lobby")->lanes[ENCODING_FRAME]);
    engine_stop();
}

static void give_zeros(void *bytes, size_t length)
{
    memset(bytes, 0, length);
}

/* With such random numbers there are five: of four to eight digits. */
static void test_no_guest_nick_is_free(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.random = give_zeros;
    engine_start(&config);
    for (unsigned i = 0; i < 5; i++)
        assert_non_null(client_connect());
    assert_null(client_connect());
    client = stranger();
    hello(client, "");
    client_expect_start(client, "ERROR 99 id=0 internal session=");
    client_expect_nothing(client);
    assert_true(client->shut);
    assert_int_equal(engine_logged("cause=no guest nick is free"), 1);
    client = stranger();
    hello(client, "ann");
    client_expect(client, "WELCOME ann lobby");
    engine_stop();
}

static void test_every_budget(void **state)
{
    bool welcomed = false;

    (void)state;
    for (uint64_t more = 0; more < 200000; more += 1000) {
        start();
        engine.chat->budget->limit_bytes =
            engine.chat->budget->used_bytes + more;
        welcomed = come_and_go(DIALECT_FRAME);
        assert_true(more > 0 || !welcomed);
        engine_wait(LINGER_NS);
        expect_came_and_went();
        expect_nothing_left();
        engine_stop();
    }
    assert_true(welcomed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_errors_give_no_time),
        cmocka_unit_test(test_in_time),
        cmocka_unit_test(test_no_timeout),
        cmocka_unit_test(test_frame_timeout),
        cmocka_unit_test(test_away),
        cmocka_unit_test(test_paused),
        TEST_ALONE(test_let_in_after_away),
        cmocka_unit_test(test_server_full),
        cmocka_unit_test(test_too_many_of_an_address),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_end_of_stream),
        cmocka_unit_test(test_greeting_and_end_of_stream),
        cmocka_unit_test(test_reset),
        TEST_ALONE(test_each_allocation_fails),
        cmocka_unit_test(test_each_allocation_fails_for_the_first),
        TEST_ALONE(test_no_memory_to_join),
        TEST_ALONE(test_no_guest_nick_is_free),
        TEST_ALONE(test_every_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
