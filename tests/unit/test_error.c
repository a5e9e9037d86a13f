/*
 * The table of docs/protocol.md, "Errors": of those that this server has, the
 * code, the name, and whether it closes.
 */
#include "common/wire/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/wire/clean.h"

#include <string.h>

static const struct {
    int code;
    const char *name;
    bool closes;
} table[] = {
    {1, "line-too-long", false},   {2, "bad-text", false},
    {3, "unknown-command", false}, {4, "usage", false},
    {5, "bad-name", false},        {6, "nick-in-use", false},
    {7, "no-such-nick", false},    {8, "no-such-room", false},
    {9, "no-room", false},         {10, "too-many-rooms", false},
    {11, "wrong-protocol", true},  {12, "receiver-busy", false},
    {20, "bad-frame", true},       {21, "too-large", true},
    {22, "unknown-type", false},   {23, "handshake", true},
    {24, "bad-magic", true},       {25, "bad-version", true},
    {26, "bad-crc", true},         {27, "bad-hmac", true},
    {28, "bad-header", true},      {29, "replay", true},
    {30, "timeout", true},         {31, "lagged", true},
    {32, "server-full", true},     {33, "shutdown", true},
    {50, "unavailable", false},    {99, "internal", true},
};
#define ERRORS (sizeof(table) / sizeof(table[0]))

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        enum error_code code = (enum error_code)table[i].code;

        assert_string_equal(error_name(code), table[i].name);
        assert_int_equal(error_closes(code), table[i].closes);
    }
    assert_false(error_closes(ERROR_NONE));
}

static void test_none_is_missing(void **state)
{
    size_t count = 0;

    (void)state;
#define X(name, code, text, closes) count += (code) > 0;
    ERROR_TABLE(X)
#undef X
    assert_int_equal(count, ERRORS);
}

/* What is said with it is a text that people see. */
static void test_details(void **state)
{
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        const char *detail = error_detail((enum error_code)table[i].code);

        assert_true(text_is_clean(detail, strlen(detail)));
        assert_in_range(strlen(detail), 0, 80);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_none_is_missing),
        cmocka_unit_test(test_details),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
