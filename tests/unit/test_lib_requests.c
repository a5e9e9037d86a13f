/*
 * What a client is asked for: in its order, within the window, and each ticket
 * with exactly one end, whatever happens to connections.
 */
#include "tests/unit/support_dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define RUNS 300
#define STEPS 120
#define TICKETS_MAX 2000

static const struct manner text = {.dialect = RINGCHAT_TEXT};
static const struct manner frame = {.dialect = RINGCHAT_FRAME};

static struct bench bench;

static int end(void **state)
{
    (void)state;
    bench_end(&bench);
    return 0;
}

/* ---- Order and window --------------------------------------------------- */

static void test_it_waits_until_it_is_open(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_say(&bench, NULL, "one");
    bench_say(&bench, "den", "two");
    bench_connect(&bench);
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_SESSION_INIT,
                        });
    bench_said(&bench, "HELLO \n");
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_WELCOME,
                            .nick = TEXT("guest-0001"),
                            .room = TEXT("lobby"),
                        });
    bench_said(&bench, "PING\nMESSAGE 1  one\nMESSAGE 2 den two\n");
}

static void test_window(void **state)
{
    (void)state;
    bench_begin(
        &bench,
        &(struct manner){.dialect = RINGCHAT_FRAME, .unconfirmed_max = 2}, NULL,
        "", 1);
    bench_open(&bench);
    bench_say(&bench, NULL, "one");
    bench_say(&bench, NULL, "two");
    bench_say(&bench, NULL, "three");
    assert_int_equal(ringchat_client_say(&bench.client, NULL, "four", 4, NULL),
                     0);
    bench_said(&bench, "MESSAGE 1  one\nMESSAGE 2  two\n");
    bench_ack(&bench, 1, 1);
    bench_said(&bench, "MESSAGE 3  three\nMESSAGE 0  four\n");
    bench_told(&bench, "done 1\n");
}

/* What depends on where it is, is not said before that is certain. */
static void test_moves(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_command(&bench, "join den");
    bench_command(&bench, "join attic");
    bench_say(&bench, NULL, "hi");
    bench_said(&bench, "COMMAND 1 join den\nCOMMAND 2 join attic\n");
    bench_reply(&bench, 1, "joined den (1 members)");
    bench_said(&bench, "");
    bench_refuse(&bench, 2, RINGCHAT_ERROR_TOO_MANY_ROOMS);
    bench_said(&bench, "MESSAGE 3  hi\n");
    bench_told(&bench, "reply 1 joined den (1 members)\nden +guest-0001\n"
                       "done 1\ndone 2 too-many-rooms\n");
}

static void test_leaving_the_current_room(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "den attic", 1);
    bench_open(&bench);
    bench_command(&bench, "leave");
    bench_command(&bench, "leave");
    bench_command(&bench, "leave");
    bench_said(&bench, "COMMAND 4 leave attic\n");
    bench_reply(&bench, 4, "left attic");
    bench_said(&bench, "COMMAND 5 leave den\n");
    bench_reply(&bench, 5, "left den");
    bench_said(&bench, "COMMAND 6 leave\n");
    bench_refuse(&bench, 6, RINGCHAT_ERROR_NO_ROOM);
    bench_told(&bench, "reply 4 left attic\nattic -guest-0001\ndone 4\n"
                       "reply 5 left den\nden -guest-0001\ndone 5\n"
                       "done 6 no-room\n");
}

/* ---- Bounds ------------------------------------------------------------- */

static int whisper(size_t length)
{
    static char words[MIB];

    memset(words, 'x', sizeof(words));
    return ringchat_client_say(&bench.client, NULL, words, length, NULL);
}

static void test_full_queue(void **state)
{
    (void)state;
    bench_begin(
        &bench,
        &(struct manner){.dialect = RINGCHAT_FRAME, .queue_bytes_max = 10000},
        NULL, "", 1);
    assert_int_equal(whisper(10001), -EMSGSIZE);
    assert_int_equal(whisper(6000), 0);
    assert_int_equal(whisper(6000), -EAGAIN);
    assert_int_equal(whisper(1000), 0);
    bench_open(&bench);
    assert_int_equal(whisper(10000), 0);
}

static void test_writable(void **state)
{
    (void)state;
    bench_begin(
        &bench,
        &(struct manner){.dialect = RINGCHAT_FRAME, .queue_bytes_max = 2000},
        NULL, "", 1);
    bench_open(&bench);
    for (int i = 0; i < 2; i++)
        bench_say(&bench, NULL, "hello");
    assert_int_equal(whisper(2000), -EAGAIN);
    bench_ack(&bench, 1, 1);
    bench_told(&bench, "done 1\n");
    bench_ack(&bench, 2, 2);
    bench_told(&bench, "done 2\nwritable\n");
}

/* One that is longer than the output is written by itself. */
static void test_long_message(void **state)
{
    (void)state;
    bench_begin(&bench, &text, NULL, "", 1);
    bench_open(&bench);
    assert_int_equal(whisper(100000), 0);
    bench_say(&bench, NULL, "hi");
    assert_non_null(strstr(bench.said, "x\n"));
    assert_non_null(strstr(bench.said, "hi\n"));
}

/* Without the server taking any of it. */
static void tell_all(void)
{
    struct told told;

    while (dialogue_next(&bench.client.dialogue, bench.now_ns, &told))
        ;
}

static bool output_ends_with(const char *words)
{
    struct ringchat_text output = dialogue_output(&bench.client.dialogue);
    size_t length = strlen(words);

    return output.length >= length &&
           memcmp(output.bytes + output.length - length, words, length) == 0;
}

/* Behind it there is room for what the protocol asks for. */
static void test_heartbeat_behind_a_long_message(void **state)
{
    (void)state;
    bench_begin(&bench, &text, NULL, "", 1);
    bench_open(&bench);
    bench_line(&bench, "~1");
    assert_int_equal(whisper(100000), 0);
    tell_all();
    bench.now_ns += 10 * NS_PER_SECOND;
    dialogue_elapse(&bench.client.dialogue, bench.now_ns);
    assert_true(output_ends_with("x\n/echo ~3\n"));
}

static void test_good_bye_behind_a_long_message(void **state)
{
    (void)state;
    bench_begin(&bench, &text, NULL, "", 1);
    bench_open(&bench);
    bench_line(&bench, "~1");
    assert_int_equal(whisper(100000), 0);
    dialogue_close(&bench.client.dialogue, bench.now_ns);
    tell_all();
    assert_true(output_ends_with("x\n/quit\n"));
    assert_false(dialogue_has_news(&bench.client.dialogue));
}

/* A server that says something, but takes nothing. */
static void test_nick_is_asked_for_once_at_a_time(void **state)
{
    struct dialogue *dialogue = &bench.client.dialogue;

    (void)state;
    bench_begin(&bench, &frame, "ada", "", 1);
    bench_open(&bench);
    name_set(&dialogue->belonging.nick, TEXT("guest-0001"));
    for (int i = 0; i < 5; i++)
        assert_int_equal(whisper(16000), 0);
    tell_all();
    for (int i = 0; i < 3; i++) {
        dialogue->heard = true;
        bench.now_ns += 5 * NS_PER_SECOND;
        dialogue_elapse(dialogue, bench.now_ns);
        tell_all();
    }
    assert_int_equal(dialogue->errands.own.count, 1);
}

static void test_what_a_server_does_not_take(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    assert_int_equal(whisper(20000), 0);
    bench_open(&bench);
    bench.told[0] = '\0';
    assert_int_equal(whisper(20000), -EMSGSIZE);
}

/* ---- Losses ------------------------------------------------------------- */

static void test_what_was_sent_is_uncertain(void **state)
{
    (void)state;
    bench_begin(
        &bench,
        &(struct manner){.dialect = RINGCHAT_FRAME, .unconfirmed_max = 2}, NULL,
        "", 1);
    bench_open(&bench);
    for (int i = 0; i < 3; i++)
        bench_say(&bench, NULL, "hi");
    bench_lose(&bench, -ECONNRESET);
    bench_told(&bench,
               "done 1 ECONNRESET\ndone 2 ECONNRESET\n=waiting ECONNRESET\n");
    bench_open(&bench);
    bench_ack(&bench, 3, 1);
    bench_told(&bench, "done 3\n");
}

static void test_resend(void **state)
{
    (void)state;
    bench_begin(&bench,
                &(struct manner){.dialect = RINGCHAT_FRAME, .resend = true},
                NULL, "", 1);
    bench_open(&bench);
    bench_say(&bench, NULL, "one");
    bench_say(&bench, NULL, "two");
    bench_ack(&bench, 1, 1);
    bench_lose(&bench, -ECONNRESET);
    bench_say(&bench, NULL, "three");
    bench_told(&bench, "done 1\n=waiting ECONNRESET\n");
    bench_connect(&bench);
    bench.said[0] = '\0';
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_SESSION_INIT,
                        });
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_WELCOME,
                            .nick = TEXT("guest-0001"),
                            .room = TEXT("lobby"),
                        });
    bench_said(&bench, "HELLO \nPING\nMESSAGE 2  two\nMESSAGE 3  three\n");
}

/* What was sent once may have arrived, whatever it waits for after that. */
static void test_end_before_it_is_resent(void **state)
{
    (void)state;
    bench_begin(&bench,
                &(struct manner){.dialect = RINGCHAT_FRAME, .resend = true},
                NULL, "", 1);
    bench_open(&bench);
    bench_say(&bench, NULL, "one");
    bench_lose(&bench, -ECONNRESET);
    bench_say(&bench, NULL, "two");
    bench_close(&bench);
    bench.told[0] = '\0';
    bench.now_ns += 5 * NS_PER_SECOND;
    bench_pass(&bench, 0);
    bench_told(&bench,
               "done 1 ECONNRESET\ndone 2 ECANCELED\n=closed ETIMEDOUT\n");
}

/* To be in a room twice is to be in it. */
static void test_moves_are_asked_for_again(void **state)
{
    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
    bench_command(&bench, "join den");
    bench_lose(&bench, -ECONNRESET);
    bench_open(&bench);
    bench_reply(&bench, 1, "joined den (1 members)");
    bench_told(&bench, "reply 1 joined den (1 members)\nden +guest-0001\n"
                       "done 1\n");
}

static void test_no_memory(void **state)
{
    uint64_t ticket = 0;

    (void)state;
    bench_begin(&bench, &frame, NULL, "", 1);
    alloc_fail_at(1);
    assert_int_equal(ringchat_client_say(&bench.client, NULL, "hi", 2, &ticket),
                     -ENOMEM);
    assert_int_equal(ticket, 0);
    alloc_fail_at(0);
    bench_open(&bench);
    bench_told(&bench, "");
}

/* ---- Made up ------------------------------------------------------------ */

/* Of each ticket: whether it was given, and how often it was done. */
static unsigned done[TICKETS_MAX];
static bool given[TICKETS_MAX];

static void ask_something(struct rng *rng)
{
    static const char *const commands[] = {
        "join den", "leave den", "nick ada", "nick eve", "who", "leave",
    };
    const char *command = commands[rng_below(rng, 6)];
    uint64_t ticket = 0;
    size_t kind = rng_below(rng, 10);
    int result;

    if (kind < 3)
        result = ringchat_client_say(&bench.client, "lobby", "hi", 2, &ticket);
    else if (kind < 4)
        result = ringchat_client_say(&bench.client, NULL, "hi", 2, NULL);
    else if (kind < 5)
        result = ringchat_client_say(&bench.client, "den", "hi", 2, &ticket);
    else if (kind < 7)
        result = ringchat_client_tell(&bench.client, "bob", "hi", 2, &ticket);
    else
        result = ringchat_client_command(&bench.client, command,
                                         strlen(command), &ticket);
    if (result == 0 && ticket > 0)
        given[ticket] = true;
}

/* A server that answers the line at the front of what was said, rightly or
 * with an error. */
static void answer_line(struct rng *rng, const char *line)
{
    if (strncmp(line, "/echo ", 6) == 0)
        bench_line(&bench, line + 6);
    else if (strncmp(line, "/join ", 6) == 0)
        bench_line(&bench, "* joined it (1 members)");
    else if (line[0] != '/' || rng_below(rng, 2) == 0)
        return;
    else if (rng_below(rng, 2) == 0)
        bench_line(&bench, "! no-such-nick");
    else
        bench_line(&bench, "* a reply");
}

static void answer_request(struct rng *rng, const char *line)
{
    const char *space = strchr(line, ' ');
    uint32_t id = space ? (uint32_t)strtoul(space + 1, NULL, 10) : 0;
    bool message = strncmp(line, "MESSAGE", 7) == 0;

    if (id == 0 || strncmp(line, "PONG", 4) == 0)
        return;
    if (rng_below(rng, 5) == 0)
        bench_refuse(&bench, id, RINGCHAT_ERROR_NO_SUCH_NICK);
    else if (strncmp(line, "COMMAND", 7) == 0)
        bench_reply(&bench, id, "a reply");
    else if (message || strncmp(line, "PRIVATE", 7) == 0)
        bench_ack(&bench, id, 0);
}

/* Answers so many of the lines that were said, in their order. */
static void answer_some(struct rng *rng, size_t count)
{
    static char line[4096], rest[sizeof(bench.said)];

    while (count-- > 0 && bench.said[0]) {
        size_t length = strcspn(bench.said, "\n");

        snprintf(line, sizeof(line), "%.*s", (int)length, bench.said);
        memcpy(rest, bench.said + length + 1,
               strlen(bench.said + length + 1) + 1);
        memcpy(bench.said, rest, sizeof(rest));
        if (bench.client.dialogue.manner.dialect == RINGCHAT_TEXT)
            answer_line(rng, line);
        else
            answer_request(rng, line);
    }
}

static void count_done(void)
{
    char *line = bench.told, *next;

    for (; (next = strchr(line, '\n')); line = next + 1) {
        unsigned long ticket;

        if (strncmp(line, "done ", 5) != 0)
            continue;
        ticket = strtoul(line + 5, NULL, 10);
        assert_true(given[ticket]);
        done[ticket]++;
    }
    bench.told[0] = '\0';
}

static void step(struct rng *rng)
{
    struct dialogue *dialogue = &bench.client.dialogue;
    size_t what = rng_below(rng, 20);

    if (dialogue->phase == PHASE_WAITING || dialogue->phase == PHASE_IDLE)
        bench_enter(&bench);
    if (what == 0)
        bench_lose(&bench, -ECONNRESET);
    else if (what < 8)
        ask_something(rng);
    else if (what < 10)
        bench_pass(&bench, rng_below(rng, 3000));
    else
        answer_some(rng, rng_magnitude(rng, 20));
    count_done();
}

static void live(const struct manner *manner, uint64_t seed)
{
    struct rng rng = {seed};

    memset(done, 0, sizeof(done));
    memset(given, 0, sizeof(given));
    bench_begin(&bench, manner, rng_below(&rng, 2) ? "ada" : NULL,
                rng_below(&rng, 2) ? "lobby den" : "", seed);
    for (int i = 0; i < STEPS && bench.client.dialogue.phase != PHASE_ENDED;
         i++)
        step(&rng);
    bench_close(&bench);
    for (int i = 0; i < 10; i++) {
        count_done();
        bench_pass(&bench, 1000);
    }
    count_done();
    assert_int_equal(bench.client.dialogue.phase, PHASE_ENDED);
    for (size_t i = 0; i < TICKETS_MAX; i++)
        if (done[i] != given[i])
            fail_msg("seed %lu: ticket %zu done %u times", (unsigned long)seed,
                     i, done[i]);
    bench_end(&bench);
}

static void test_each_ticket_once(void **state)
{
    static const struct manner manners[] = {
        {.dialect = RINGCHAT_TEXT},
        {.dialect = RINGCHAT_TEXT, .resend = true, .unconfirmed_max = 3},
        {.dialect = RINGCHAT_FRAME, .unconfirmed_max = 3},
        {.dialect = RINGCHAT_FRAME, .resend = true},
    };

    (void)state;
    for (uint64_t seed = 0; seed < RUNS; seed++)
        live(&manners[seed % 4], seed);
    bench_begin(&bench, &text, NULL, "", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(test) cmocka_unit_test_teardown(test, end)
        CASE(test_it_waits_until_it_is_open),
        CASE(test_window),
        CASE(test_moves),
        CASE(test_leaving_the_current_room),
        CASE(test_full_queue),
        CASE(test_writable),
        CASE(test_long_message),
        CASE(test_heartbeat_behind_a_long_message),
        CASE(test_good_bye_behind_a_long_message),
        CASE(test_nick_is_asked_for_once_at_a_time),
        CASE(test_what_a_server_does_not_take),
        CASE(test_what_was_sent_is_uncertain),
        CASE(test_resend),
        CASE(test_end_before_it_is_resent),
        CASE(test_moves_are_asked_for_again),
        CASE(test_no_memory),
        CASE(test_each_ticket_once),
#undef CASE
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
