/*
 * Want of memory: whichever allocation of a whole conversation fails, and
 * however small the budget is. Sessions may end by it and what is said may be
 * refused; but all that goes on is in order, and nothing is kept in the end.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GUESTS 200

/* Those who talk, when they could be let in; the last two by frames and secure
 * messages. */
enum { SPEAKER, READER, SLOW, BUSY, FRAMES, SECURE, TALKERS };

static struct client *talkers[TALKERS];

static bool lives(const struct client *client)
{
    return client && client->session;
}

/* ---- The conversation --------------------------------------------------- */

static void tell(unsigned who, const char *line)
{
    if (lives(talkers[who]))
        client_tell(talkers[who], "%s", line);
}

static void let_in(unsigned who, enum dialect dialect)
{
    struct peer peer = {.name = "nowhere", .counted = true};
    char line[16];

    peer.address[15] = (uint8_t)who;
    talkers[who] = client_connect_as(dialect, &peer);
    engine_run();
    (void)snprintf(line, sizeof(line), "/nick t%u", who);
    if (dialect == DIALECT_TEXT)
        tell(who, line);
}

static void binary_let_in(unsigned who, enum dialect dialect)
{
    struct client *client;

    let_in(who, dialect);
    client = talkers[who];
    if (!lives(client) || !client_line(client))
        return;
    if (dialect == DIALECT_FRAME)
        frame_hello(client, "frames");
    else
        secure_hello(client, "secure", false);
    engine_run();
}

/* By frames and secure messages, some of them in two pieces. */
static void binary_ones_talk(void)
{
    struct client *client = talkers[FRAMES];

    if (lives(client)) {
        client->receive_max = 700;
        frame_message(client, 1, "", "%01000d", 1);
        frame_command(client, 2, "join den");
        frame_command(client, 3, "who");
        frame_message(client, 4, "@secure", "psst");
    }
    engine_run();
    client = talkers[SECURE];
    if (lives(client)) {
        client->receive_max = 500;
        secure_send(client, MESSAGE, ",\"id\":1", "hello", 5);
        secure_send(client, MESSAGE, ",\"to\":\"frames\"", "psst", 4);
        secure_send(client, COMMAND, "", "topic by a secure one", 21);
    }
    engine_run();
    if (lives(talkers[FRAMES]))
        client_stall(talkers[FRAMES]);
}

/* Numbered lines, so that their order can be told. */
static void speak(unsigned from, unsigned count, int length)
{
    char line[4097];

    for (unsigned i = from; i < from + count; i++) {
        (void)snprintf(line, sizeof(line), "%u %0*d", i, length, 1);
        tell(SPEAKER, line);
    }
}

static void many_rooms(void)
{
    char line[16];

    for (unsigned i = 0; i < ROOMS_PER_SESSION_MAX; i++) {
        (void)snprintf(line, sizeof(line), "/join r%u", i);
        tell(BUSY, line);
        tell(BUSY, "in a room");
    }
    tell(BUSY, "/topic a topic");
    tell(BUSY, "/topic another topic");
    for (unsigned i = 0; i < 5; i++)
        tell(BUSY, "/leave");
    tell(BUSY, "/rooms");
    tell(BUSY, "/help");
    tell(BUSY, "/metrics");
    tell(BUSY, "/who lobby");
}

static void slow_one_stalls(void)
{
    binary_ones_talk();
    if (lives(talkers[SLOW]))
        client_stall(talkers[SLOW]);
    speak(0, 30, 20);
    speak(30, 5, 2000);
    speak(35, 5, 4000);
    tell(READER, "/msg t2 in private");
    tell(READER, "/nick Reader");
    if (lives(talkers[SLOW])) {
        talkers[SLOW]->takes = 1000;
        engine_run();
    }
    tell(SLOW, "/join r1");
    tell(SLOW, "/leave lobby");
    speak(40, 10, 100);
}

/* Lines in pieces, more than may be unread, and the rest in an inbox. */
static void busy_one_is_paused(void)
{
    struct client *busy = talkers[BUSY];

    if (!lives(busy))
        return;
    client_send_bytes(busy, "/echo in", 8);
    engine_run();
    tell(BUSY, " pieces");
    client_stall(busy);
    for (unsigned i = 0; i < 30; i++)
        client_send(busy, "/echo %03000u", i);
    engine_run();
    busy->takes = TAKES_ALL;
    engine_run();
}

/* Tables grow, and each pool needs more than one slab. */
static void many_guests(void)
{
    for (unsigned i = 0; i < GUESTS; i++) {
        struct client *guest = client_connect();

        if (!guest)
            continue;
        client_send(guest, "/join g%u", i);
        client_send(guest, "hello %0100u", i);
        client_send(guest, "/join h%u", i);
    }
    engine_run();
}

static void all_end(void)
{
    if (lives(talkers[READER]))
        client_half_close(talkers[READER]);
    tell(SPEAKER, "/quit");
    if (lives(talkers[SLOW]))
        client_unstall(talkers[SLOW]);
    if (lives(talkers[FRAMES])) {
        frame_disconnect(talkers[FRAMES]);
        client_unstall(talkers[FRAMES]);
    }
    engine_wait(2 * SECONDS);
}

static void conversation(void)
{
    for (unsigned who = 0; who < FRAMES; who++)
        let_in(who, DIALECT_TEXT);
    binary_let_in(FRAMES, DIALECT_FRAME);
    binary_let_in(SECURE, DIALECT_SECURE);
    many_rooms();
    slow_one_stalls();
    busy_one_is_paused();
    many_guests();
    chat_log_metrics(engine.chat);
    all_end();
}

/* ---- What must hold ----------------------------------------------------- */

/* The speaker's lines in their order; where some are missing it is told. The
 * line on which memory failed is in no room. */
static void check_order(struct client *client)
{
    uint64_t number, seq, next = 0;
    const char *line;

    while ((line = client_line(client))) {
        if (client->dialect != DIALECT_TEXT)
            line = line_as_text(line, &seq);
        if (line_begins(line, "[lobby] * lagged: # messages", &number)) {
            assert_true(number > 0);
            next += number;
        } else if (line_begins(line, "[lobby] t0: # ", &number)) {
            assert_int_equal(number, next);
            next++;
        }
    }
}

/* A fault that a session is told of can be found in the log by its detail. */
static void check_fault(struct client *client)
{
    static const char error[] = "internal session=";
    char *at =
        client->out.length > 0
            ? memmem(client->out.data, client->out.length, error, strlen(error))
            : NULL;
    char logged[64];
    uint64_t id;

    if (!at)
        return;
    assert_true(line_begins(at, "internal session=#", &id));
    (void)snprintf(logged, sizeof(logged), "error session=%" PRIu64 " ", id);
    assert_true(engine_logged(logged) > 0);
    assert_true(engine_logged("error=internal cause=") > 0);
}

static size_t count_lost(void)
{
    return engine_logged(" reason=internal ") +
           engine_logged(" reason=no-memory ");
}

static void converse_and_check(void)
{
    conversation();
    for (size_t i = 0; i < engine.count; i++) {
        check_fault(&engine.clients[i]);
        if (&engine.clients[i] != talkers[SPEAKER])
            check_order(&engine.clients[i]);
    }
}

static void limited(struct chat_config *config)
{
    *config = engine_config();
    config->room_window_bytes = 10000;
    config->sessions_per_address_max = 1000;
}

/* ---- Tests -------------------------------------------------------------- */

/* Whether there was an nth allocation to fail. One that fails costs one
 * session at most. */
static bool fails_at(unsigned n)
{
    struct chat_config config;
    unsigned long before = alloc_count();

    limited(&config);
    alloc_fail_at(n);
    engine_start(&config);
    if (engine.chat) {
        converse_and_check();
        assert_true(count_lost() <= 1);
        engine_stop();
    }
    alloc_fail_at(0);
    return alloc_count() - before >= n;
}

static void test_each_allocation_fails(void **state)
{
    unsigned n = 1;

    (void)state;
    while (fails_at(n))
        n++;
    assert_true(n > 50);
}

/* Returns how many sessions were lost or not let in. */
static size_t with_budget(uint64_t bytes)
{
    struct chat_config config;
    size_t lost;

    limited(&config);
    config.memory_bytes_max = bytes;
    engine_start(&config);
    assert_non_null(engine.chat);
    converse_and_check();
    lost = count_lost() + TALKERS + GUESTS - engine.count;
    engine_stop();
    return lost;
}

/* From what a chat without sessions needs on. */
static void test_every_budget(void **state)
{
    uint64_t enough = 0;

    (void)state;
    assert_int_equal(with_budget(2 * MIB), 0);
    assert_int_equal(with_budget(MAPPED_BYTES_MIN), TALKERS + GUESTS);
    for (uint64_t bytes = MAPPED_BYTES_MIN; bytes < 2 * MIB && enough < 16;
         bytes += 9000)
        enough = with_budget(bytes) == 0 ? enough + 1 : 0;
    assert_int_equal(enough, 16);
}

static struct client *ann, *bob;

/* ann and bob, and memory for little more. */
static void start_with_little(void)
{
    struct chat_config config = engine_config();

    engine_start(&config);
    client_open("ann");
    client_open("bob");
    config.memory_bytes_max = engine.chat->budget->used_bytes + 200000;
    engine_stop();
    engine_start(&config);
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
}

/* The memory that slow members make a room keep goes before a message is
 * refused: they are told that they lag. */
static void slow_member_lags_first(int length, unsigned count)
{
    uint64_t missed;

    start_with_little();
    client_stall(ann);
    client_tell(ann, "/echo not read");
    for (unsigned i = 0; i < count; i++) {
        client_tell(bob, "%u %0*d", i, length, 1);
        client_expect_start(bob, "[lobby] bob: ");
    }
    assert_int_equal(count_lost(), 0);
    client_unstall(ann);
    client_expect(ann, "not read");
    assert_true(line_begins(client_line(ann), "[lobby] * lagged: #", &missed));
    assert_true(missed > count / 2 && missed < count);
    for (unsigned i = (unsigned)missed; i < count; i++)
        client_expect(ann, "[lobby] bob: %u %0*d", i, length, 1);
    client_expect_nothing(ann);
    engine_stop();
}

static void test_slow_members_lag_first(void **state)
{
    (void)state;
    slow_member_lags_first(900, 1000);
}

/* The less memory there is, the smaller are the pieces that it is asked for. */
static void test_slow_members_lag_first_small_lines(void **state)
{
    (void)state;
    slow_member_lags_first(90, 10000);
}

#define ROOMS 10

/* ann reads nothing of what bob says in them; there is not memory for all of
 * it. */
static void fill_rooms(void)
{
    for (unsigned room = 0; room < ROOMS; room++)
        client_tell(ann, "/join r%u", room);
    client_stall(ann);
    client_tell(ann, "/echo not read"); /* it holds no room's bytes */
    for (unsigned room = 0; room < ROOMS; room++) {
        client_tell(bob, "/join r%u", room);
        for (unsigned i = 0; i < 1000; i++)
            client_tell(bob, "%0900u", i);
        engine_forget();
    }
}

/* The oldest segments fall out of the rooms, one of each, until there is memory
 * again. */
static void test_rooms_keep_what_there_is_memory_for(void **state)
{
    struct chat_config config = engine_config();
    uint64_t short_from = 5 * MIB;

    (void)state;
    config.memory_bytes_max = short_from / 7 * 8;
    engine_start(&config);
    ann = client_open("ann");
    bob = client_open("bob");
    fill_rooms();
    assert_int_equal(count_lost(), 0);
    assert_true(engine.chat->budget->used_bytes < short_from);
    assert_true(engine.chat->budget->used_bytes >
                short_from - ROOMS * config.room_window_bytes / 8);
    engine_stop();
}

/* One that holds bytes which nobody else needs, and does not take them, is
 * closed before anybody is refused anything. */
static void test_holder_of_old_bytes_is_closed(void **state)
{
    (void)state;
    start_with_little();
    client_stall(ann);
    client_tell(bob, "first");
    client_expect(bob, "[lobby] bob: first");
    for (unsigned i = 0; i < 1000 && !ann->closed; i++) {
        client_tell(bob, "%u %0900d", i, 1);
        client_expect_start(bob, ann->closed ? "[lobby] " : "[lobby] bob: ");
    }
    assert_true(ann->closed);
    assert_int_equal(engine_logged("nick=ann reason=no-memory "), 1);
    assert_int_equal(count_lost(), 1);
    client_forget(bob);
    client_tell(bob, "still here");
    client_expect(bob, "[lobby] bob: still here");
    engine_stop();
}

/* One that takes all it is offered, if not within the turn, is no such holder.
 */
static void test_prompt_reader_is_not_closed(void **state)
{
    (void)state;
    start_with_little();
    ann->completes_late = true;
    client_tell(bob, "/leave");
    client_stall(bob);
    while (engine.chat->budget->used_bytes <
           engine.chat->budget->limit_bytes / 8 * 7)
        client_tell(ann, "/msg bob %0900d", 1);
    assert_false(bob->closed);
    client_forget(ann);
    client_tell(ann, "hello");
    client_expect(ann, "[lobby] ann: hello");
    assert_false(ann->closed);
    engine_stop();
}

/* No memory for one more segment: that is told to who sent the message, the
 * others go on. */
static void test_refused_message_ends_its_sender_alone(void **state)
{
    uint64_t limit;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(ann, "%04000d", 1);
    engine_forget();
    limit = engine.chat->budget->limit_bytes;
    engine.chat->budget->limit_bytes = engine.chat->budget->used_bytes;
    client_tell(bob, "%04090d", 1);
    engine.chat->budget->limit_bytes = limit;
    client_expect_start(bob, "! internal session=");
    client_expect_nothing(bob);
    assert_true(bob->shut);
    assert_int_equal(engine_logged("error session=2 nick=bob error=internal "
                                   "cause=no memory for a message\n"),
                     1);
    client_expect(ann, "[lobby] * bob left");
    client_tell(ann, "still here");
    client_expect(ann, "[lobby] ann: still here");
    engine_stop();
}

/* A reply for which there is no memory ends the session at once. */
static void test_session_without_memory_for_a_reply(void **state)
{
    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(ann, "/join den");
    client_tell(bob, "/join den");
    engine_forget();
    alloc_fail_at(1);
    client_tell(bob, "/echo %04080d", 1);
    alloc_fail_at(0);
    assert_true(bob->closed);
    client_expect_nothing(bob);
    client_expect(ann, "[lobby] * bob left");
    client_expect(ann, "[den] * bob left");
    client_tell(ann, "/who den");
    client_expect(ann, "* ann");
    client_expect(ann, "* end of who");
    client_expect_nothing(ann);
    assert_int_equal(engine_logged(" reason=no-memory "), 1);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ALONE(test_each_allocation_fails),
        TEST_ALONE(test_every_budget),
        cmocka_unit_test(test_slow_members_lag_first),
        cmocka_unit_test(test_slow_members_lag_first_small_lines),
        TEST_ALONE(test_rooms_keep_what_there_is_memory_for),
        cmocka_unit_test(test_holder_of_old_bytes_is_closed),
        cmocka_unit_test(test_prompt_reader_is_not_closed),
        cmocka_unit_test(test_refused_message_ends_its_sender_alone),
        cmocka_unit_test(test_session_without_memory_for_a_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
