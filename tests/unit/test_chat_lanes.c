/*
 * One room, four encodings: each member has its own, all have the same messages
 * in the same order, and what is written in one lane is in all, or in none.
 */
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_chat_members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A message in the words of an encoding. */
static void expect_message(enum encoding encoding, uint64_t seq,
                           const char *nick, const char *text)
{
    struct client *client = members[encoding];

    if (encoding == ENCODING_TEXT)
        client_expect(client, "[lobby] %s: %s", nick, text);
    else
        client_expect(client, "MESSAGE %" PRIu64 " lobby %s: %s", seq, nick,
                      encoding == ENCODING_SEALED ? "(sealed)" : text);
}

static void expect_by_all(uint64_t seq, const char *nick, const char *text)
{
    for (enum encoding e = 0; e < ENCODINGS; e++)
        expect_message(e, seq, nick, text);
}

/* ---- The same for all ---------------------------------------------------- */

static void test_same_messages(void **state)
{
    uint64_t seq = 0;

    (void)state;
    start_members();
    for (unsigned i = 0; i < 30; i++) {
        for (enum encoding e = 0; e < ENCODING_SEALED; e++) {
            say(e, "hello");
            engine_run();
            expect_by_all(++seq, nicks[e], "hello");
        }
    }
    clients_expect_nothing();
    engine_stop();
}

/* Of what comes at once the room makes one order, however it is taken. */
static void test_same_order(void **state)
{
    char order[30];
    size_t count = 0;

    (void)state;
    start_members();
    for (unsigned i = 0; i < 10; i++) {
        for (enum encoding e = 0; e < ENCODING_SEALED; e++)
            say(e, nicks[(e + i) % ENCODINGS]);
    }
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        members[e]->send_max = 50 + 10 * e;
        members[e]->completes_late = e % 2;
        members[e]->receive_max = 30 + e;
    }
    engine_run();
    for (const char *line; (line = client_line(members[ENCODING_TEXT]));)
        order[count++] = line[strlen("[lobby] ")];
    assert_int_equal(count, sizeof(order));
    for (enum encoding e = 1; e < ENCODINGS; e++) {
        for (size_t i = 0; i < count; i++) {
            const char *line = client_line(members[e]);
            uint64_t seq;

            assert_true(line_begins(line, "MESSAGE # lobby ", &seq));
            assert_int_equal(seq, i + 1);
            assert_int_equal(strstr(line, "lobby ")[6], order[i]);
        }
    }
    clients_expect_nothing();
    engine_stop();
}

static void test_notices(void **state)
{
    static const char *const wanted[] = {
        "joined lobby x", "nick lobby x: y",      "nick lobby y: z",
        "left lobby z",   "topic lobby fred: it", "left lobby fred"};
    struct client *x;

    (void)state;
    start_members();
    x = client_open("x");
    client_tell(x, "/nick y");
    client_tell(x, "/nick z");
    client_tell(x, "/quit");
    frame_command(members[ENCODING_FRAME], 0, "topic it");
    engine_run();
    frame_disconnect(members[ENCODING_FRAME]);
    engine_run();
    for (enum encoding e = ENCODING_FRAME; e < ENCODINGS; e++) {
        struct client *client = members[e];
        const char *line = client_line(client);
        uint64_t skip;

        /* x came as a guest. */
        assert_true(line_begins(line, "NOTICE joined lobby guest-~", &skip));
        client_expect_start(client, "NOTICE nick lobby guest-");
        for (size_t i = 1; i < ARRAY_LENGTH(wanted); i++) {
            if (e == ENCODING_FRAME && i == 4)
                client_expect(client, "REPLY 0: topic lobby: it");
            if (e == ENCODING_SEALED)
                client_expect_start(client, "NOTICE ");
            else if (e != ENCODING_FRAME || i < 5)
                client_expect(client, "NOTICE %s", wanted[i]);
        }
    }
    engine_stop();
}

/* What is sent to a room is written once for all members of an encoding. */
static void test_written_once(void **state)
{
    struct client *other, *first;

    (void)state;
    start_members();
    first = members[ENCODING_SECURE];
    other = binary_open(DIALECT_SECURE, "other");
    engine_forget();
    say(ENCODING_TEXT, "hello");
    engine_run();
    assert_int_equal(client_unread(first), client_unread(other));
    assert_memory_equal(first->out.data + first->out_from,
                        other->out.data + other->out_from,
                        client_unread(first));
    engine_stop();
}

/* Presence and topic have the number of the last message before. */
static void test_numbers_of_notices(void **state)
{
    struct client *sue, *x;

    (void)state;
    start_members();
    sue = members[ENCODING_SECURE];
    for (unsigned i = 0; i < 5; i++) {
        say(ENCODING_FRAME, "hello");
        engine_run();
        engine_forget();
        sue->room_seq = 99;
        x = client_open("x");
        client_expect_start(sue, "NOTICE joined ");
        assert_int_equal(sue->room_seq, i + 1);
        sue->room_seq = 99;
        client_expect_start(sue, "NOTICE nick ");
        assert_int_equal(sue->room_seq, i + 1);
        client_tell(x, "/topic %u", i);
        client_tell(x, "/quit");
        sue->room_seq = 99;
        client_expect(sue, "NOTICE topic lobby x: %u", i);
        assert_int_equal(sue->room_seq, i + 1);
        sue->room_seq = 99;
        client_expect(sue, "NOTICE left lobby x");
        assert_int_equal(sue->room_seq, i + 1);
    }
    engine_stop();
}

/* ---- Made and freed ------------------------------------------------------ */

static unsigned lanes(void)
{
    unsigned mask = 0;

    for (enum encoding e = 0; e < ENCODINGS; e++)
        mask |= lobby()->lanes[e] ? 1u << e : 0;
    return mask;
}

/* Each with its first member, until its last has gone. */
static void test_made_and_freed(void **state)
{
    struct chat_config config = quiet_config();
    struct client *second;

    (void)state;
    engine_start(&config);
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        members[e] = open_member(e, nicks[e]);
        assert_int_equal(lanes(), (2u << e) - 1);
    }
    engine_forget();
    for (enum encoding e = 0; e + 1 < ENCODINGS; e++) {
        second = open_member(e, "second");
        client_reset(members[e]);
        engine_run();
        assert_int_equal(lanes(), 15u & ~((1u << e) - 1));
        client_reset(second);
        engine_run();
        assert_int_equal(lanes(), 15u & ~((2u << e) - 1));
    }
    assert_int_equal(engine.chat->lanes_pool.objects, 1);
    client_reset(members[ENCODING_SEALED]);
    engine_run();
    assert_int_equal(engine.chat->lanes_pool.objects, 0);
    assert_null(lobby());
    engine_stop();
}

/* One that comes late goes on with the room's numbers, and sees its own coming
 * and what was before not at all. */
static void test_made_late(void **state)
{
    struct chat_config config = quiet_config();

    (void)state;
    engine_start(&config);
    members[ENCODING_TEXT] = client_open("tess");
    for (enum encoding e = 1; e < ENCODINGS; e++) {
        say(ENCODING_TEXT, "before");
        engine_run();
        members[e] = open_member(e, nicks[e]);
        client_expect_nothing(members[e]);
    }
    engine_forget();
    say(ENCODING_TEXT, "after");
    engine_run();
    expect_by_all(4, "tess", "after");
    clients_expect_nothing();
    engine_stop();
}

/* A member that leaves with something unsent keeps its lane until then. */
static void test_kept_for_one_leaving(void **state)
{
    struct client *fred;

    (void)state;
    start_members();
    fred = members[ENCODING_FRAME];
    client_stall(fred);
    say(ENCODING_TEXT, "unsent");
    frame_command(fred, 1, "leave");
    engine_run();
    assert_int_equal(lanes(), 15);
    say(ENCODING_TEXT, "not for fred");
    engine_run();
    assert_int_equal(lanes(), 15);
    client_unstall(fred);
    client_expect(fred, "REPLY 1: left lobby");
    client_expect(fred, "MESSAGE 1 lobby tess: unsent");
    client_expect_nothing(fred);
    assert_int_equal(lanes(), 13);
    frame_command(fred, 2, "join lobby");
    engine_run();
    client_forget(fred);
    say(ENCODING_TEXT, "again");
    engine_run();
    client_expect(fred, "MESSAGE 3 lobby tess: again");
    engine_stop();
}

/* ---- All or none --------------------------------------------------------- */

/* The nth allocation for a message fails: nobody has it, and who sent it is
 * told. Whether there was one. */
static bool fails_at(unsigned n, enum encoding from, int length,
                     uint64_t presence)
{
    struct chat_config config = quiet_config();
    unsigned long count;

    config.presence_members_max = presence;
    start_members_with(&config);
    say_number(from, 0, 10);
    engine_run();
    say_number(from, 1, length);
    count = alloc_count();
    alloc_fail_at(n);
    engine_turn();
    alloc_fail_at(0);
    count = alloc_count() - count;
    engine_run();
    if (lobby()->seq == 1)
        assert_true(members[from]->shut || members[from]->closed);
    from = from == ENCODING_TEXT ? ENCODING_FRAME : ENCODING_TEXT;
    say_number(from, (unsigned)lobby()->seq, 10);
    engine_run();
    expect_all_account();
    engine_stop();
    return count >= n;
}

/* Returns how many allocations there were. */
static unsigned each_fails(enum encoding from, int length, uint64_t presence)
{
    unsigned n = 1;

    while (fails_at(n, from, length, presence))
        n++;
    return n - 1;
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (enum encoding e = 0; e < ENCODING_SEALED; e++) {
        each_fails(e, 10, 64);
        each_fails(e, 400, 64);
        assert_true(each_fails(e, 3900, 64) >= 3); /* in several lanes */
    }
}

/* Whoever asks, a topic is the old one or the new one, for all. */
static bool topic_fails_at(unsigned n, int length)
{
    struct client *fred;
    unsigned long count;
    bool changed;

    start_members();
    fred = members[ENCODING_FRAME];
    frame_command(fred, 1, "topic old");
    engine_run();
    engine_forget();
    frame_command(fred, 2, "topic %0*d", length, 1);
    count = alloc_count();
    alloc_fail_at(n);
    engine_turn();
    alloc_fail_at(0);
    count = alloc_count() - count;
    engine_run();
    changed = lobby()->topic_length == (uint32_t)length;
    assert_true(changed || fred->shut);
    client_expect_start(members[ENCODING_TEXT],
                        changed ? "[lobby] * fred set the topic: 0000"
                                : "[lobby] * fred left");
    client_expect_start(members[ENCODING_SECURE],
                        changed ? "NOTICE topic lobby fred: 0000"
                                : "NOTICE left lobby fred");
    client_expect_start(members[ENCODING_SEALED],
                        changed ? "NOTICE topic" : "NOTICE left");
    client_tell(members[ENCODING_TEXT], "/topic");
    client_expect_start(members[ENCODING_TEXT],
                        changed ? "* topic lobby: 0000" : "* topic lobby: old");
    engine_stop();
    return count >= n;
}

static void test_each_allocation_for_a_topic_fails(void **state)
{
    unsigned n = 1;

    (void)state;
    while (topic_fails_at(n, 3950))
        n++;
    assert_true(n > 4); /* the topic's own, and in several lanes */
}

/* No notice of a leaving follows, in whose place what was written before would
 * go: it must be gone without that. */
static void test_nothing_kept_of_what_failed(void **state)
{
    (void)state;
    for (enum encoding e = 0; e < ENCODING_SEALED; e++)
        each_fails(e, 3900, 0);
}

/* Little memory, and all but the speaker stall: they lag, each by as much as
 * its lane had to give up, until the speaker finds none. */
static void test_every_budget(void **state)
{
    (void)state;
    for (uint64_t more = 0; more < 400000; more += 20000) {
        unsigned said = 0;

        start_members();
        for (enum encoding e = 1; e < ENCODINGS; e++)
            client_stall(members[e]);
        say_number(ENCODING_TEXT, said++, 10);
        engine_run();
        engine.chat->budget->limit_bytes =
            engine.chat->budget->used_bytes + more;
        while (said < 300 && !members[ENCODING_TEXT]->shut &&
               !members[ENCODING_TEXT]->closed) {
            say_number(ENCODING_TEXT, said, 1 + (int)(said * 37 % 4000));
            engine_run();
            said++;
        }
        engine.chat->budget->limit_bytes = UINT64_MAX;
        for (enum encoding e = 1; e < ENCODINGS; e++) {
            if (!members[e]->closed)
                client_unstall(members[e]);
        }
        expect_all_account();
        engine_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_messages),
        cmocka_unit_test(test_same_order),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_written_once),
        cmocka_unit_test(test_numbers_of_notices),
        TEST_ALONE(test_made_and_freed),
        cmocka_unit_test(test_made_late),
        TEST_ALONE(test_kept_for_one_leaving),
        TEST_ALONE(test_each_allocation_fails),
        TEST_ALONE(test_each_allocation_for_a_topic_fails),
        cmocka_unit_test(test_nothing_kept_of_what_failed),
        cmocka_unit_test(test_every_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
