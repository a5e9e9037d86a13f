/*
 * What the load generator says: sizes and names at their bounds, and that no
 * message is taken for another, nor for what it was before it was damaged.
 */
#include "tests/load/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024 * 1024)
#define SEED 4711

static struct matter matter;

/* In memory of its exact size, for AddressSanitizer. */
static char *write_message(uint32_t speaker, uint32_t number)
{
    char *text = malloc(message_size(&matter, number));

    assert_non_null(text);
    message_write(&matter, speaker, number, text);
    return text;
}

/* Whether it is taken for the message. */
static bool is_message(const char *text, size_t length, uint32_t speaker,
                       uint32_t number)
{
    struct message_name name;

    return message_name(text, length, &name) && name.speaker == speaker &&
           name.number == number &&
           message_is_right(&matter, name, text, length);
}

static void check_message(uint32_t speaker, uint32_t number)
{
    size_t length = message_size(&matter, number);
    char *text = write_message(speaker, number);

    assert_true(is_message(text, length, speaker, number));
    free(text);
}

/* ---- Sizes -------------------------------------------------------------- */

static void test_written_as_described(void **state)
{
    char *text;

    (void)state;
    matter_init(&matter, 40, SEED);
    text = write_message(0x1a, 0x3f);
    assert_memory_equal(text, "00001a 0000003f:", MESSAGE_NAME_BYTES);
    for (size_t i = MESSAGE_NAME_BYTES; i < 40; i++)
        assert_true(text[i] > ' ' && text[i] < 0x7f);
    free(text);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {
        MATTER_BYTES - 1,
        MATTER_BYTES,
        MATTER_BYTES + 1,
        MATTER_BYTES + 17,
        2 * MATTER_BYTES + 5,
        MIB - 1,
        MIB,
    };

    (void)state;
    for (size_t size = MESSAGE_NAME_BYTES; size < 300; size++) {
        matter_init(&matter, size, SEED);
        assert_int_equal(message_size(&matter, 3), size);
        check_message(2, 3);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        matter_init(&matter, sizes[i], SEED);
        check_message(2, 3);
    }
}

static void test_bounds_of_names(void **state)
{
    static const uint32_t speakers[] = {0, 1, 0xabcdef, SPEAKERS_MAX - 1};
    static const uint32_t numbers[] = {0, 1, 9, 10, 0x89abcdef, UINT32_MAX};

    (void)state;
    matter_init(&matter, 100, SEED);
    for (size_t i = 0; i < sizeof(speakers) / sizeof(*speakers); i++) {
        for (size_t j = 0; j < sizeof(numbers) / sizeof(*numbers); j++)
            check_message(speakers[i], numbers[j]);
    }
}

static void test_names_at_random(void **state)
{
    struct rng rng = {SEED};

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        matter_init(&matter, MESSAGE_NAME_BYTES + rng_magnitude(&rng, 4096),
                    i % 16);
        for (unsigned j = 0; j < 4; j++)
            check_message((uint32_t)rng_below(&rng, SPEAKERS_MAX),
                          (uint32_t)rng_next(&rng));
    }
}

/* ---- Matter ------------------------------------------------------------- */

static void test_seeds(void **state)
{
    char *text;

    (void)state;
    matter_init(&matter, 64, SEED);
    text = write_message(1, 2);
    matter_init(&matter, 64, SEED + 1);
    assert_false(is_message(text, 64, 1, 2));
    matter_init(&matter, 64, SEED);
    assert_true(is_message(text, 64, 1, 2));
    free(text);
}

/* Byte after byte as of one that goes round, wherever it begins. */
static void test_matter_goes_round(void **state)
{
    const size_t size = MESSAGE_NAME_BYTES + 3 * MATTER_BYTES;

    (void)state;
    matter_init(&matter, size, SEED);
    for (uint32_t number = 0; number < MATTER_PERIOD; number += 101) {
        char *text = write_message(5, number);
        const char *rest = text + MESSAGE_NAME_BYTES;

        assert_memory_equal(rest, rest + MATTER_BYTES, 2 * MATTER_BYTES);
        assert_true(
            memmem(matter.bytes, MATTER_BYTES, rest + MATTER_BYTES, 8) != NULL);
        assert_int_not_equal(memcmp(rest, matter.bytes, 8), 0);
        free(text);
    }
}

static int compare_words(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

/* Eight bytes of matter tell all of a period apart. */
static void test_matter_differs_within_its_period(void **state)
{
    static char words[MATTER_PERIOD][8];

    (void)state;
    matter_init(&matter, MESSAGE_NAME_BYTES + 8, SEED);
    for (uint32_t number = 0; number < MATTER_PERIOD; number++) {
        char *text = write_message(7, 3 * MATTER_PERIOD / 2 + number);

        memcpy(words[number], text + MESSAGE_NAME_BYTES, 8);
        free(text);
    }
    qsort(words, MATTER_PERIOD, 8, compare_words);
    for (size_t i = 1; i < MATTER_PERIOD; i++)
        assert_int_not_equal(memcmp(words[i - 1], words[i], 8), 0);
}

static void test_matter_comes_again_after_its_period(void **state)
{
    char *text, *later;

    (void)state;
    matter_init(&matter, 100, SEED);
    text = write_message(7, 11);
    later = write_message(7, 11 + MATTER_PERIOD);
    assert_memory_equal(text + MESSAGE_NAME_BYTES, later + MESSAGE_NAME_BYTES,
                        100 - MESSAGE_NAME_BYTES);
    free(text);
    free(later);
}

static void test_matter_differs_between_speakers(void **state)
{
    static char words[MATTER_PERIOD][8];

    (void)state;
    matter_init(&matter, MESSAGE_NAME_BYTES + 8, SEED);
    for (uint32_t speaker = 0; speaker < MATTER_PERIOD; speaker++) {
        char *text = write_message(speaker, 0);

        memcpy(words[speaker], text + MESSAGE_NAME_BYTES, 8);
        free(text);
    }
    qsort(words, MATTER_PERIOD, 8, compare_words);
    for (size_t i = 1; i < MATTER_PERIOD; i++)
        assert_int_not_equal(memcmp(words[i - 1], words[i], 8), 0);
}

/* ---- Damage ------------------------------------------------------------- */

/* What is damaged is not a message, not that which it names, or, while it is
 * short, one that has the same matter at most. */
static void check_damaged(const char *text, size_t length)
{
    struct message_name name;

    assert_false(is_message(text, length, 3, 9));
    if (length >= MESSAGE_NAME_BYTES + 8 && message_name(text, length, &name))
        assert_false(message_is_right(&matter, name, text, length));
}

static void flip_every_byte(size_t length)
{
    char *text;

    matter_init(&matter, length, SEED);
    text = write_message(3, 9);
    for (size_t i = 0; i < length; i++) {
        for (int bits = 1; bits < 256; bits++) {
            text[i] = (char)(text[i] ^ bits);
            check_damaged(text, length);
            text[i] = (char)(text[i] ^ bits);
        }
    }
    assert_true(is_message(text, length, 3, 9));
    free(text);
}

/* But of the number those digits that matter has nothing of: a multiple of its
 * period. */
static void test_every_byte_flipped(void **state)
{
    (void)state;
    for (size_t length = MESSAGE_NAME_BYTES; length < 24; length++)
        flip_every_byte(length);
}

static void test_number_flipped_beyond_the_period(void **state)
{
    struct message_name name;
    char *text;

    (void)state;
    matter_init(&matter, 100, SEED);
    text = write_message(3, 9);
    text[7] ^= 1; /* 0x10000009 */
    assert_true(message_name(text, 100, &name));
    assert_int_equal(name.number, 0x10000009);
    assert_true(message_is_right(&matter, name, text, 100));
    free(text);
}

static void test_some_bytes_flipped_of_a_mebibyte(void **state)
{
    const struct message_name name = {3, 9};
    char *text;

    (void)state;
    matter_init(&matter, MIB, SEED);
    text = write_message(3, 9);
    for (size_t i = MESSAGE_NAME_BYTES; i < MIB; i += 1021) {
        text[i] ^= 1;
        assert_false(message_is_right(&matter, name, text, MIB));
        text[i] ^= 1;
    }
    text[MIB - 1] ^= 1;
    assert_false(message_is_right(&matter, name, text, MIB));
    free(text);
}

static void test_another_length(void **state)
{
    const struct message_name name = {3, 9};
    struct message_name read;
    char *text, *longer;

    (void)state;
    matter_init(&matter, 101, SEED);
    longer = write_message(3, 9);
    matter_init(&matter, 100, SEED);
    text = write_message(3, 9);
    for (size_t length = 0; length < 100; length++) {
        assert_int_equal(message_name(text, length, &read),
                         length >= MESSAGE_NAME_BYTES);
        assert_false(message_is_right(&matter, name, text, length));
    }
    assert_false(message_is_right(&matter, name, longer, 101));
    free(text);
    free(longer);
}

/* Only as they are written: hex_write has neither capitals nor signs. */
static void test_no_name(void **state)
{
    static const char *const texts[] = {
        "00001A 0000003f:",  "00001a 0000003F:", " 0001a 0000003f:",
        "0x001a 0000003f:",  "00001a 0000003g:", "00001a0 000003f:",
        "00001a 0000003f\n", "00001a-0000003f:", "00001\n 0000003f:",
        "/0001a 0000003f:",  ":0001a 0000003f:", "`0001a 0000003f:",
        "00001a +000003f:",  "00001a 0000003 f", "                ",
        "00001a 0000003f ",
    };
    struct message_name name;

    (void)state;
    assert_true(message_name("00001a 0000003f:", 16, &name));
    assert_false(message_name("00001a 0000003f:", 15, &name));
    assert_false(message_name("", 0, &name));
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_false(message_name(texts[i], 16, &name));
}

/* ---- Lines of a file ---------------------------------------------------- */

static const struct line lines[] = {
    {"the first", 9},
    {"", 0},
    {"third, \xc3\xa4", 9},
    {"the first!", 10},
};
#define LINES (sizeof(lines) / sizeof(*lines))

static void take_lines(size_t count)
{
    matter_init(&matter, 26, SEED);
    matter.lines = lines;
    matter.lines_count = count;
}

static void test_lines_in_turn(void **state)
{
    (void)state;
    take_lines(LINES);
    for (uint32_t number = 0; number < 3 * LINES; number++) {
        const struct line *line = &lines[number % LINES];
        size_t length = MESSAGE_NAME_BYTES + line->length;
        char *text = write_message(1, number);

        assert_int_equal(message_size(&matter, number), length);
        assert_memory_equal(text + MESSAGE_NAME_BYTES, line->bytes,
                            line->length);
        assert_true(is_message(text, length, 1, number));
        free(text);
    }
    check_message(SPEAKERS_MAX - 1, UINT32_MAX);
}

static void test_one_line(void **state)
{
    (void)state;
    take_lines(1);
    for (uint32_t number = 0; number < 3; number++)
        check_message(1, number);
}

static void test_damaged_line(void **state)
{
    const struct message_name name = {1, 2}, other = {1, 3};
    char *text;
    size_t length;

    (void)state;
    take_lines(LINES);
    text = write_message(1, 2);
    length = message_size(&matter, 2);
    assert_false(message_is_right(&matter, other, text, length));
    assert_false(message_is_right(&matter, name, text, length - 1));
    for (size_t i = MESSAGE_NAME_BYTES; i < length; i++) {
        text[i] ^= 1;
        assert_false(message_is_right(&matter, name, text, length));
        text[i] ^= 1;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_as_described),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_bounds_of_names),
        cmocka_unit_test(test_names_at_random),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_matter_goes_round),
        cmocka_unit_test(test_matter_differs_within_its_period),
        cmocka_unit_test(test_matter_comes_again_after_its_period),
        cmocka_unit_test(test_matter_differs_between_speakers),
        cmocka_unit_test(test_every_byte_flipped),
        cmocka_unit_test(test_number_flipped_beyond_the_period),
        cmocka_unit_test(test_some_bytes_flipped_of_a_mebibyte),
        cmocka_unit_test(test_another_length),
        cmocka_unit_test(test_no_name),
        cmocka_unit_test(test_lines_in_turn),
        cmocka_unit_test(test_one_line),
        cmocka_unit_test(test_damaged_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
