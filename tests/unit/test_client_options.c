/*
 * What a command line asks for, and which make no sense.
 */
#include "client/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define WORDS_MAX 40

static struct options options;
static char why[WHY_BYTES];

/* A command line, whose words have one space between them; what stands at the
 * other ends of the program. */
static int read_line(const char *line, bool input, bool output)
{
    static char copy[512];
    char *words[WORDS_MAX] = {NULL}, *rest;
    int count = 0;

    assert_true(strlen(line) < sizeof(copy));
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    why[0] = '\0';
    return options_read(count, words, input, output, &options, why);
}

static void read_good(const char *line, bool input, bool output,
                      enum mode expected)
{
    int status = read_line(line, input, output);

    if (status != 0)
        fail_msg("%s: %s", line, why);
    assert_int_equal(options.mode, expected);
}

static void what_is_not_said_has_a_default(void **state)
{
    (void)state;
    read_good("ringchat", true, true, MODE_TALK);
    assert_string_equal(options.url, "text://127.0.0.1:4000");
    assert_null(options.nick);
    assert_null(options.key_file);
    assert_int_equal(options.room_count, 0);
    assert_int_equal(options.window, 1);
    assert_int_equal(options.timeout_ms, 10000);
    assert_int_equal(options.theme, THEME_ANY);
    assert_false(options.json || options.seal || options.quiet ||
                 options.no_reconnect);
}

static void to_talk(void **state)
{
    (void)state;
    read_good("ringchat --nick alice --join one --join two --theme dark "
              "--no-reconnect --timeout 0.5 frame://[::1]:4001",
              true, true, MODE_TALK);
    assert_string_equal(options.url, "frame://[::1]:4001");
    assert_string_equal(options.nick, "alice");
    assert_int_equal(options.room_count, 2);
    assert_string_equal(options.rooms[1], "two");
    assert_int_equal(options.theme, THEME_DARK);
    assert_true(options.no_reconnect);
    assert_int_equal(options.timeout_ms, 500);
    read_good("ringchat --timeout 0.0001", true, true, MODE_TALK);
    assert_int_equal(options.timeout_ms, 1);
}

static void to_send_a_file(void **state)
{
    (void)state;
    read_good("ringchat file m.txt", true, true, MODE_SEND);
    assert_string_equal(options.file, "m.txt");
    assert_string_equal(options.url, "text://127.0.0.1:4000");
    read_good("ringchat file --window 64 - --join a secure://h:9 --key-file k "
              "--seal --quiet",
              false, false, MODE_SEND);
    assert_string_equal(options.file, "-");
    assert_string_equal(options.url, "secure://h:9");
    assert_string_equal(options.key_file, "k");
    assert_string_equal(options.rooms[0], "a");
    assert_int_equal(options.window, 64);
    assert_true(options.seal && options.quiet);
}

static void to_send_what_a_pipe_brings(void **state)
{
    (void)state;
    read_good("ringchat", false, true, MODE_SEND);
    assert_null(options.file);
    read_good("ringchat text+unix:///tmp/s", false, false, MODE_SEND);
    assert_string_equal(options.url, "text+unix:///tmp/s");
}

static void to_follow(void **state)
{
    (void)state;
    read_good("ringchat --follow a text://h:1 --follow b --json --count 3",
              true, false, MODE_FOLLOW);
    assert_int_equal(options.room_count, 2);
    assert_string_equal(options.rooms[0], "a");
    assert_true(options.json);
    assert_int_equal(options.count, 3);
    read_good("ringchat --follow a", false, false, MODE_FOLLOW);
    read_good("ringchat --follow a", true, true, MODE_FOLLOW);
}

static void help_and_version_need_no_more(void **state)
{
    (void)state;
    read_good("ringchat --help", true, true, MODE_HELP);
    read_good("ringchat --nick a --help --window 0", true, false, MODE_HELP);
    read_good("ringchat file --version", false, false, MODE_VERSION);
    assert_non_null(strstr(options_help, "usage: ringchat "));
}

static void refuses(const char *line, bool input, bool output,
                    const char *expected)
{
    assert_int_equal(read_line(line, input, output), EX_USAGE);
    if (!strstr(why, expected))
        fail_msg("%s: %s", line, why);
}

static void values_that_make_no_sense(void **state)
{
    static const char *const lines[] = {
        "--window 0",      "--window 1025", "--window 1x",
        "--window -1",     "--timeout 0",   "--timeout -1",
        "--timeout 86401", "--timeout inf", "--theme pink",
        "--count 0",       "--count x",     "--nonsense",
        "--json=1",        "--follow",      "-x",
    };
    char line[64];

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        snprintf(line, sizeof(line), "ringchat %s", lines[i]);
        refuses(line, true, true, lines[i]);
    }
    refuses("ringchat --seal -xy", true, true, "-xy: no such option");
}

static void words_that_do_not_go_together(void **state)
{
    (void)state;
    refuses("ringchat", true, false, "--follow ROOM");
    refuses("ringchat 127.0.0.1", true, true, "not a URL");
    refuses("ringchat text://a text://b", true, true, "one URL");
    refuses("ringchat file", true, true, "which one");
    refuses("ringchat file text://a", true, true, "first the file");
    refuses("ringchat file a b", true, true, "not a URL");
    refuses("ringchat file a text://b text://c", true, true, "one URL");
    refuses("ringchat file a --follow b", true, true, "either");
    refuses("ringchat file a --json", true, true, "--follow");
    refuses("ringchat file a --join b --join c", true, true, "one --join");
    refuses("ringchat file a --theme dark", true, true, "--theme");
    refuses("ringchat --count 1", true, true, "--follow");
    refuses("ringchat --json", false, true, "--follow");
    refuses("ringchat --follow a --join b", true, true, "--join");
    refuses("ringchat --follow a --window 2", true, true, "--window");
    refuses("ringchat --window 2", true, true, "--window");
    refuses("ringchat --quiet", true, true, "--quiet");
}

static void so_many_rooms(void **state)
{
    static const char sixteen[] =
        "ringchat --join=a --join=b --join=c --join=d --join=e --join=f "
        "--join=g --join=h --join=i --join=j --join=k --join=l --join=m "
        "--join=n --join=o --join=p";
    char seventeen[256];

    (void)state;
    read_good(sixteen, true, true, MODE_TALK);
    assert_int_equal(options.room_count, JOINED_MAX);
    snprintf(seventeen, sizeof(seventeen), "%s --join=q", sixteen);
    refuses(seventeen, true, true, "at most 16 rooms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_a_default),
        cmocka_unit_test(to_talk),
        cmocka_unit_test(to_send_a_file),
        cmocka_unit_test(to_send_what_a_pipe_brings),
        cmocka_unit_test(to_follow),
        cmocka_unit_test(help_and_version_need_no_more),
        cmocka_unit_test(values_that_make_no_sense),
        cmocka_unit_test(words_that_do_not_go_together),
        cmocka_unit_test(so_many_rooms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
