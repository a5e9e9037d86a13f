/*
 * Which request an answer belongs to: by their tokens in `text`, by their ids
 * otherwise; and answers to nothing.
 */
#include "tests/unit/support_dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

static const struct manner text = {.dialect = RINGCHAT_TEXT};
static const struct manner frame = {.dialect = RINGCHAT_FRAME};

static struct bench bench;

static int end(void **state)
{
    (void)state;
    bench_end(&bench);
    return 0;
}

/* A `text` client that is in the lobby and has asked for nothing. */
static void begin_in_text(const char *rooms)
{
    bench_begin(&bench, &text, NULL, rooms, 1);
    bench_open(&bench);
}

static void say(const char *room, const char *words)
{
    bench_say(&bench, room, words);
}

static void whisper(const char *room, const char *words)
{
    assert_int_equal(
        ringchat_client_say(&bench.client, room, words, strlen(words), NULL),
        0);
    bench_pass(&bench, 0);
}

static void tell(const char *nick, const char *words)
{
    uint64_t ticket;

    assert_int_equal(ringchat_client_tell(&bench.client, nick, words,
                                          strlen(words), &ticket),
                     0);
    bench_pass(&bench, 0);
}

/* ---- Tokens ------------------------------------------------------------- */

static void test_a_token_each(void **state)
{
    (void)state;
    begin_in_text("");
    bench_line(&bench, "~1");
    say(NULL, "hi");
    tell("bob", "psst");
    bench_command(&bench, "time");
    bench_said(&bench, "hi\n/echo ~2\n/msg bob psst\n/echo ~3\n"
                       "/time\n/echo ~4\n");
    bench_line(&bench, "~2");
    bench_line(&bench, "* sent to bob");
    bench_line(&bench, "~3");
    bench_line(&bench, "* time 2026-11-21T05:25:41.123456Z");
    bench_line(&bench, "~4");
    bench_told(&bench, "done 2\ndone 3\n"
                       "reply 4 time 2026-11-21T05:25:41.123456Z\ndone 4\n");
}

/* Between two tokens, an error refuses what stands there; what else comes
 * means nothing. */
static void test_errors_between_tokens(void **state)
{
    (void)state;
    begin_in_text("");
    bench_line(&bench, "~1");
    tell("bob", "one");
    tell("bob", "two");
    tell("bob", "three");
    bench_line(&bench, "* sent to bob");
    bench_line(&bench, "[lobby] eve: ! no-such-nick bob");
    bench_line(&bench, "~2");
    bench_line(&bench, "! no-such-nick bob");
    bench_told(&bench, "lobby eve: ! no-such-nick bob\ndone 2\n"
                       "done 3 no-such-nick\n");
    bench_line(&bench, "[lobby] eve: ~3");
    bench_line(&bench, "~3");
    bench_line(&bench, "~4");
    bench_told(&bench, "lobby eve: ~3\ndone 4\n");
}

/* One refusal is told with the request, more of them by themselves. */
static void test_two_errors(void **state)
{
    (void)state;
    begin_in_text("");
    bench_line(&bench, "~1");
    bench_command(&bench, "dance");
    bench_line(&bench, "! unknown-command");
    bench_line(&bench, "! usage");
    bench_line(&bench, "~2");
    bench_told(&bench, "done 2 unknown-command\nfault usage\n");
}

/* A token of somebody else's making, or one that is not due. */
static void test_wrong_tokens(void **state)
{
    (void)state;
    begin_in_text("");
    bench_line(&bench, "~1");
    bench_command(&bench, "who");
    bench_command(&bench, "time");
    bench_line(&bench, "~3");
    bench_line(&bench, "~");
    bench_line(&bench, "~22");
    bench_told(&bench, "reply 2 ~3\nreply 2 ~\nreply 2 ~22\n");
    bench_line(&bench, "~2");
    bench_line(&bench, "~3");
    bench_line(&bench, "~3");
    bench_told(&bench, "done 2\ndone 3\nreply 0 ~3\n");
}

/* What nobody awaits has no token, but its errors are kept apart. */
static void test_without_a_ticket(void **state)
{
    (void)state;
    begin_in_text("");
    bench_line(&bench, "~1");
    whisper(NULL, "one");
    whisper(NULL, "two");
    bench_said(&bench, "one\ntwo\n");
    bench_line(&bench, "! no-room");
    say(NULL, "three");
    say(NULL, "four");
    bench_said(&bench, "/echo ~5\nthree\n/echo ~4\nfour\n/echo ~6\n");
    bench_line(&bench, "! no-room");
    bench_line(&bench, "~5");
    bench_line(&bench, "~4");
    bench_line(&bench, "! no-room");
    bench_line(&bench, "~6");
    bench_told(&bench,
               "fault no-room\nfault no-room\ndone 4\ndone 6 no-room\n");
}

/* ---- Rooms, in `text` --------------------------------------------------- */

static void test_another_room(void **state)
{
    (void)state;
    begin_in_text("lobby den");
    bench_line(&bench, "~2");
    say("den", "here");
    say("lobby", "there");
    whisper("lobby", "there again");
    whisper("den", "and here");
    bench_said(&bench,
               "here\n/echo ~3\n/join lobby\nthere\n/echo ~4\n"
               "there again\n/echo ~7\n/join den\nand here\n/echo ~6\n");
    bench_line(&bench, "~3");
    bench_line(&bench, "* joined lobby (1 members)");
    bench_line(&bench, "~4");
    bench_line(&bench, "~7");
    bench_line(&bench, "* joined den (1 members)");
    bench_line(&bench, "~6");
    bench_told(&bench, "done 3\ndone 4\n");
}

/* It would be entered by what is to lead there. */
static void test_room_that_it_is_not_in(void **state)
{
    (void)state;
    begin_in_text("");
    bench_line(&bench, "~1");
    say("den", "hi");
    whisper("den", "hi");
    bench_said(&bench, "");
    bench_told(&bench, "done 2 no-such-room\nfault no-such-room\n");
}

static void test_commands_are_for_the_current_room(void **state)
{
    (void)state;
    begin_in_text("lobby den");
    bench_line(&bench, "~2");
    say("lobby", "hi");
    bench_command(&bench, "topic");
    bench_said(&bench, "/join lobby\nhi\n/echo ~3\n"
                       "/join den\n/topic\n/echo ~4\n");
    bench_line(&bench, "* joined lobby (1 members)\n~3");
    bench_line(&bench, "* joined den (1 members)\n* topic den: \n~4");
    bench_told(&bench, "done 3\nreply 4 topic den: \ndone 4\n");
}

/* ---- Ids ---------------------------------------------------------------- */

static void begin_in_frame(void)
{
    bench_begin(&bench, &frame, NULL, "", 1);
    bench_open(&bench);
}

static void test_ids(void **state)
{
    (void)state;
    begin_in_frame();
    say(NULL, "one");
    bench_command(&bench, "who");
    say(NULL, "two");
    bench_ack(&bench, 1, 7);
    bench_serve(&bench, &(struct ringchat_message){
                            .size = sizeof(struct ringchat_message),
                            .kind = RINGCHAT_REPLY,
                            .id = 2,
                            .text = TEXT("ada"),
                            .more = true,
                        });
    bench_reply(&bench, 2, "end of who");
    bench_refuse(&bench, 3, RINGCHAT_ERROR_NO_ROOM);
    bench_told(&bench, "done 1\nreply 2 ada\nreply 2 end of who\ndone 2\n"
                       "done 3 no-room\n");
}

/* Ids that were never sent, and answers of another kind. */
static void test_answers_to_nothing(void **state)
{
    (void)state;
    begin_in_frame();
    bench_command(&bench, "who");
    say(NULL, "hi");
    bench_ack(&bench, 77, 1);
    bench_ack(&bench, 1, 1);
    bench_reply(&bench, 77, "what");
    bench_refuse(&bench, 77, RINGCHAT_ERROR_NO_ROOM);
    bench_refuse(&bench, 0, RINGCHAT_ERROR_BAD_TEXT);
    bench_told(&bench, "reply 0 what\nfault no-room\nfault bad-text\n");
    bench_reply(&bench, 1, "end of who");
    bench_ack(&bench, 2, 1);
    bench_ack(&bench, 2, 1);
    bench_told(&bench, "reply 1 end of who\ndone 1\ndone 2\n");
}

/* An answer that is not fit to be seen is an answer. */
static void test_answer_that_is_dropped(void **state)
{
    static const char dirty[] = "\0\10\0\12\0\0\0\1\0a\33[2J";

    (void)state;
    begin_in_frame();
    bench_command(&bench, "who");
    bench_bytes(&bench, dirty, sizeof(dirty) - 1);
    bench_told(&bench, "done 1 bad-text\n");
}

/* ---- Ambiguous ---------------------------------------------------------- */

static int echo(const char *line)
{
    return ringchat_client_command(&bench.client, line, strlen(line), NULL);
}

/* What would come back looking like something else. */
static void test_echoes(void **state)
{
    (void)state;
    begin_in_text("");
    assert_int_equal(echo("echo [lobby] bob: hi"), -EINVAL);
    assert_int_equal(echo("echo (private) bob: hi"), -EINVAL);
    assert_int_equal(echo("echo ! no-room"), -EINVAL);
    assert_int_equal(echo("echo * bye"), -EINVAL);
    assert_int_equal(echo("echo ~1"), -EINVAL);
    assert_int_equal(echo("echo hi"), 0);
    bench_end(&bench);
    begin_in_frame();
    assert_int_equal(echo("echo [lobby] bob: hi"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(test) cmocka_unit_test_teardown(test, end)
        CASE(test_a_token_each),
        CASE(test_errors_between_tokens),
        CASE(test_two_errors),
        CASE(test_wrong_tokens),
        CASE(test_without_a_ticket),
        CASE(test_another_room),
        CASE(test_room_that_it_is_not_in),
        CASE(test_commands_are_for_the_current_room),
        CASE(test_ids),
        CASE(test_answers_to_nothing),
        CASE(test_answer_that_is_dropped),
        CASE(test_echoes),
#undef CASE
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
