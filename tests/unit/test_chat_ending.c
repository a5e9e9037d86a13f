/*
 * How sessions end, and what they are sent before: by themselves, by an error,
 * with their connection, with the server; and those that are not let in.
 */
#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include "tests/unit/support_chat.h"

#include <string.h>

static struct client *ann, *bob;

static void start_with(const struct chat_config *config)
{
    engine_start(config);
    ann = client_open("ann");
    bob = client_open("bob");
    engine_forget();
}

static void start(void)
{
    struct chat_config config = engine_config();

    start_with(&config);
}

/* ---- What it is sent before it ends ------------------------------------- */

/* Whether there is a last word, and this is it. */
static bool is_last(const char *line, const char *last)
{
    return last && strncmp(line, last, strlen(last)) == 0;
}

/* ann has all that she and bob said in two rooms, in its order, and replies
 * and private messages, and `last` at the end, if that is not NULL. */
static void expect_all_before(struct client *client, size_t count,
                              const char *last)
{
    size_t lobby = 0, den = 0, privates = 0, echoes = 0;
    const char *line;

    while ((line = client_line(client)) && !is_last(line, last)) {
        uint64_t number;

        if (line_begins(line, "[lobby] bob: #", &number))
            assert_int_equal(number, lobby++);
        else if (line_begins(line, "[den] ann: #", &number))
            assert_int_equal(number, den++);
        else if (line_begins(line, "(private) bob: #", &number))
            assert_int_equal(number, privates++);
        else if (line_begins(line, "echo #", &number))
            assert_int_equal(number, echoes++);
        else
            fail_msg("unexpected: %s", line);
    }
    assert_int_equal(lobby, count);
    assert_int_equal(den, count);
    assert_int_equal(privates, count);
    assert_int_equal(echoes, count);
    client_expect_nothing(client);
    assert_int_equal(!line, !last);
}

static void fill_all(size_t count)
{
    client_tell(ann, "/join den");
    client_forget(ann);
    client_stall(ann);
    for (size_t i = 0; i < count; i++) {
        client_tell(bob, "%zu %0500d", i, 1);
        client_tell(bob, "/msg ann %zu", i);
        client_tell(ann, "%zu %0300d", i, 1);
        client_tell(ann, "/echo echo %zu", i);
    }
}

/* How ann's session ends with all of that unsent. */
struct end {
    void (*begin)(void);
    const char *last; /* its last word, if it has one */
};

static void end_by_quit(void)
{
    client_tell(ann, "/quit");
}

static void end_by_eof(void)
{
    client_half_close(ann);
    engine_run();
}

static void end_by_shutdown(void)
{
    engine_shutdown();
    engine_run();
}

static void end_by_idling(void)
{
    engine_wait(5 * SECONDS);
}

static const struct end ends[] = {
    {end_by_quit, "* bye"},
    {end_by_eof, NULL},
    {end_by_shutdown, "! shutdown"},
    {end_by_idling, "! timeout"},
};

static void ends_after_all(const struct end *end, size_t send_max)
{
    struct chat_config config = engine_config();

    config.idle_timeout_ns = 5 * SECONDS;
    start_with(&config);
    fill_all(40);
    end->begin();
    assert_false(ann->closed);
    ann->send_max = send_max;
    ann->completes_late = send_max & 1;
    client_unstall(ann);
    assert_int_equal(ann->closed, !end->last);
    assert_int_equal(!ann->shut, !end->last);
    expect_all_before(ann, 40, end->last);
    engine_wait(LINGER_NS);
    assert_true(ann->closed && ann->drained);
    engine_stop();
}

static void test_all_that_was_due_comes_first(void **state)
{
    static const size_t sends[] = {SIZE_MAX, 1, 7, 100, 511, 4097};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(sends); j++)
            ends_after_all(&ends[i], sends[j]);
    }
}

/* The others see it leave at once, in each room, once. */
static void test_others_see_it_leave(void **state)
{
    (void)state;
    start();
    client_tell(ann, "/join den");
    client_tell(bob, "/join den");
    engine_forget();
    client_stall(ann);
    client_tell(bob, "hello");
    client_tell(bob, "unsent when she leaves");
    client_tell(ann, "/quit");
    client_expect(bob, "[den] bob: hello");
    client_expect(bob, "[den] bob: unsent when she leaves");
    client_expect(bob, "[lobby] * ann left");
    client_expect(bob, "[den] * ann left");
    client_expect_nothing(bob);
    client_tell(bob, "/who den");
    client_expect(bob, "* bob");
    client_expect(bob, "* end of who");
    client_reset(ann);
    engine_run();
    client_expect_nothing(bob);
    engine_stop();
}

/* Two with the same end at the same time hear of each other or not, but all
 * that both said. */
static void test_two_quit_at_once(void **state)
{
    (void)state;
    start();
    client_send(ann, "from ann");
    client_send(ann, "/quit");
    client_send(bob, "from bob");
    client_send(bob, "/quit");
    engine_run();
    client_expect(ann, "[lobby] ann: from ann");
    client_expect(ann, "* bye");
    client_expect_nothing(ann);
    client_expect(bob, "[lobby] ann: from ann");
    client_expect(bob, "[lobby] * ann left");
    client_expect(bob, "[lobby] bob: from bob");
    client_expect(bob, "* bye");
    client_expect_nothing(bob);
    assert_null(engine_room("lobby"));
    engine_stop();
}

/* ---- Every state, and what may happen in it ------------------------------ */

static void be_open(void)
{
}

static void be_blocked(void)
{
    client_stall(ann);
    client_tell(bob, "first");
    client_tell(bob, "second");
}

static void be_paused(void)
{
    client_stall(ann);
    for (size_t i = 0; i < 20; i++)
        client_send(ann, "/echo %05000zu", i);
    for (size_t i = 0; i < 20000; i++)
        client_send(ann, "/echo %zu", i);
    engine_run();
    assert_true(session_paused(ann->session));
}

static void be_leaving(void)
{
    be_blocked();
    for (size_t i = 0; i < 5; i++) {
        client_tell(ann, "/leave lobby");
        client_tell(ann, "/join lobby");
        client_tell(bob, "again");
    }
}

static void be_ending_for_quit(void)
{
    be_blocked();
    client_tell(ann, "/quit");
}

static void be_ending_for_eof(void)
{
    be_blocked();
    client_half_close(ann);
    engine_run();
}

static void be_ending_for_an_error(void)
{
    client_stall(ann);
    client_tell(bob, "first");
    engine_wait(60 * SECONDS);
}

static void be_at_the_last_word(void)
{
    client_stall(ann);
    client_tell(ann, "/quit");
    ann->takes = 3;
    engine_run();
}

static void be_lingering(void)
{
    client_tell(ann, "/quit");
}

static void be_in_no_room(void)
{
    client_tell(ann, "/leave");
}

struct standing {
    void (*become)(void);
    enum session_state state;
};

static const struct standing standings[] = {
    {be_open, SESSION_OPEN},
    {be_blocked, SESSION_OPEN},
    {be_paused, SESSION_OPEN},
    {be_leaving, SESSION_OPEN},
    {be_in_no_room, SESSION_OPEN},
    {be_ending_for_quit, SESSION_ENDING},
    {be_ending_for_eof, SESSION_ENDING},
    {be_ending_for_an_error, SESSION_ENDING},
    {be_at_the_last_word, SESSION_LAST_WORD},
    {be_lingering, SESSION_LINGERING},
};

static void then_reset(void)
{
    client_reset(ann);
    engine_run();
}

static void then_shutdown(void)
{
    engine_shutdown();
    engine_run();
}

static void then_shutdown_twice(void)
{
    engine_shutdown();
    engine_shutdown();
    engine_wait(SECONDS);
    engine_shutdown();
    engine_run();
}

static void then_shutdown_and_read(void)
{
    engine_shutdown();
    client_unstall(ann);
}

static void then_shutdown_and_reset(void)
{
    engine_shutdown();
    client_reset(ann);
    engine_run();
}

static void then_eof(void)
{
    client_half_close(ann);
    engine_run();
}

static void then_eof_and_read(void)
{
    client_half_close(ann);
    client_unstall(ann);
}

static void then_garbage(void)
{
    client_tell(ann, "a\x01");
    client_tell(ann, "/quit");
    client_tell(ann, "more");
}

static void then_time_passes(void)
{
    engine_wait(30 * SECONDS);
}

static void (*const happenings[])(void) = {
    then_reset,
    then_shutdown,
    then_shutdown_twice,
    then_shutdown_and_read,
    then_shutdown_and_reset,
    then_eof,
    then_eof_and_read,
    then_garbage,
    then_time_passes,
};

/* Whatever it is and whatever happens, its time comes; nobody else minds. */
static void happens(const struct standing *standing, void (*happening)(void))
{
    struct client *eve;
    bool over;

    start();
    eve = client_open("eve");
    standing->become();
    assert_int_equal(ann->session->state, standing->state);
    client_tell(eve, "%s", ""); /* or it would have been idle too long */
    happening();
    over = engine_logged("error=shutdown") > 0 || bob->shut || bob->closed;
    if (!over) {
        engine_forget();
        client_tell(eve, "/echo not disturbed");
        client_expect(eve, "not disturbed");
    }
    engine_wait(600 * SECONDS);
    engine_wait(61 * SECONDS);
    assert_true(ann->closed && bob->closed && eve->closed);
    engine_stop();
}

static void test_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(standings); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(happenings); j++)
            happens(&standings[i], happenings[j]);
    }
}

/* ---- The server stops --------------------------------------------------- */

/* All are told, nobody that the others left. */
static void test_shutdown(void **state)
{
    (void)state;
    start();
    clients_connect(70);
    engine_forget();
    client_tell(ann, "last words");
    engine_shutdown();
    engine_run();
    for (size_t i = 0; i < engine.count; i++) {
        struct client *client = &engine.clients[i];

        client_expect(client, "[lobby] ann: last words");
        client_expect_start(client, "! shutdown");
        client_expect_nothing(client);
        assert_true(client->shut);
    }
    engine_wait(LINGER_NS);
    for (size_t i = 0; i < engine.count; i++)
        assert_true(engine.clients[i].closed);
    assert_int_equal(engine_logged(" reason=shutdown "), 72);
    assert_true(chat_deadline(engine.chat) == UINT64_MAX);
    engine_stop();
}

/* What waits to be parsed is discarded. */
static void test_shutdown_discards_what_waits(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.rate_per_second = 1;
    start_with(&config);
    engine_wait(10 * SECONDS);
    for (size_t i = 0; i < 5; i++)
        client_send(ann, "/echo %zu", i);
    engine_run();
    engine_shutdown();
    engine_wait(10 * SECONDS);
    client_expect(ann, "0");
    client_expect(ann, "1");
    client_expect_start(ann, "! shutdown");
    client_expect_nothing(ann);
    engine_stop();
}

static void test_nobody_is_let_in_while_stopping(void **state)
{
    struct client *late;

    (void)state;
    start();
    client_stall(ann);
    client_tell(bob, "hello");
    engine_shutdown();
    late = client_connect();
    engine_run();
    client_expect_start(late, "! shutdown");
    client_expect_nothing(late);
    assert_true(late->shut);
    engine_wait(10 * SECONDS);
    assert_true(late->closed);
    engine_stop();
}

/* ---- Not let in --------------------------------------------------------- */

static void expect_refused(struct client *client)
{
    assert_non_null(client);
    engine_run();
    client_expect_start(client, "! server-full");
    client_expect_nothing(client);
    assert_true(client->shut);
}

static void expect_welcome(struct client *client)
{
    assert_non_null(client);
    engine_run();
    client_expect_start(client, "* welcome");
}

static void test_server_full(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.sessions_max = 2;
    start_with(&config);
    expect_refused(client_connect());
    expect_refused(client_connect());
    clients_expect_nothing();
    client_reset(ann);
    expect_welcome(client_connect());
    expect_refused(client_connect());
    /* One that is ending counts until it has been told its last word. */
    client_stall(bob);
    client_tell(bob, "/quit");
    expect_refused(client_connect());
    client_unstall(bob);
    assert_false(bob->closed);
    expect_welcome(client_connect());
    expect_refused(client_connect());
    engine_stop();
}

static struct client *connect_from(uint8_t last, bool counted)
{
    struct peer peer = {.name = "somewhere", .counted = counted};

    peer.address[15] = last;
    return client_connect_from(&peer);
}

static void test_per_address(void **state)
{
    struct chat_config config = engine_config();
    struct client *first;

    (void)state;
    config.sessions_per_address_max = 2;
    engine_start(&config);
    first = connect_from(1, true);
    expect_welcome(first);
    expect_welcome(connect_from(1, true));
    expect_refused(connect_from(1, true));
    for (size_t i = 0; i < 5; i++)
        expect_welcome(connect_from(1, false));
    expect_welcome(connect_from(2, true));
    expect_welcome(connect_from(2, true));
    expect_refused(connect_from(2, true));
    client_reset(first);
    expect_welcome(connect_from(1, true));
    expect_refused(connect_from(1, true));
    engine_stop();
}

/* Addresses are bytes: none is another one in other letters. */
static void test_addresses_are_bytes(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.sessions_per_address_max = 1;
    engine_start(&config);
    expect_welcome(connect_from('a', true));
    expect_welcome(connect_from('A', true));
    expect_refused(connect_from('a', true));
    engine_stop();
}

static void test_many_are_refused(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.sessions_max = 1;
    engine_start(&config);
    ann = client_open("ann");
    for (size_t i = 0; i < REFUSED_SESSIONS_MAX; i++) {
        struct client *client = client_connect();

        assert_non_null(client);
        client_stall(client);
    }
    assert_null(client_connect());
    assert_null(client_connect());
    engine_run();
    client_unstall(&engine.clients[1]);
    client_expect_start(&engine.clients[1], "! server-full");
    assert_null(client_connect());
    client_reset(&engine.clients[2]);
    expect_refused(client_connect());
    assert_null(client_connect());
    engine_wait(LINGER_NS);
    assert_int_equal(engine.chat->shards->refused, 0);
    expect_refused(client_connect());
    client_tell(ann, "/echo not disturbed");
    client_expect(ann, "not disturbed");
    engine_stop();
}

/* Who lingers frees its place for others, but not without a bound. */
static void test_many_linger(void **state)
{
    struct chat_config config = engine_config();

    (void)state;
    config.sessions_max = 2;
    engine_start(&config);
    for (size_t i = 0; i < UNCOUNTED_SESSIONS_MAX + 2; i++) {
        struct client *client = client_connect();

        client_send_bytes(client, "\x16", 1);
        engine_run();
        assert_true(client->shut);
        assert_int_equal(engine_logged("event=refused"), 0);
    }
    assert_int_equal(engine.chat->shards->sessions, 2);
    expect_refused(client_connect());
    client_reset(&engine.clients[0]);
    assert_int_equal(engine.chat->shards->sessions, 2);
    expect_refused(client_connect());
    engine_wait(LINGER_NS);
    assert_int_equal(engine.chat->shards->sessions, 0);
    assert_int_equal(engine.chat->shards->uncounted, 0);
    ann = client_open("ann");
    engine_stop();
}

/* ---- The log ------------------------------------------------------------ */

static void test_reasons_in_the_log(void **state)
{
    (void)state;
    start();
    client_tell(ann, "hello");
    engine_wait(2 * SECONDS);
    client_tell(ann, "/quit");
    engine_wait(SECONDS);
    assert_int_equal(engine_logged("disconnected session=1 nick=ann "
                                   "reason=quit bytes_in=22 bytes_out="),
                     1);
    assert_int_equal(engine_logged(" messages=1 seconds=3000000\n"), 1);
    client_half_close(bob);
    engine_run();
    assert_int_equal(engine_logged("nick=bob reason=eof "), 1);
    client_reset(client_open("eve"));
    assert_int_equal(engine_logged("nick=eve reason=reset "), 1);
    bob = client_open("bob");
    session_close(bob->session, REASON_SEND_TIMEOUT);
    session_free(bob->session);
    bob->session = NULL;
    assert_int_equal(engine_logged("nick=bob reason=send-timeout "), 1);
    engine_stop();
}

/* What ends while a send is in flight, and is returned in vain meanwhile, is
 * returned again when that is over, however little of it went. */
static void test_end_during_a_send(void **state)
{
    struct session *session;
    struct iovec vectors[2];

    (void)state;
    start();
    ann->completes_late = true;
    ann->takes = 10;
    client_send(ann, "/help");
    engine_turn();
    assert_true(ann->flying_count > 0);
    engine_shutdown();
    engine.now_ns += DRAIN_NS + SECONDS;
    chat_tick(engine.chat, engine.now_ns, engine.wall_us);
    while (chat_next_ready(engine.chat))
        continue;
    ann->flying_count = 0;
    session = ann->session;
    session_sent(session, ann->landed);
    assert_ptr_equal(chat_next_ready(engine.chat), session);
    assert_int_equal(session_pending(session, vectors, 2), SESSION_END);
    engine_stop();
}

/* Who takes nothing and quits has not taken anything by that. */
static void test_quit_gains_no_time(void **state)
{
    (void)state;
    start();
    client_stall(ann);
    client_tell(bob, "not read");
    engine_wait(engine_config().stall_timeout_ns - 2 * SECONDS);
    client_tell(ann, "/quit");
    assert_false(ann->closed);
    engine_wait(2 * SECONDS);
    assert_true(ann->closed);
    assert_int_equal(engine_logged("nick=ann reason=quit "), 1);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ALONE(test_all_that_was_due_comes_first),
        cmocka_unit_test(test_others_see_it_leave),
        TEST_ALONE(test_two_quit_at_once),
        TEST_ALONE(test_every_state),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_shutdown_discards_what_waits),
        cmocka_unit_test(test_nobody_is_let_in_while_stopping),
        cmocka_unit_test(test_server_full),
        cmocka_unit_test(test_per_address),
        cmocka_unit_test(test_addresses_are_bytes),
        cmocka_unit_test(test_many_are_refused),
        cmocka_unit_test(test_many_linger),
        cmocka_unit_test(test_reasons_in_the_log),
        cmocka_unit_test(test_end_during_a_send),
        cmocka_unit_test(test_quit_gains_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
