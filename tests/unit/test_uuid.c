/*
 * UUIDs: the version, the text and what is taken for the same (RFC 9562).
 */
#include "common/wire/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <string.h>

/* RFC 9562, appendix A.3. */
static const uint8_t uuid[UUID_BYTES] = {0x91, 0x91, 0x08, 0xf7, 0x52, 0xd1,
                                         0x43, 0x20, 0x9b, 0xac, 0xf8, 0x47,
                                         0xdb, 0x41, 0x48, 0xa8};
static const char text_of_uuid[] = "919108f7-52d1-4320-9bac-f847db4148a8";

static void test_text(void **state)
{
    char text[UUID_TEXT_BYTES + 1] = {[UUID_TEXT_BYTES] = '!'};

    (void)state;
    assert_int_equal(sizeof(text_of_uuid) - 1, UUID_TEXT_BYTES);
    uuid_text(uuid, text);
    assert_memory_equal(text, text_of_uuid, UUID_TEXT_BYTES);
    assert_int_equal(text[UUID_TEXT_BYTES], '!');
}

/* The bits that say version and variant, and no others. */
static void test_version(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint8_t random[UUID_BYTES], made[UUID_BYTES];

        for (size_t j = 0; j < UUID_BYTES; j++)
            made[j] = random[j] = (uint8_t)rng_next(&rng);
        uuid_from_random(made);
        assert_int_equal(made[6] >> 4, 4);
        assert_int_equal(made[8] >> 6, 2);
        made[6] = (uint8_t)((made[6] & 0x0f) | (random[6] & 0xf0));
        made[8] = (uint8_t)((made[8] & 0x3f) | (random[8] & 0xc0));
        assert_memory_equal(made, random, UUID_BYTES);
    }
}

static void test_case_of_letters(void **state)
{
    (void)state;
    assert_true(uuid_is(uuid, slice_of(text_of_uuid)));
    assert_true(uuid_is(uuid, SLICE("919108F7-52D1-4320-9BAC-F847DB4148A8")));
    assert_true(uuid_is(uuid, SLICE("919108f7-52D1-4320-9bAc-F847db4148a8")));
}

static void test_what_is_another(void **state)
{
    static const char *const others[] = {
        "",
        "919108f7",
        "919108f7-52d1-4320-9bac-f847db4148a",
        "919108f7-52d1-4320-9bac-f847db4148a80",
        "{919108f7-52d1-4320-9bac-f847db4148a8}",
        "919108f752d143209bacf847db4148a8",
        "urn:uuid:919108f7-52d1-4320-9bac-f847db4148a8",
        " 919108f7-52d1-4320-9bac-f847db4148a8",
        "919108f7-52d1-4320-9bacf-847db4148a8",
        "919108f7_52d1_4320_9bac_f847db4148a8",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(uuid_is(uuid, slice_of(others[i])));
}

/* Each of its bytes becomes any other: the same only in the other case. */
static void test_every_change_of_a_byte(void **state)
{
    char text[UUID_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < UUID_TEXT_BYTES; i++) {
        for (int byte = 0; byte < 256; byte++) {
            char right = text_of_uuid[i];
            bool same = (char)byte == right ||
                        (right >= 'a' && (char)byte == right - 'a' + 'A');

            memcpy(text, text_of_uuid, sizeof(text));
            text[i] = (char)byte;
            assert_int_equal(uuid_is(uuid, (struct slice){text, sizeof(text)}),
                             same);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_case_of_letters),
        cmocka_unit_test(test_what_is_another),
        cmocka_unit_test(test_every_change_of_a_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
