/*
 * Before WELCOME: a binary client is asked who it is, is nobody until it has
 * said so, and may say nothing else.
 */
#include "common/base/options.h"
#include "common/chat/internal.h"

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

/* ---- Welcome ------------------------------------------------------------- */

static void test_asked_first(void **state)
{
    struct client *one, *two;

    (void)state;
    start();
    one = stranger();
    two = stranger();
    assert_int_equal(strlen(one->uuid), 36);
    assert_int_equal(one->uuid[14], '4'); /* RFC 9562: version, variant */
    assert_non_null(strchr("89ab", one->uuid[19]));
    assert_string_not_equal(one->uuid, two->uuid);
    engine_wait(10 * SECONDS - 1);
    clients_expect_nothing(); /* no pings either */
    assert_int_equal(engine_logged("connected session="), 3);
    assert_int_equal(engine_logged("joined session="), 1);
    engine_stop();
}

static void test_what_is_told(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.wire.heartbeat_s = 65535;
    config.wire.frame_bytes_max = 65535;
    config.wire.message_bytes_max = 1234567;
    start_with(&config);
    client = binary_connect(DIALECT_FRAME);
    engine_run();
    client_expect(client, "SESSION_INIT version=1 heartbeat=65535 "
                          "largest=65535");
    client = binary_connect(DIALECT_SECURE);
    engine_run();
    client_expect(client, "SESSION_INIT version=1 heartbeat=65535 "
                          "largest=1234567");
    engine_stop();
}

/* Who waits as long as it is told may rely on it. */
static void test_interval_is_rounded_up(void **state)
{
    static const struct {
        uint64_t ns;
        uint32_t s;
    } intervals[] = {{0, 0},         {1, 1},
                     {SECONDS, 1},   {SECONDS + 1, 2},
                     {2500 * MS, 3}, {65535 * SECONDS, 65535}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(intervals); i++) {
        struct options options = {.heartbeat_ns = intervals[i].ns};
        struct chat_config config = chat_config_from(&options);

        assert_true(config.heartbeat_ns == intervals[i].ns);
        assert_int_equal(config.wire.heartbeat_s, intervals[i].s);
    }
}

static void test_welcome(void **state)
{
    struct client *ann, *guest;

    (void)state;
    start();
    ann = stranger();
    hello(ann, "Ann");
    client_expect(ann, "WELCOME Ann lobby");
    client_expect(bob, "[lobby] * Ann joined");
    clients_expect_nothing(); /* its own joining is no news to it */
    assert_int_equal(engine_logged("joined session=2 nick=Ann room=lobby"), 1);
    guest = stranger();
    hello(guest, "");
    client_expect_start(guest, "WELCOME guest-");
    client_expect_start(ann, "NOTICE joined lobby guest-");
    client_expect_start(bob, "[lobby] * guest-");
    client_tell(bob, "hello");
    client_expect(ann, "MESSAGE 1 lobby bob: hello");
    client_expect(guest, "MESSAGE 1 lobby bob: hello");
    client_expect(bob, "[lobby] bob: hello");
    clients_expect_nothing();
    engine_stop();
}

/* However it arrives, and with more behind it. */
static void test_welcome_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < 40; i++) {
        struct client *ann;

        start();
        ann = binary_connect(DIALECT_FRAME);
        ann->receive_max = i % 20 + 1;
        ann->exact = i >= 20;
        ann->completes_late = i % 3 == 0;
        frame_hello(ann, "ann");
        frame_message(ann, 7, "", "at once");
        engine_run();
        client_expect(ann, INIT);
        client_expect(ann, "WELCOME ann lobby");
        client_expect(ann, "ACK 7 seq=1");
        client_expect(ann, "MESSAGE 1 lobby ann: at once");
        client_expect(bob, "[lobby] * ann joined");
        client_expect(bob, "[lobby] ann: at once");
        clients_expect_nothing();
        engine_stop();
    }
}

/* ---- Nobody until then --------------------------------------------------- */

static void test_invisible(void **state)
{
    struct client *client;

    (void)state;
    start();
    client = stranger();
    client_tell(bob, "/who");
    client_expect(bob, "* bob");
    client_expect(bob, "* end of who");
    client_tell(bob, "/rooms");
    client_expect(bob, "* room lobby 1 members");
    client_expect(bob, "* end of rooms");
    client_tell(bob, "said before");
    client_expect(bob, "[lobby] bob: said before");
    client_tell(bob, "/topic before");
    client_expect(bob, "* topic lobby: before");
    client_expect(bob, "[lobby] * bob set the topic: before");
    client_tell(bob, "/msg ann hello");
    client_expect(bob, "! no-such-nick ann");
    clients_expect_nothing();
    hello(client, "ann");
    client_expect(client, "WELCOME ann lobby");
    client_expect(bob, "[lobby] * ann joined");
    client_tell(bob, "said after");
    client_expect(client, "MESSAGE 2 lobby bob: said after");
    client_expect_nothing(client);
    engine_stop();
}

/* It counts as a connection, and its nick is nobody's. */
static void test_counted(void **state)
{
    struct client *client;

    (void)state;
    start();
    client = stranger();
    client_tell(bob, "/metrics");
    client_expect(bob, "* clients_active 2");
    client_forget(bob);
    client_tell(bob, "/nick ann");
    client_forget(bob);
    hello(client, "ann");
    client_expect(client, "ERROR 6 id=0 nick-in-use ann");
    clients_expect_nothing();
    engine_stop();
}

/* ---- What is no nick ----------------------------------------------------- */

static void test_bad_names(void **state)
{
    static const char *const names[] = {
        "1ann",        "a b",   "a.b",         "guest-1a2b", "GUEST-1A2B5e6f",
        "a\x1b",       "ann\n", "\xff",        "@ann",       "#ann",
        "J\xc3\xb6rg", "-",     "guest-12345",
    };
    struct client *client;

    (void)state;
    start();
    client = stranger();
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        hello(client, names[i]);
        client_expect_start(client, "ERROR 5 id=0 bad-name ");
        clients_expect_nothing();
    }
    hello(client, "guest-123456789"); /* as ordinary as any */
    client_expect(client, "WELCOME guest-123456789 lobby");
    engine_stop();
}

static void test_nick_in_use(void **state)
{
    struct client *client, *other;

    (void)state;
    start();
    client = stranger();
    hello(client, "bob");
    client_expect(client, "ERROR 6 id=0 nick-in-use bob");
    hello(client, "BOB");
    client_expect(client, "ERROR 6 id=0 nick-in-use BOB");
    client_expect_nothing(bob);
    hello(client, "ann");
    client_expect(client, "WELCOME ann lobby");
    client_expect(bob, "[lobby] * ann joined");
    other = stranger();
    hello(other, "Ann");
    client_expect(other, "ERROR 6 id=0 nick-in-use Ann");
    frame_disconnect(client);
    engine_run();
    hello(other, "Ann");
    client_expect(other, "WELCOME Ann lobby");
    client_expect(bob, "[lobby] * ann left");
    client_expect(bob, "[lobby] * Ann joined");
    client_expect_nothing(bob);
    engine_stop();
}

/* Of two that ask at once, one has it. */
static void test_same_nick_at_once(void **state)
{
    struct client *one, *two;

    (void)state;
    start();
    one = stranger();
    two = stranger();
    frame_hello(one, "ann");
    frame_hello(two, "ann");
    engine_run();
    client_expect(one, "WELCOME ann lobby");
    client_expect(two, "ERROR 6 id=0 nick-in-use ann");
    client_expect(bob, "[lobby] * ann joined");
    clients_expect_nothing();
    engine_stop();
}

/* ---- What is no greeting ------------------------------------------------- */

/* Sends a frame, as the first or after a nick that is refused. */
static void first(unsigned type, const void *body, size_t length, bool retry,
                  const char *error)
{
    struct client *client;

    start();
    client = stranger();
    if (retry) {
        hello(client, "bob");
        client_expect(client, "ERROR 6 id=0 nick-in-use bob");
    }
    frame_send(client, type, body, length);
    frame_hello(client, "ann"); /* too late */
    engine_run();
    expect_closed(client, error);
    assert_int_equal(engine_logged("joined session=2"), 0);
    engine_stop();
}

static void test_anything_else_first(void **state)
{
    static const unsigned types[] = {0,  1,  3,  4,   5,   6,   7,    8,
                                     9,  10, 11, 12,  15,  16,  17,   18,
                                     19, 20, 99, 256, 258, 512, 65535};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        first(types[i], "\0\0\0\0text", 8, false, "ERROR 23 id=0 handshake ");
        first(types[i], "", 0, true, "ERROR 23 id=0 handshake ");
    }
}

/* The type is looked at before the length, and that before the body. */
static void test_refused_by_its_head(void **state)
{
    static const struct {
        const char *bytes, *error;
        size_t length;
    } heads[] = {
        {"\0\4", "ERROR 23 ", 2},
        {"\0\4\xff\xff", "ERROR 23 ", 4},
        {"\0\2\0\x1b", "ERROR 21 id=0 too-large ", 4},
        {"\0\2\xff\xff", "ERROR 21 id=0 too-large ", 4},
        {"GET / HTTP/1.1\r\n", "ERROR 23 ", 16},
        {"\x16\x03\x01", "ERROR 23 ", 3},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(heads); i++) {
        struct client *client;

        start();
        client = stranger();
        client_send_bytes(client, heads[i].bytes, 1);
        engine_run();
        client_expect_nothing(client);
        client_send_bytes(client, heads[i].bytes + 1, heads[i].length - 1);
        engine_run();
        expect_closed(client, heads[i].error);
        engine_stop();
    }
}

static void test_bad_greetings(void **state)
{
    static const struct {
        const char *body, *error;
        size_t length;
    } bodies[] = {
        {"", "ERROR 20 id=0 bad-frame ", 0},
        {"\1", "ERROR 20 id=0 bad-frame ", 1},
        {"\1\4ann", "ERROR 20 id=0 bad-frame ", 5},
        {"\1\3anna", "ERROR 20 id=0 bad-frame ", 6},
        {"\1\0a", "ERROR 20 id=0 bad-frame ", 3},
        {"\1\xff", "ERROR 20 id=0 bad-frame ", 2},
        {"\0\3ann", "ERROR 25 id=0 bad-version ", 5},
        {"\2\3ann", "ERROR 25 id=0 bad-version ", 5},
        {"\2", "ERROR 25 id=0 bad-version ", 1},
        {"\1\x19nnnnnnnnnnnnnnnnnnnnnnnnn", "ERROR 21 id=0 too-large ", 27},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        first(SESSION_ACK, bodies[i].body, bodies[i].length, false,
              bodies[i].error);
        first(SESSION_ACK, bodies[i].body, bodies[i].length, true,
              bodies[i].error);
    }
}

/* Once is enough: it does not rename. */
static void test_greeting_twice(void **state)
{
    struct client *client;

    (void)state;
    start();
    client = stranger();
    frame_hello(client, "ann");
    frame_hello(client, "anna");
    engine_run();
    client_expect(client, "WELCOME ann lobby");
    client_expect_start(client, "ERROR 23 id=0 handshake ");
    client_expect_nothing(client);
    assert_true(client->shut);
    client_expect(bob, "[lobby] * ann joined");
    client_expect(bob, "[lobby] * ann left");
    client_expect_nothing(bob);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked_first),
        cmocka_unit_test(test_what_is_told),
        cmocka_unit_test(test_interval_is_rounded_up),
        cmocka_unit_test(test_welcome),
        cmocka_unit_test(test_welcome_in_pieces),
        cmocka_unit_test(test_invisible),
        cmocka_unit_test(test_counted),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_nick_in_use),
        TEST_ALONE(test_same_nick_at_once),
        cmocka_unit_test(test_anything_else_first),
        cmocka_unit_test(test_refused_by_its_head),
        cmocka_unit_test(test_bad_greetings),
        cmocka_unit_test(test_greeting_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
