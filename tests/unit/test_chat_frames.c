/*
 * What a binary client asks and what it is answered: numbers of requests in
 * ACK, REPLY and ERROR, messages to rooms and people, and its way out. What is
 * wrong with a frame: test_chat_frame_faults.c.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct client *ann, *bob, *carl;

/* ann and bob by frames, carl by text. */
static void start_with(const struct chat_config *config)
{
    engine_start(config);
    assert_non_null(engine.chat);
    ann = binary_open(DIALECT_FRAME, "ann");
    bob = binary_open(DIALECT_FRAME, "bob");
    carl = client_open("carl");
    ann->answers = bob->answers = true;
    engine_forget();
}

static void start(void)
{
    struct chat_config config = engine_config();

    start_with(&config);
}

static void command(uint32_t id, const char *line)
{
    frame_command(ann, id, "%s", line);
    engine_run();
}

static void message(uint32_t id, const char *target, const char *text)
{
    frame_message(ann, id, target, "%s", text);
    engine_run();
}

/* ---- Messages to rooms --------------------------------------------------- */

static void test_acknowledged(void **state)
{
    (void)state;
    start();
    engine_wait(1234 * MS);
    message(7, "", "one");
    client_expect(ann, "ACK 7 seq=1");
    client_expect(ann, "MESSAGE 1 lobby ann: one");
    assert_true(ann->said_us == engine.wall_us);
    client_expect(bob, "MESSAGE 1 lobby ann: one");
    assert_true(bob->said_us == engine.wall_us);
    client_expect(carl, "[lobby] ann: one");
    client_tell(carl, "two");
    client_expect(ann, "MESSAGE 2 lobby carl: two");
    client_expect(bob, "MESSAGE 2 lobby carl: two");
    client_expect(carl, "[lobby] carl: two");
    message(UINT32_MAX, "", "three");
    client_expect(ann, "ACK 4294967295 seq=3");
    client_expect(ann, "MESSAGE 3 lobby ann: three");
    message(0, "", "four"); /* asks for no ACK */
    client_expect(ann, "MESSAGE 4 lobby ann: four");
    client_expect_nothing(ann);
    message(7, "", "five"); /* the same number again is its own business */
    client_expect(ann, "ACK 7 seq=5");
    client_expect(ann, "MESSAGE 5 lobby ann: five");
    client_expect_nothing(ann);
    engine_stop();
}

static void test_any_room_of_its_own(void **state)
{
    static const char *const names[] = {"lobby", "LOBBY", "#lobby", "#Lobby"};

    (void)state;
    start();
    command(1, "join den");
    client_expect(ann, "REPLY 1: joined den (1 members)");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        message(2, names[i], "there");
        client_expect(ann, "ACK 2 seq=%zu", i + 1);
        client_expect(ann, "MESSAGE %zu lobby ann: there", i + 1);
    }
    message(3, "", "here"); /* the current room is what it was */
    client_expect(ann, "ACK 3 seq=1");
    client_expect(ann, "MESSAGE 1 den ann: here");
    message(4, "den", "by name");
    client_expect(ann, "ACK 4 seq=2");
    client_expect(ann, "MESSAGE 2 den ann: by name");
    client_expect_nothing(ann);
    command(5, "leave den");
    client_expect(ann, "REPLY 5: left den");
    message(6, "den", "it is gone");
    client_expect(ann, "ERROR 8 id=6 no-such-room den");
    engine_stop();
}

/* What a message begins with has no meaning: that is for lines. */
static void test_text_as_it_is(void **state)
{
    static const char *const texts[] = {
        "/quit", "//", " ", "\t", "[den] x: y", "gr\xc3\xbc\xc3\x9f dich"};

    (void)state;
    start();
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        message(0, "", texts[i]);
        client_expect(bob, "MESSAGE %zu lobby ann: %s", i + 1, texts[i]);
        client_expect(carl, "[lobby] ann: %s", texts[i]);
    }
    engine_stop();
}

static void test_refused_messages(void **state)
{
    static const struct {
        const char *target, *text, *error;
    } cases[] = {
        {"", "", "ERROR 4 id=9 usage "},
        {"nowhere", "", "ERROR 4 id=9 usage "},
        {"", "a\nb", "ERROR 2 id=9 bad-text "},
        {"", "\x1b[2J", "ERROR 2 id=9 bad-text "},
        {"", "\xff", "ERROR 2 id=9 bad-text "},
        {"", "\xc2\x85", "ERROR 2 id=9 bad-text "},
        {"@bob", "\r", "ERROR 2 id=9 bad-text "},
        {"nowhere", "hello", "ERROR 8 id=9 no-such-room nowhere"},
        {"#nowhere", "hello", "ERROR 8 id=9 no-such-room nowhere"},
        {"a b", "hello", "ERROR 5 id=9 bad-name "},
        {"#", "hello", "ERROR 5 id=9 bad-name "},
        {"##lobby", "hello", "ERROR 5 id=9 bad-name "},
        {"\x1b", "hello", "ERROR 5 id=9 bad-name "},
        {"@nobody", "hello", "ERROR 7 id=9 no-such-nick nobody"},
        {"@", "hello", "ERROR 5 id=9 bad-name"},
        {"@1", "hello", "ERROR 5 id=9 bad-name"},
        {"@@bob", "hello", "ERROR 5 id=9 bad-name"},
        {"@b\x1b[2Job", "hello", "ERROR 5 id=9 bad-name"},
        {"@\xff", "hello", "ERROR 5 id=9 bad-name"},
        {"@nnnnnnnnnnnnnnnnnnnnnnnnn", "hello", "ERROR 5 id=9 bad-name"},
    };

    (void)state;
    start();
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        message(9, cases[i].target, cases[i].text);
        client_expect_start(ann, cases[i].error);
        clients_expect_nothing();
    }
    assert_int_equal(engine_metrics().errors, ARRAY_LENGTH(cases));
    message(1, "", "goes on");
    client_expect(ann, "ACK 1 seq=1");
    engine_stop();
}

static void test_no_room(void **state)
{
    (void)state;
    start();
    command(1, "leave");
    client_expect(ann, "REPLY 1: left lobby");
    message(2, "", "to nobody");
    client_expect_start(ann, "ERROR 9 id=2 no-room ");
    message(3, "lobby", "to those I left");
    client_expect(ann, "ERROR 8 id=3 no-such-room lobby");
    message(0, "lobby", "without a number");
    client_expect(ann, "ERROR 8 id=0 no-such-room lobby");
    client_expect(bob, "NOTICE left lobby ann");
    client_expect(carl, "[lobby] * ann left");
    clients_expect_nothing();
    engine_stop();
}

/* ---- Messages to people -------------------------------------------------- */

static void test_private(void **state)
{
    (void)state;
    start();
    engine_wait(4321 * MS);
    message(5, "@BOB", "psst");
    client_expect(ann, "ACK 5 seq=0");
    client_expect(bob, "MESSAGE 0 @ ann: psst");
    assert_true(bob->said_us == engine.wall_us);
    message(6, "@carl", "psst");
    client_expect(ann, "ACK 6 seq=0");
    client_expect(carl, "(private) ann: psst");
    client_tell(carl, "/msg ann and you");
    client_expect(ann, "MESSAGE 0 @ carl: and you");
    client_expect(carl, "* sent to ann");
    message(0, "@bob", "no answer to this");
    client_expect(bob, "MESSAGE 0 @ ann: no answer to this");
    command(7, "msg bob by command");
    client_expect(ann, "REPLY 7: sent to bob");
    client_expect(bob, "MESSAGE 0 @ ann: by command");
    message(8, "@ann", "to myself");
    client_expect(ann, "MESSAGE 0 @ ann: to myself");
    client_expect(ann, "ACK 8 seq=0");
    clients_expect_nothing();
    engine_stop();
}

static void test_receiver_busy(void **state)
{
    unsigned sent = 0;
    const char *line;

    (void)state;
    start();
    client_stall(bob);
    do {
        sent++;
        frame_message(ann, sent, "@bob", "%010000u", sent);
        engine_run();
        line = client_line(ann);
        assert_true(line && sent < 100);
    } while (strncmp(line, "ACK ", 4) == 0);
    assert_in_range(sent, 26, 28);
    assert_true(
        line_begins(line, "ERROR 12 id=# receiver-busy bob", (uint64_t[]){0}));
    client_unstall(bob);
    for (unsigned i = 1; i < sent; i++)
        client_expect(bob, "MESSAGE 0 @ ann: %010000u", i);
    message(1, "@bob", "again");
    client_expect(ann, "ACK 1 seq=0");
    client_expect(bob, "MESSAGE 0 @ ann: again");
    clients_expect_nothing();
    engine_stop();
}

/* ---- Commands ------------------------------------------------------------ */

/* All replies to it have its number, and all but the last `more`. Returns how
 * many there were. */
static unsigned replies(uint32_t id, const char *last)
{
    char more[32], end[64];
    const char *line;
    unsigned count = 1;

    (void)snprintf(more, sizeof(more), "REPLY %" PRIu32 " and more: ", id);
    (void)snprintf(end, sizeof(end), "REPLY %" PRIu32 ": %s", id, last);
    while ((line = client_line(ann)) && strncmp(line, more, strlen(more)) == 0)
        count++;
    if (!line || strncmp(line, end, strlen(end)) != 0)
        fail_msg("expected \"%s\", got \"%s\"", end, line ? line : "nothing");
    return count;
}

static void test_replies(void **state)
{
    static const struct {
        const char *line, *last;
        unsigned count;
    } commands[] = {
        {"help", "/quit ", 14},
        {"time", "time 2026-", 1},
        {"ping", "pong rtt_us=0", 1},
        {"echo  as it  is ", " as it  is ", 1},
        {"nick ann", "you are now ann", 1},
        {"join den", "joined den (1 members)", 1},
        {"join lobby", "joined lobby (3 members)", 1},
        {"leave den", "left den", 1},
        {"rooms", "end of rooms", 2},
        {"who", "end of who", 4},
        {"who #LOBBY", "end of who", 4},
        {"msg bob psst", "sent to bob", 1},
        {"topic", "topic lobby: ", 1},
        {"metrics", "end of metrics", 21},
        {"throughput", "throughput in=", 1},
    };

    (void)state;
    start();
    for (uint32_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        command(i * 1000, commands[i].line);
        assert_int_equal(replies(i * 1000, commands[i].last),
                         commands[i].count);
        client_expect_nothing(ann);
    }
    engine_stop();
}

static void test_refused_commands(void **state)
{
    static const struct {
        const char *line, *error;
    } commands[] = {
        {"", "ERROR 3 id=6 unknown-command "},
        {"/time", "ERROR 3 id=6 unknown-command "},
        {" time", "ERROR 3 id=6 unknown-command "},
        {"TIME", "ERROR 3 id=6 unknown-command "},
        {"time now", "ERROR 4 id=6 usage /time"},
        {"nick", "ERROR 4 id=6 usage /nick NAME"},
        {"nick bob", "ERROR 6 id=6 nick-in-use bob"},
        {"nick guest-1a2b", "ERROR 5 id=6 bad-name "},
        {"join a/b", "ERROR 5 id=6 bad-name "},
        {"leave den", "ERROR 8 id=6 no-such-room den"},
        {"msg dora hello", "ERROR 7 id=6 no-such-nick dora"},
        {"echo \n", "ERROR 2 id=6 bad-text "},
        {"echo \xed\xa0\x80", "ERROR 2 id=6 bad-text "},
    };

    (void)state;
    start();
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        command(6, commands[i].line);
        client_expect_start(ann, commands[i].error);
        clients_expect_nothing();
    }
    engine_stop();
}

/* A thousand lines, and that there are more, all before the last. */
static void test_long_list(void **state)
{
    (void)state;
    start();
    clients_connect(1000);
    engine_forget();
    command(3, "who");
    assert_int_equal(replies(3, "end of who"), 1002);
    engine_stop();
}

/* ---- Notices ------------------------------------------------------------- */

static void test_notices(void **state)
{
    (void)state;
    start();
    command(1, "join den");
    client_forget(ann);
    frame_command(bob, 2, "join DEN");
    engine_run();
    client_expect(bob, "REPLY 2: joined den (2 members)");
    client_expect(ann, "NOTICE joined den bob");
    command(3, "topic what is it");
    client_expect(ann, "REPLY 3: topic den: what is it");
    client_expect(ann, "NOTICE topic den ann: what is it");
    client_expect(bob, "NOTICE topic den ann: what is it");
    command(4, "leave lobby");
    client_expect(ann, "REPLY 4: left lobby");
    client_expect(bob, "NOTICE left lobby ann");
    client_expect(carl, "[lobby] * ann left");
    command(5, "nick anna");
    client_expect(ann, "REPLY 5: you are now anna");
    client_expect(ann, "NOTICE nick den ann: anna");
    client_expect(bob, "NOTICE nick den ann: anna");
    client_reset(ann);
    engine_run();
    client_expect(bob, "NOTICE left den anna");
    clients_expect_nothing();
    engine_stop();
}

/* ---- On its way out ------------------------------------------------------ */

/* ann has unread what was said before, and then the end, and that alone. */
static void expect_all_and_end(const char *bye)
{
    client_unstall(ann);
    client_expect(ann, "REPLY 1: joined den (1 members)");
    client_expect(ann, "ACK 2 seq=1");
    client_expect(ann, "REPLY 3: left den");
    client_expect(ann, "MESSAGE 1 lobby carl: hello");
    client_expect(ann, "MESSAGE 0 @ carl: psst");
    client_expect(ann, "MESSAGE 1 den ann: alone");
    if (bye)
        client_expect(ann, "%s", bye);
    client_expect(ann, "DISCONNECT 0");
    client_expect_nothing(ann);
    assert_true(ann->shut && !ann->closed);
    engine_wait(LINGER_NS);
    assert_true(ann->closed && ann->drained);
    client_expect_nothing(ann);
}

static void fill(void)
{
    start();
    client_stall(ann);
    frame_command(ann, 1, "join den");
    frame_message(ann, 2, "", "alone");
    frame_command(ann, 3, "leave den");
    engine_run();
    client_tell(carl, "/msg ann psst");
    client_tell(carl, "hello");
    engine_forget();
}

static void test_quit(void **state)
{
    (void)state;
    fill();
    command(4, "quit");
    message(5, "", "not heard any more");
    expect_all_and_end("REPLY 4: bye");
    client_expect(carl, "[lobby] * ann left");
    client_expect_nothing(carl);
    assert_int_equal(engine_logged("nick=ann reason=quit "), 1);
    engine_stop();
}

static void test_disconnect(void **state)
{
    (void)state;
    fill();
    frame_disconnect(ann);
    message(5, "", "not heard any more");
    expect_all_and_end(NULL);
    client_expect(carl, "[lobby] * ann left");
    client_expect_nothing(carl);
    assert_int_equal(engine_logged("nick=ann reason=disconnect "), 1);
    engine_stop();
}

/* Its reason is its own. */
static void test_any_reason(void **state)
{
    static const char *const bodies[] = {"\0\0", "\0\x1e", "\xff\xff\x1b\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        start();
        frame_send(ann, DISCONNECT, bodies[i], i < 2 ? 2 : 4);
        engine_run();
        client_expect(ann, "DISCONNECT 0");
        client_expect_nothing(ann);
        engine_stop();
    }
}

/* Who closes at once after it has what is due, and is not waited for. */
static void test_disconnect_and_end_of_stream(void **state)
{
    (void)state;
    start();
    message(1, "", "hello");
    client_forget(ann);
    frame_disconnect(ann);
    client_half_close(ann);
    engine_run();
    client_expect(ann, "DISCONNECT 0");
    assert_true(ann->closed && ann->drained);
    engine_stop();
}

/* The end of the stream alone asks for no answer. */
static void test_end_of_stream(void **state)
{
    (void)state;
    fill();
    client_half_close(ann);
    client_unstall(ann);
    client_expect(ann, "REPLY 1: joined den (1 members)");
    client_expect(ann, "ACK 2 seq=1");
    client_expect(ann, "REPLY 3: left den");
    client_expect(ann, "MESSAGE 1 lobby carl: hello");
    client_expect(ann, "MESSAGE 0 @ carl: psst");
    client_expect(ann, "MESSAGE 1 den ann: alone");
    client_expect_nothing(ann);
    assert_true(ann->closed && ann->drained);
    assert_int_equal(engine_logged("nick=ann reason=eof "), 1);
    engine_stop();
}

/* ---- However it comes ---------------------------------------------------- */

/* What ann is sent of rooms, and for herself: between those there is no order.
 */
struct heard {
    struct bytes rooms, own;
};

static void heard_release(struct heard *heard)
{
    bytes_release(&heard->rooms);
    bytes_release(&heard->own);
}

static void hear_all(struct heard *heard)
{
    const char *line;

    while ((line = client_line(ann))) {
        bool of_room = strncmp(line, "MESSAGE", 7) == 0;

        bytes_append(of_room ? &heard->rooms : &heard->own, line,
                     strlen(line) + 1);
    }
}

/* A conversation in one stream. */
static void converse(size_t receive_max, bool exact, struct heard *heard)
{
    start();
    ann->receive_max = receive_max;
    ann->exact = exact;
    frame_message(ann, 1, "", "one");
    frame_beat(ann, PING, 2);
    frame_command(ann, 3, "join den");
    frame_message(ann, 4, "nowhere", "%0300d", 1);
    frame_send(ann, 99, "unknown", 7);
    frame_message(ann, 5, "", "%s", "");
    frame_send(ann, 98, "", 0);
    frame_message(ann, 6, "", "%0700d", 2);
    frame_command(ann, 7, "who");
    frame_disconnect(ann);
    engine_run();
    hear_all(heard);
    assert_true(ann->shut);
    engine_stop();
}

static void test_in_pieces(void **state)
{
    struct heard whole = {0};

    (void)state;
    converse(RECEIVE_BYTES_MAX, false, &whole);
    for (size_t most = 1; most < 80; most++) {
        struct heard pieces = {0};

        converse(most / 2 + 1, most % 2, &pieces);
        assert_int_equal(pieces.rooms.length, whole.rooms.length);
        assert_int_equal(pieces.own.length, whole.own.length);
        assert_memory_equal(pieces.rooms.data, whole.rooms.data,
                            whole.rooms.length);
        assert_memory_equal(pieces.own.data, whole.own.data, whole.own.length);
        heard_release(&pieces);
    }
    heard_release(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acknowledged),
        cmocka_unit_test(test_any_room_of_its_own),
        cmocka_unit_test(test_text_as_it_is),
        cmocka_unit_test(test_refused_messages),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_receiver_busy),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_refused_commands),
        cmocka_unit_test(test_long_list),
        cmocka_unit_test(test_notices),
        TEST_ALONE(test_quit),
        TEST_ALONE(test_disconnect),
        cmocka_unit_test(test_any_reason),
        cmocka_unit_test(test_disconnect_and_end_of_stream),
        TEST_ALONE(test_end_of_stream),
        cmocka_unit_test(test_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
