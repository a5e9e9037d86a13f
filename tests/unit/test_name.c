/*
 * Names: their lengths, every byte in every place, which nicks are the
 * server's, and which names are the same.
 */
#include "common/wire/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define ROOM_BYTES                                                             \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define NICK_FIRST_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define NICK_BYTES NICK_FIRST_BYTES "0123456789-"

static bool is_one_of(int byte, const char *bytes)
{
    return byte != '\0' && strchr(bytes, byte);
}

static void test_lengths(void **state)
{
    static const char name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    (void)state;
    for (size_t length = 0; length < sizeof(name); length++) {
        struct slice slice = {name, length};

        assert_int_equal(room_name_is_valid(slice),
                         length >= 1 && length <= 32);
        assert_int_equal(nick_is_valid(slice), length >= 1 && length <= 24);
    }
}

static void test_every_byte(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char first[] = {(char)byte, 'a', 'b'};
        const char inner[] = {'a', (char)byte, 'b'};
        const char last[] = {'a', 'b', (char)byte};
        bool in_room = is_one_of(byte, ROOM_BYTES);
        bool in_nick = is_one_of(byte, NICK_BYTES);

        assert_int_equal(room_name_is_valid((struct slice){first, 1}), in_room);
        assert_int_equal(room_name_is_valid((struct slice){first, 3}), in_room);
        assert_int_equal(room_name_is_valid((struct slice){inner, 3}), in_room);
        assert_int_equal(room_name_is_valid((struct slice){last, 3}), in_room);
        assert_int_equal(nick_is_valid((struct slice){first, 1}),
                         is_one_of(byte, NICK_FIRST_BYTES));
        assert_int_equal(nick_is_valid((struct slice){first, 3}),
                         is_one_of(byte, NICK_FIRST_BYTES));
        assert_int_equal(nick_is_valid((struct slice){inner, 3}), in_nick);
        assert_int_equal(nick_is_valid((struct slice){last, 3}), in_nick);
    }
}

static void assert_plain(const char *asked, const char *expected)
{
    struct slice plain = room_name_plain(slice_of(asked));

    assert_int_equal(plain.length, strlen(expected));
    assert_memory_equal(plain.bytes, expected, plain.length);
}

static void test_leading_hash(void **state)
{
    (void)state;
    assert_plain("#room", "room");
    assert_plain("room", "room");
    assert_plain("##room", "#room");
    assert_plain("ro#om", "ro#om");
    assert_plain("#", "");
    assert_plain("", "");
}

static void assert_given(const char *nick, bool given)
{
    if (nick_is_given(slice_of(nick)) != given)
        fail_msg("%s is %sgiven by the server", nick, given ? "" : "not ");
}

/* Digits and cases of letters, on both sides of each limit. */
static void test_guest_nicks(void **state)
{
    static const char *const given[] = {
        "guest-0000",     "guest-9999",     "guest-abcdef",  "guest-ABCDEF",
        "GUEST-1a2b",     "GuEsT-1A2b",     "guest-1a2b3c4", "guest-12345",
        "guest-1a2b3c4d", "guest-FFFFFFFF",
    };
    static const char *const ordinary[] = {
        "",
        "g",
        "guest",
        "guest-",
        "guest-0",
        "guest-123",
        "guest-123456789",
        "guest-123g",
        "guest-g123",
        "guest-12-4",
        "guest_1234",
        "guest1234",
        "guest--1234",
        "uest-1234",
        "xguest-1234",
        "guesu-1234",
        "guest-123456g8",
        "guest-1234567G",
        "guest-12_4",
        "guest-123`",
        "guest-123@",
        "guest-123/",
        "guest-123:",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        assert_given(given[i], true);
    for (size_t i = 0; i < sizeof(ordinary) / sizeof(ordinary[0]); i++)
        assert_given(ordinary[i], false);
}

static void test_guest_digits(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        for (size_t at = strlen("guest-"); at < strlen("guest-1234"); at++) {
            char nick[] = "guest-1234";

            nick[at] = (char)byte;
            assert_given(nick, is_one_of(byte, "0123456789abcdefABCDEF"));
        }
    }
}

/* Only the letters of ASCII have two cases. */
static void test_every_pair_of_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 256 * 256; i++) {
        const char a[] = {'x', (char)(i >> 8)}, b[] = {'X', (char)i};
        bool same = a[1] == b[1];

        if ((a[1] ^ b[1]) == 0x20)
            same = (a[1] >= 'A' && a[1] <= 'Z') || (a[1] >= 'a' && a[1] <= 'z');
        assert_int_equal(
            name_equals((struct slice){a, 2}, (struct slice){b, 2}), same);
    }
}

static void test_lengths_differ(void **state)
{
    (void)state;
    assert_true(name_equals(SLICE(""), SLICE("")));
    assert_false(name_equals(SLICE("a"), SLICE("")));
    assert_false(name_equals(SLICE("room"), SLICE("roo")));
    assert_false(name_equals(SLICE("room"), SLICE("rooms")));
}

/* What is equal is folded alike, and only that. */
static void test_fold(void **state)
{
    char text[256], folded[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        text[i] = (char)i;
    name_fold((struct slice){text, sizeof(text)}, folded);
    for (int i = 0; i < 256; i++) {
        bool upper = i >= 'A' && i <= 'Z';

        assert_int_equal(folded[i], upper ? text[i + 'a' - 'A'] : text[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_leading_hash),
        cmocka_unit_test(test_guest_nicks),
        cmocka_unit_test(test_guest_digits),
        cmocka_unit_test(test_every_pair_of_bytes),
        cmocka_unit_test(test_lengths_differ),
        cmocka_unit_test(test_fold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
