/*
 * A reader that is too slow: what it is sent and what it is told it has missed
 * make up all that was said; nothing is cut, doubled or out of order; and
 * nobody else notices.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"
#include "tests/unit/support_random.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX 4096

/* "N xxx...": the number of a message, at least `length` bytes in all. */
static const char *numbered(uint64_t number, size_t length)
{
    static char text[TEXT_BYTES_MAX + 1];
    int digits = snprintf(text, sizeof(text), "%llu", //
                          (unsigned long long)number);

    for (size_t i = (size_t)digits; i < length; i++)
        text[i] = i == (size_t)digits ? ' ' : 'x';
    text[length > (size_t)digits ? length : (size_t)digits] = '\0';
    return text;
}

static void say_numbered(struct client *client, uint64_t from, uint64_t count,
                         size_t length)
{
    for (uint64_t i = from; i < from + count; i++)
        client_send(client, "%s", numbered(i, length));
}

/* What a reader has been sent of a room in which one speaker counts. */
struct account {
    const char *room, *speaker;
    uint64_t next;   /* the number that is due */
    uint64_t missed; /* messages */
    uint64_t told;   /* how often it was told of them */
    uint64_t bytes;  /* of messages and notices since it was told last */
    uint64_t notices;
};

/* Whether the line is one of that room. */
static bool account_line(struct account *account, const char *line)
{
    char speech[80], lag[80], notice[80];
    uint64_t number;

    (void)snprintf(speech, sizeof(speech), "[%s] %s: #", account->room,
                   account->speaker);
    (void)snprintf(lag, sizeof(lag), "[%s] * lagged: # messages missed",
                   account->room);
    (void)snprintf(notice, sizeof(notice), "[%s] * ", account->room);
    if (line_begins(line, lag, &number)) {
        assert_true(number > 0);
        account->missed += number;
        account->next += number;
        account->told++;
        account->bytes = 0;
        return true;
    }
    account->bytes += strlen(line) + 1;
    if (line_begins(line, speech, &number)) {
        assert_int_equal(number, account->next);
        line += strlen(speech) - 1;
        assert_string_equal(line, numbered(number, strlen(line)));
        account->next++;
        return true;
    }
    if (strncmp(line, notice, strlen(notice)) != 0)
        return false;
    account->notices++;
    return true;
}

/* Reads all that the client has; it is all of that room. */
static void account_all(struct account *account, struct client *client)
{
    const char *line;

    while ((line = client_line(client)))
        assert_true(account_line(account, line));
}

/* ann reads, bob speaks, both in the lobby. */
static void start(uint64_t window, struct client **ann, struct client **bob)
{
    struct chat_config config = engine_config();

    config.room_window_bytes = window;
    engine_start(&config);
    *ann = client_open("ann");
    *bob = client_open("bob");
    engine_forget();
}

/* ---- Received and missed are what was sent ------------------------------ */

/* What is kept is as much as fits the window, and the newest message. */
static void check_kept(const struct account *account, uint64_t window,
                       uint64_t record)
{
    uint64_t most = window > record ? window : record;

    assert_true(account->bytes <= most);
    assert_true(account->bytes + record > window);
    assert_true(account->bytes >= record);
}

static void stalled_reader(uint64_t window, size_t length, uint64_t taken)
{
    struct account of_ann = {.room = "lobby", .speaker = "bob"};
    struct account of_bob = of_ann;
    uint64_t record = strlen("[lobby] bob: \n") + length;
    uint64_t count = 2 * window / record + 20;
    struct client *ann, *bob;

    start(window, &ann, &bob);
    ann->takes = taken;
    say_numbered(bob, 0, 1, length);
    engine_run();
    say_numbered(bob, 1, count - 1, length);
    engine_run();
    client_unstall(ann);
    account_all(&of_ann, ann);
    account_all(&of_bob, bob);
    assert_int_equal(of_ann.next, count);
    assert_int_equal(of_bob.next, count);
    assert_int_equal(of_ann.told, 1);
    assert_int_equal(of_bob.missed, 0); /* who reads promptly misses nothing */
    if (length >= 10)                   /* each record has the same size */
        check_kept(&of_ann, window, record);
    assert_int_equal(engine_metrics().lagged, of_ann.missed);
    engine_stop();
}

static void test_received_and_missed_are_all(void **state)
{
    static const uint64_t windows[] = {1,    13,   14,    100,   512,   1000,
                                       4096, 5000, 32768, 65536, 65537, 300000};
    static const size_t lengths[] = {1, 10, 30, 500, 4000, 4096};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(windows); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(lengths); j++) {
            stalled_reader(windows[i], lengths[j], 0);
            stalled_reader(windows[i], lengths[j], 7);
        }
    }
}

/* A reader that takes a little now and then. */
static void slow_reader(uint64_t window, uint64_t seed)
{
    struct account account = {.room = "lobby", .speaker = "bob"};
    struct rng rng = {seed};
    struct client *ann, *bob;
    uint64_t said = 0;

    start(window, &ann, &bob);
    ann->takes = 0;
    for (unsigned step = 0; step < 300; step++) {
        uint64_t count = rng_below(&rng, 5);

        ann->takes += rng_below(&rng, 2) * rng_magnitude(&rng, 1000);
        ann->completes_late = rng_below(&rng, 4) == 0;
        say_numbered(bob, said, count, rng_magnitude(&rng, 700));
        said += count;
        engine_run();
        account_all(&account, ann);
    }
    client_unstall(ann);
    account_all(&account, ann);
    assert_int_equal(account.next, said);
    assert_true(account.told > 0);
    engine_stop();
}

static void test_slow_reader(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        slow_reader(200 * seed, seed);
}

/* A reader that is behind by less than the window misses nothing. */
static void test_within_the_window(void **state)
{
    struct account account = {.room = "lobby", .speaker = "bob"};
    struct client *ann, *bob;

    (void)state;
    start(10000, &ann, &bob);
    client_stall(ann);
    /* One is in flight, 100 of 100 bytes are in the window. */
    say_numbered(bob, 0, 1, 86);
    engine_run();
    say_numbered(bob, 1, 100, 86);
    engine_run();
    client_unstall(ann);
    account_all(&account, ann);
    assert_int_equal(account.next, 101);
    assert_int_equal(account.missed, 0);
    client_stall(ann);
    say_numbered(bob, 101, 1, 86);
    engine_run();
    say_numbered(bob, 102, 101, 86);
    engine_run();
    client_unstall(ann);
    account_all(&account, ann);
    assert_int_equal(account.next, 203);
    assert_int_equal(account.missed, 1);
    engine_stop();
}

/* ---- Notices ------------------------------------------------------------ */

static void change_topic(struct client *client, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        client_send(client, "/topic %u %s", i, "of some length, or other");
    engine_run();
    client_forget(client);
}

static void test_missed_notices_are_not_told(void **state)
{
    struct account account = {.room = "lobby", .speaker = "bob"};
    struct client *ann, *bob;

    (void)state;
    start(1000, &ann, &bob);
    client_stall(ann);
    say_numbered(bob, 0, 1, 5);
    engine_run();
    change_topic(bob, 100);
    client_unstall(ann);
    account_all(&account, ann);
    assert_int_equal(account.next, 1);
    assert_int_equal(account.told, 0);
    assert_true(account.notices > 0 && account.notices < 100);
    engine_stop();
}

static void test_missed_notices_are_not_counted(void **state)
{
    struct account account = {.room = "lobby", .speaker = "bob"};
    struct client *ann, *bob;

    (void)state;
    start(1000, &ann, &bob);
    client_stall(ann);
    say_numbered(bob, 0, 1, 5);
    engine_run();
    for (uint64_t i = 1; i <= 20; i++) {
        say_numbered(bob, i, 1, 5);
        change_topic(bob, 10);
    }
    client_unstall(ann);
    account_all(&account, ann);
    /* Less than the window has followed the last one: it is kept. */
    assert_int_equal(account.next, 21);
    assert_int_equal(account.told, 1);
    assert_true(account.missed >= 15 && account.missed < 20);
    engine_stop();
}

/* The newest message is kept while no more than the window has followed it,
 * however large it is, and goes when notices are more than that. */
static void newest_message_and_notices(unsigned topics, bool kept)
{
    struct account account = {.room = "lobby", .speaker = "bob"};
    struct client *ann, *bob;

    start(1000, &ann, &bob);
    client_stall(ann);
    say_numbered(bob, 0, 1, 5);
    engine_run();
    say_numbered(bob, 1, 1, 4000);
    change_topic(bob, topics);
    client_unstall(ann);
    account_all(&account, ann);
    assert_int_equal(account.next, 2);
    assert_int_equal(account.missed, kept ? 0 : 1);
    engine_stop();
}

static void test_newest_message_is_kept(void **state)
{
    (void)state;
    newest_message_and_notices(0, true);
    newest_message_and_notices(1, true);
    newest_message_and_notices(12, true);
    newest_message_and_notices(40, false);
}

/* ---- --slow-consumer disconnect ----------------------------------------- */

static void test_disconnect(void **state)
{
    struct chat_config config = engine_config();
    struct account account = {.room = "lobby", .speaker = "bob"};
    struct client *ann, *bob;

    (void)state;
    config.slow_consumer = SLOW_CONSUMER_DISCONNECT;
    config.room_window_bytes = 1000;
    engine_start(&config);
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(ann, "/join den");
    engine_forget();
    client_stall(ann);
    for (uint64_t i = 0; i < 100; i++) {
        say_numbered(bob, i, 1, 20);
        engine_run();
    }
    assert_false(ann->closed);
    client_unstall(ann);
    client_expect(ann, "[lobby] bob: %s", numbered(0, 20));
    client_expect_start(ann, "! lagged");
    client_expect_nothing(ann);
    assert_true(ann->shut);
    for (uint64_t i = 0; i < 100; i++)
        assert_true(account_line(&account, client_line(bob)));
    client_expect(bob, "[lobby] * ann left");
    engine_wait(LINGER_NS);
    assert_true(ann->closed);
    assert_int_equal(engine_logged(" reason=lagged "), 1);
    client_tell(bob, "still here");
    client_expect(bob, "[lobby] bob: still here");
    engine_stop();
}

/* Missing notices alone is no reason. */
static void test_no_disconnect_for_notices(void **state)
{
    struct chat_config config = engine_config();
    struct client *ann, *bob;

    (void)state;
    config.slow_consumer = SLOW_CONSUMER_DISCONNECT;
    config.room_window_bytes = 1000;
    engine_start(&config);
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_stall(ann);
    client_tell(bob, "hello");
    change_topic(bob, 100);
    client_unstall(ann);
    client_forget(ann);
    client_tell(ann, "/echo here");
    client_expect(ann, "here");
    engine_stop();
}

/* While it is ending already, for a reason of its own. */
static void test_disconnect_while_quitting(void **state)
{
    struct chat_config config = engine_config();
    struct client *ann, *bob;

    (void)state;
    config.slow_consumer = SLOW_CONSUMER_DISCONNECT;
    config.room_window_bytes = 1000;
    engine_start(&config);
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_stall(ann);
    client_tell(bob, "first");
    client_tell(bob, "second");
    client_tell(ann, "/quit");
    say_numbered(bob, 0, 100, 20);
    engine_run();
    client_unstall(ann);
    client_expect(ann, "[lobby] bob: first");
    client_expect_start(ann, "! lagged");
    client_expect_nothing(ann);
    engine_stop();
}

/* ---- Leaving while behind ----------------------------------------------- */

/* Of what was said before it left, it has all or is told; nothing after. */
static void leave_behind(const char *how, uint64_t after)
{
    struct account account = {.room = "lobby", .speaker = "bob"};
    struct client *ann, *bob;
    const char *line;

    start(2000, &ann, &bob);
    client_stall(ann);
    say_numbered(bob, 0, 1, 20);
    engine_run();
    say_numbered(bob, 1, 99, 20);
    engine_run();
    client_tell(ann, "%s", how);
    say_numbered(bob, 100, after, 20);
    engine_run();
    client_unstall(ann);
    while ((line = client_line(ann))) {
        if (line[0] == '[')
            assert_true(account_line(&account, line));
        else
            assert_true(strcmp(line, "* left lobby") == 0 ||
                        strcmp(line, "* bye") == 0);
    }
    assert_int_equal(account.next, 100);
    assert_int_equal(account.told, 1);
    assert_true(after < 100 ? account.missed < 99 : account.missed == 99);
    engine_stop();
}

static void test_leaving_while_behind(void **state)
{
    (void)state;
    leave_behind("/leave", 0);
    leave_behind("/leave", 10);
    leave_behind("/leave", 200);
    leave_behind("/quit", 0);
    leave_behind("/quit", 10);
    leave_behind("/quit", 200);
}

/* It has left so many rooms that it is not read from until it has been sent
 * their rest; of which nothing is left but notices that are out of the window.
 */
static void test_left_rooms_without_a_rest(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(1000, &ann, &bob);
    client_stall(ann);
    client_tell(bob, "first");
    client_tell(bob, "/leave");
    for (unsigned i = 0; i < LEAVING_MAX; i++) {
        client_tell(bob, "/join r%u", i);
        client_tell(ann, "/join r%u", i);
        client_tell(bob, "/topic unread");
        client_tell(ann, "/leave r%u", i);
    }
    client_tell(ann, "/echo read again");
    assert_true(session_paused(ann->session));
    for (unsigned i = 0; i < LEAVING_MAX; i++) {
        client_tell(bob, "/join r%u", i);
        change_topic(bob, 100);
    }
    client_unstall(ann);
    assert_false(session_paused(ann->session));
    client_expect(ann, "[lobby] bob: first");
    for (unsigned i = 0; i < LEAVING_MAX; i++) {
        client_expect(ann, "* joined r%u (2 members)", i);
        client_expect(ann, "* left r%u", i);
    }
    client_expect(ann, "[lobby] * bob left");
    client_expect(ann, "read again");
    engine_stop();
}

/* It has left a room and is in it again; of the first time it missed notices
 * alone, of which there is nothing to say. What was said since comes
 * nevertheless. */
static void test_again_in_a_room_without_a_rest(void **state)
{
    struct client *ann, *bob;

    (void)state;
    start(1000, &ann, &bob);
    client_tell(bob, "/join den");
    client_tell(ann, "/join den");
    engine_forget();
    client_stall(ann);
    client_tell(ann, "/echo unread");
    client_tell(bob, "/topic unread");
    client_tell(ann, "/leave");
    client_tell(ann, "/join den");
    change_topic(bob, 100);
    client_tell(bob, "hello");
    client_unstall(ann);
    client_expect(ann, "unread");
    client_expect(ann, "* left den");
    client_expect(ann, "* joined den (2 members)");
    do
        assert_true(client_unread(ann) > 0);
    while (strcmp(client_line(ann), "[den] bob: hello") != 0);
    client_expect_nothing(ann);
    engine_stop();
}

/* ---- Several rooms ------------------------------------------------------ */

#define ROOMS 4
#define LINES 400

/* ann in ROOMS rooms with a speaker each, and not in the lobby. */
static struct client *start_rooms(void)
{
    struct client *ann;

    engine_start_default();
    ann = client_open("ann");
    for (unsigned i = 0; i < ROOMS; i++) {
        char nick[8];
        struct client *speaker;

        (void)snprintf(nick, sizeof(nick), "b%u", i);
        speaker = client_open(nick);
        client_tell(speaker, "/leave");
        client_tell(speaker, "/join r%u", i);
        client_tell(ann, "/join r%u", i);
    }
    client_tell(ann, "/leave lobby");
    engine_forget();
    return ann;
}

/* All have a rest of many turns: each room in its turn, a turn's worth each. */
static void test_rooms_in_rotation(void **state)
{
    struct client *ann = start_rooms();
    static char turns[LINES * ROOMS];
    size_t count = 0, run = 0;
    const char *line;

    (void)state;
    client_stall(ann);
    for (unsigned i = 0; i < ROOMS; i++) {
        say_numbered(&engine.clients[i + 1], 0, LINES, 1000);
        engine_run();
    }
    client_unstall(ann);
    while ((line = client_line(ann))) {
        if (count == 0 || turns[count - 1] != line[2]) {
            turns[count++] = line[2];
            run = 0;
        }
        run += strlen(line) + 1;
        assert_true(run <= SPAN_BYTES_MAX);
    }
    /* The first was what was in flight when it stalled. */
    assert_true(count > (size_t)5 * ROOMS);
    for (size_t i = 1; i + 2 * ROOMS < count; i++) {
        for (size_t j = i + 1; j < i + ROOMS; j++)
            assert_int_not_equal(turns[i], turns[j]);
        assert_int_equal(turns[i], turns[i + ROOMS]);
    }
    engine_stop();
}

/* What waits of a room goes in few sends, whatever the size of its messages:
 * at the most twice as many as if each were full. */
static void long_rest(size_t length)
{
    uint64_t record = strlen("[lobby] bob: \n") + length;
    uint64_t count = 8 * SPAN_BYTES_MAX / record;
    struct client *ann, *bob;
    uint64_t before;

    start(MIB, &ann, &bob);
    client_stall(ann);
    say_numbered(bob, 0, 1, length);
    engine_run();
    say_numbered(bob, 1, count, length);
    engine_run();
    before = engine.serves;
    client_unstall(ann);
    assert_true(engine.serves - before <= 2 * 8);
    engine_stop();
}

static void test_long_rest_in_few_sends(void **state)
{
    static const size_t lengths[] = {10, 100, 400, 1000, 2000, 4000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
        long_rest(lengths[i]);
}

/* ---- Never interleaved -------------------------------------------------- */

/* Each of four rooms, replies and private messages, with lines of all lengths,
 * sent in pieces of any length: each line is one that was said, in the order of
 * its source. */
static void speak_all(struct client *ann)
{
    for (unsigned n = 0; n < 30; n++) {
        for (unsigned i = 0; i < ROOMS; i++)
            say_numbered(&engine.clients[i + 1], n, 1, 1 + (37 * n) % 600);
        client_send(&engine.clients[1], "/msg ann %s", numbered(n, 5 * n));
        client_send(ann, "/echo echo %s", numbered(n, 7 * n));
        if (n % 3 == 0)
            engine_turn();
    }
    engine_run();
}

static void read_all(struct client *ann)
{
    struct account rooms[ROOMS] = {
        {.room = "r0", .speaker = "b0"},
        {.room = "r1", .speaker = "b1"},
        {.room = "r2", .speaker = "b2"},
        {.room = "r3", .speaker = "b3"},
    };
    uint64_t number, privates = 0, echoes = 0;
    const char *line;

    while ((line = client_line(ann))) {
        if (line[0] == '[') {
            unsigned room = (unsigned)(line[2] - '0');

            assert_true(room < ROOMS && account_line(&rooms[room], line));
            continue;
        }
        if (line_begins(line, "(private) b0: #", &number)) {
            assert_int_equal(number, privates++);
            assert_string_equal(line + 14, numbered(number, 5 * number));
            continue;
        }
        assert_true(line_begins(line, "echo #", &number));
        assert_int_equal(number, echoes++);
        assert_string_equal(line + 5, numbered(number, 7 * number));
    }
    for (unsigned i = 0; i < ROOMS; i++) {
        assert_int_equal(rooms[i].next, 30);
        assert_int_equal(rooms[i].told, 0);
    }
    assert_int_equal(privates, 30);
    assert_int_equal(echoes, 30);
}

static void short_sends(size_t send_max, bool late)
{
    struct client *ann = start_rooms();

    ann->send_max = send_max;
    ann->completes_late = late;
    speak_all(ann);
    read_all(ann);
    engine_stop();
}

static void test_never_interleaved(void **state)
{
    (void)state;
    short_sends(1, false);
    for (size_t length = 2; length < 80; length++)
        short_sends(length, length & 1);
    for (size_t length = 80; length < 5000; length += 1 + length / 7)
        short_sends(length, length & 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received_and_missed_are_all),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_within_the_window),
        cmocka_unit_test(test_missed_notices_are_not_told),
        cmocka_unit_test(test_missed_notices_are_not_counted),
        cmocka_unit_test(test_newest_message_is_kept),
        cmocka_unit_test(test_disconnect),
        cmocka_unit_test(test_no_disconnect_for_notices),
        cmocka_unit_test(test_disconnect_while_quitting),
        cmocka_unit_test(test_leaving_while_behind),
        cmocka_unit_test(test_left_rooms_without_a_rest),
        cmocka_unit_test(test_again_in_a_room_without_a_rest),
        cmocka_unit_test(test_rooms_in_rotation),
        cmocka_unit_test(test_long_rest_in_few_sends),
        cmocka_unit_test(test_never_interleaved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
