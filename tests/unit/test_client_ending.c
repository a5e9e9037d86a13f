/*
 * Why it ended: each error of the table, and what calls of the system say, as a
 * status of sysexits(3); what a message that is no text says.
 */
#include "client/content.h"
#include "client/ending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#define TEXT(literal) ((struct ringchat_text){(literal), sizeof(literal) - 1})

static void each_has_a_status(void **state)
{
    static const struct {
        enum ringchat_error code;
        int error, before, after; /* it had been a connection */
    } cases[] = {
        {0, 0, 0, 0},
        {0, -ECONNREFUSED, EX_UNAVAILABLE, EX_TEMPFAIL},
        {0, -ENOENT, EX_UNAVAILABLE, EX_TEMPFAIL},
        {0, -ETIMEDOUT, EX_UNAVAILABLE, EX_TEMPFAIL},
        {0, -ECONNRESET, EX_UNAVAILABLE, EX_TEMPFAIL},
        {0, -EACCES, EX_NOPERM, EX_NOPERM},
        {0, -ENOMEM, EX_OSERR, EX_OSERR},
        {0, -EMFILE, EX_OSERR, EX_OSERR},
        {RINGCHAT_ERROR_SERVER_FULL, 0, EX_UNAVAILABLE, EX_TEMPFAIL},
        {RINGCHAT_ERROR_SHUTDOWN, 0, EX_UNAVAILABLE, EX_TEMPFAIL},
        {RINGCHAT_ERROR_LAGGED, 0, EX_UNAVAILABLE, EX_TEMPFAIL},
        {RINGCHAT_ERROR_TIMEOUT, 0, EX_UNAVAILABLE, EX_TEMPFAIL},
        {RINGCHAT_ERROR_WRONG_PROTOCOL, 0, EX_PROTOCOL, EX_PROTOCOL},
        {RINGCHAT_ERROR_BAD_HMAC, 0, EX_PROTOCOL, EX_PROTOCOL},
        {RINGCHAT_ERROR_REPLAY, 0, EX_PROTOCOL, EX_PROTOCOL},
        {RINGCHAT_ERROR_FORBIDDEN, 0, EX_NOPERM, EX_NOPERM},
        {RINGCHAT_ERROR_BAD_NAME, 0, EX_USAGE, EX_USAGE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct ending ending = {.code = cases[i].code, .error = cases[i].error};

        assert_int_equal(ending_status(&ending), cases[i].before);
        ending.opened = true;
        assert_int_equal(ending_status(&ending), cases[i].after);
    }
}

static void check_said(struct ending ending, const char *expected)
{
    struct builder said = {.length = 0};

    ending_say(&ending, &said);
    said.bytes[said.length] = '\0';
    assert_string_equal(said.bytes, expected);
}

static void each_is_said_to_people(void **state)
{
    (void)state;
    check_said((struct ending){.error = 0}, "asked for");
    check_said((struct ending){.error = -ECONNREFUSED}, "Connection refused");
    check_said((struct ending){.error = -100000}, "an error without a name");
    check_said((struct ending){.code = RINGCHAT_ERROR_LAGGED}, "lagged");
    check_said((struct ending){.code = RINGCHAT_ERROR_SHUTDOWN},
               "shutdown: the server is being stopped");
    check_said((struct ending){.code = RINGCHAT_ERROR_NO_ROOM,
                               .detail = TEXT("\033[2J")},
               "no-room (\uFFFD[2J)");
}

static void check_content(struct ringchat_text type, const char *expected)
{
    struct ringchat_message message = {
        RINGCHAT_SIZED(message), .text = TEXT("abc"), .content_type = type};
    struct builder described;
    struct slice text = content_text(&message, &described);

    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.length);
}

static void what_is_no_text_is_described(void **state)
{
    (void)state;
    check_content((struct ringchat_text){NULL, 0}, "abc");
    check_content(TEXT("text/markdown"), "abc");
    check_content(TEXT("TEXT/plain; charset=utf-8"), "abc");
    check_content(TEXT("image/png"), "sent image/png (3 bytes)");
    check_content(TEXT("text"), "sent text (3 bytes)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_a_status),
        cmocka_unit_test(each_is_said_to_people),
        cmocka_unit_test(what_is_no_text_is_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
