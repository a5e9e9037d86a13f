/*
 * Nothing from the network drives a terminal: what is left of each byte and
 * character that could, and how long a message may become.
 */
#include "client/tame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"
#include "tests/unit/support_text.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define INSTEAD "\uFFFD"
/* From right to left, whatever comes. It ends before a string does, or it would
 * be a trap to its readers. */
#define OVERRIDE(text) "\u202E" text "\u202C"

static char out[TAMED_BYTES_MAX];

static struct slice tame_all(enum tame_for use, struct slice original)
{
    struct tamed tamed = tame(use, original, out, sizeof(out));

    assert_int_equal(tamed.left_out, 0);
    return (struct slice){out, tamed.length};
}

static void check(enum tame_for use, struct slice original,
                  const char *expected)
{
    struct slice tamed = tame_all(use, original);

    assert_int_equal(tamed.length, strlen(expected));
    assert_memory_equal(tamed.bytes, expected, tamed.length);
}

static void check_both(struct slice original, const char *expected)
{
    check(TAME_CELLS, original, expected);
    check(TAME_PLAIN, original, expected);
}

static void text_stays_as_it_is(void **state)
{
    static const char *const texts[] = {
        "",
        "hello, bob",
        " two  spaces ",
        "e\u0301t\u00E9",
        "\u6F22\u5B57",
        "\U0001F469\u200D\U0001F680",
        "\u2764\uFE0F",
        "\U0001F44B\U0001F3FF",
        "\u0646\u0645\u06CC\u200C\u062E\u0648\u0627\u0647\u0645",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        check_both(slice_of(texts[i]), texts[i]);
}

static void no_control_character_is_left(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 0xA0; code++) {
        unsigned char text[] = {'a', 0xC2, (unsigned char)code, 'b'};
        char one[] = {'a', (char)code, 'b'};

        if (code >= 0x80)
            check_both((struct slice){(char *)text, 4}, "a" INSTEAD "b");
        else if ((code < 0x20 && code != '\t') || code == 0x7F)
            check_both((struct slice){one, 3}, "a" INSTEAD "b");
    }
    check_both(SLICE("\033]0;title\007"), INSTEAD "]0;title" INSTEAD);
    check_both(SLICE("\033]52;c;aGk=\033\\"),
               INSTEAD "]52;c;aGk=" INSTEAD "\\");
    check_both(SLICE("one\r\ntwo"), "one" INSTEAD INSTEAD "two");
    check_both(SLICE("one\u2028two\u2029"), "one" INSTEAD "two" INSTEAD);
}

static void each_byte_that_is_no_text_is_seen(void **state)
{
    (void)state;
    check_both(SLICE("\x9b"
                     "31m"),
               INSTEAD "31m");
    check_both(SLICE("a\xC3"), "a" INSTEAD);
    check_both(SLICE("\xE6\xBC"
                     "b"),
               INSTEAD INSTEAD "b");
    check_both(SLICE("\xF0\x9F\x91"), INSTEAD INSTEAD INSTEAD);
    check_both(SLICE("\xC0\xAF"), INSTEAD INSTEAD);
    check_both(SLICE("\xED\xA0\x80"), INSTEAD INSTEAD INSTEAD);
    check_both(SLICE("\xF4\x90\x80\x80"), INSTEAD INSTEAD INSTEAD INSTEAD);
    check_both(SLICE("\xFF\xFE"), INSTEAD INSTEAD);
}

static void what_changes_direction_reaches_cells_alone(void **state)
{
    (void)state;
    check(TAME_CELLS, SLICE(OVERRIDE("cod")), OVERRIDE("cod"));
    check(TAME_PLAIN, SLICE(OVERRIDE("cod")), "cod");
    check(TAME_PLAIN, SLICE("a\u200Eb\u00ADc\uFEFFd\U000E0041"), "abcd");
}

static void tabs_are_spaces_to_the_next_column_of_eight(void **state)
{
    (void)state;
    check_both(SLICE("\t"), "        ");
    check_both(SLICE("a\tb"), "a       b");
    check_both(SLICE("1234567\tb"), "1234567 b");
    check_both(SLICE("12345678\tb"), "12345678        b");
    check_both(SLICE("\u6F22\tb\tc"), "\u6F22      b       c");
    check_both(SLICE("e\u0301\tb"), "e\u0301       b");
}

/* A message of `length` bytes, the last of them `end`. */
static struct tamed tame_long(char *message, size_t length, const char *end)
{
    memset(message, 'a', length);
    for (size_t i = 0; i < strlen(end); i++)
        message[length - strlen(end) + i] = end[i];
    return tame(TAME_CELLS, (struct slice){message, length}, out, sizeof(out));
}

static void a_long_message_is_cut_at_a_cluster(void **state)
{
    static char message[2 * TAMED_BYTES_MAX];
    struct tamed tamed;

    (void)state;
    tamed = tame_long(message, TAMED_BYTES_MAX, "");
    assert_int_equal(tamed.length, TAMED_BYTES_MAX);
    assert_int_equal(tamed.left_out, 0);
    /* The letter before it may go with what was cut. */
    tamed = tame_long(message, TAMED_BYTES_MAX + 1, "");
    assert_int_equal(tamed.length, TAMED_BYTES_MAX - 1);
    assert_int_equal(tamed.left_out, 2);
    /* As here: the accent is on the other side. */
    tamed = tame_long(message, TAMED_BYTES_MAX + 2, "e\u0301");
    assert_int_equal(tamed.length, TAMED_BYTES_MAX - 1);
    assert_int_equal(tamed.left_out, 3);
    tamed = tame_long(message, sizeof(message), "");
    assert_int_equal(tamed.length + tamed.left_out, sizeof(message));
}

static void a_cluster_of_any_length_is_cut_all_the_same(void **state)
{
    static char message[2 * TAMED_BYTES_MAX];
    struct tamed tamed;

    (void)state;
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = "\u0301"[i % 2];
    tamed = tame(TAME_CELLS, (struct slice){message, sizeof(message)}, out,
                 sizeof(out));
    assert_int_equal(tamed.length, TAMED_BYTES_MAX);
    assert_int_equal(tamed.left_out, TAMED_BYTES_MAX);
}

static void whatever_comes_it_is_clean_and_fits(void **state)
{
    struct rng random = {1};
    unsigned char bytes[40];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        size_t length = rng_below(&random, sizeof(bytes));
        size_t size = rng_below(&random, 100);
        enum tame_for use = rng_below(&random, 2) ? TAME_CELLS : TAME_PLAIN;
        struct tamed tamed;

        for (size_t j = 0; j < length; j++)
            bytes[j] = (unsigned char)(rng_below(&random, 3)
                                           ? rng_next(&random)
                                           : 0x80 | rng_next(&random));
        tamed = tame(use, (struct slice){(char *)bytes, length}, out, size);
        assert_true(tamed.length <= size && tamed.left_out <= length);
        assert_true(is_clean_text((unsigned char *)out, tamed.length));
        assert_null(memchr(out, '\t', tamed.length));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays_as_it_is),
        cmocka_unit_test(no_control_character_is_left),
        cmocka_unit_test(each_byte_that_is_no_text_is_seen),
        cmocka_unit_test(what_changes_direction_reaches_cells_alone),
        cmocka_unit_test(tabs_are_spaces_to_the_next_column_of_eight),
        cmocka_unit_test(a_long_message_is_cut_at_a_cluster),
        cmocka_unit_test(a_cluster_of_any_length_is_cut_all_the_same),
        cmocka_unit_test(whatever_comes_it_is_clean_and_fits),
    };

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
