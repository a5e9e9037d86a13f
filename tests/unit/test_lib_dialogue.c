/*
 * How a client comes in, stays, and comes back: its phases, with a clock and a
 * server of the test's.
 */
#include "tests/unit/support_dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#define SEEDS 1000

static const struct manner text = {.dialect = RINGCHAT_TEXT};
static const struct manner frame = {.dialect = RINGCHAT_FRAME};

static struct bench bench;

static int end(void **state)
{
    (void)state;
    bench_end(&bench);
    return 0;
}

static void serve(enum ringchat_kind kind, const char *room, const char *nick,
                  const char *words, uint64_t seq)
{
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = kind,
                            .room = text_of(room),
                            .nick = text_of(nick),
                            .text = text_of(words),
                            .seq = seq,
                        });
}

static void serve_init(void)
{
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_SESSION_INIT,
                        });
}

static void serve_welcome(const char *nick)
{
    serve(RINGCHAT_WELCOME, "lobby", nick, "", 0);
}

static void say(const char *room, uint64_t seq)
{
    serve(RINGCHAT_MESSAGE, room, "bob", "hi", seq);
}

/* ---- Coming in ---------------------------------------------------------- */

static void test_frame_handshake(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, "ada", "", 1);
    bench_connect(&bench);
    bench_told(&bench, "=connecting\n=entering\n");
    bench_said(&bench, "");
    serve_init();
    bench_said(&bench, "HELLO ada\n");
    serve_welcome("ada");
    bench_said(&bench, "PING\n");
    bench_told(&bench, "=open\n");
}

static void test_text_handshake(void **state)
{
    (void)state;
    bench_begin(&bench, &text, "ada", "den", 1);
    bench_connect(&bench);
    bench_line(&bench, "* welcome to ringchat, you are guest-0001, in lobby; "
                       "/help lists commands");
    bench_said(&bench, "/nick ada\n/echo ~1\n/leave lobby\n/echo ~2\n"
                       "/join den\n/echo ~3\n");
    bench_line(&bench,
               "* you are now ada\n~1\n[lobby] * guest-0001 is now ada");
    bench_line(&bench, "[lobby] bob: of no interest");
    bench_line(&bench, "* left lobby\n~2\n* joined den (1 members)");
    bench_told(&bench, "=connecting\n=entering\n");
    bench_line(&bench, "~3");
    bench_told(&bench, "=open\n");
    bench_said(&bench, "/echo ~4\n");
    assert_true(name_is(&bench.client.dialogue.belonging.nick, TEXT("ada")));
}

/* All are asked for before the first is answered; where it is already is not
 * asked for, if it comes first. */
static void test_rooms_in_their_order(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "lobby den attic", 1);
    bench_connect(&bench);
    serve_init();
    serve_welcome("guest-0001");
    bench_said(&bench, "HELLO \nCOMMAND 1 join den\nCOMMAND 2 join attic\n");
    bench_end(&bench);
    bench_begin(&bench, &frame, NULL, "den lobby", 1);
    bench_connect(&bench);
    serve_init();
    serve_welcome("guest-0001");
    bench_said(&bench, "HELLO \nCOMMAND 1 join den\nCOMMAND 2 join lobby\n");
}

/* No session may be in more than 16 rooms, not even while it comes in. */
static void test_as_many_rooms_as_may_be(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "a b c d e f g h i j k l m n o p", 1);
    bench_connect(&bench);
    serve_init();
    bench.said[0] = '\0';
    serve_welcome("guest-0001");
    assert_int_equal(
        strncmp(bench.said, "COMMAND 1 leave lobby\nCOMMAND 2 join a\n", 39),
        0);
}

static void test_room_that_is_refused(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "den attic", 1);
    bench_connect(&bench);
    serve_init();
    serve_welcome("guest-0001");
    bench_said(&bench, "HELLO \nCOMMAND 1 leave lobby\n"
                       "COMMAND 2 join den\nCOMMAND 3 join attic\n");
    bench_reply(&bench, 1, "left");
    bench_refuse(&bench, 2, RINGCHAT_ERROR_TOO_MANY_ROOMS);
    bench_reply(&bench, 3, "joined");
    bench_told(&bench, "=connecting\n=entering\nfault too-many-rooms\n=open\n");
    assert_int_equal(bench.client.dialogue.belonging.count, 1);
}

/* ---- A nick that somebody else has -------------------------------------- */

static void test_nick_taken_and_freed(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, "ada", "", 1);
    bench_connect(&bench);
    serve_init();
    bench_refuse(&bench, 0, RINGCHAT_ERROR_NICK_IN_USE);
    bench_said(&bench, "HELLO ada\nHELLO \n");
    serve_welcome("guest-0001");
    bench_told(&bench, "=connecting\n=entering\nfault nick-in-use\n=open\n");
    bench_said(&bench, "PING\nCOMMAND 1 nick ada\n");
    bench_refuse(&bench, 1, RINGCHAT_ERROR_NICK_IN_USE);
    bench_pass(&bench, 5000);
    bench_said(&bench, "PING\nCOMMAND 2 nick ada\n");
    bench_reply(&bench, 2, "you are now ada");
    bench_told(&bench, "");
    bench_pass(&bench, 5000);
    bench_said(&bench, "PING\n");
    assert_true(name_is(&bench.client.dialogue.belonging.nick, TEXT("ada")));
}

/* The connection that was lost may still have it: not a word of it. */
static void test_nick_at_a_return(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, "ada", "", 1);
    bench_open(&bench);
    bench_lose(&bench, -ECONNRESET);
    bench_connect(&bench);
    serve_init();
    bench_refuse(&bench, 0, RINGCHAT_ERROR_NICK_IN_USE);
    serve_welcome("guest-0002");
    bench_told(&bench, "=waiting ECONNRESET\n=connecting\n=entering\n"
                       "=open again\n");
}

static void test_nick_taken_in_text(void **state)
{
    (void)state;
    bench_begin(&bench, &text, "ada", "", 1);
    bench_connect(&bench);
    bench_line(&bench, "* welcome to ringchat, you are guest-0001, in lobby; "
                       "/help lists commands");
    bench_line(&bench, "! nick-in-use ada\n~1");
    bench_told(&bench, "=connecting\n=entering\nfault nick-in-use\n=open\n");
    bench_said(&bench, "/nick ada\n/echo ~1\n/echo ~2\n/nick ada\n/echo ~3\n");
}

/* ---- Losses ------------------------------------------------------------- */

static void go_to(enum phase phase)
{
    if (phase == PHASE_CONNECTING) {
        dialogue_start(&bench.client.dialogue, bench.now_ns);
        bench_pass(&bench, 1);
        return;
    }
    bench_connect(&bench);
    if (phase == PHASE_GREETING)
        return;
    serve_init();
    if (phase == PHASE_NAMING)
        return;
    serve_welcome("ada");
    if (phase == PHASE_JOINING)
        return;
    bench_reply(&bench, 1, "joined");
    bench_reply(&bench, 2, "left");
}

/* Whatever it is doing, it waits, and begins anew. */
static void test_loss_in_each_phase(void **state)
{
    (void)state;
    for (enum phase phase = PHASE_CONNECTING; phase <= PHASE_TALKING; phase++) {
        bench_begin(&bench, &frame, "ada", "den", phase);
        go_to(phase);
        assert_int_equal(bench.client.dialogue.phase, phase);
        bench.told[0] = '\0';
        bench_lose(&bench, -ECONNREFUSED);
        bench_told(&bench, "=waiting ECONNREFUSED\n");
        bench_open(&bench);
        bench_end(&bench);
    }
    bench_begin(&bench, &frame, NULL, "", 1);
}

/* Nothing is waited for longer than it may take. */
static void test_silence_in_each_phase(void **state)
{
    (void)state;
    for (enum phase phase = PHASE_CONNECTING; phase < PHASE_TALKING; phase++) {
        bench_begin(&bench, &frame, "ada", "den", phase);
        go_to(phase);
        bench.told[0] = '\0';
        bench_pass(&bench, 9000);
        bench_told(&bench, "");
        bench_pass(&bench, 1000);
        bench_told(&bench, "=waiting ETIMEDOUT\n");
        bench_end(&bench);
    }
    bench_begin(&bench, &frame, NULL, "", 1);
}

static void test_end_of_the_stream(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_lose(&bench, 0);
    bench_told(&bench, "=waiting ECONNRESET\n");
}

/* The last line counts without its end, too. */
static void test_last_words(void **state)
{
    (void)state;
    bench_begin(&bench, &text, NULL, "", 1);
    bench_open(&bench);
    bench_bytes(&bench, "! shutdown the server is stopping", 33);
    bench_lose(&bench, 0);
    bench_told(&bench, "=waiting shutdown\n");
    assert_string_equal(bench.client.dialogue.detail, "the server is stopping");
}

static void test_closing_errors(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_refuse(&bench, 0, RINGCHAT_ERROR_LAGGED);
    bench_told(&bench, "=waiting lagged\n");
    bench_open(&bench);
    bench_bytes(&bench, "\0\2\0\1x", 5); /* a SESSION_ACK: no server's */
    bench_told(&bench, "=waiting bad-frame\n");
    bench_connect(&bench);
    bench_refuse(&bench, 0, RINGCHAT_ERROR_SERVER_FULL);
    bench_told(&bench, "=connecting\n=entering\n=waiting server-full\n");
}

/* ---- No cure ------------------------------------------------------------ */

static void test_wrong_port(void **state)
{
    (void)state;
    bench_begin(&bench, &text, NULL, "", 1);
    bench_connect(&bench);
    bench_line(&bench, "HTTP/1.1 400 Bad Request");
    bench_told(&bench, "=connecting\n=entering\n=closed wrong-protocol\n");
    bench_end(&bench);
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_connect(&bench);
    serve_init();
    bench_refuse(&bench, 0, RINGCHAT_ERROR_HANDSHAKE);
    bench_told(&bench, "=connecting\n=entering\n=closed handshake\n");
}

/* Once it has worked, it may be a server that is being replaced. */
static void test_cured_before(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_refuse(&bench, 0, RINGCHAT_ERROR_HANDSHAKE);
    bench_told(&bench, "=waiting handshake\n");
}

static void test_attempts(void **state)
{
    (void)state;
    bench_begin(&bench,
                &(struct manner){.dialect = RINGCHAT_FRAME, .attempts_max = 2},
                NULL, "", 1);
    bench_open(&bench);
    bench_pass(&bench, 1);
    bench_lose(&bench, -ECONNRESET);
    bench_told(&bench, "=waiting ECONNRESET\n");
    bench_connect(&bench);
    bench_lose(&bench, -ECONNRESET);
    bench_told(&bench, "=connecting\n=entering\n=closed ECONNRESET\n");
}

/* However long it was OPEN. */
static void test_never_to_come_back(void **state)
{
    (void)state;
    bench_begin(&bench,
                &(struct manner){.dialect = RINGCHAT_TEXT, .attempts_max = 1},
                NULL, "", 1);
    bench_open(&bench);
    for (int i = 0; i < 100; i++) {
        bench_line(&bench, "[lobby] bob: hi");
        bench_pass(&bench, 1000);
    }
    bench.told[0] = '\0';
    bench_lose(&bench, 0);
    bench_told(&bench, "=closed ECONNRESET\n");
}

/* ---- Backoff ------------------------------------------------------------ */

static const uint64_t bounds_ms[] = {1000,  2000,  4000, 8000,
                                     16000, 30000, 30000};

#define LOSSES (sizeof(bounds_ms) / sizeof(bounds_ms[0]))

/* Any time up to its bound, and on average half of it. */
static void test_backoff(void **state)
{
    uint64_t sums_ms[LOSSES] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        bench_begin(&bench, &frame, NULL, "", seed);
        for (size_t i = 0; i < LOSSES; i++) {
            uint64_t ms;

            bench_connect(&bench);
            bench_lose(&bench, -ECONNRESET);
            ms = bench.client.dialogue.retry_ns / NS_PER_MS;
            assert_in_range(ms, 0, bounds_ms[i]);
            sums_ms[i] += ms;
            bench.told[0] = '\0';
        }
        bench_end(&bench);
    }
    for (size_t i = 0; i < LOSSES; i++)
        assert_in_range(sums_ms[i] / SEEDS, bounds_ms[i] * 45 / 100,
                        bounds_ms[i] * 55 / 100);
    bench_begin(&bench, &frame, NULL, "", 1);
}

/* A connection that held for half a minute was a good one. */
static void test_backoff_begins_anew(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    for (int i = 0; i < 5; i++) {
        bench_open(&bench);
        bench_pass(&bench, 1000);
        bench_lose(&bench, -ECONNRESET);
    }
    assert_int_equal(bench.client.dialogue.failures, 5);
    bench_open(&bench);
    for (int i = 0; i < 30; i++) {
        say("lobby", 0);
        bench_pass(&bench, 1000);
    }
    bench_lose(&bench, -ECONNRESET);
    assert_int_equal(bench.client.dialogue.failures, 1);
}

/* ---- Heartbeats --------------------------------------------------------- */

static void test_pings_are_answered(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_PING,
                            .stamp = 77,
                        });
    bench_said(&bench, "PONG 77\n");
    bench_told(&bench, "");
}

static void serve_pong(uint64_t stamp)
{
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_PONG,
                            .stamp = stamp,
                        });
}

static void test_round_trip(void **state)
{
    uint64_t sent_us;

    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    sent_us = bench.now_ns / NS_PER_US;
    bench_pass(&bench, 30);
    serve_pong(sent_us + 1);
    assert_int_equal(bench.client.dialogue.figures.rtt_us, 0);
    serve_pong(sent_us);
    assert_int_equal(bench.client.dialogue.figures.rtt_us, 30000);
}

/* The fourth is due, and the three before it are unanswered. */
static void test_silent_server(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_pass(&bench, 5000);
    bench_pass(&bench, 5000);
    bench_said(&bench, "PING\nPING\n");
    bench_pass(&bench, 4999);
    bench_told(&bench, "");
    bench_pass(&bench, 1);
    bench_told(&bench, "=waiting ETIMEDOUT\n");
}

/* Whoever says anything is there. */
static void test_busy_server(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    for (int i = 0; i < 20; i++) {
        bench_pass(&bench, 5000);
        say("lobby", 0);
    }
    assert_int_equal(bench.client.dialogue.phase, PHASE_TALKING);
}

/* A host that was asleep does not take its server for dead. */
static void test_long_sleep(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench.now_ns += UINT64_C(3600) * NS_PER_SECOND;
    say("lobby", 0);
    bench_pass(&bench, 0);
    assert_int_equal(bench.client.dialogue.phase, PHASE_TALKING);
}

/* In text a line that comes back, half as often, and only if nothing else is
 * awaited. */
static void test_text_heartbeats(void **state)
{
    (void)state;
    bench_begin(&bench, &text, NULL, "", 1);
    bench_connect(&bench);
    bench_line(&bench, "* welcome to ringchat, you are guest-0001, in lobby; "
                       "/help lists commands");
    bench_said(&bench, "/echo ~1\n");
    bench_pass(&bench, 5);
    bench_line(&bench, "~1");
    assert_int_equal(bench.client.dialogue.figures.rtt_us, 5000);
    bench_pass(&bench, 9000);
    bench_said(&bench, "");
    bench_pass(&bench, 1000);
    bench_said(&bench, "/echo ~2\n");
    bench_pass(&bench, 10000);
    bench_pass(&bench, 10000);
    bench_said(&bench, "");
    bench.told[0] = '\0';
    bench_pass(&bench, 10000);
    bench_told(&bench, "=waiting ETIMEDOUT\n");
}

/* ---- What was missed ---------------------------------------------------- */

static void come_back(void)
{
    bench_lose(&bench, -ECONNRESET);
    bench_open(&bench);
}

static void test_missed_is_counted(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, "ada", "den attic", 1);
    bench_open(&bench);
    say("den", 4);
    say("attic", 9);
    bench_told(&bench, "den bob: hi\nattic bob: hi\n");
    come_back();
    say("den", 8);
    say("attic", 10);
    say("den", 9);
    bench_told(&bench, "missed den 3\nden bob: hi\nattic bob: hi\n"
                       "den bob: hi\n");
}

static void test_room_that_began_anew(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, "ada", "den", 1);
    bench_open(&bench);
    say("den", 4);
    come_back();
    say("den", 4);
    bench_told(&bench, "missed den ?\nden bob: hi\n");
}

static void lose_by_replay(void)
{
    bench_told(&bench, "=waiting replay\n");
    bench_open(&bench);
}

/* Who is in a room is never sent anything twice, or out of its order. */
static void test_replayed_message(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, "ada", "den", 1);
    bench_open(&bench);
    say("den", 4);
    say("DEN", 5);
    bench_told(&bench, "den bob: hi\nDEN bob: hi\n");
    say("den", 5);
    lose_by_replay();
    say("den", 6);
    bench_told(&bench, "den bob: hi\n");
    say("den", 2);
    lose_by_replay();
}

/* What was said there before may come after the replies, and then, where
 * nobody stayed, the room has begun anew: once. */
static void test_room_left_and_joined(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "lobby den", 1);
    bench_open(&bench);
    bench_command(&bench, "leave den");
    bench_command(&bench, "join den");
    bench_reply(&bench, 2, "left den");
    bench_reply(&bench, 3, "joined den (1 members)");
    bench.told[0] = '\0';
    say("den", 7);
    say("den", 1);
    bench_told(&bench, "den bob: hi\nmissed den ?\nden bob: hi\n");
    say("den", 1);
    lose_by_replay();
}

/* Its own words had a place there, though they were not heard any more. */
static void test_missed_after_its_own_words(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, "ada", "den attic", 1);
    bench_open(&bench);
    assert_int_equal(bench_say(&bench, NULL, "hi"), 4);
    assert_int_equal(bench_say(&bench, "den", "hi"), 5);
    bench_ack(&bench, 4, 7);
    bench_ack(&bench, 5, 3);
    bench_told(&bench, "done 4\ndone 5\n");
    come_back();
    say("attic", 10);
    say("den", 4);
    bench_told(&bench, "missed attic 2\nattic bob: hi\nden bob: hi\n");
}

static void test_missed_in_text(void **state)
{
    (void)state;
    bench_begin(&bench, &text, NULL, "den", 1);
    bench_open(&bench);
    bench_lose(&bench, 0);
    bench_connect(&bench);
    bench_line(&bench, "* welcome to ringchat, you are guest-0001, in lobby; "
                       "/help lists commands");
    bench_line(&bench, "~4\n~5\n[den] bob: hi");
    bench_told(&bench, "=waiting ECONNRESET\n=connecting\n=entering\n"
                       "=open again\nmissed den ?\nden bob: hi\n");
}

static void test_lagged(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "den", 1);
    bench_open(&bench);
    say("den", 4);
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_LAGGED,
                            .room = TEXT("den"),
                            .count = 10,
                        });
    say("den", 15);
    bench_told(&bench, "den bob: hi\nmissed den 10\nden bob: hi\n");
    say("den", 18);
    bench_told(&bench, "missed den 2\nden bob: hi\n");
}

/* ---- Closing ------------------------------------------------------------ */

static void test_close_before_it_begins(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_close(&bench);
    bench_told(&bench, "=closing\n=closed\n");
}

static void test_close_says_good_bye(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_say(&bench, NULL, "hi");
    bench_close(&bench);
    bench_said(&bench, "MESSAGE 1  hi\n");
    bench_ack(&bench, 1, 1);
    bench_said(&bench, "BYE\n");
    bench_told(&bench, "=closing\ndone 1\n");
    serve(RINGCHAT_DISCONNECT, "", "", "", 0);
    bench_told(&bench, "=closed\n");
    bench_end(&bench);

    bench_begin(&bench, &text, NULL, "", 1);
    bench_open(&bench);
    bench_line(&bench, "~1");
    bench_close(&bench);
    bench_said(&bench, "/quit\n");
    bench_line(&bench, "* bye");
    bench_lose(&bench, 0);
    bench_told(&bench, "=closing\n=closed\n");
}

/* What is queued is sent first, even if it has to connect for that. */
static void test_close_while_it_comes_in(void **state)
{
    uint64_t ticket;

    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    assert_int_equal(ringchat_client_say(&bench.client, NULL, "hi", 2, &ticket),
                     0);
    bench_connect(&bench);
    bench_close(&bench);
    serve_init();
    serve_welcome("guest-0001");
    bench_said(&bench, "HELLO \nPING\nMESSAGE 1  hi\n");
    bench_ack(&bench, 1, 1);
    bench_said(&bench, "BYE\n");
}

static void test_close_takes_no_longer(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_say(&bench, NULL, "hi");
    bench_close(&bench);
    bench_pass(&bench, 4999);
    bench_told(&bench, "=closing\n");
    bench_pass(&bench, 1);
    bench_told(&bench, "done 1 ECONNRESET\n=closed ETIMEDOUT\n");
}

/* What was said at a loss is not why it is closed much later. */
static void test_close_has_no_old_reason(void **state)
{
    struct dialogue *dialogue = &bench.client.dialogue;
    struct told told = {0};

    (void)state;
    bench_begin(&bench, &text, NULL, "", 1);
    bench_open(&bench);
    bench_line(&bench, "! shutdown the server is stopping");
    bench_open(&bench);
    bench_say(&bench, NULL, "hi");
    bench_close(&bench);
    bench.now_ns += 5 * NS_PER_SECOND;
    dialogue_elapse(dialogue, bench.now_ns);
    while (told.change.to != RINGCHAT_CLOSED)
        assert_true(dialogue_next(dialogue, bench.now_ns, &told));
    assert_int_equal(told.change.error, -ETIMEDOUT);
    assert_int_equal(told.change.detail.length, 0);
}

static void test_close_while_it_waits(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_lose(&bench, -ECONNRESET);
    bench_close(&bench);
    bench_told(&bench, "=waiting ECONNRESET\n=closing\n=closed\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(test) cmocka_unit_test_teardown(test, end)
        CASE(test_frame_handshake),
        CASE(test_text_handshake),
        CASE(test_rooms_in_their_order),
        CASE(test_as_many_rooms_as_may_be),
        CASE(test_room_that_is_refused),
        CASE(test_nick_taken_and_freed),
        CASE(test_nick_at_a_return),
        CASE(test_nick_taken_in_text),
        CASE(test_loss_in_each_phase),
        CASE(test_silence_in_each_phase),
        CASE(test_end_of_the_stream),
        CASE(test_last_words),
        CASE(test_closing_errors),
        CASE(test_wrong_port),
        CASE(test_cured_before),
        CASE(test_attempts),
        CASE(test_never_to_come_back),
        CASE(test_backoff),
        CASE(test_backoff_begins_anew),
        CASE(test_pings_are_answered),
        CASE(test_round_trip),
        CASE(test_silent_server),
        CASE(test_busy_server),
        CASE(test_long_sleep),
        CASE(test_text_heartbeats),
        CASE(test_missed_is_counted),
        CASE(test_room_that_began_anew),
        CASE(test_replayed_message),
        CASE(test_room_left_and_joined),
        CASE(test_missed_after_its_own_words),
        CASE(test_missed_in_text),
        CASE(test_lagged),
        CASE(test_close_before_it_begins),
        CASE(test_close_says_good_bye),
        CASE(test_close_while_it_comes_in),
        CASE(test_close_takes_no_longer),
        CASE(test_close_has_no_old_reason),
        CASE(test_close_while_it_waits),
#undef CASE
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
