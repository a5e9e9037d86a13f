/*
 * What two workers have to do with each other, where chance seldom brings it
 * about: queues that are full, memory that is not there, ends that come at
 * once, spans of another's room in flight.
 */
#include "common/chat/internal.h"
#include "common/chat/shared.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_chat_binary.h"

#include <stdio.h>
#include <string.h>

#define POSTERS 20
#define COUNTERS_MAX 120
#define ENDS 100
#define LINE 4000

/* Of worker 0. */
static char den[16], pub[16];

static void find_rooms(void)
{
    char *names[] = {den, pub};
    unsigned found = 0;

    for (unsigned i = 0; found < ARRAY_LENGTH(names); i++) {
        (void)snprintf(names[found], sizeof(den), "r%u", i);
        found += room_owner(engine.chat, slice_of(names[found])) == 0;
    }
}

static void start(void)
{
    engine_start_default();
    assert_int_equal(engine.workers, 2);
    find_rooms();
}

/* A client of that worker. */
static struct client *open_at(unsigned worker)
{
    struct client *client;

    do
        client = client_connect();
    while (client->worker != worker);
    engine_run();
    client_forget(client);
    return client;
}

static struct client *member_at(unsigned worker, const char *room)
{
    struct client *client = open_at(worker);

    client_tell(client, "/join %s", room);
    client_forget(client);
    return client;
}

static struct client *frame_member_at(unsigned worker)
{
    struct client *client;

    do
        client = binary_connect(DIALECT_FRAME);
    while (client->worker != worker);
    frame_hello(client, "");
    engine_run();
    client_forget(client);
    return client;
}

static const char *long_text(void)
{
    static char text[LINE + 1];

    memset(text, 'x', LINE);
    return text;
}

/* Who leaves while a letter that settles the lane waits for room: that comes
 * first, and says no more than it did when it began to wait. */
static void test_settled_before_the_leaving(void **state)
{
    struct client *posters[POSTERS], *member;

    (void)state;
    start();
    member = open_at(1);
    client_tell(member, "/leave lobby");
    client_tell(member, "/join %s", den);
    for (size_t i = 0; i < POSTERS; i++)
        posters[i] = member_at(1, pub);
    client_send(member, "hello");
    engine_turn();
    for (size_t i = 0; i < POSTERS; i++)
        client_send(posters[i], "%s", long_text());
    engine_turn();
    assert_true(shards_chat(engine.shards, 1)->crowded);
    client_reset(member);
    engine_run();
    engine_stop();
}

/* The nth allocation fails while one is asked to let in a member, to let go of
 * the last one, and to let in another. */
static void refuse_one_of_them(unsigned nth)
{
    struct client *first, *last, *next;

    start();
    first = frame_member_at(1);
    last = member_at(1, den);
    next = open_at(1);
    frame_command(first, 1, "join %s", den);
    client_send(last, "/leave %s", den);
    client_send(next, "/join %s", den);
    engine_turn();
    alloc_fail_at(nth);
    engine_turn();
    alloc_fail_at(0);
    engine_run();
    client_tell(next, "hello");
    engine_stop();
}

static void test_refused_beside_others(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth <= 8; nth++)
        refuse_one_of_them(nth);
}

/* Its send is over, and something else is not: it is freed turns later, when
 * the room may have freed what it was being sent. */
static void test_closed_in_flight(void **state)
{
    struct session *dying;
    struct client *member;

    (void)state;
    start();
    member = member_at(1, den);
    client_tell(member, "/leave lobby");
    member->completes_late = true;
    client_send(member, "hello");
    while (!member->session->span.segment)
        engine_turn();
    client_reset(member);
    dying = member->dying;
    assert_non_null(dying);
    member->dying = NULL;
    member->flying_count = 0;
    for (int i = 0; i < 20; i++) {
        engine_turn();
        engine.now_ns += 10 * MS;
    }
    session_free(dying);
    engine_stop();
}

/* Where the leaver ends is behind what its worker has seen of the lane in this
 * turn: among the answers there was no room left for the news. */
static void leave_ahead(unsigned counters)
{
    struct client *counter[COUNTERS_MAX], *talker, *leaver, *late;

    start();
    for (unsigned i = 0; i < counters; i++) {
        counter[i] = open_at(1);
        client_tell(counter[i], "/leave lobby");
        client_tell(counter[i], "/join %s", pub);
    }
    talker = member_at(1, den);
    leaver = member_at(1, den);
    late = member_at(1, den);
    late->completes_late = true;
    client_send(talker, "one");
    engine_turn();
    for (unsigned i = 0; i < counters; i++)
        client_send(counter[i], "/join %s", pub);
    client_send(talker, "two");
    client_send(leaver, "/leave %s", den);
    engine_run();
    engine_stop();
}

static void test_left_ahead_of_the_news(void **state)
{
    (void)state;
    for (unsigned counters = 60; counters < COUNTERS_MAX; counters++)
        leave_ahead(counters);
}

/* More last lines, at once, than there is room for in the queue. */
static void test_many_ends(void **state)
{
    struct client *listener, *members[ENDS];
    size_t lines = 0;

    (void)state;
    start();
    listener = member_at(0, den);
    for (size_t i = 0; i < ENDS; i++)
        members[i] = member_at(1, den);
    client_forget(listener);
    for (size_t i = 0; i < ENDS; i++) {
        client_send_bytes(members[i], long_text(), LINE);
        client_half_close(members[i]);
    }
    engine_run();
    for (const char *line; (line = client_line(listener));)
        lines += strlen(line) > LINE;
    assert_int_equal(lines, ENDS);
    engine_stop();
}

/* Who has left as its worker did not know of a stop has left before it, though
 * the room's owner hears of that when it does know: the room is told. */
static void test_left_just_before_a_stop(void **state)
{
    struct client *members[2], *leaver;

    (void)state;
    start();
    for (unsigned worker = 0; worker < 2; worker++)
        members[worker] = member_at(worker, den);
    leaver = member_at(1, den);
    client_tell(leaver, "/nick ann");
    engine_forget();
    client_send(leaver, "/leave %s", den);
    engine_turn();
    engine_shutdown();
    engine_run();
    client_expect(leaver, "* left %s", den);
    for (unsigned worker = 0; worker < 2; worker++) {
        client_expect(members[worker], "[%s] * ann left", den);
        client_expect_start(members[worker], "! shutdown");
    }
    engine_stop();
}

/* A worker that always has somebody to send something to keeps no other from
 * going on. */
static void test_busy_worker(void **state)
{
    struct chat_config config = engine_config();
    struct client *busy[3], *poster, *member;
    size_t lines = 0;

    (void)state;
    config.room_window_bytes = 64 * KIB;
    engine_start(&config);
    find_rooms();
    for (size_t i = 0; i < ARRAY_LENGTH(busy); i++) {
        busy[i] = open_at(1);
        busy[i]->completes_late = true;
    }
    poster = member_at(0, den);
    member = member_at(1, den);
    for (unsigned i = 0; i < 500; i++)
        client_send(poster, "%.400s", long_text());
    for (unsigned turn = 0; turn < 5000 && lines < 500; turn++) {
        for (size_t i = 0; i < ARRAY_LENGTH(busy); i++)
            client_send(busy[i], "/echo x");
        engine_turn();
        engine.now_ns += TURN_LOOK_NS;
        for (const char *line; (line = client_line(member));)
            lines += strlen(line) > 400;
    }
    assert_int_equal(lines, 500);
    engine_stop();
}

/* Lines of more than that that the member has been sent since. */
static size_t long_lines(struct client *member, size_t length)
{
    size_t lines = 0;

    for (const char *line; (line = client_line(member));) {
        assert_null(strstr(line, "lagged"));
        lines += strlen(line) > length;
    }
    return lines;
}

/* Who leaves, and reads at once, is sent what was there before: its leaving may
 * wait until a turn is over that lasts until it has been. */
static void test_leaver_does_not_lag(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.room_window_bytes = 5000;
    for (unsigned turns = 0; turns < 12; turns++) {
        struct client *speaker, *leaver;

        engine_start(&config);
        find_rooms();
        speaker = member_at(0, den);
        leaver = member_at(1, den);
        leaver->completes_late = true;
        client_send(leaver, "/help");
        for (unsigned i = 0; i < 4; i++)
            client_send(speaker, "%.2400s", long_text());
        for (unsigned i = 0; i < turns; i++) {
            engine_turn();
            engine.now_ns += TURN_LOOK_NS;
        }
        client_half_close(leaver);
        engine_run();
        (void)long_lines(leaver, 2400);
        engine_stop();
    }
}

static void expect_error_last(struct client *client)
{
    bool told = false;

    for (const char *line; (line = client_line(client));) {
        assert_false(told);
        assert_null(strstr(line, "ACK"));
        told = strstr(line, "ERROR 99 id=7");
    }
    assert_true(told);
}

/* Of a client of worker 1 to a room of worker 0: 7 is long, and 8 is not. */
static struct client *start_two_posts(void)
{
    struct client *poster;

    start();
    (void)member_at(0, den);
    poster = frame_member_at(1);
    frame_command(poster, 1, "join %s", den);
    engine_run();
    client_forget(poster);
    frame_message(poster, 7, "", "%s", long_text());
    frame_message(poster, 8, "", "x");
    return poster;
}

/* What fails with the room's worker is said to who has ended its stream
 * meanwhile, and is the last that it is told. */
static void test_failed_behind_the_end(void **state)
{
    bool failed = false;

    (void)state;
    for (unsigned n = 1; n < 100 && !failed; n++) {
        struct client *poster = start_two_posts();

        client_half_close(poster);
        engine_turn();
        alloc_fail_at(n);
        engine_turn();
        alloc_fail_at(0);
        engine_run();
        failed = engine_logged("no memory for a message") > 0;
        if (failed)
            expect_error_last(poster);
        engine_stop();
    }
    assert_true(failed);
}

/* A worker that has said that it is done asks the others for nothing more. */
static void test_metrics_behind_the_end(void **state)
{
    (void)state;
    start();
    engine_shutdown();
    engine_run();
    assert_false(chats_are_done(shards_chat(engine.shards, 0)));
    chat_log_metrics(shards_chat(engine.shards, 0));
    assert_true(chats_are_done(shards_chat(engine.shards, 1)));
    assert_true(chats_are_done(shards_chat(engine.shards, 0)));
    engine_stop();
}

static void turn_begin_of(unsigned worker)
{
    struct chat *chat = shards_chat(engine.shards, worker);

    if (chat_sleep(chat))
        chat_awake(chat);
    chat_announce(chat);
    chat_tick(chat, engine.now_ns, engine.wall_us);
}

static void turn_of(unsigned worker)
{
    turn_begin_of(worker);
    chat_publish(shards_chat(engine.shards, worker));
}

static void stop_of(unsigned worker)
{
    chat_shutdown(shards_chat(engine.shards, worker), DRAIN_NS);
}

/* What was asked for before the stop is answered, though it goes from one to
 * another who has heard all already. */
static void test_listing_at_a_stop(void **state)
{
    struct client *asker;
    bool told = false;

    (void)state;
    engine_start_default();
    assert_int_equal(engine.workers, 3);
    asker = open_at(0);
    for (unsigned worker = 1; worker < 3; worker++) {
        stop_of(worker);
        turn_of(worker);
    }
    turn_begin_of(0);
    asker->reading =
        session_receive(asker->session, "/rooms\n", 7) == VERDICT_CONTINUE;
    chat_publish(shards_chat(engine.shards, 0));
    stop_of(0);
    turn_of(0);
    turn_of(0);
    turn_of(2);
    turn_of(1);
    turn_of(0);
    engine_run();
    for (const char *line; (line = client_line(asker));)
        told |= strstr(line, "end of rooms") != NULL;
    assert_true(told);
    engine_stop();
}

/* Of two posts the first fails with the room's worker while the session ends
 * for another reason: the second is not acknowledged as if it had not. */
static void test_failed_behind_another_error(void **state)
{
    bool failed = false;

    (void)state;
    for (unsigned n = 1; n < 100 && !failed; n++) {
        struct client *poster = start_two_posts();

        engine_turn();
        session_lag_out(poster->session);
        alloc_fail_at(n);
        engine_turn();
        alloc_fail_at(0);
        engine_run();
        failed = engine_logged("no memory for a message") > 0;
        for (const char *line; failed && (line = client_line(poster));)
            assert_null(strstr(line, "ACK"));
        engine_stop();
    }
    assert_true(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF_TWO(test_settled_before_the_leaving),
        TEST_OF_TWO(test_refused_beside_others),
        TEST_OF_TWO(test_closed_in_flight),
        TEST_OF_TWO(test_left_ahead_of_the_news),
        TEST_OF_TWO(test_many_ends),
        TEST_OF_TWO(test_left_just_before_a_stop),
        TEST_OF_TWO(test_busy_worker),
        TEST_OF_TWO(test_leaver_does_not_lag),
        TEST_OF_TWO(test_failed_behind_the_end),
        TEST_OF_TWO(test_metrics_behind_the_end),
        TEST_OF_TWO(test_failed_behind_another_error),
        TEST_OF_THREE(test_listing_at_a_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
