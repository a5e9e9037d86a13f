/*
 * What may stand in text: every string of up to three bytes, those of four
 * around all limits, and a byte of any value at each place of an ASCII run,
 * against a plain decoder.
 */
#include "common/wire/clean.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_text.h"

#include <stdlib.h>
#include <string.h>

#define RUN_MAX 100

static void assert_same(const unsigned char *text, size_t length)
{
    if (text_is_clean(text, length) == is_clean_text(text, length))
        return;
    for (size_t i = 0; i < length; i++)
        print_error("%02x ", text[i]);
    fail_msg("text_is_clean() says %d", text_is_clean(text, length));
}

static void test_up_to_three_bytes(void **state)
{
    (void)state;
    assert_true(text_is_clean("", 0));
    for (uint32_t i = 0; i < 1u << 24; i++) {
        const unsigned char text[] = {(unsigned char)i, (unsigned char)(i >> 8),
                                      (unsigned char)(i >> 16)};

        assert_same(text, 3);
        if (i < 1u << 16)
            assert_same(text, 2);
        if (i < 1u << 8)
            assert_same(text, 1);
    }
}

/* Every beginning of two bytes, then bytes from both sides of each limit. */
static void test_four_bytes(void **state)
{
    static const unsigned char limits[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90,
                                           0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    static const size_t count = sizeof(limits);

    (void)state;
    for (uint32_t i = 0; i < 1u << 16; i++) {
        unsigned char text[] = {(unsigned char)(i >> 8), (unsigned char)i, 0,
                                0};

        for (size_t j = 0; j < count * count; j++) {
            text[2] = limits[j / count];
            text[3] = limits[j % count];
            assert_same(text, 4);
        }
    }
}

/* `odd` at each place of runs of each length. The text ends where its memory
 * does, so its start goes through all alignments. */
static void in_runs(unsigned char *memory, const void *odd, size_t odd_length)
{
    for (size_t length = odd_length; length <= RUN_MAX; length++) {
        unsigned char *text = memory + RUN_MAX - length;

        for (size_t at = 0; at + odd_length <= length; at++) {
            memset(text, '~', length);
            memcpy(text + at, odd, odd_length);
            assert_same(text, length);
        }
    }
}

static void test_every_byte_in_runs(void **state)
{
    unsigned char *memory = malloc(RUN_MAX);

    (void)state;
    assert_non_null(memory);
    for (int i = 0; i < 256; i++)
        in_runs(memory, &(unsigned char){(unsigned char)i}, 1);
    free(memory);
}

static void test_characters_in_runs(void **state)
{
    static const char *const characters[] = {
        "\xc2\x9f",         "\xc2\xa0",
        "\xe0\xa0\x80",     "\xed\xa0\x80",
        "\xef\xbf\xbf",     "\xf0\x90\x80\x80",
        "\xf4\x90\x80\x80", "\x7f\x80",
        "\x1f\x20",         "\t\t",
        "\xf0\x9f\x98\x80", "\xc3\xa9\xc3",
    };
    unsigned char *memory = malloc(RUN_MAX);

    (void)state;
    assert_non_null(memory);
    for (size_t i = 0; i < sizeof(characters) / sizeof(characters[0]); i++)
        in_runs(memory, characters[i], strlen(characters[i]));
    free(memory);
}

/* A flag of one byte must not hide or make up that of its neighbour. */
static void test_pairs_in_a_block(void **state)
{
    unsigned char text[32];

    (void)state;
    for (size_t at = 0; at + 2 <= sizeof(text); at++) {
        for (uint32_t pair = 0; pair < 1u << 16; pair += at % 8 == 6 ? 1 : 7) {
            memset(text, ' ', sizeof(text));
            text[at] = (unsigned char)(pair >> 8);
            text[at + 1] = (unsigned char)pair;
            assert_same(text, sizeof(text));
        }
    }
}

static void test_first_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        unsigned char byte = (unsigned char)i;

        assert_int_equal(text_can_begin(byte), may_begin_stream(byte));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_to_three_bytes),
        cmocka_unit_test(test_four_bytes),
        cmocka_unit_test(test_every_byte_in_runs),
        cmocka_unit_test(test_characters_in_runs),
        cmocka_unit_test(test_pairs_in_a_block),
        cmocka_unit_test(test_first_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
