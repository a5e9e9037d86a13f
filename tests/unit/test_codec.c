/*
 * The public codecs, as a program sees them: both roles talk to each other in
 * each dialect; whatever is asked for that cannot be is refused with the errno
 * that protocol.h says, and nothing is written; structs may be of another
 * version than the library's.
 */
#include <ringchat/protocol.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) ((struct ringchat_text){(literal), sizeof(literal) - 1})
#define SAID(...)                                                              \
    (&(struct ringchat_message){RINGCHAT_SIZED(struct ringchat_message),       \
                                __VA_ARGS__})

static const unsigned char key[32] = "a key of thirty-two bytes or so";

/* -- two ends of a connection -- */

static struct ringchat_codec *client, *server;
static enum ringchat_dialect dialect;

static struct ringchat_codec_config config_of(enum ringchat_role role)
{
    struct ringchat_codec_config config = {
        RINGCHAT_SIZED(config),
        .role = role,
        .dialect = dialect,
        .interval_s = role == RINGCHAT_SERVER ? 5 : 0,
    };

    if (dialect == RINGCHAT_SECURE) {
        config.key = key;
        config.key_bytes = sizeof(key);
    }
    return config;
}

static struct ringchat_codec *create(const struct ringchat_codec_config *config)
{
    struct ringchat_codec *codec = NULL;

    assert_int_equal(ringchat_codec_create(&codec, config), 0);
    assert_non_null(codec);
    return codec;
}

static void connect(enum ringchat_dialect spoken, bool seal)
{
    struct ringchat_codec_config config;

    dialect = spoken;
    config = config_of(RINGCHAT_CLIENT);
    config.seal = seal;
    client = create(&config);
    config = config_of(RINGCHAT_SERVER);
    server = create(&config);
}

static int disconnect(void **state)
{
    (void)state;
    ringchat_codec_destroy(client);
    ringchat_codec_destroy(server);
    client = server = NULL;
    return 0;
}

static bool same_text(struct ringchat_text a, struct ringchat_text b)
{
    return a.length == b.length &&
           (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* What is heard is what was said, member by member. */
static void assert_same(const struct ringchat_message *heard,
                        const struct ringchat_message *said)
{
    assert_int_equal(heard->kind, said->kind);
    assert_int_equal(heard->code, said->code);
    assert_int_equal(heard->id, said->id);
    assert_int_equal(heard->more, said->more);
    assert_true(same_text(heard->room, said->room));
    assert_true(same_text(heard->nick, said->nick));
    assert_true(same_text(heard->text, said->text));
    assert_true(heard->seq == said->seq);
    assert_true(heard->time_us == said->time_us);
    assert_true(heard->stamp == said->stamp);
    assert_true(heard->count == said->count);
}

static unsigned char wire_bytes[256 * 1024];

/* Encodes; how many bytes, after they were announced. */
static size_t encode(struct ringchat_codec *codec,
                     const struct ringchat_message *message)
{
    ptrdiff_t announced = ringchat_encode(codec, message, NULL, 0);

    assert_true(announced > 0);
    assert_int_equal(ringchat_encode(codec, message, wire_bytes, 1),
                     announced == 1 ? 1 : -ENOBUFS);
    if (announced > 1)
        assert_int_equal(
            ringchat_encode(codec, message, wire_bytes, sizeof(wire_bytes)),
            announced);
    return (size_t)announced;
}

static struct ringchat_message heard;

static void decode_whole(struct ringchat_codec *codec, size_t length)
{
    const unsigned char *at = wire_bytes;
    enum ringchat_error error = RINGCHAT_ERROR_NONE;

    heard = (struct ringchat_message){RINGCHAT_SIZED(heard)};
    assert_int_equal(ringchat_decode(codec, &at, &length, &heard, &error),
                     RINGCHAT_READY);
    assert_int_equal(length, 0);
}

/* `message` arrives as it is. */
static void pass(struct ringchat_codec *from, struct ringchat_codec *to,
                 const struct ringchat_message *message)
{
    decode_whole(to, encode(from, message));
    assert_same(&heard, message);
}

static void shake_hands(void)
{
    if (dialect != RINGCHAT_TEXT) {
        decode_whole(client,
                     encode(server, SAID(.kind = RINGCHAT_SESSION_INIT)));
        assert_int_equal(heard.kind, RINGCHAT_SESSION_INIT);
        assert_int_equal(heard.interval_s, 5);
        assert_int_equal(heard.bytes_max,
                         dialect == RINGCHAT_FRAME ? 16384 : 1 << 20);
        pass(client, server,
             SAID(.kind = RINGCHAT_HELLO, .nick = TEXT("alice")));
    }
    pass(server, client,
         SAID(.kind = RINGCHAT_WELCOME, .nick = TEXT("alice"),
              .room = TEXT("lobby")));
}

/* -- conversations -- */

static void talk_in_both(void)
{
    pass(client, server,
         SAID(.kind = RINGCHAT_COMMAND, .text = TEXT("who den")));
    pass(client, server,
         SAID(.kind = RINGCHAT_MESSAGE, .text = TEXT("/hello, w\xc3\xb6rld")));
    pass(server, client,
         SAID(.kind = RINGCHAT_JOINED, .room = TEXT("den"),
              .nick = TEXT("bob")));
    pass(server, client,
         SAID(.kind = RINGCHAT_LEFT, .room = TEXT("den"), .nick = TEXT("bob")));
    pass(server, client,
         SAID(.kind = RINGCHAT_NICK, .room = TEXT("den"), .nick = TEXT("bob"),
              .text = TEXT("bert")));
    pass(server, client,
         SAID(.kind = RINGCHAT_TOPIC, .room = TEXT("den"), .nick = TEXT("bob"),
              .text = TEXT("tea: now")));
    pass(server, client,
         SAID(.kind = RINGCHAT_LAGGED, .room = TEXT("den"), .count = 17));
    pass(server, client,
         SAID(.kind = RINGCHAT_ERROR, .code = RINGCHAT_ERROR_NICK_IN_USE,
              .text = TEXT("bob")));
    pass(server, client,
         SAID(.kind = RINGCHAT_ERROR, .code = RINGCHAT_ERROR_SHUTDOWN));
    pass(server, client,
         SAID(.kind = RINGCHAT_REPLY, .text = TEXT("end of who")));
}

static void test_text_conversation(void **state)
{
    (void)state;
    connect(RINGCHAT_TEXT, false);
    shake_hands();
    talk_in_both();
    pass(server, client,
         SAID(.kind = RINGCHAT_MESSAGE, .room = TEXT("den"),
              .nick = TEXT("bob"), .text = TEXT("hello: there")));
    pass(server, client,
         SAID(.kind = RINGCHAT_PRIVATE, .nick = TEXT("bob"),
              .text = TEXT("psst")));
    pass(client, server, SAID(.kind = RINGCHAT_NOTHING));
    /* What has another word there. */
    decode_whole(server, encode(client, SAID(.kind = RINGCHAT_PRIVATE,
                                             .nick = TEXT("bob"),
                                             .text = TEXT("psst"))));
    assert_same(&heard,
                SAID(.kind = RINGCHAT_COMMAND, .text = TEXT("msg bob psst")));
    decode_whole(server, encode(client, SAID(.kind = RINGCHAT_DISCONNECT)));
    assert_same(&heard, SAID(.kind = RINGCHAT_COMMAND, .text = TEXT("quit")));
}

static void talk_in_binary(void)
{
    talk_in_both();
    pass(client, server,
         SAID(.kind = RINGCHAT_MESSAGE, .id = 7, .room = TEXT("den"),
              .text = TEXT("hello")));
    pass(client, server,
         SAID(.kind = RINGCHAT_PRIVATE, .id = 9, .nick = TEXT("bob"),
              .text = TEXT("psst")));
    pass(client, server, SAID(.kind = RINGCHAT_PING, .stamp = 77));
    pass(client, server, SAID(.kind = RINGCHAT_PONG, .stamp = 78));
    pass(server, client, SAID(.kind = RINGCHAT_PING, .stamp = 79));
    pass(server, client, SAID(.kind = RINGCHAT_PONG, .stamp = 80));
    pass(server, client, SAID(.kind = RINGCHAT_ACK, .id = 7, .seq = 42));
    pass(server, client,
         SAID(.kind = RINGCHAT_REPLY, .id = 3, .text = TEXT("bob"),
              .more = true));
    pass(server, client,
         SAID(.kind = RINGCHAT_MESSAGE, .room = TEXT("den"),
              .nick = TEXT("bob"), .text = TEXT("hello"), .seq = 43,
              .time_us = 1700000000123456));
    pass(server, client,
         SAID(.kind = RINGCHAT_PRIVATE, .nick = TEXT("bob"),
              .text = TEXT("psst"), .time_us = 1700000000123456));
    pass(client, server, SAID(.kind = RINGCHAT_DISCONNECT));
    pass(server, client, SAID(.kind = RINGCHAT_DISCONNECT));
}

static void test_frame_conversation(void **state)
{
    (void)state;
    connect(RINGCHAT_FRAME, false);
    shake_hands();
    talk_in_binary();
}

static void test_secure_conversation(void **state)
{
    (void)state;
    connect(RINGCHAT_SECURE, false);
    shake_hands();
    talk_in_binary();
}

/* Nothing that was said can be read on the way. */
static void test_sealed_conversation(void **state)
{
    (void)state;
    connect(RINGCHAT_SECURE, true);
    shake_hands();
    talk_in_binary();
    decode_whole(server,
                 encode(client, SAID(.kind = RINGCHAT_MESSAGE,
                                     .text = TEXT("a secret of theirs"))));
    assert_true(same_text(heard.text, TEXT("a secret of theirs")));
    assert_null(memmem(wire_bytes, sizeof(wire_bytes), "secret of theirs", 16));
}

/* Content that is not text goes as it is. */
static void test_content_types(void **state)
{
    (void)state;
    for (int seal = 0; seal < 2; seal++) {
        connect(RINGCHAT_SECURE, seal);
        shake_hands();
        pass(client, server,
             SAID(.kind = RINGCHAT_MESSAGE, .room = TEXT("den"),
                  .text = TEXT("\x89PNG\n"),
                  .content_type = TEXT("image/png")));
        assert_true(same_text(heard.content_type, TEXT("image/png")));
        pass(server, client,
             SAID(.kind = RINGCHAT_PRIVATE, .nick = TEXT("bob"),
                  .text = TEXT("\x89PNG\n"),
                  .content_type = TEXT("image/png")));
        assert_true(same_text(heard.content_type, TEXT("image/png")));
        disconnect(NULL);
    }
}

/* -- what cannot be asked for -- */

static int create_result(struct ringchat_codec_config config)
{
    struct ringchat_codec *codec = NULL;
    int result = ringchat_codec_create(&codec, &config);

    assert_int_equal(result == 0, codec != NULL);
    ringchat_codec_destroy(codec);
    return result;
}

#define CONFIG(...)                                                            \
    ((struct ringchat_codec_config){                                           \
        RINGCHAT_SIZED(struct ringchat_codec_config), __VA_ARGS__})

static void test_configs(void **state)
{
    static const unsigned char long_key[4097] = {1};
    struct ringchat_codec_config config = CONFIG(.role = RINGCHAT_CLIENT);

    (void)state;
    assert_int_equal(create_result(config), 0);
    assert_int_equal(ringchat_codec_create(NULL, &config), -EINVAL);
    assert_int_equal(ringchat_codec_create(&client, NULL), -EINVAL);
    assert_null(client);
    assert_int_equal(create_result(CONFIG(.role = 2)), -EINVAL);
    assert_int_equal(create_result(CONFIG(.dialect = 3)), -EINVAL);
    /* Keys. */
    for (enum ringchat_dialect d = RINGCHAT_TEXT; d <= RINGCHAT_SECURE; d++) {
        int with_key = d == RINGCHAT_SECURE ? 0 : -EINVAL;
        int without = d == RINGCHAT_SECURE ? -EINVAL : 0;

        assert_int_equal(create_result(CONFIG(.dialect = d)), without);
        assert_int_equal(
            create_result(CONFIG(.dialect = d, .key = key, .key_bytes = 32)),
            with_key);
        assert_int_equal(create_result(CONFIG(.dialect = d, .seal = true)),
                         -EINVAL);
        assert_int_equal(
            create_result(CONFIG(.dialect = d, .key = key, .key_bytes = 31)),
            -EINVAL);
        assert_int_equal(create_result(CONFIG(.dialect = d, .key_bytes = 32)),
                         -EINVAL);
        assert_int_equal(create_result(CONFIG(.dialect = d, .key = long_key,
                                              .key_bytes = 4096)),
                         with_key);
        assert_int_equal(create_result(CONFIG(.dialect = d, .key = long_key,
                                              .key_bytes = 4097)),
                         -EINVAL);
    }
    /* Limits. */
    assert_int_equal(create_result(CONFIG(.bytes_max = 32 << 20)), 0);
    assert_int_equal(create_result(CONFIG(.bytes_max = (32 << 20) + 1)),
                     -EINVAL);
    assert_int_equal(
        create_result(CONFIG(.dialect = RINGCHAT_FRAME, .bytes_max = 65535)),
        0);
    assert_int_equal(
        create_result(CONFIG(.dialect = RINGCHAT_FRAME, .bytes_max = 65536)),
        -EINVAL);
    assert_int_equal(create_result(CONFIG(.interval_s = 65535)), 0);
    assert_int_equal(create_result(CONFIG(.interval_s = 65536)), -EINVAL);
}

static void test_without_memory(void **state)
{
    (void)state;
    for (dialect = RINGCHAT_TEXT; dialect <= RINGCHAT_SECURE; dialect++) {
        struct ringchat_codec_config config = config_of(RINGCHAT_SERVER);
        unsigned n = 1;

        for (;; n++) {
            int result;

            alloc_fail_at(n);
            result = create_result(config);
            alloc_fail_at(0);
            if (result == 0)
                break;
            assert_int_equal(result, -ENOMEM);
        }
        assert_true(n > 2);
    }
}

/* NULL where none may be, which is refused and does nothing. */
static void test_nulls(void **state)
{
    const unsigned char *at = wire_bytes, *none = NULL;
    size_t length = 1, nothing = 0;
    enum ringchat_error error = RINGCHAT_ERROR_NONE;
    struct ringchat_message message = {RINGCHAT_SIZED(message)};

    (void)state;
    connect(RINGCHAT_TEXT, false);
    assert_int_equal(ringchat_decode(NULL, &at, &length, &message, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(error, RINGCHAT_ERROR_INTERNAL);
    assert_int_equal(ringchat_decode(server, NULL, &length, &message, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(ringchat_decode(server, &at, NULL, &message, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(ringchat_decode(server, &at, &length, NULL, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(ringchat_decode(server, &at, &length, &message, NULL),
                     RINGCHAT_INVALID);
    assert_int_equal(ringchat_decode(server, &none, &length, &message, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(ringchat_decode_end(NULL, &message, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(ringchat_decode_end(server, NULL, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(ringchat_decode_end(server, &message, NULL),
                     RINGCHAT_INVALID);
    assert_int_equal(length, 1);
    /* None of that was the codec's. */
    assert_int_equal(ringchat_decode(server, &none, &nothing, &message, &error),
                     RINGCHAT_PARTIAL);
    assert_int_equal(ringchat_decode_need(NULL), 0);
    ringchat_codec_destroy(NULL);
    assert_int_equal(
        ringchat_encode(NULL, SAID(.kind = RINGCHAT_NOTHING), NULL, 0),
        -EINVAL);
    assert_int_equal(ringchat_encode(client, NULL, NULL, 0), -EINVAL);
    assert_int_equal(
        ringchat_encode(client, SAID(.kind = RINGCHAT_NOTHING), NULL, 1),
        -EINVAL);
}

/* -- what cannot be said -- */

static ptrdiff_t say(struct ringchat_codec *codec,
                     struct ringchat_message message)
{
    message.size = sizeof(message);
    return ringchat_encode(codec, &message, wire_bytes, sizeof(wire_bytes));
}

#define REFUSED(code, codec, ...)                                              \
    assert_int_equal(say(codec, (struct ringchat_message){__VA_ARGS__}), code)

/* Of everything that a kind has, one part that may not be. */
static void test_parts_of_requests(void **state)
{
    static char type[128];

    (void)state;
    memset(type, 'x', sizeof(type));
    for (enum ringchat_dialect d = RINGCHAT_TEXT; d <= RINGCHAT_FRAME; d++) {
        int in_text = d == RINGCHAT_TEXT ? -EINVAL : 1;

        connect(d, false);
        shake_hands();
        REFUSED(-EINVAL, client, .kind = RINGCHAT_MESSAGE);
        REFUSED(-EINVAL, client, .kind = RINGCHAT_MESSAGE, .text = {NULL, 1});
        REFUSED(-EINVAL, client, .kind = RINGCHAT_MESSAGE,
                .text = TEXT("a\nb"));
        REFUSED(-EINVAL, client, .kind = RINGCHAT_MESSAGE,
                .text = TEXT("\xff"));
        REFUSED(-EINVAL, client, .kind = RINGCHAT_MESSAGE, .text = TEXT("x"),
                .room = TEXT("a b"));
        REFUSED(-EINVAL, client, .kind = RINGCHAT_MESSAGE, .text = TEXT("x"),
                .content_type = {type, 128});
        REFUSED(-EINVAL, client, .kind = RINGCHAT_MESSAGE, .text = TEXT("x"),
                .content_type = TEXT("text/\x7f"));
        REFUSED(-ENOTSUP, client, .kind = RINGCHAT_MESSAGE, .text = TEXT("x"),
                .content_type = TEXT("image/png"));
        REFUSED(-EINVAL, client, .kind = RINGCHAT_PRIVATE, .text = TEXT("x"));
        REFUSED(-EINVAL, client, .kind = RINGCHAT_PRIVATE, .text = TEXT("x"),
                .nick = TEXT("9"));
        REFUSED(-EINVAL, client, .kind = RINGCHAT_COMMAND);
        REFUSED(-EINVAL, client, .kind = RINGCHAT_COMMAND, .text = TEXT("\n"));
        assert_int_equal(
            say(client, (struct ringchat_message){.kind = RINGCHAT_COMMAND,
                                                  .text = TEXT("/who")}) > 0,
            in_text > 0);
        for (enum ringchat_kind k = 0; k <= RINGCHAT_OTHER + 1; k++) {
            bool server_only =
                k == RINGCHAT_SESSION_INIT || k == RINGCHAT_WELCOME ||
                (k > RINGCHAT_COMMAND && k != RINGCHAT_DISCONNECT);

            if (server_only)
                REFUSED(-EINVAL, client, .kind = k);
        }
        disconnect(NULL);
    }
}

static void test_parts_of_events(void **state)
{
    (void)state;
    for (enum ringchat_dialect d = RINGCHAT_TEXT; d <= RINGCHAT_SECURE; d++) {
        connect(d, false);
        shake_hands();
        REFUSED(-EINVAL, server, .kind = RINGCHAT_MESSAGE, .room = TEXT("den"),
                .nick = TEXT("bob"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_MESSAGE, .room = TEXT("den"),
                .text = TEXT("x"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_MESSAGE, .nick = TEXT("bob"),
                .text = TEXT("x"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_MESSAGE, .room = TEXT("@"),
                .nick = TEXT("bob"), .text = TEXT("x"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_MESSAGE, .room = TEXT("den"),
                .nick = TEXT("bob"), .text = TEXT("\x1b[2J"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_PRIVATE, .text = TEXT("x"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_JOINED, .room = TEXT("den"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_LEFT, .nick = TEXT("bob"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_NICK, .room = TEXT("den"),
                .nick = TEXT("bob"), .text = TEXT("9"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_TOPIC, .room = TEXT("den"),
                .nick = TEXT("bob"), .text = TEXT("\r"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_LAGGED, .count = 1);
        REFUSED(-EINVAL, server, .kind = RINGCHAT_REPLY, .text = TEXT("\r"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_REPLY, .text = {NULL, 1});
        REFUSED(-EINVAL, server, .kind = RINGCHAT_ERROR);
        REFUSED(-EINVAL, server, .kind = RINGCHAT_ERROR, .code = 40);
        REFUSED(-EINVAL, server, .kind = RINGCHAT_ERROR, .code = 7777);
        REFUSED(-EINVAL, server, .kind = RINGCHAT_ERROR,
                .code = RINGCHAT_ERROR_USAGE, .text = TEXT("\n"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_ACK, .seq = 1);
        REFUSED(-EINVAL, server, .kind = RINGCHAT_NOTHING);
        REFUSED(-EINVAL, server, .kind = RINGCHAT_HELLO);
        REFUSED(-EINVAL, server, .kind = RINGCHAT_COMMAND, .text = TEXT("x"));
        REFUSED(-EINVAL, server, .kind = RINGCHAT_OTHER);
        REFUSED(-EINVAL, server, .kind = RINGCHAT_OTHER + 1);
        disconnect(NULL);
    }
}

/* What is of no meaning to a kind is not looked at. */
static void test_other_parts(void **state)
{
    (void)state;
    connect(RINGCHAT_FRAME, false);
    shake_hands();
    decode_whole(server,
                 encode(client, SAID(.kind = RINGCHAT_PING, .stamp = 1,
                                     .room = TEXT("a b"), .text = TEXT("\n"))));
    assert_same(&heard, SAID(.kind = RINGCHAT_PING, .stamp = 1));
    decode_whole(
        client,
        encode(server, SAID(.kind = RINGCHAT_JOINED, .room = TEXT("den"),
                            .nick = TEXT("bob"), .text = TEXT("\n"), .id = 7,
                            .code = 7777)));
    assert_same(&heard, SAID(.kind = RINGCHAT_JOINED, .room = TEXT("den"),
                             .nick = TEXT("bob")));
}

/* What text has no word for. */
static void test_words_of_text(void **state)
{
    (void)state;
    connect(RINGCHAT_TEXT, false);
    shake_hands();
    REFUSED(-ENOTSUP, client, .kind = RINGCHAT_HELLO);
    REFUSED(-ENOTSUP, client, .kind = RINGCHAT_PING);
    REFUSED(-ENOTSUP, client, .kind = RINGCHAT_PONG);
    REFUSED(-ENOTSUP, client, .kind = RINGCHAT_MESSAGE, .room = TEXT("den"),
            .text = TEXT("x"));
    REFUSED(-ENOTSUP, server, .kind = RINGCHAT_SESSION_INIT);
    REFUSED(-ENOTSUP, server, .kind = RINGCHAT_PING);
    REFUSED(-ENOTSUP, server, .kind = RINGCHAT_PONG);
    REFUSED(-ENOTSUP, server, .kind = RINGCHAT_ACK, .id = 1);
    REFUSED(-ENOTSUP, server, .kind = RINGCHAT_DISCONNECT);
    disconnect(NULL);
    connect(RINGCHAT_FRAME, false);
    shake_hands();
    REFUSED(-ENOTSUP, client, .kind = RINGCHAT_NOTHING);
}

/* -- the order of things -- */

static void expect_order(enum ringchat_dialect spoken)
{
    const struct ringchat_message hello = {.kind = RINGCHAT_HELLO};
    const struct ringchat_message who = {.kind = RINGCHAT_COMMAND,
                                         .text = TEXT("who")};
    const struct ringchat_message greeting = {.kind = RINGCHAT_SESSION_INIT};
    const struct ringchat_message ping = {.kind = RINGCHAT_PING};
    const struct ringchat_message welcome = {
        .kind = RINGCHAT_WELCOME, .nick = TEXT("ann"), .room = TEXT("lobby")};

    connect(spoken, false);
    assert_int_equal(say(client, hello), -EPROTO);
    assert_int_equal(say(client, who), -EPROTO);
    assert_int_equal(say(server, welcome), -EPROTO);
    assert_int_equal(say(server, ping), -EPROTO);
    decode_whole(client, (size_t)say(server, greeting));
    assert_int_equal(say(server, greeting), -EPROTO);
    assert_int_equal(say(server, welcome), -EPROTO);
    assert_int_equal(say(client, who), -EPROTO);
    decode_whole(server, (size_t)say(client, hello));
    assert_int_equal(say(client, who), -EPROTO);
    assert_int_equal(say(server, ping), -EPROTO);
    /* It may be refused, and say hello again. */
    decode_whole(client,
                 (size_t)say(server, (struct ringchat_message){
                                         .kind = RINGCHAT_ERROR, .code = 6}));
    decode_whole(server, (size_t)say(client, hello));
    decode_whole(client, (size_t)say(server, welcome));
    assert_int_equal(say(client, hello), -EPROTO);
    assert_int_equal(say(server, welcome), -EPROTO);
    decode_whole(server, (size_t)say(client, who));
    decode_whole(client, (size_t)say(server, ping));
    disconnect(NULL);
}

static void test_order_in_binary(void **state)
{
    (void)state;
    expect_order(RINGCHAT_FRAME);
    expect_order(RINGCHAT_SECURE);
}

/* A text client may speak at once; a server welcomes it first. */
static void test_order_in_text(void **state)
{
    const struct ringchat_message welcome = {
        .kind = RINGCHAT_WELCOME, .nick = TEXT("ann"), .room = TEXT("lobby")};

    (void)state;
    connect(RINGCHAT_TEXT, false);
    pass(client, server, SAID(.kind = RINGCHAT_COMMAND, .text = TEXT("who")));
    REFUSED(-EPROTO, server, .kind = RINGCHAT_REPLY, .text = TEXT("x"));
    decode_whole(client, (size_t)say(server, welcome));
    assert_int_equal(say(server, welcome), -EPROTO);
    pass(server, client, SAID(.kind = RINGCHAT_REPLY, .text = TEXT("x")));
}

/* Instead of a greeting: why there is none. */
static void test_refused_at_the_door(void **state)
{
    (void)state;
    for (enum ringchat_dialect d = RINGCHAT_TEXT; d <= RINGCHAT_SECURE; d++) {
        connect(d, d == RINGCHAT_SECURE);
        pass(server, client,
             SAID(.kind = RINGCHAT_ERROR, .code = RINGCHAT_ERROR_SERVER_FULL,
                  .text = TEXT("try again later")));
        disconnect(NULL);
    }
}

/* -- who is whom -- */

/* Encodes what the other end will not take. */
static enum ringchat_error refusal(struct ringchat_codec *codec, size_t length)
{
    const unsigned char *at = wire_bytes;
    enum ringchat_error error = RINGCHAT_ERROR_NONE;

    assert_int_equal(ringchat_decode(codec, &at, &length, &heard, &error),
                     RINGCHAT_INVALID);
    return error;
}

/* Sessions, numbers and keys are each connection's own. */
static void test_of_another_connection(void **state)
{
    struct ringchat_codec *others;
    size_t length;

    (void)state;
    connect(RINGCHAT_SECURE, true);
    shake_hands();
    others = client;
    ringchat_codec_destroy(server);
    connect(RINGCHAT_SECURE, true);
    shake_hands();
    length = encode(others, SAID(.kind = RINGCHAT_PING, .stamp = 1));
    assert_int_equal(refusal(server, length), RINGCHAT_ERROR_REPLAY);
    ringchat_codec_destroy(others);
}

static void test_replay(void **state)
{
    size_t length;

    (void)state;
    connect(RINGCHAT_SECURE, false);
    shake_hands();
    length = encode(client, SAID(.kind = RINGCHAT_PING, .stamp = 1));
    decode_whole(server, length);
    assert_int_equal(refusal(server, length), RINGCHAT_ERROR_REPLAY);
    length = encode(server, SAID(.kind = RINGCHAT_PING, .stamp = 1));
    decode_whole(client, length);
    assert_int_equal(refusal(client, length), RINGCHAT_ERROR_REPLAY);
}

static void test_another_key(void **state)
{
    struct ringchat_codec_config config;

    (void)state;
    connect(RINGCHAT_SECURE, false);
    ringchat_codec_destroy(client);
    config = config_of(RINGCHAT_CLIENT);
    config.key = "another key of thirty-two bytes.";
    client = create(&config);
    assert_int_equal(
        refusal(client, encode(server, SAID(.kind = RINGCHAT_SESSION_INIT))),
        RINGCHAT_ERROR_BAD_HMAC);
}

/* Who does not ask for encryption where it is wanted. */
static void test_encryption_is_wanted(void **state)
{
    struct ringchat_codec_config config;

    (void)state;
    connect(RINGCHAT_SECURE, false);
    ringchat_codec_destroy(server);
    config = config_of(RINGCHAT_SERVER);
    config.seal = true;
    server = create(&config);
    decode_whole(client, encode(server, SAID(.kind = RINGCHAT_SESSION_INIT)));
    assert_int_equal(
        refusal(server, encode(client, SAID(.kind = RINGCHAT_HELLO))),
        RINGCHAT_ERROR_HANDSHAKE);
}

/* A client that is greeted as it was before does not seal with the numbers of
 * then. */
static void test_numbers_are_new(void **state)
{
    static unsigned char greeting[1024], first[1024];
    struct ringchat_codec_config config;
    const unsigned char *at;
    enum ringchat_error error;
    size_t length, left;

    (void)state;
    connect(RINGCHAT_SECURE, true);
    length = encode(server, SAID(.kind = RINGCHAT_SESSION_INIT));
    memcpy(greeting, wire_bytes, length);
    decode_whole(client, length);
    left = encode(client, SAID(.kind = RINGCHAT_HELLO));
    memcpy(first, wire_bytes, left);
    ringchat_codec_destroy(client);
    config = config_of(RINGCHAT_CLIENT);
    config.seal = true;
    client = create(&config);
    at = greeting;
    assert_int_equal(ringchat_decode(client, &at, &length, &heard, &error),
                     RINGCHAT_READY);
    assert_true(encode(client, SAID(.kind = RINGCHAT_HELLO)) != left ||
                memcmp(wire_bytes, first, left) != 0);
}

/* -- limits -- */

/* The longest that a frame's server has said it takes, and one byte more. */
static void test_what_the_server_takes(void **state)
{
    static char text[20000];
    struct ringchat_message message = {.kind = RINGCHAT_COMMAND,
                                       .text = {text, 16384 - 4}};

    (void)state;
    memset(text, 'x', sizeof(text));
    connect(RINGCHAT_FRAME, false);
    shake_hands();
    decode_whole(server, (size_t)say(client, message));
    assert_int_equal(heard.text.length, 16384 - 4);
    message.text.length++;
    assert_int_equal(say(client, message), -EMSGSIZE);
    message.size = sizeof(message);
    assert_int_equal(ringchat_encode(client, &message, NULL, 0), -EMSGSIZE);
}

/* What the seal adds counts. */
static void test_what_a_secure_server_takes(void **state)
{
    static char text[1000];
    struct ringchat_codec_config config;
    struct ringchat_message message = {.kind = RINGCHAT_MESSAGE,
                                       .text = {text, 1000}};

    (void)state;
    memset(text, 'x', sizeof(text));
    for (int seal = 0; seal < 2; seal++) {
        connect(RINGCHAT_SECURE, seal);
        ringchat_codec_destroy(server);
        config = config_of(RINGCHAT_SERVER);
        config.bytes_max = 999;
        server = create(&config);
        decode_whole(client,
                     encode(server, SAID(.kind = RINGCHAT_SESSION_INIT)));
        assert_int_equal(heard.bytes_max, 999);
        pass(client, server, SAID(.kind = RINGCHAT_HELLO));
        pass(server, client,
             SAID(.kind = RINGCHAT_WELCOME, .nick = TEXT("guest-1a2b"),
                  .room = TEXT("lobby")));
        message.text.length = 1000 - (seal ? 16 : 0);
        assert_int_equal(say(client, message), -EMSGSIZE);
        message.text.length--;
        decode_whole(server, (size_t)say(client, message));
        disconnect(NULL);
    }
}

/* The largest number of JSON. */
static void test_numbers(void **state)
{
    const uint64_t most = (UINT64_C(1) << 53) - 1;

    (void)state;
    connect(RINGCHAT_SECURE, false);
    shake_hands();
    pass(client, server, SAID(.kind = RINGCHAT_PING, .stamp = most));
    REFUSED(-EINVAL, client, .kind = RINGCHAT_PING, .stamp = most + 1);
    pass(server, client, SAID(.kind = RINGCHAT_PONG, .stamp = most));
    REFUSED(-EINVAL, server, .kind = RINGCHAT_PONG, .stamp = most + 1);
    REFUSED(-EINVAL, server, .kind = RINGCHAT_ACK, .id = 1, .seq = most + 1);
    REFUSED(-EINVAL, server, .kind = RINGCHAT_PRIVATE, .nick = TEXT("bob"),
            .text = TEXT("x"), .time_us = most + 1);
    disconnect(NULL);
    connect(RINGCHAT_FRAME, false);
    shake_hands();
    pass(client, server, SAID(.kind = RINGCHAT_PING, .stamp = UINT64_MAX));
}

/* Nothing that long is sent in any dialect. */
static void test_longest_text(void **state)
{
    (void)state;
    connect(RINGCHAT_TEXT, false);
    REFUSED(-EMSGSIZE, client, .kind = RINGCHAT_MESSAGE,
            .text = {"x", (32 << 20) + 1});
    REFUSED(-EMSGSIZE, server, .kind = RINGCHAT_MESSAGE,
            .text = {"x", SIZE_MAX});
}

/* What a frame cannot hold is described to who hears it. */
static void test_descriptions(void **state)
{
    static char text[70000];

    (void)state;
    memset(text, 'x', sizeof(text));
    connect(RINGCHAT_FRAME, false);
    shake_hands();
    decode_whole(client, (size_t)say(server, (struct ringchat_message){
                                                 .kind = RINGCHAT_MESSAGE,
                                                 .room = TEXT("den"),
                                                 .nick = TEXT("bob"),
                                                 .content_type = TEXT("a/b"),
                                                 .text = TEXT("\n")}));
    assert_true(same_text(heard.text, TEXT("sent a/b (1 bytes)")));
    decode_whole(client, (size_t)say(server, (struct ringchat_message){
                                                 .kind = RINGCHAT_REPLY,
                                                 .text = {text, 70000}}));
    assert_true(same_text(
        heard.text, TEXT("sent text/plain; charset=utf-8 (70000 bytes)")));
}

/* A peer that says more than the config allows. */
static void test_limits_of_the_peer(void **state)
{
    static char text[10000];
    struct ringchat_codec_config config;
    const unsigned char *at = wire_bytes;
    size_t length;
    enum ringchat_error error = RINGCHAT_ERROR_NONE;

    (void)state;
    memset(text, 'x', sizeof(text));
    connect(RINGCHAT_TEXT, false);
    ringchat_codec_destroy(server);
    config = config_of(RINGCHAT_SERVER);
    config.bytes_max = 9999;
    server = create(&config);
    length = (size_t)say(
        client, (struct ringchat_message){.kind = RINGCHAT_MESSAGE,
                                          .text = {text, sizeof(text)}});
    assert_int_equal(ringchat_decode(server, &at, &length, &heard, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(error, RINGCHAT_ERROR_LINE_TOO_LONG);
    /* That closes nothing. */
    pass(client, server, SAID(.kind = RINGCHAT_MESSAGE, .text = {text, 9999}));
}

/* -- decoding -- */

/* Byte by byte, and only as many as are needed. */
static void test_decoding_in_pieces(void **state)
{
    struct ringchat_message message = {
        .kind = RINGCHAT_MESSAGE, .id = 7, .text = TEXT("hello")};
    const unsigned char *at = wire_bytes;
    enum ringchat_error error;
    size_t length, one;

    (void)state;
    connect(RINGCHAT_FRAME, false);
    shake_hands();
    length = (size_t)say(client, message);
    assert_int_equal(ringchat_decode_need(server), 4);
    for (size_t i = 0; i < length; i++) {
        one = 1;
        assert_int_equal(ringchat_decode(server, &at, &one, &heard, &error),
                         i + 1 < length ? RINGCHAT_PARTIAL : RINGCHAT_READY);
        assert_int_equal(one, 0);
        if (i + 1 == 4)
            assert_int_equal(ringchat_decode_need(server), length - 4);
    }
    assert_same(&heard, &message);
    assert_int_equal(ringchat_decode_end(server, &heard, &error),
                     RINGCHAT_PARTIAL);
}

static void test_last_line(void **state)
{
    static const char line[] = "hello";
    const unsigned char *at = (const unsigned char *)line;
    size_t length = sizeof(line) - 1;
    enum ringchat_error error;

    (void)state;
    connect(RINGCHAT_TEXT, false);
    assert_int_equal(ringchat_decode_need(server), SIZE_MAX);
    assert_int_equal(ringchat_decode(server, &at, &length, &heard, &error),
                     RINGCHAT_PARTIAL);
    assert_int_equal(ringchat_decode_end(server, &heard, &error),
                     RINGCHAT_READY);
    assert_same(&heard, SAID(.kind = RINGCHAT_MESSAGE, .text = TEXT("hello")));
    assert_int_equal(ringchat_decode_end(server, &heard, &error),
                     RINGCHAT_PARTIAL);
}

/* An error that closes: the codec says it again, and takes nothing more. */
static void test_what_closes(void **state)
{
    static const unsigned char frames[] = "\0\2\0\3\1\0\0"
                                          "\0\7\0\7\0\0\0\1who";
    const unsigned char *at = frames;
    size_t length = sizeof(frames) - 1;
    enum ringchat_error error = RINGCHAT_ERROR_NONE;

    (void)state;
    connect(RINGCHAT_FRAME, false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ringchat_decode(server, &at, &length, &heard, &error),
                         RINGCHAT_INVALID);
        assert_int_equal(error, RINGCHAT_ERROR_BAD_FRAME);
        assert_ptr_equal(at, frames + 7);
    }
    assert_int_equal(ringchat_decode_end(server, &heard, &error),
                     RINGCHAT_PARTIAL);
}

/* Names that are none are told with the id of what they were in. */
static void test_names_that_are_none(void **state)
{
    static const struct {
        const char *frame;
        size_t length;
        uint32_t id;
    } frames[] = {
        {"\0\4\0\10\0\0\0\5\2a x", 12, 5}, /* to a room, a space */
        {"\0\4\0\7\0\0\0\6\1@x", 11, 6},   /* to nobody */
        {"\0\4\0\10\0\0\0\7\2@9x", 12, 7},
    };
    static const char hello[] = "\0\2\0\4\1\2\x1b[";
    enum ringchat_error error = RINGCHAT_ERROR_NONE;
    const unsigned char *at = (const unsigned char *)hello;
    size_t length = sizeof(hello) - 1;

    (void)state;
    connect(RINGCHAT_FRAME, false);
    decode_whole(client, encode(server, SAID(.kind = RINGCHAT_SESSION_INIT)));
    assert_int_equal(ringchat_decode(server, &at, &length, &heard, &error),
                     RINGCHAT_INVALID);
    assert_int_equal(error, RINGCHAT_ERROR_BAD_NAME);
    /* It was no hello. */
    REFUSED(-EPROTO, server, .kind = RINGCHAT_WELCOME, .nick = TEXT("ann"),
            .room = TEXT("lobby"));
    pass(client, server, SAID(.kind = RINGCHAT_HELLO, .nick = TEXT("ann")));
    pass(server, client,
         SAID(.kind = RINGCHAT_WELCOME, .nick = TEXT("ann"),
              .room = TEXT("lobby")));
    for (size_t i = 0; i < ARRAY_LENGTH(frames); i++) {
        at = (const unsigned char *)frames[i].frame;
        length = frames[i].length;
        assert_int_equal(ringchat_decode(server, &at, &length, &heard, &error),
                         RINGCHAT_INVALID);
        assert_int_equal(error, RINGCHAT_ERROR_BAD_NAME);
        assert_int_equal(heard.id, frames[i].id);
    }
    /* A `#` is dropped, on either side. */
    decode_whole(server,
                 encode(client, SAID(.kind = RINGCHAT_MESSAGE,
                                     .room = TEXT("#den"), .text = TEXT("x"))));
    assert_true(same_text(heard.room, TEXT("den")));
    at = (const unsigned char *)"\0\4\0\12\0\0\0\7\4#denx";
    length = 14;
    assert_int_equal(ringchat_decode(server, &at, &length, &heard, &error),
                     RINGCHAT_READY);
    assert_true(same_text(heard.room, TEXT("den")));
}

/* Transfers, and what a later protocol may have. */
static void test_other_types(void **state)
{
    static const unsigned char transfer[] = "\0\20\0\0";
    const unsigned char *at = transfer;
    size_t length = 4;
    enum ringchat_error error;

    (void)state;
    connect(RINGCHAT_FRAME, false);
    shake_hands();
    assert_int_equal(ringchat_decode(server, &at, &length, &heard, &error),
                     RINGCHAT_READY);
    assert_int_equal(heard.kind, RINGCHAT_OTHER);
    at = transfer;
    length = 4;
    assert_int_equal(ringchat_decode(client, &at, &length, &heard, &error),
                     RINGCHAT_READY);
    assert_int_equal(heard.kind, RINGCHAT_OTHER);
}

/* -- structs of other versions -- */

/* A message with more after it than the library knows. */
struct later_message {
    struct ringchat_message message;
    unsigned char more[40];
};

static void test_longer_structs(void **state)
{
    struct later_message later = {
        .message = {.size = sizeof(later),
                    .kind = RINGCHAT_COMMAND,
                    .text = TEXT("who")},
    };
    const unsigned char *at = wire_bytes;
    enum ringchat_error error;
    size_t length;

    (void)state;
    connect(RINGCHAT_TEXT, false);
    length = encode(client, &later.message);
    later.more[39] = 1; /* something that the library does not know */
    assert_int_equal(ringchat_encode(client, &later.message, NULL, 0), -EINVAL);
    memset(later.more, 0xff, sizeof(later.more));
    assert_int_equal(
        ringchat_decode(server, &at, &length, &later.message, &error),
        RINGCHAT_READY);
    assert_int_equal(later.message.size, sizeof(later));
    assert_int_equal(later.message.kind, RINGCHAT_COMMAND);
    for (size_t i = 0; i < sizeof(later.more); i++)
        assert_int_equal(later.more[i], 0);
}

/* What an earlier program did not know of is 0, and is not written to. */
static void test_shorter_structs(void **state)
{
    struct ringchat_message earlier = {
        .size = offsetof(struct ringchat_message, content_type),
        .kind = RINGCHAT_MESSAGE,
        .text = TEXT("hello"),
        .content_type = TEXT("image/png"),
        .seq = 4711,
    };
    struct ringchat_codec_config config = {
        .size = offsetof(struct ringchat_codec_config, key),
        .role = RINGCHAT_CLIENT,
        .dialect = RINGCHAT_TEXT,
        .seal = true,
    };
    const unsigned char *at = wire_bytes;
    enum ringchat_error error;
    size_t length;

    (void)state;
    connect(RINGCHAT_TEXT, false);
    length = encode(client, &earlier);
    assert_int_equal(ringchat_decode(server, &at, &length, &earlier, &error),
                     RINGCHAT_READY);
    assert_true(earlier.seq == 4711);
    assert_true(same_text(earlier.text, TEXT("hello")));
    assert_int_equal(create_result(config), 0);
    for (size_t size = 0; size < sizeof(size_t); size++) {
        config.size = earlier.size = size;
        assert_int_equal(create_result(config), -EINVAL);
        assert_int_equal(ringchat_encode(client, &earlier, NULL, 0), -EINVAL);
    }
}

/* -- words -- */

static void test_errors(void **state)
{
    (void)state;
    for (int code = -1; code <= 300; code++) {
        const char *name = ringchat_error_name((enum ringchat_error)code);

        assert_non_null(name);
        if (code < 1 || code > 99)
            assert_string_equal(name, "unknown");
    }
    assert_string_equal(ringchat_error_name(RINGCHAT_ERROR_LINE_TOO_LONG),
                        "line-too-long");
    assert_string_equal(ringchat_error_name(RINGCHAT_ERROR_AUTH_FAILED),
                        "auth-failed");
    assert_string_equal(ringchat_error_name(RINGCHAT_ERROR_NO_SUCH_TRANSFER),
                        "no-such-transfer");
    assert_string_equal(ringchat_error_name(RINGCHAT_ERROR_INTERNAL),
                        "internal");
    assert_false(ringchat_error_closes(RINGCHAT_ERROR_NONE));
    assert_false(ringchat_error_closes(RINGCHAT_ERROR_BAD_TEXT));
    assert_false(ringchat_error_closes(RINGCHAT_ERROR_FORBIDDEN));
    assert_false(ringchat_error_closes((enum ringchat_error)7777));
    assert_true(ringchat_error_closes(RINGCHAT_ERROR_REPLAY));
    assert_true(ringchat_error_closes(RINGCHAT_ERROR_INTERNAL));
}

static void test_names_and_text(void **state)
{
    const struct ringchat_text nowhere = {NULL, 5}, empty = {NULL, 0};

    (void)state;
    assert_true(ringchat_room_is_valid(TEXT("den.1")));
    assert_false(ringchat_room_is_valid(TEXT("#den")));
    assert_false(ringchat_room_is_valid(empty));
    assert_false(ringchat_room_is_valid(nowhere));
    assert_true(ringchat_nick_is_valid(TEXT("bob")));
    assert_true(ringchat_nick_is_valid(TEXT("guest-xyz")));
    assert_false(ringchat_nick_is_valid(TEXT("guest-1a2b")));
    assert_false(ringchat_nick_is_valid(TEXT("9")));
    assert_false(ringchat_nick_is_valid(empty));
    assert_false(ringchat_nick_is_valid(nowhere));
    assert_true(ringchat_name_equals(TEXT("Den"), TEXT("dEN")));
    assert_false(ringchat_name_equals(TEXT("den"), TEXT("dem")));
    assert_true(ringchat_name_equals(empty, TEXT("")));
    assert_false(ringchat_name_equals(nowhere, nowhere));
    assert_true(ringchat_text_is_clean(TEXT("w\xc3\xb6rld\t")));
    assert_true(ringchat_text_is_clean(empty));
    assert_false(ringchat_text_is_clean(TEXT("a\nb")));
    assert_false(ringchat_text_is_clean(nowhere));
}

static void test_version(void **state)
{
    (void)state;
    assert_int_equal(ringchat_version(), RINGCHAT_VERSION_MAJOR << 16 |
                                             RINGCHAT_VERSION_MINOR << 8 |
                                             RINGCHAT_VERSION_PATCH);
}

#define TEST(name) cmocka_unit_test_teardown(name, disconnect)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_text_conversation),
        TEST(test_frame_conversation),
        TEST(test_secure_conversation),
        TEST(test_sealed_conversation),
        TEST(test_content_types),
        TEST(test_configs),
        TEST(test_without_memory),
        TEST(test_nulls),
        TEST(test_parts_of_requests),
        TEST(test_parts_of_events),
        TEST(test_other_parts),
        TEST(test_words_of_text),
        TEST(test_order_in_binary),
        TEST(test_order_in_text),
        TEST(test_refused_at_the_door),
        TEST(test_of_another_connection),
        TEST(test_replay),
        TEST(test_another_key),
        TEST(test_encryption_is_wanted),
        TEST(test_numbers_are_new),
        TEST(test_what_the_server_takes),
        TEST(test_what_a_secure_server_takes),
        TEST(test_numbers),
        TEST(test_longest_text),
        TEST(test_descriptions),
        TEST(test_limits_of_the_peer),
        TEST(test_decoding_in_pieces),
        TEST(test_last_line),
        TEST(test_what_closes),
        TEST(test_names_that_are_none),
        TEST(test_other_types),
        TEST(test_longer_structs),
        TEST(test_shorter_structs),
        TEST(test_errors),
        TEST(test_names_and_text),
        TEST(test_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
