/*
 * What a room costs the others, and a message its room: a large room has its
 * turn and no more, so has one who asks a lot; one that is blocked costs
 * nothing, and a member costs no allocation and no encoding.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

#include <string.h>

#define MANY 1000

static struct client *ann, *bob;

/* MANY guests in the lobby, ann and bob in a room of their own. */
static void start(void)
{
    engine_start_default();
    clients_connect(MANY);
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(ann, "/join den");
    client_tell(bob, "/join den");
    client_tell(ann, "/leave lobby");
    client_tell(bob, "/leave lobby");
    engine_forget();
}

/* A message to the large room, and then one to the small one, in one turn: the
 * small one is served when the large one has had its turn. */
static void test_large_room_has_its_turn(void **state)
{
    uint64_t before;

    (void)state;
    start();
    client_send(&engine.clients[0], "to the large room");
    client_send(ann, "to the small room");
    before = engine.serves;
    engine_run();
    client_expect(ann, "[den] ann: to the small room");
    client_expect(bob, "[den] ann: to the small room");
    assert_true(ann->served <= before + SWEEP_MEMBERS_MAX + 2);
    assert_true(bob->served <= before + SWEEP_MEMBERS_MAX + 2);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(engine.clients[i].served > before);
        client_expect_start(&engine.clients[i], "[lobby] guest-");
    }
    clients_expect_nothing();
    engine_stop();
}

/* What is for a session alone waits for no room. */
static void test_replies_come_first(void **state)
{
    uint64_t before;

    (void)state;
    start();
    client_send(&engine.clients[0], "to the large room");
    client_send(ann, "/echo hello");
    before = engine.serves;
    engine_run();
    client_expect(ann, "hello");
    assert_int_equal(ann->served, before + 1);
    engine_stop();
}

/* So are its rooms, if a turn sends it one span, and there is something for it
 * alone in every turn: each takes turns with the other. */
static void test_private_messages_have_half_the_turns(void **state)
{
    struct client *eve;
    uint64_t privates = 0, messages = 0;
    const char *line;

    (void)state;
    start();
    eve = client_open("eve");
    ann->completes_late = true;
    for (unsigned turn = 0; turn < 100; turn++) {
        client_send(eve, "/msg ann hi");
        client_send(bob, "%u", turn);
        engine_turn();
    }
    while ((line = client_line(ann))) {
        privates += strcmp(line, "(private) eve: hi") == 0;
        messages += strncmp(line, "[den] bob: ", 11) == 0;
    }
    assert_true(privates > 90);
    assert_true(messages > 90);
    engine_stop();
}

/* Members that take nothing are passed over. */
static void test_blocked_members_are_skipped(void **state)
{
    uint64_t before;

    (void)state;
    start();
    for (size_t i = 0; i < MANY; i++)
        client_stall(&engine.clients[i]);
    client_tell(&engine.clients[0], "first");
    assert_int_equal(engine.chat->blocked, MANY);
    before = engine.serves;
    client_tell(&engine.clients[0], "second");
    assert_int_equal(engine.serves, before);
    client_tell(ann, "third");
    assert_int_equal(engine.serves, before + 2);
    engine_stop();
}

/* Who took less than it was offered is not returned for a message that comes
 * then: it is the engine that sees when it takes more. */
static void test_blocked_session_is_not_returned(void **state)
{
    uint64_t before;

    (void)state;
    start();
    client_stall(ann);
    client_tell(bob, "first");
    before = ann->served;
    client_tell(bob, "/msg ann second");
    client_tell(bob, "third");
    assert_int_equal(ann->served, before);
    client_unstall(ann);
    client_expect(ann, "[den] bob: first");
    client_expect(ann, "(private) bob: second");
    client_expect(ann, "[den] bob: third");
    engine_stop();
}

#define TALKERS 40
#define TALKERS_LINES 1000

/* Each has sent more than a turn may say, many times over. */
static void start_talkers(size_t clients)
{
    struct chat_config config = engine_config();

    config.room_window_bytes = 1000;
    engine_start(&config);
    clients_connect(clients);
    for (size_t i = 0; i < TALKERS; i++) {
        for (size_t j = 0; j < TALKERS_LINES; j++)
            client_send(&engine.clients[i], "something");
    }
}

static void take_turns(size_t turns)
{
    for (size_t turn = 0; turn < turns; turn++) {
        engine_turn();
        engine.now_ns += TURN_LOOK_NS;
    }
}

/* Who has waited longest goes on first, so all have said as much. */
static void test_talkers_share_the_turns(void **state)
{
    const uint64_t a_turn = 500 / strlen("[lobby] guest-1: something\n");

    (void)state;
    start_talkers(TALKERS);
    take_turns(10 * TALKERS);
    for (size_t i = 0; i < TALKERS; i++) {
        uint64_t said = engine.clients[i].session->messages;

        assert_in_range(said, 8 * a_turn, 12 * a_turn);
    }
    engine_stop();
}

/* They hold up nobody's command for longer than each has had one turn. */
static void test_talkers_hold_up_nobody(void **state)
{
    struct client *other;

    (void)state;
    start_talkers(TALKERS + 1);
    other = &engine.clients[TALKERS];
    take_turns(3 * TALKERS);
    client_send(other, "/echo hello");
    take_turns(TALKERS + 2);
    assert_non_null(memmem(other->out.data, other->out.length, "\nhello\n",
                           strlen("\nhello\n")));
    engine_stop();
}

/* Nor do they keep anybody from coming in, in time. */
static void test_talkers_keep_out_nobody(void **state)
{
    struct client *other;

    (void)state;
    start_talkers(TALKERS);
    take_turns(TALKERS);
    other = binary_connect(DIALECT_FRAME);
    frame_hello(other, "newcomer");
    take_turns(2);
    assert_int_equal(other->session->state, SESSION_OPEN);
    engine_stop();
}

/* ---- Cost --------------------------------------------------------------- */

static uint64_t lobby_bytes(void)
{
    struct room *room = engine_room("lobby");

    return lane_head(room->lanes[ENCODING_TEXT]).position;
}

/* Allocations for one message to all members, once each of them has been sent
 * one; half of them take nothing. */
static unsigned long allocations(size_t members, size_t length)
{
    unsigned long before;
    uint64_t bytes;

    engine_start_default();
    clients_connect(members);
    client_tell(&engine.clients[0], "%0*d", (int)length, 1);
    for (size_t i = 1; i < members; i += 2)
        client_stall(&engine.clients[i]);
    client_tell(&engine.clients[0], "%0*d", (int)length, 2);
    bytes = lobby_bytes();
    before = alloc_count();
    client_tell(&engine.clients[0], "%0*d", (int)length, 3);
    before = alloc_count() - before;
    assert_int_equal(lobby_bytes() - bytes,
                     strlen("[lobby] guest-1234: \n") + length);
    engine_stop();
    return before;
}

static void test_no_allocation_per_member(void **state)
{
    static const size_t lengths[] = {1, 100, 1000, 4000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        unsigned long few = allocations(4, lengths[i]);
        unsigned long many = allocations(MANY, lengths[i]);

        assert_int_equal(many, few);
        assert_true(many <= 1);
    }
}

/* However fast one reads the replies to thousands of requests that wait, it
 * gets in a turn no more than it may have unread, and the reply under way. */
static void test_asker_has_its_turn(void **state)
{
    size_t before, most = 0;

    (void)state;
    start();
    for (unsigned i = 0; i < 2000; i++)
        client_send(ann, "/help");
    for (bool moved = true; moved; engine.now_ns++) {
        before = ann->out.length;
        moved = engine_turn() || session_paused(ann->session);
        if (ann->out.length - before > most)
            most = ann->out.length - before;
    }
    assert_true(ann->out.length > 10 * REPLIES_UNREAD_MAX);
    assert_true(most < REPLIES_UNREAD_MAX + 8 * KIB);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ALONE(test_large_room_has_its_turn),
        TEST_ALONE(test_replies_come_first),
        TEST_ALONE(test_private_messages_have_half_the_turns),
        TEST_ALONE(test_blocked_members_are_skipped),
        cmocka_unit_test(test_blocked_session_is_not_returned),
        TEST_ALONE(test_talkers_share_the_turns),
        TEST_ALONE(test_talkers_hold_up_nobody),
        TEST_ALONE(test_talkers_keep_out_nobody),
        cmocka_unit_test(test_no_allocation_per_member),
        cmocka_unit_test(test_asker_has_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
