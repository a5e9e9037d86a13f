/*
 * What a room promises to members that read: one order for all, what who comes
 * or goes sees, who is told of presence, which room is current, and how a room
 * ends and begins again.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"

#include <string.h>

static struct room *the_room(const char *name)
{
    return engine_room(name);
}

static uint64_t room_bytes(const char *name)
{
    return lane_head(the_room(name)->lanes[ENCODING_TEXT]).position;
}

/* ---- Order -------------------------------------------------------------- */

/* Each of several senders has its lines received piece by piece. */
static void several_talk(size_t senders, size_t lines)
{
    for (size_t i = 0; i < senders; i++) {
        engine.clients[i].receive_max = 3 + 2 * i;
        for (size_t j = 0; j < lines; j++)
            client_send(&engine.clients[i], "%zu %zu", i, j);
    }
    engine_run();
}

/* All have the same lines; of each sender, all its lines in its order. */
static void test_one_order_for_all(void **state)
{
    size_t senders = 5, lines = 100, next[5] = {0};

    (void)state;
    engine_start_default();
    clients_connect(20);
    several_talk(senders, lines);
    for (size_t n = 0; n < senders * lines; n++) {
        const char *first = client_line(&engine.clients[0]);
        uint64_t got[2];

        assert_non_null(first);
        assert_true(line_begins(first, "[lobby] guest-~ # #", got));
        assert_int_equal(got[1], next[got[0]]++);
        for (size_t i = 1; i < engine.count; i++)
            client_expect(&engine.clients[i], "%s", first);
    }
    clients_expect_nothing();
    assert_int_equal(the_room("lobby")->seq, senders * lines);
    engine_stop();
}

/* Topics and presence have their place in the same order. */
static void test_notices_in_order(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_send(ann, "one");
    client_send(ann, "/topic two");
    client_send(ann, "/nick Ann");
    client_send(ann, "four");
    engine_run();
    client_expect(bob, "[lobby] ann: one");
    client_expect(bob, "[lobby] * ann set the topic: two");
    client_expect(bob, "[lobby] * ann is now Ann");
    client_expect(bob, "[lobby] Ann: four");
    client_expect_nothing(bob);
    assert_int_equal(the_room("lobby")->seq, 2);
    engine_stop();
}

/* However many members there are, a message is written once. */
static void test_one_encoding(void **state)
{
    uint64_t before;

    (void)state;
    engine_start_default();
    clients_connect(1000);
    before = room_bytes("lobby");
    client_tell(&engine.clients[0], "hello");
    assert_int_equal(room_bytes("lobby") - before,
                     strlen("[lobby] guest-1234: hello\n"));
    for (size_t i = 0; i < engine.count; i++) {
        const char *line = client_line(&engine.clients[i]);

        assert_non_null(line);
        assert_non_null(strstr(line, ": hello"));
    }
    clients_expect_nothing();
    engine_stop();
}

/* ---- Coming and going --------------------------------------------------- */

/* One comes in each turn: all who were there are told of each at once. */
static void test_each_arrival_is_told(void **state)
{
    (void)state;
    engine_start_default();
    for (size_t i = 0; i < 10; i++) {
        assert_non_null(client_connect());
        engine_run();
        for (size_t j = 0; j < i; j++)
            client_expect_start(&engine.clients[j], "[lobby] * guest-");
        client_expect_start(&engine.clients[i], "* welcome");
        clients_expect_nothing();
    }
    engine_stop();
}

/* As above, in another room, and each then speaks. */
static void test_each_newcomer_speaks(void **state)
{
    (void)state;
    engine_start_default();
    clients_connect(10);
    for (size_t i = 0; i < engine.count; i++) {
        client_send(&engine.clients[i], "/join den");
        client_tell(&engine.clients[i], "it is me");
        client_expect(&engine.clients[i], "* joined den (%zu members)", i + 1);
        client_expect_start(&engine.clients[i], "[den] guest-");
        for (size_t j = 0; j < i; j++) {
            client_expect_start(&engine.clients[j], "[den] * guest-");
            client_expect_start(&engine.clients[j], "[den] guest-");
        }
        clients_expect_nothing();
    }
    engine_stop();
}

/* Above the presence limit an arrival is no news; what was said just before it
 * reaches all the same. */
static void test_arrival_between_message_and_sweep(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.presence_members_max = 0;
    engine_start(&config);
    for (size_t i = 0; i < 20; i++) {
        if (i > 0)
            client_send(&engine.clients[0], "hello");
        assert_non_null(client_connect());
        engine_run();
        /* The lines came in after the newcomer: it hears them too. */
        client_expect_start(&engine.clients[i], "* welcome");
        for (size_t j = 0; i > 0 && j <= i; j++)
            client_expect_start(&engine.clients[j], "[lobby] guest-");
        clients_expect_nothing();
    }
    for (size_t i = 1; i < engine.count; i++) {
        client_send(&engine.clients[i], "/join den");
        client_send(&engine.clients[i], "hello");
    }
    engine_run();
    for (size_t i = 1; i < engine.count; i++) {
        client_expect_start(&engine.clients[i], "* joined den");
        for (size_t j = i; j < engine.count; j++)
            client_expect_start(&engine.clients[i], "[den] guest-");
    }
    clients_expect_nothing();
    engine_stop();
}

/* The joiner sees nothing from before, and not its own notice. */
static void test_joiner_sees_what_follows(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(bob, "/join den");
    engine_forget();
    client_send(bob, "before");
    client_send(ann, "/join den");
    client_send(ann, "mine");
    engine_run();
    client_tell(bob, "after");
    /* In this turn ann was received first. */
    client_expect(ann, "* joined den (2 members)");
    client_expect(ann, "[den] ann: mine");
    client_expect(ann, "[den] bob: before");
    client_expect(ann, "[den] bob: after");
    client_expect_nothing(ann);
    client_expect(bob, "[den] * ann joined");
    client_expect(bob, "[den] ann: mine");
    client_forget(bob);
    client_tell(ann, "/leave");
    client_send(bob, "unheard by ann");
    client_send(ann, "/join den");
    client_send_bytes(bob, "/topic x\nand heard\n", 19);
    bob->receive_max = 15;
    engine_run();
    client_expect(ann, "* left den");
    client_expect(ann, "* joined den (2 members)");
    client_forget(bob);
    engine_stop();
}

static void test_leaver_sees_what_was_before(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_stall(ann);
    client_tell(bob, "one");
    client_tell(bob, "two");
    client_tell(ann, "/leave");
    client_tell(bob, "three");
    client_tell(bob, "/topic unheard");
    client_expect(bob, "[lobby] bob: one");
    client_expect(bob, "[lobby] bob: two");
    client_expect(bob, "[lobby] * ann left");
    client_unstall(ann);
    client_expect(ann, "[lobby] bob: one");
    /* What was in the room may come after the reply. */
    client_expect(ann, "* left lobby");
    client_expect(ann, "[lobby] bob: two");
    client_expect_nothing(ann);
    engine_stop();
}

/* Left and joined again many times while stalled: in order, without what was
 * said in between. */
static void test_left_and_joined_again_while_stalled(void **state)
{
    struct client *ann, *bob;
    uint64_t number, next = 0;
    const char *line;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_stall(ann);
    for (int i = 0; i < 10; i++) {
        client_tell(bob, "%d", 3 * i);
        client_tell(ann, "/leave");
        client_tell(bob, "%d", 3 * i + 1);
        client_tell(ann, "/join lobby");
        client_tell(bob, "%d", 3 * i + 2);
    }
    client_unstall(ann);
    while ((line = client_line(ann))) {
        if (!line_begins(line, "[lobby] bob: #", &number))
            continue;
        assert_int_equal(number, next);
        next += number % 3 == 0 ? 2 : 1; /* not the one in between */
    }
    assert_int_equal(next, 30);
    engine_stop();
}

/* ---- Presence ----------------------------------------------------------- */

/* In a room of `members` with the one who comes, changes and goes, the others
 * are told if `told`. */
static void check_presence(size_t members, bool told)
{
    struct client *ann = &engine.clients[members];
    struct client *bob = &engine.clients[0];

    client_tell(ann, "/join den");
    client_expect(ann, "* joined den (%zu members)", members);
    if (told)
        client_expect(bob, "[den] * ann joined");
    client_tell(ann, "/nick Ann");
    client_expect(ann, "* you are now Ann");
    if (told) {
        client_expect(ann, "[den] * ann is now Ann");
        client_expect(bob, "[den] * ann is now Ann");
    }
    client_tell(ann, "/topic %zu", members);
    client_expect(ann, "* topic den: %zu", members);
    client_expect(ann, "[den] * Ann set the topic: %zu", members);
    client_expect(bob, "[den] * Ann set the topic: %zu", members);
    client_tell(ann, "/leave");
    client_expect(ann, "* left den");
    if (told)
        client_expect(bob, "[den] * Ann left");
    client_tell(ann, "/join den");
    client_expect(ann, "* joined den (%zu members)", members);
    if (told)
        client_expect(bob, "[den] * Ann joined");
    client_reset(ann);
    engine_run();
    if (told)
        client_expect(bob, "[den] * Ann left");
    client_expect_nothing(ann);
    client_expect_nothing(bob);
}

static void presence_at(size_t members, size_t limit)
{
    struct chat_config config = engine_config();
    struct client *ann;

    config.presence_members_max = limit;
    engine_start(&config);
    clients_connect(members + 1);
    ann = &engine.clients[members];
    for (size_t i = 0; i + 1 < members; i++)
        client_send(&engine.clients[i], "/join den");
    client_send(ann, "/nick ann");
    client_send(ann, "/leave");
    engine_run();
    engine_forget();
    check_presence(members, members <= limit);
    engine_stop();
}

static void test_presence_limit(void **state)
{
    static const size_t limits[] = {2, 3, 64};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        for (size_t n = limits[i] - 1; n <= limits[i] + 1; n++) {
            if (n > 1)
                presence_at(n, limits[i]);
        }
    }
    presence_at(2, 0);
    presence_at(2, 1);
}

/* ---- The current room --------------------------------------------------- */

static void test_current_room(void **state)
{
    static const char *const script[][2] = {
        {"/join a", "a"},         {"/join b", "b"},    {"/join a", "a"},
        {"/leave", "b"},          {"/leave", "lobby"}, {"/join c", "c"},
        {"/join lobby", "lobby"}, {"/join d", "d"},    {"/leave lobby", "d"},
        {"/leave", "c"},
    };
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    for (size_t i = 0; i < ARRAY_LENGTH(script); i++) {
        client_tell(ann, "%s", script[i][0]);
        client_forget(ann);
        client_tell(ann, "here");
        client_expect(ann, "[%s] ann: here", script[i][1]);
    }
    client_tell(ann, "/leave");
    client_tell(ann, "nowhere");
    client_expect(ann, "* left c");
    client_expect_start(ann, "! no-room");
    client_tell(ann, "/join e");
    client_tell(ann, "here");
    client_expect(ann, "* joined e (1 members)");
    client_expect(ann, "[e] ann: here");
    engine_stop();
}

static void test_joining_again_tells_nobody(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
    client_tell(ann, "/join #LOBBY");
    client_expect(ann, "* joined lobby (2 members)");
    client_expect_nothing(ann);
    client_expect_nothing(bob);
    engine_stop();
}

static void test_too_many_rooms(void **state)
{
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    for (unsigned i = 1; i < ROOMS_PER_SESSION_MAX; i++)
        client_tell(ann, "/join r%u", i);
    client_forget(ann);
    client_tell(ann, "/join one.more");
    client_expect_start(ann, "! too-many-rooms");
    client_tell(ann, "/join r3");
    client_expect(ann, "* joined r3 (1 members)");
    client_tell(ann, "/leave lobby");
    client_tell(ann, "/join one.more");
    client_expect(ann, "* left lobby");
    client_expect(ann, "* joined one.more (1 members)");
    client_tell(ann, "/join lobby");
    client_expect_start(ann, "! too-many-rooms");
    engine_stop();
}

/* ---- End and rebirth ---------------------------------------------------- */

static void test_room_ends_with_its_last_member(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(ann, "/join Den");
    client_tell(ann, "/topic old");
    client_tell(ann, "one");
    client_tell(ann, "two");
    assert_int_equal(the_room("den")->seq, 2);
    client_tell(ann, "/leave");
    assert_null(the_room("den"));
    engine_forget();
    client_tell(bob, "/join dEN");
    client_tell(bob, "/topic");
    client_tell(bob, "one");
    client_expect(bob, "* joined dEN (1 members)");
    client_expect(bob, "* topic dEN: ");
    client_expect(bob, "[dEN] bob: one");
    assert_int_equal(the_room("den")->seq, 1);
    client_expect_nothing(ann);
    engine_stop();
}

/* The last member leaves with bytes unsent: the room that is born meanwhile is
 * another one, and what it says comes after. */
static void test_room_reborn_while_the_old_one_drains(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(ann, "/join den");
    engine_forget();
    client_stall(ann);
    client_tell(ann, "old 1");
    client_tell(ann, "old 2");
    client_tell(ann, "/leave");
    client_tell(bob, "/join DEN");
    client_tell(ann, "/join den");
    client_tell(bob, "new 1");
    assert_int_equal(the_room("den")->seq, 1);
    client_unstall(ann);
    client_expect(ann, "[den] ann: old 1");
    client_expect(ann, "* left den");
    client_expect(ann, "* joined DEN (2 members)");
    client_expect(ann, "[den] ann: old 2");
    client_expect(ann, "[DEN] bob: new 1");
    client_expect_nothing(ann);
    client_expect(bob, "* joined DEN (1 members)");
    client_expect(bob, "[DEN] * ann joined");
    client_expect(bob, "[DEN] bob: new 1");
    client_expect_nothing(bob);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_order_for_all),
        cmocka_unit_test(test_notices_in_order),
        cmocka_unit_test(test_one_encoding),
        cmocka_unit_test(test_each_arrival_is_told),
        cmocka_unit_test(test_each_newcomer_speaks),
        TEST_ALONE(test_arrival_between_message_and_sweep),
        TEST_ALONE(test_joiner_sees_what_follows),
        cmocka_unit_test(test_leaver_sees_what_was_before),
        cmocka_unit_test(test_left_and_joined_again_while_stalled),
        cmocka_unit_test(test_presence_limit),
        cmocka_unit_test(test_current_room),
        cmocka_unit_test(test_joining_again_tells_nobody),
        cmocka_unit_test(test_too_many_rooms),
        cmocka_unit_test(test_room_ends_with_its_last_member),
        cmocka_unit_test(test_room_reborn_while_the_old_one_drains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
