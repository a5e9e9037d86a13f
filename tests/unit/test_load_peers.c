/*
 * How the load generator speaks to the servers that ours are compared with:
 * Redis, NATS and IRC. Whole conversations, as those servers hold them, cut at
 * every byte; what no server may say; what a damaged stream may not do; and
 * what is said to them, byte by byte.
 */
#include "tests/load/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER 0x2a
#define HEARD_BYTES_MAX 65536

/* ---- A client ----------------------------------------------------------- */

struct talk {
    struct speaker speaker;
    struct out out;
    unsigned char *bytes; /* exactly as many as there are, for the sanitizers */
    size_t length, looked, wanted;
    bool broken;
    char heard[HEARD_BYTES_MAX]; /* a line for each item */
    size_t heard_length;
};

static struct talk *talk_begin(const struct dialect *dialect)
{
    struct talk *talk = calloc(1, sizeof(*talk));

    assert_non_null(talk);
    talk->speaker =
        (struct speaker){.dialect = dialect, .room = "hall", .number = NUMBER};
    talk->bytes = malloc(1);
    assert_non_null(talk->bytes);
    dialect->enter(&talk->speaker, &talk->out);
    return talk;
}

static void talk_end(struct talk *talk)
{
    if (talk->speaker.dialect->release != NULL)
        talk->speaker.dialect->release(&talk->speaker);
    out_release(&talk->out);
    free(talk->bytes);
    free(talk);
}

static void note(struct talk *talk, const char *what, const struct item *item)
{
    size_t room = sizeof(talk->heard) - talk->heard_length;
    int length = snprintf(talk->heard + talk->heard_length, room, "%s(%.*s)\n",
                          what, (int)item->length, (const char *)item->text);

    assert_true(length > 0 && (size_t)length < room);
    talk->heard_length += (size_t)length;
}

/* As any client would take it. */
static void take(struct talk *talk, const struct item *item)
{
    static const char *const names[] = {
        [ITEM_MESSAGE] = "message",     [ITEM_LAGGED] = "lagged",
        [ITEM_READY] = "ready",         [ITEM_ENTERED] = "entered",
        [ITEM_PING] = "ping",           [ITEM_ERROR] = "error",
        [ITEM_CORRUPT] = "corrupt",     [ITEM_OTHER] = "other",
        [ITEM_ELSEWHERE] = "elsewhere",
    };

    note(talk, names[item->kind], item);
    if (item->kind == ITEM_PING)
        talk->speaker.dialect->answer(&talk->speaker, item, &talk->out);
    if (item->kind == ITEM_READY) {
        talk->speaker.step++;
        talk->speaker.dialect->enter(&talk->speaker, &talk->out);
    }
}

/* Cuts the first `length` bytes off. */
static void drop(struct talk *talk, size_t length)
{
    size_t rest = talk->length - length;
    unsigned char *bytes = malloc(rest > 0 ? rest : 1);

    assert_non_null(bytes);
    if (rest > 0)
        memcpy(bytes, talk->bytes + length, rest);
    free(talk->bytes);
    talk->bytes = bytes;
    talk->length = rest;
    talk->looked = talk->wanted = 0;
}

/* One item, or false: none is there. What `extent` may answer is checked: that
 * it wants more than there is, and never wanted more than the item has. */
static bool take_one(struct talk *talk)
{
    const struct dialect *dialect = talk->speaker.dialect;
    size_t wanted = 0, extent;
    struct item item = {0};

    if (talk->length == 0 || talk->broken)
        return false;
    extent = dialect->extent(talk->bytes, talk->length, talk->looked, &wanted);
    if (extent == 0) {
        assert_true(wanted > talk->length && wanted >= talk->wanted);
        talk->looked = talk->length;
        talk->wanted = wanted;
        return false;
    }
    if (extent == EXTENT_INVALID) {
        note(talk, "invalid", &(struct item){.text = talk->bytes});
        talk->broken = true;
        return false;
    }
    assert_true(extent <= talk->length && extent >= talk->wanted);
    dialect->read(&talk->speaker, talk->bytes, extent, &item);
    take(talk, &item);
    drop(talk, extent);
    return true;
}

static void hear(struct talk *talk, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    talk->bytes = realloc(talk->bytes, talk->length + length);
    assert_non_null(talk->bytes);
    memcpy(talk->bytes + talk->length, bytes, length);
    talk->length += length;
    while (take_one(talk))
        ;
}

static void check_said(struct talk *talk, const char *said)
{
    assert_int_equal(out_length(&talk->out), strlen(said));
    assert_memory_equal(talk->out.bytes + talk->out.begin, said, strlen(said));
}

/* ---- Conversations ------------------------------------------------------ */

struct conversation {
    const struct dialect *dialect;
    const char *server; /* all that it says */
    const char *heard;  /* what the client makes of it */
    const char *client; /* all that it says */
};

/* As redis-server 7.0 says it. */
static const struct conversation redis = {
    .dialect = &dialect_resp,
    .server = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"
              "$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n"
              "$2\r\nid\r\n:4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
              "$4\r\nrole\r\n$6\r\nmaster\r\n"
              "$7\r\nmodules\r\n*1\r\n%2\r\n$4\r\nname\r\n$2\r\nbf\r\n"
              "$4\r\nargs\r\n*0\r\n"
              ">3\r\n$9\r\nsubscribe\r\n$4\r\nhall\r\n:1\r\n"
              ">3\r\n$7\r\nmessage\r\n$4\r\nhall\r\n$5\r\nhello\r\n"
              ":12\r\n"
              ">3\r\n$7\r\nmessage\r\n$4\r\nhall\r\n$12\r\n\r\n$3\r\nab\r\n\r\n"
              "\r\n"
              ">3\r\n$7\r\nmessage\r\n$4\r\nhall\r\n$0\r\n\r\n"
              "-ERR no\r\n"
              "!7\r\nNO\r\nWAY\r\n"
              "_\r\n#t\r\n,1.5\r\n(1\r\n=5\r\ntxt:a\r\n~0\r\n"
              ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n"
              "+OK\r\n",
    .heard = "other()\n"
             "entered()\n"
             "message(hello)\n"
             "other()\n"
             "message(\r\n$3\r\nab\r\n\r\n)\n"
             "message()\n"
             "error(ERR no)\n"
             "error(NO\r\nWAY)\n"
             "other()\nother()\nother()\nother()\nother()\nother()\n"
             "other()\n"
             "other()\n",
    .client = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
              "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nhall\r\n",
};

/* A server before version 6, which has no HELLO. */
static const struct conversation old_redis = {
    .dialect = &dialect_resp,
    .server =
        "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"
        "*3\r\n$9\r\nsubscribe\r\n$4\r\nhall\r\n:1\r\n",
    .heard = "error(ERR unknown command `HELLO`, with args beginning with: "
             "`3`, )\n"
             "other()\n",
    .client = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
              "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nhall\r\n",
};

static const struct conversation nats = {
    .dialect = &dialect_nats,
    .server = "INFO {\"server_id\":\"NA\",\"max_payload\":1048576} \r\n"
              "PING\r\n"
              "PONG\r\n"
              "MSG hall 1 5\r\nhello\r\n"
              "+OK\r\n"
              "MSG hall 1 14\r\nMSG hall 1 5\r\n\r\n"
              "MSG hall 1 inbox.7 2\r\n\r\n\r\n"
              "MSG hall 1 0\r\n\r\n"
              "PING\r\n"
              "INFO {\"connect_urls\":[]}\r\n"
              "-ERR 'Stale Connection'\r\n",
    .heard = "ready()\n"
             "ping()\n"
             "entered()\n"
             "message(hello)\n"
             "other()\n"
             "message(MSG hall 1 5\r\n)\n"
             "message(\r\n)\n"
             "message()\n"
             "ping()\n"
             "other()\n"
             "error('Stale Connection')\n",
    .client = "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true,"
              "\"headers\":false,\"tls_required\":false,\"protocol\":1,"
              "\"lang\":\"c\",\"version\":\"1\",\"name\":\"ringchat-load\"}\r\n"
              "SUB hall 1\r\n"
              "PING\r\n"
              "PONG\r\n"
              "PONG\r\n",
};

static const struct conversation irc = {
    .dialect = &dialect_irc,
    .server = ":s NOTICE * :*** Looking you up\r\n"
              "PING :cookie 7\r\n"
              ":s 001 u2a :Welcome\r\n"
              ":s 005 u2a CHANNELLEN=50 :are supported\r\n"
              ":s 422 u2a :MOTD file is missing\r\n"
              ":u2a!~load@127.0.0.1 JOIN :#hall\r\n"
              ":s 353 u2a = #hall :@u2a\r\n"
              ":s 366 u2a #hallway :End of NAMES list\r\n"
              ":s 366 u2a #hall :End of NAMES list\r\n"
              ":u2b!~load@127.0.0.1 PRIVMSG #hall :hello there\r\n"
              ":u2b!~load@127.0.0.1 PRIVMSG #hall :\r\n"
              ":u2b!~load@127.0.0.1 PRIVMSG #hall ::-) PRIVMSG #hall :\r\n"
              ":u2b!~load@127.0.0.1 PRIVMSG #hall word\r\n"
              ":u2b!~load@127.0.0.1 PRIVMSG u2a :you alone\r\n"
              ":u2b!~load@127.0.0.1 NOTICE #hall :hear\r\n"
              ":s PING s\r\n"
              ":s 404 u2a #hall :Cannot send to channel\r\n"
              "ERROR :Closing Link\r\n",
    .heard = "other()\n"
             "ping(:cookie 7)\n"
             "ready()\n"
             "other()\nother()\nother()\nother()\nother()\n"
             "entered()\n"
             "message(hello there)\n"
             "message()\n"
             "message(:-) PRIVMSG #hall :)\n"
             "message(word)\n"
             "other()\n"
             "other()\n"
             "ping(s)\n"
             "error(404 u2a #hall :Cannot send to channel)\n"
             "error(Closing Link)\n",
    .client = "NICK u2a\r\nUSER load 0 * :ringchat-load\r\n"
              "PONG :cookie 7\r\n"
              "JOIN #hall\r\n"
              "PONG s\r\n",
};

static const struct conversation *const conversations[] = {&redis, &old_redis,
                                                           &nats, &irc};
#define CONVERSATIONS (sizeof(conversations) / sizeof(conversations[0]))

static void check_talk(struct talk *talk, const struct conversation *is)
{
    assert_string_equal(talk->heard, is->heard);
    check_said(talk, is->client);
    assert_int_equal(talk->length, 0);
    talk_end(talk);
}

static void test_conversations_cut_in_two(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONVERSATIONS; i++) {
        const struct conversation *is = conversations[i];
        size_t length = strlen(is->server);

        for (size_t cut = 0; cut <= length; cut++) {
            struct talk *talk = talk_begin(is->dialect);

            hear(talk, is->server, cut);
            hear(talk, is->server + cut, length - cut);
            check_talk(talk, is);
        }
    }
}

static void test_conversations_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONVERSATIONS; i++) {
        const struct conversation *is = conversations[i];
        struct talk *talk = talk_begin(is->dialect);

        for (const char *at = is->server; *at != '\0'; at++)
            hear(talk, at, 1);
        check_talk(talk, is);
    }
}

/* A client that waits until what is wanted is there misses nothing. */
static void test_conversations_as_wanted(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONVERSATIONS; i++) {
        const struct conversation *is = conversations[i];
        struct talk *talk = talk_begin(is->dialect);
        size_t at = 0, length = strlen(is->server);

        while (at < length) {
            size_t more =
                talk->wanted > talk->length ? talk->wanted - talk->length : 1;

            assert_true(more <= length - at);
            hear(talk, is->server + at, more);
            at += more;
        }
        check_talk(talk, is);
    }
}

/* ---- What no server may say --------------------------------------------- */

struct fault {
    const struct dialect *dialect;
    const char *server, *heard;
};

static const struct fault faults[] = {
    {&dialect_resp, "hello\r\n", "invalid()\n"},
    {&dialect_resp, "\r\n", "invalid()\n"},
    {&dialect_resp, "|1\r\n+a\r\n+b\r\n", "invalid()\n"},
    {&dialect_resp, "$?\r\n", "invalid()\n"},
    {&dialect_resp, "$\r\n", "invalid()\n"},
    {&dialect_resp, "$-1\r\n", "invalid()\n"},
    {&dialect_resp, "*-1\r\n", "invalid()\n"},
    {&dialect_resp, "$1\n", "invalid()\n"},
    {&dialect_resp, "$1\rX", "invalid()\n"},
    {&dialect_resp, "$1\r\naXY", "invalid()\n"},
    {&dialect_resp, "$1\r\naX\n", "invalid()\n"},
    {&dialect_resp, "$1\r\na\rX", "invalid()\n"},
    {&dialect_resp, "$16777217\r\n", "invalid()\n"},
    {&dialect_resp, "$99999999999999999999\r\n", "invalid()\n"},
    {&dialect_resp, "*4097\r\n", "invalid()\n"},
    {&dialect_resp, "%2049\r\n", "invalid()\n"},
    {&dialect_resp, "*4096\r\n*2\r\n", "invalid()\n"},
    {&dialect_resp, ":1\n", "invalid()\n"},
    {&dialect_resp, ">1\r\n:1\n", "invalid()\n"},
    {&dialect_resp, ">3\r\n$7\r\nmessage\r\n$4\r\nhell\r\n$1\r\na\r\n",
     "corrupt(a message of a channel not subscribed to)\n"},
    {&dialect_resp, ">3\r\n$7\r\nmessage\r\n$5\r\nhall2\r\n$1\r\na\r\n",
     "corrupt(a message of a channel not subscribed to)\n"},
    {&dialect_resp, ">3\r\n$7\r\nmessage\r\n:1\r\n$1\r\na\r\n",
     "corrupt(a message of a channel not subscribed to)\n"},
    {&dialect_resp, ">3\r\n$7\r\nmessage\r\n$4\r\nhall\r\n:1\r\n",
     "corrupt(a message that is not a string)\n"},
    {&dialect_resp, ">3\r\n$9\r\nsubscribe\r\n$4\r\nhell\r\n:1\r\n",
     "corrupt(subscribed to another channel)\n"},
    {&dialect_resp, ">1\r\n$7\r\nmessage\r\n+OK\r\n", "other()\nother()\n"},

    {&dialect_nats, "HMSG hall 1 0 0\r\n", "corrupt(an unknown operation)\n"},
    {&dialect_nats, "\r\n", "corrupt(an unknown operation)\n"},
    {&dialect_nats, "PING \r\n", "corrupt(an unknown operation)\n"},
    {&dialect_nats, "\n", "corrupt(a line that does not end in CR LF)\n"},
    {&dialect_nats, "PING\n", "corrupt(a line that does not end in CR LF)\n"},
    {&dialect_nats, "MSG \r\n", "invalid()\n"},
    {&dialect_nats, "MSG \n", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 \r\n", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 x\r\n", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 -1\r\n", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 1\na\r\n", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 1\r\nabc", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 1\r\na\r.", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 1048577\r\n", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 10000000\r\n", "invalid()\n"},
    {&dialect_nats, "MSG hall 1 99999999999999999999\r\n", "invalid()\n"},
    {&dialect_nats, "MSG hell 1 1\r\na\r\n",
     "corrupt(a message of a subject not subscribed to)\n"},
    {&dialect_nats, "MSG hall2 1 1\r\na\r\n",
     "corrupt(a message of a subject not subscribed to)\n"},
    {&dialect_nats, "MSG hall 2 1\r\na\r\n",
     "corrupt(a message of a subject not subscribed to)\n"},
    {&dialect_nats, "MSG hall 1\r\na\r\n",
     "corrupt(a message of a subject not subscribed to)\n"},
    {&dialect_nats, "MSG hal 0\r\n\r\n",
     "corrupt(a message of a subject not subscribed to)\n"},

    {&dialect_irc, "\n", "corrupt(a line that does not end in CR LF)\n"},
    {&dialect_irc, "PING x\n", "corrupt(a line that does not end in CR LF)\n"},
    {&dialect_irc, ":u2b PRIVMSG #hell :a\r\n",
     "corrupt(a message of a channel not joined)\n"},
    {&dialect_irc, ":u2b PRIVMSG #hallway :a\r\n",
     "corrupt(a message of a channel not joined)\n"},
    {&dialect_irc, ":u2b PRIVMSG #hall\r\n",
     "corrupt(a message of a channel not joined)\n"},
    {&dialect_irc, "\r\n", "other()\n"},
    {&dialect_irc, ":\r\n", "other()\n"},
    {&dialect_irc, ":s\r\n", "other()\n"},
    {&dialect_irc, "PRIVMSG\r\n", "other()\n"},
    {&dialect_irc, "PRIVMSGS #hall :a\r\n", "other()\n"},
    {&dialect_irc, "PRIVMSG \r\n", "other()\n"},
    {&dialect_irc, "PING\r\n", "other()\n"},
    {&dialect_irc, ":s 366\r\n", "other()\n"},
    {&dialect_irc, ":s 366 u2a\r\n", "other()\n"},
    {&dialect_irc, ":s 366 u2a #hall\r\n", "other()\n"},
    {&dialect_irc, ":s 4x4 u2a :a\r\n", "other()\n"},
    {&dialect_irc, ":s 4040 u2a :a\r\n", "other()\n"},
    {&dialect_irc, ":s 433 * u2a :Nickname is already in use\r\n",
     "error(433 * u2a :Nickname is already in use)\n"},
};

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct talk *whole = talk_begin(faults[i].dialect);
        struct talk *bytes = talk_begin(faults[i].dialect);

        hear(whole, faults[i].server, strlen(faults[i].server));
        for (const char *at = faults[i].server; *at != '\0'; at++)
            hear(bytes, at, 1);
        assert_string_equal(whole->heard, faults[i].heard);
        assert_string_equal(bytes->heard, faults[i].heard);
        talk_end(whole);
        talk_end(bytes);
    }
}

/* So many bytes of what has no end are borne, and no more. */
static void test_bounds(void **state)
{
    static const struct {
        const struct dialect *dialect;
        const char *begin;
        size_t max;
    } endless[] = {
        {&dialect_resp, "-", 4096},      {&dialect_resp, ">2\r\n+", 4096 + 4},
        {&dialect_nats, "-ERR ", 16384}, {&dialect_nats, "MSG ", 4096},
        {&dialect_irc, ":", 512},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(endless) / sizeof(endless[0]); i++) {
        struct talk *talk = talk_begin(endless[i].dialect);

        hear(talk, endless[i].begin, strlen(endless[i].begin));
        while (talk->length < endless[i].max) {
            assert_false(talk->broken);
            hear(talk, "x", 1);
        }
        assert_true(talk->broken);
        talk_end(talk);
    }
}

/* What becomes of a stream with wrong bytes in it cannot be foretold; but an
 * item that claims the end is checked by `take_one`, and reads beyond its bytes
 * by AddressSanitizer. */
static void test_damage(void **state)
{
    struct rng rng = {.state = 1};

    (void)state;
    for (size_t i = 0; i < 4000; i++) {
        const struct conversation *is = conversations[i % CONVERSATIONS];
        struct talk *talk = talk_begin(is->dialect);
        size_t length = strlen(is->server);
        char *bytes = strdup(is->server);

        assert_non_null(bytes);
        for (size_t left = 1 + rng_below(&rng, 3); left > 0; left--)
            bytes[rng_below(&rng, length)] =
                rng_below(&rng, 2) == 0 ? is->server[rng_below(&rng, length)]
                                        : (char)(1 + rng_below(&rng, 255));
        for (size_t at = 0, more; at < length; at += more) {
            more = rng_magnitude(&rng, length - at);
            hear(talk, bytes + at, more);
        }
        free(bytes);
        talk_end(talk);
    }
}

/* ---- What is said ------------------------------------------------------- */

static void check_say(const struct dialect *dialect, const char *text,
                      const char *said)
{
    struct talk *talk = talk_begin(dialect);

    out_sent(&talk->out, out_length(&talk->out));
    dialect->say(&talk->speaker, text, strlen(text), &talk->out);
    check_said(talk, said);
    talk_end(talk);
}

static void test_says(void **state)
{
    (void)state;
    check_say(&dialect_resp, "hello",
              "*3\r\n$7\r\nPUBLISH\r\n$4\r\nhall\r\n$5\r\nhello\r\n");
    check_say(&dialect_resp, "",
              "*3\r\n$7\r\nPUBLISH\r\n$4\r\nhall\r\n$0\r\n\r\n");
    check_say(&dialect_resp, "0123456789",
              "*3\r\n$7\r\nPUBLISH\r\n$4\r\nhall\r\n$10\r\n0123456789\r\n");
    check_say(&dialect_nats, "hello", "PUB hall 5\r\nhello\r\n");
    check_say(&dialect_nats, "", "PUB hall 0\r\n\r\n");
    check_say(&dialect_nats, "0123456789", "PUB hall 10\r\n0123456789\r\n");
    check_say(&dialect_irc, "hello all", "PRIVMSG #hall :hello all\r\n");
    check_say(&dialect_irc, ":-)", "PRIVMSG #hall ::-)\r\n");
}

/* What the longest text becomes, and that it is heard as it was said. */
static void check_longest(const struct dialect *dialect, const char *before,
                          const char *hear_before, const char *hear_after)
{
    size_t length = dialect->text_max, at = strlen(before);
    struct talk *talk = talk_begin(dialect);
    struct item item;
    size_t wanted;
    char *text = malloc(length);

    assert_non_null(text);
    memset(text, 'x', length);
    out_sent(&talk->out, out_length(&talk->out));
    dialect->say(&talk->speaker, text, length, &talk->out);
    assert_int_equal(out_length(&talk->out), at + length + 2);
    assert_memory_equal(talk->out.bytes, before, at);
    assert_memory_equal(talk->out.bytes + at, text, length);
    assert_memory_equal(talk->out.bytes + at + length, "\r\n", 2);

    out_sent(&talk->out, out_length(&talk->out));
    out_append(&talk->out, hear_before, strlen(hear_before));
    out_append(&talk->out, text, length);
    out_append(&talk->out, hear_after, strlen(hear_after));
    assert_int_equal(
        dialect->extent(talk->out.bytes, talk->out.end, 0, &wanted),
        talk->out.end);
    dialect->read(&talk->speaker, talk->out.bytes, talk->out.end, &item);
    assert_int_equal(item.kind, ITEM_MESSAGE);
    assert_int_equal(item.length, length);
    assert_memory_equal(item.text, text, length);
    free(text);
    talk_end(talk);
}

static void test_longest(void **state)
{
    (void)state;
    check_longest(&dialect_resp,
                  "*3\r\n$7\r\nPUBLISH\r\n$4\r\nhall\r\n$16777216\r\n",
                  ">3\r\n$7\r\nmessage\r\n$4\r\nhall\r\n$16777216\r\n", "\r\n");
    check_longest(&dialect_nats, "PUB hall 1048576\r\n",
                  "MSG hall 1 1048576\r\n", "\r\n");
    check_longest(&dialect_irc, "PRIVMSG #hall :",
                  ":uffffffff!~load@255.255.255.255 PRIVMSG #hall :", "\r\n");
}

/* With the longest names that RFC 2812 knows, a relayed line is as long as a
 * line may be. */
static void test_irc_line(void **state)
{
    static const char line[] = ":uffffffff!~load@%0*d PRIVMSG #%0*d :%0*d\r\n";
    int length =
        snprintf(NULL, 0, line, 63, 0, 49, 0, (int)dialect_irc.text_max, 0);

    (void)state;
    assert_int_equal(length, 512);
}

static void test_irc_nick(void **state)
{
    struct speaker speaker = {.room = "#hall", .number = UINT32_MAX};
    struct talk *talk = talk_begin(&dialect_irc);

    (void)state;
    out_sent(&talk->out, out_length(&talk->out));
    dialect_irc.enter(&speaker, &talk->out);
    speaker.step = 1;
    dialect_irc.enter(&speaker, &talk->out);
    dialect_irc.say(&speaker, "x", 1, &talk->out);
    check_said(talk, "NICK uffffffff\r\nUSER load 0 * :ringchat-load\r\n"
                     "JOIN #hall\r\nPRIVMSG #hall :x\r\n");
    talk_end(talk);
}

static void check_leave(const struct dialect *dialect, const char *said,
                        const char *answer, const char *heard)
{
    struct talk *talk = talk_begin(dialect);

    out_sent(&talk->out, out_length(&talk->out));
    dialect->leave(&talk->speaker, &talk->out);
    check_said(talk, said);
    hear(talk, answer, strlen(answer));
    assert_string_equal(talk->heard, heard);
    talk_end(talk);
}

/* An ERROR that answers QUIT is none. */
static void test_leaves(void **state)
{
    (void)state;
    check_leave(&dialect_resp, "*1\r\n$4\r\nQUIT\r\n", "+OK\r\n", "other()\n");
    check_leave(&dialect_irc, "QUIT\r\n", "ERROR :Closing Link\r\n",
                "other(Closing Link)\n");
    assert_null(dialect_nats.leave);
}

static void test_promises(void **state)
{
    (void)state;
    assert_true(dialect_resp.hears_itself && dialect_resp.orders_all);
    assert_true(dialect_nats.hears_itself && !dialect_nats.orders_all);
    assert_true(!dialect_irc.hears_itself && dialect_irc.orders_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations_cut_in_two),
        cmocka_unit_test(test_conversations_byte_by_byte),
        cmocka_unit_test(test_conversations_as_wanted),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_says),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_irc_line),
        cmocka_unit_test(test_irc_nick),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
