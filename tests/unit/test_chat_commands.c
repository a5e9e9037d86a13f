/*
 * Every command of docs/protocol.md with its exact reply in `text`, and every
 * error that does not close, by its name.
 */
#include "tests/unit/support_chat.h"

#include <stdio.h>
#include <string.h>

/* What is asked, and the one line that comes back. */
struct exchange {
    const char *line, *reply;
};

static void exchange_all(struct client *client, const struct exchange *all,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        client_tell(client, "%s", all[i].line);
        client_expect(client, "%s", all[i].reply);
        client_expect_nothing(client);
    }
}

/* Each line is answered by the error of that name alone, and the session goes
 * on. */
static void refused_all(struct client *client, const char *name,
                        const char *const *lines, size_t count)
{
    char start[64];

    (void)snprintf(start, sizeof(start), "! %s", name);
    for (size_t i = 0; i < count; i++) {
        client_tell(client, "%s", lines[i]);
        client_expect_start(client, start);
        client_expect_nothing(client);
        client_tell(client, "/echo still here");
        client_expect(client, "still here");
    }
}

static void test_welcome(void **state)
{
    struct client *client;
    char digits[5];
    const char *line;
    int end = 0;

    (void)state;
    engine_start_default();
    client = client_connect();
    engine_run();
    line = client_line(client);
    assert_non_null(line);
    assert_int_equal(sscanf(line,
                            "* welcome to ringchat, you are "
                            "guest-%4[0-9a-f], in lobby; /help lists "
                            "commands%n",
                            digits, &end),
                     1);
    assert_int_equal(strlen(digits), 4);
    assert_int_equal(strlen(line), end);
    client_expect_nothing(client);
    client_tell(client, "/who");
    client_expect(client, "* guest-%s", digits);
    client_expect(client, "* end of who");
    engine_stop();
}

static void test_help(void **state)
{
    static const char *const words[] = {
        "help",  "time", "ping", "echo",  "nick",    "join",       "leave",
        "rooms", "who",  "msg",  "topic", "metrics", "throughput", "quit",
    };
    struct client *client;

    (void)state;
    engine_start_default();
    client = client_open("ann");
    client_tell(client, "/help");
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        char start[32];

        (void)snprintf(start, sizeof(start), "* /%s — ", words[i]);
        client_expect_start(client, start);
    }
    client_expect_nothing(client);
    engine_stop();
}

static void test_time_and_ping(void **state)
{
    struct client *client;

    (void)state;
    engine_start_default();
    client = client_open("ann");
    client_tell(client, "/time");
    client_expect(client, "* time 2026-11-21T05:25:41.123456Z");
    engine_wait(SECONDS + 2000);
    client_tell(client, "/time");
    client_expect(client, "* time 2026-11-21T05:25:42.123458Z");
    client_tell(client, "/ping");
    client_expect(client, "* pong rtt_us=0");
    client->link.rtt_us = 183;
    client_tell(client, "/ping");
    client_expect(client, "* pong rtt_us=183");
    engine_stop();
}

static void test_ping_without_a_kernel(void **state)
{
    struct chat_config config = engine_config();
    struct client *client;

    (void)state;
    config.link = NULL;
    config.log = NULL;
    engine_start(&config);
    client = client_open("ann");
    client_tell(client, "/ping");
    client_expect(client, "* pong rtt_us=0");
    engine_stop();
}

static void test_echo_is_exact(void **state)
{
    static const struct exchange echoes[] = {
        {"/echo hello", "hello"},
        {"/echo  two  spaces ", " two  spaces "},
        {"/echo /quit", "/quit"},
        {"/echo * pong", "* pong"},
        {"/echo \ttab", "\ttab"},
        {"/echo zwölf 你好 🙂", "zwölf 你好 🙂"},
        {"/echo  ", " "},
        {"/echo //x", "//x"},
    };
    struct client *client, *other;

    (void)state;
    engine_start_default();
    client = client_open("ann");
    other = client_open("bob");
    engine_forget();
    exchange_all(client, echoes, ARRAY_LENGTH(echoes));
    client_expect_nothing(other);
    engine_stop();
}

static void test_lines_and_slashes(void **state)
{
    static const struct exchange lines[] = {
        {"hello", "[lobby] ann: hello"},  {" /time", "[lobby] ann:  /time"},
        {"//time", "[lobby] ann: /time"}, {"///", "[lobby] ann: //"},
        {"//", "[lobby] ann: /"},         {"cr\r", "[lobby] ann: cr"},
        {"\t", "[lobby] ann: \t"},
    };
    struct client *client, *other;

    (void)state;
    engine_start_default();
    client = client_open("ann");
    other = client_open("bob");
    engine_forget();
    exchange_all(client, lines, ARRAY_LENGTH(lines));
    client_expect(other, "[lobby] ann: hello");
    client_tell(client, "%s", "");
    client_tell(client, "\r");
    client_expect_nothing(client);
    engine_stop();
}

static void test_nick(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(ann, "/join den");
    engine_forget();
    client_tell(ann, "/nick Anna-2_x");
    client_expect(ann, "* you are now Anna-2_x");
    client_expect(ann, "[lobby] * ann is now Anna-2_x");
    client_expect(ann, "[den] * ann is now Anna-2_x");
    client_expect_nothing(ann);
    client_expect(bob, "[lobby] * ann is now Anna-2_x");
    client_expect_nothing(bob);
    client_tell(bob, "/msg ANNA-2_X hi");
    client_expect(bob, "* sent to Anna-2_x");
    client_expect(ann, "(private) bob: hi");
    client_tell(bob, "/msg ann hi");
    client_expect_start(bob, "! no-such-nick");
    engine_stop();
}

/* The same nick in other letters is news, the very same one is not. */
static void test_nick_of_ones_own(void **state)
{
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    client_tell(ann, "/nick ANN");
    client_expect(ann, "* you are now ANN");
    client_expect(ann, "[lobby] * ann is now ANN");
    client_tell(ann, "/nick ANN");
    client_expect(ann, "* you are now ANN");
    client_expect_nothing(ann);
    engine_stop();
}

static void test_nick_rules(void **state)
{
    static const char *const bad[] = {
        "/nick 1a",
        "/nick -a",
        "/nick a.b",
        "/nick ä",
        "/nick abcdefghijklmnopqrstuvwxy",
        "/nick guest-1234",
        "/nick GUEST-abcdef",
        "/nick Guest-ABCDEF01",
    };
    static const struct exchange good[] = {
        {"/nick guest-123", "* you are now guest-123"},
        {"/nick guest-123456789", "* you are now guest-123456789"},
        {"/nick guest-123g", "* you are now guest-123g"},
        {"/nick guest", "* you are now guest"},
        {"/nick _", "* you are now _"},
        {"/nick abcdefghijklmnopqrstuvwx",
         "* you are now abcdefghijklmnopqrstuvwx"},
    };
    struct client *client;

    (void)state;
    engine_start_default();
    client = client_open("ann");
    client_tell(client, "/leave");
    client_forget(client);
    refused_all(client, "bad-name", bad, ARRAY_LENGTH(bad));
    exchange_all(client, good, ARRAY_LENGTH(good));
    engine_stop();
}

static void test_nick_in_use(void **state)
{
    static const char *const taken[] = {"/nick bob", "/nick BoB"};
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    refused_all(ann, "nick-in-use", taken, ARRAY_LENGTH(taken));
    client_reset(bob);
    client_tell(ann, "/nick Bob");
    client_expect(ann, "* you are now Bob");
    engine_stop();
}

static void test_join_and_leave(void **state)
{
    static const struct exchange all[] = {
        {"/join den", "* joined den (1 members)"},
        {"/join #Attic.2", "* joined Attic.2 (1 members)"},
        {"/join DEN", "* joined den (1 members)"},
        {"/join #lobby", "* joined lobby (2 members)"},
        {"/leave #attic.2", "* left Attic.2"},
        {"/leave", "* left lobby"},
        {"/leave", "* left den"},
        {"/join ABCDEFGHIJKLMNOPQRSTUVWXYZ_-.123",
         "* joined ABCDEFGHIJKLMNOPQRSTUVWXYZ_-.123 (1 members)"},
    };
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    exchange_all(ann, all, ARRAY_LENGTH(all));
    client_expect(bob, "[lobby] * ann left");
    client_expect_nothing(bob);
    client_tell(ann, "/join Lobby");
    client_expect(ann, "* joined lobby (2 members)");
    client_expect(bob, "[lobby] * ann joined");
    client_expect_nothing(bob);
    engine_stop();
}

static void test_room_rules(void **state)
{
    static const char *const bad[] = {
        "/join a/b", "/join ##x", "/join #",
        "/join ä",   "/leave #",  "/leave a+b",
        "/who a:b",  "/who #",    "/join ABCDEFGHIJKLMNOPQRSTUVWXYZ_-.1234",
    };
    static const char *const elsewhere[] = {"/leave den", "/who den",
                                            "/leave nowhere", "/who nowhere"};
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(bob, "/join den");
    engine_forget();
    refused_all(ann, "bad-name", bad, ARRAY_LENGTH(bad));
    refused_all(ann, "no-such-room", elsewhere, ARRAY_LENGTH(elsewhere));
    engine_stop();
}

static void test_no_room(void **state)
{
    static const char *const lines[] = {"hello",  "/leave",     "/who",
                                        "/topic", "/topic new", "//x"};
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    client_tell(ann, "/leave");
    client_forget(ann);
    refused_all(ann, "no-room", lines, ARRAY_LENGTH(lines));
    engine_stop();
}

static void test_unknown_commands(void **state)
{
    static const char *const lines[] = {"/",      "/ ",   "/ time",  "/TIME",
                                        "/times", "/tim", "/\ttime", "/é"};
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    refused_all(ann, "unknown-command", lines, ARRAY_LENGTH(lines));
    engine_stop();
}

/* The number of arguments is looked at before what they are, and the detail
 * shows the form. */
static void test_usage(void **state)
{
    static const struct exchange all[] = {
        {"/help me", "! usage /help"},
        {"/time x", "! usage /time"},
        {"/ping x", "! usage /ping"},
        {"/echo", "! usage /echo TEXT"},
        {"/echo ", "! usage /echo TEXT"},
        {"/nick", "! usage /nick NAME"},
        {"/nick 1 2", "! usage /nick NAME"},
        {"/join", "! usage /join ROOM"},
        {"/join / /", "! usage /join ROOM"},
        {"/leave a b", "! usage /leave [ROOM]"},
        {"/rooms x", "! usage /rooms"},
        {"/who a b", "! usage /who [ROOM]"},
        {"/msg", "! usage /msg NICK TEXT"},
        {"/msg nobody", "! usage /msg NICK TEXT"},
        {"/msg nobody ", "! usage /msg NICK TEXT"},
        {"/metrics x", "! usage /metrics"},
        {"/throughput x", "! usage /throughput"},
        {"/quit now", "! usage /quit"},
    };
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    exchange_all(ann, all, ARRAY_LENGTH(all));
    engine_stop();
}

static void test_bad_text(void **state)
{
    static const char *const lines[] = {
        "a\x01", "\x7f", "a\xc2\x80", "a\xff", "/echo a\x1b[2J", "\xc3", "a\rb",
    };
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    refused_all(ann, "bad-text", lines, ARRAY_LENGTH(lines));
    client_send_bytes(ann, "a\0b\n", 4);
    engine_run();
    client_expect_start(ann, "! bad-text");
    client_expect_nothing(ann);
    client_expect_nothing(bob);
    engine_stop();
}

/* The longest line passes, with CR LF too; one byte more is one error, however
 * it arrives, and nothing of it takes effect. */
static void test_line_too_long(void **state)
{
    static char line[3 * 4096 + 1];
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    memset(line, 'x', sizeof(line) - 1);
    for (size_t piece = 1; piece <= 8192; piece *= 2) {
        ann->receive_max = piece;
        client_tell(ann, "%.4096s", line);
        client_expect(ann, "[lobby] ann: %.4096s", line);
        client_tell(ann, "%.4096s\r", line);
        client_expect(ann, "[lobby] ann: %.4096s", line);
        engine_forget();
        client_tell(ann, "%.4097s", line);
        client_expect(ann, "! line-too-long at most 4096 bytes");
        client_tell(ann, "%s", line);
        client_expect(ann, "! line-too-long at most 4096 bytes");
        client_tell(ann, "/echo on");
        client_expect(ann, "on");
        client_expect_nothing(ann);
        client_expect_nothing(bob);
    }
    engine_stop();
}

static void test_who(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(bob, "/join den");
    client_tell(ann, "/join den");
    engine_forget();
    client_tell(ann, "/who");
    client_expect(ann, "* bob");
    client_expect(ann, "* ann");
    client_expect(ann, "* end of who");
    client_tell(ann, "/who #LOBBY");
    client_expect(ann, "* ann");
    client_expect(ann, "* bob");
    client_expect(ann, "* end of who");
    client_expect_nothing(ann);
    client_expect_nothing(bob);
    engine_stop();
}

/* Reads `count` lines that begin so. */
static void expect_lines(struct client *client, const char *start, size_t count)
{
    for (size_t i = 0; i < count; i++)
        client_expect_start(client, start);
}

static void test_who_of_a_large_room(void **state)
{
    struct client *client;

    (void)state;
    engine_start_default();
    clients_connect(LIST_LINES_MAX);
    client = &engine.clients[0];
    client_tell(client, "/who");
    expect_lines(client, "* guest-", LIST_LINES_MAX);
    client_expect(client, "* end of who");
    clients_connect(3);
    client_tell(client, "/who");
    expect_lines(client, "* guest-", LIST_LINES_MAX);
    client_expect(client, "* and 3 more");
    client_expect(client, "* end of who");
    client_expect_nothing(client);
    engine_stop();
}

static void test_rooms(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(bob, "/join den");
    engine_forget();
    client_tell(ann, "/rooms");
    client_expect(ann, "* room lobby 2 members");
    client_expect(ann, "* room den 1 members");
    client_expect(ann, "* end of rooms");
    client_tell(bob, "/leave den");
    client_tell(ann, "/rooms");
    client_expect(ann, "* room lobby 2 members");
    client_expect(ann, "* end of rooms");
    client_expect_nothing(ann);
    engine_stop();
}

static void test_very_many_rooms(void **state)
{
    size_t others = ROOMS_PER_SESSION_MAX - 1;
    size_t rooms = 1;

    (void)state;
    engine_start_default();
    clients_connect((LIST_LINES_MAX + 20) / others);
    for (size_t i = 0; i < engine.count; i++) {
        for (size_t j = 0; j < others; j++)
            client_send(&engine.clients[i], "/join r%zu", rooms++);
    }
    engine_run();
    engine_forget();
    client_tell(&engine.clients[0], "/rooms");
    expect_lines(&engine.clients[0], "* room ", LIST_LINES_MAX);
    client_expect(&engine.clients[0], "* and %zu more", rooms - LIST_LINES_MAX);
    client_expect(&engine.clients[0], "* end of rooms");
    engine_stop();
}

static void test_msg(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_open("eve");
    engine_forget();
    client_tell(ann, "/msg BOB  two  spaces ");
    client_expect(ann, "* sent to bob");
    client_expect(bob, "(private) ann:  two  spaces ");
    client_tell(ann, "/msg ann to myself");
    client_expect(ann, "(private) ann: to myself");
    client_expect(ann, "* sent to ann");
    client_tell(ann, "/msg nobody hi");
    client_expect(ann, "! no-such-nick nobody");
    client_tell(ann, "/msg 1bad hi");
    client_expect_start(ann, "! bad-name");
    client_tell(ann, "/msg abcdefghijklmnopqrstuvwxy hi");
    client_expect_start(ann, "! bad-name");
    clients_expect_nothing();
    engine_stop();
}

static void test_topic(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_tell(ann, "/topic");
    client_expect(ann, "* topic lobby: ");
    client_expect_nothing(ann);
    client_tell(ann, "/topic  of mice ");
    client_expect(ann, "* topic lobby:  of mice ");
    client_expect(ann, "[lobby] * ann set the topic:  of mice ");
    client_expect(bob, "[lobby] * ann set the topic:  of mice ");
    client_tell(bob, "/topic");
    client_expect(bob, "* topic lobby:  of mice ");
    client_tell(bob, "/topic ");
    client_expect(bob, "* topic lobby:  of mice ");
    client_tell(bob, "/topic  of mice ");
    client_expect(bob, "* topic lobby:  of mice ");
    client_expect_nothing(ann);
    client_tell(bob, "/topic of men");
    client_expect(bob, "* topic lobby: of men");
    client_expect(bob, "[lobby] * bob set the topic: of men");
    client_expect(ann, "[lobby] * bob set the topic: of men");
    client_expect_nothing(ann);
    client_expect_nothing(bob);
    engine_stop();
}

static void test_throughput(void **state)
{
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    client_tell(ann, "/throughput");
    client_expect_start(ann, "* throughput in=");
    client_expect_nothing(ann);
    engine_stop();
}

static void test_quit(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_send(ann, "last words");
    client_send(ann, "/quit");
    client_tell(ann, "unheard");
    client_expect(ann, "[lobby] ann: last words");
    client_expect(ann, "* bye");
    client_expect_nothing(ann);
    assert_true(ann->shut);
    client_expect(bob, "[lobby] ann: last words");
    client_expect(bob, "[lobby] * ann left");
    client_expect_nothing(bob);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_welcome),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_time_and_ping),
        cmocka_unit_test(test_ping_without_a_kernel),
        cmocka_unit_test(test_echo_is_exact),
        cmocka_unit_test(test_lines_and_slashes),
        TEST_ALONE(test_nick),
        cmocka_unit_test(test_nick_of_ones_own),
        cmocka_unit_test(test_nick_rules),
        cmocka_unit_test(test_nick_in_use),
        cmocka_unit_test(test_join_and_leave),
        cmocka_unit_test(test_room_rules),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_unknown_commands),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_line_too_long),
        TEST_ALONE(test_who),
        cmocka_unit_test(test_who_of_a_large_room),
        TEST_ALONE(test_rooms),
        cmocka_unit_test(test_very_many_rooms),
        cmocka_unit_test(test_msg),
        cmocka_unit_test(test_topic),
        cmocka_unit_test(test_throughput),
        cmocka_unit_test(test_quit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
