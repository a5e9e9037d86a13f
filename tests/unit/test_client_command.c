/*
 * What a typed line asks for.
 */
#include "client/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void check(const char *line, enum input_kind kind, const char *name,
                  const char *text)
{
    struct input input = input_parse(slice_of(line));

    if (input.kind != kind || !slice_equals(input.name, slice_of(name)) ||
        !slice_equals(input.text, slice_of(text)))
        fail_msg("%s: %d, '%.*s', '%.*s'", line, (int)input.kind,
                 (int)input.name.length, input.name.bytes,
                 (int)input.text.length, input.text.bytes);
}

static void messages(void **state)
{
    (void)state;
    check("", INPUT_NOTHING, "", "");
    check("   ", INPUT_NOTHING, "", "");
    check("hello", INPUT_MESSAGE, "", "hello");
    check("  hello ", INPUT_MESSAGE, "", "  hello ");
    check("//etc", INPUT_MESSAGE, "", "/etc");
    check("//", INPUT_MESSAGE, "", "/");
    check(" /join", INPUT_MESSAGE, "", " /join");
    check("exit", INPUT_QUIT, "", "");
    check(" exit ", INPUT_QUIT, "", "");
    check("exit?", INPUT_MESSAGE, "", "exit?");
    check("Exit", INPUT_MESSAGE, "", "Exit");
}

static void private_messages(void **state)
{
    (void)state;
    check("/msg bob hello there", INPUT_PRIVATE, "bob", "hello there");
    check("/msg  bob  hello ", INPUT_PRIVATE, "bob", " hello ");
    check("/msg bob", INPUT_QUERY, "bob", "");
    check("/msg bob  ", INPUT_QUERY, "bob", " ");
    check("/msg", INPUT_PASS, "", "msg");
    check("/msg  ", INPUT_PASS, "", "msg  ");
}

static void commands(void **state)
{
    (void)state;
    check("/join tea", INPUT_JOIN, "tea", "join tea");
    check("/join  tea ", INPUT_JOIN, "tea", "join  tea ");
    check("/join", INPUT_PASS, "", "join");
    check("/leave", INPUT_LEAVE, "", "leave");
    check("/leave tea", INPUT_LEAVE, "tea", "leave tea");
    check("/who", INPUT_WHO, "", "who");
    check("/topic", INPUT_TOPIC, "", "topic");
    check("/topic lunch at noon", INPUT_TOPIC, "lunch at noon",
          "topic lunch at noon");
    check("/window 3", INPUT_WINDOW, "3", "window 3");
    check("/window", INPUT_PASS, "", "window");
    check("/close", INPUT_CLOSE, "", "close");
    check("/clear", INPUT_CLEAR, "", "clear");
    check("/help", INPUT_HELP, "", "help");
    check("/quit", INPUT_QUIT, "", "quit");
    check("/nick bob", INPUT_PASS, "", "nick bob");
    check("/history 10", INPUT_PASS, "", "history 10");
    check("/Join tea", INPUT_PASS, "", "Join tea");
    check("/", INPUT_PASS, "", "");
}

static void what_is_offered_can_be_typed(void **state)
{
    char line[64];

    (void)state;
    for (size_t i = 0; command_names[i]; i++) {
        (void)snprintf(line, sizeof(line), "/%s", command_names[i]);
        assert_int_not_equal(input_parse(slice_of(line)).kind, INPUT_MESSAGE);
        if (i > 0)
            assert_true(strcmp(command_names[i - 1], command_names[i]) < 0);
    }
    for (size_t i = 0; command_helps[i]; i++)
        assert_int_equal(command_helps[i][0], '/');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(private_messages),
        cmocka_unit_test(commands),
        cmocka_unit_test(what_is_offered_can_be_typed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
