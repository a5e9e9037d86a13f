/*
 * The transcript of the load generator's audiences: that it is compared, kept
 * and forgotten byte by byte as it should be. See test_load_audience_random.c
 * for those who follow it.
 */
#include "tests/load/audience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define SPEAKERS 3
#define PLACES 8
#define MIB ((size_t)1024 * 1024)
#define TRANSCRIPT_MIB 16 /* TRANSCRIPT_MAX of audience.c */

static struct room room;
static struct voice voices[SPEAKERS];
static struct audience audience;
static struct follower ahead, behind; /* of begin_two */

static void begin(bool hears_itself)
{
    memset(voices, 0, sizeof(voices));
    for (size_t i = 0; i < SPEAKERS; i++)
        voice_init(&voices[i], PLACES);
    audience_init(&audience, &room, voices, SPEAKERS, PLACES, hears_itself);
}

static void end(void)
{
    audience_release(&audience);
    for (size_t i = 0; i < SPEAKERS; i++)
        voice_release(&voices[i]);
}

static void join(struct follower *follower)
{
    *follower = (struct follower){0};
    audience_join(&audience, follower, false);
}

static void leave(struct follower *follower)
{
    audience_leave(&audience, follower);
    follower_release(follower);
}

static void begin_two(void)
{
    begin(true);
    join(&ahead);
    join(&behind);
}

static void end_two(void)
{
    leave(&ahead);
    leave(&behind);
    end();
}

/* A message of speaker 0, of these bytes. */
static void append(struct follower *follower, uint32_t number,
                   const void *bytes, size_t length)
{
    struct record *record = audience_record(&audience, 0, number);

    assert_non_null(record);
    audience_append(&audience, follower, record, 0, bytes, length);
}

/* Of one byte, `length` times: 'a', 'b' ... by number. */
static void append_run(struct follower *follower, uint32_t number,
                       size_t length)
{
    char *bytes = malloc(length);

    assert_non_null(bytes);
    memset(bytes, (int)('a' + number % 26), length);
    append(follower, number, bytes, length);
    free(bytes);
}

static void assert_at(const struct follower *follower, uint64_t position,
                      uint64_t entry)
{
    assert_int_equal(follower->position, position);
    assert_int_equal(follower->entry, entry);
}

static void assert_carries(const struct follower *follower, const void *bytes,
                           size_t length)
{
    assert_int_equal(follower->carry_length, length);
    if (length > 0)
        assert_memory_equal(follower->carry, bytes, length);
}

/* ---- Comparing ---------------------------------------------------------- */

static void test_match_at_every_split(void **state)
{
    static const char text[] = "0123456789abcdefghijklmnopq";
    const size_t length = sizeof(text) - 1;
    (void)state;
    begin_two();
    append(&ahead, 0, text, 10);
    append(&ahead, 1, text + 10, length - 10);
    for (size_t from = 0; from <= length; from++) {
        for (size_t to = from; to <= length; to++)
            assert_int_equal(audience_match(&audience, from,
                                            (const unsigned char *)text + from,
                                            to - from),
                             to - from);
    }
    end_two();
}

/* Where it is not alike, and that it is not looked at what is behind either
 * end: the copy is of its exact size. */
static void test_match_up_to_a_difference(void **state)
{
    static const char text[] = "0123456789abcdefghijklmnopq";
    const size_t length = sizeof(text) - 1;
    (void)state;
    begin_two();
    append(&ahead, 0, text, length);
    for (size_t from = 0; from < length; from++) {
        for (size_t other = from; other < length; other++) {
            unsigned char *bytes = malloc(length - from);

            assert_non_null(bytes);
            memcpy(bytes, text + from, length - from);
            bytes[other - from] ^= 1;
            assert_int_equal(
                audience_match(&audience, from, bytes, length - from),
                other - from);
            free(bytes);
        }
    }
    end_two();
}

static void test_match_beyond_the_end(void **state)
{
    const unsigned char *bytes = (const unsigned char *)"abcdefgh";
    (void)state;
    begin_two();
    assert_int_equal(audience_match(&audience, 0, bytes, 8), 0);
    append(&ahead, 0, "abcde", 5);
    assert_int_equal(audience_match(&audience, 0, bytes, 8), 5);
    assert_int_equal(audience_match(&audience, 3, bytes + 3, 5), 2);
    assert_int_equal(audience_match(&audience, 5, bytes, 8), 0);
    end_two();
}

/* ---- Following ---------------------------------------------------------- */

static void test_entries(void **state)
{
    (void)state;
    begin_two();
    for (uint32_t number = 0; number < 1000; number++)
        append_run(&ahead, number, 1 + number % 7);
    assert_int_equal(audience.entries_begin, 0);
    assert_int_equal(audience.entries_end, 1000);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t first = audience_entry_begin(&audience, i);
        const struct entry *entry = audience_entry(&audience, i);

        assert_int_equal(entry->number, i);
        assert_int_equal(entry->end - first, 1 + i % 7);
        assert_int_equal(*audience_at(&audience, first), 'a' + i % 26);
    }
    assert_int_equal(audience_entry_begin(&audience, 1000), audience.end);
    assert_at(&ahead, audience.end, 1000);
    assert_at(&behind, 0, 0);
    end_two();
}

static void test_who_is_at_the_end(void **state)
{
    struct follower first, second, third;

    (void)state;
    begin(true);
    join(&first);
    join(&second);
    assert_int_equal(audience.at_end, 2);
    append(&first, 0, "abc", 3);
    assert_int_equal(audience.at_end, 1);
    audience_move(&audience, &second, 2, 0);
    assert_int_equal(audience.at_end, 1);
    audience_move(&audience, &second, 3, 1);
    assert_int_equal(audience.at_end, 2);
    audience_move(&audience, &second, 0, 0);
    assert_int_equal(audience.at_end, 1);
    audience_move(&audience, &second, 3, 1);
    join(&third);
    assert_at(&third, 3, 1);
    assert_int_equal(audience.at_end, 3);
    leave(&first);
    assert_int_equal(audience.at_end, 2);
    append(&third, 1, "d", 1);
    leave(&second);
    assert_int_equal(audience.at_end, 1);
    assert_int_equal(audience.followers, 1);
    leave(&third);
    end();
}

/* It begins anew, where it ended. */
static void test_begins_anew_when_all_have_read_it(void **state)
{
    struct follower first, second;

    (void)state;
    begin(true);
    join(&first);
    join(&second);
    append(&first, 0, "abc", 3);
    append(&first, 1, "de", 2);
    assert_int_equal(audience.begin, 0);
    audience_move(&audience, &second, 5, 2);
    append(&second, 2, "fghi", 4);
    assert_int_equal(audience.begin, 5);
    assert_int_equal(audience.end, 9);
    assert_int_equal(audience.entries_begin, 2);
    assert_int_equal(audience.entries_end, 3);
    assert_int_equal(audience_entry_begin(&audience, 2), 5);
    assert_int_equal(audience_match(&audience, first.position,
                                    (const unsigned char *)"fghi", 4),
                     4);
    leave(&first);
    leave(&second);
    end();
}

/* One who is alone has always read all of it. */
static void test_alone(void **state)
{
    struct follower follower;

    (void)state;
    begin(true);
    join(&follower);
    for (uint32_t number = 0; number < 100; number++)
        append_run(&follower, number, MIB);
    assert_int_equal(audience.end, 100 * MIB);
    assert_int_equal(audience.begin, 99 * MIB);
    assert_true(audience.bytes_allocated <= MIB);
    leave(&follower);
    end();
}

static void test_turn_back(void **state)
{
    (void)state;
    begin_two();
    append(&ahead, 0, "abc", 3);
    append(&ahead, 1, "defgh", 5);
    for (uint64_t position = 3; position < 8; position++) {
        audience_move(&audience, &behind, position, 1);
        audience_turn_back(&audience, &behind);
        assert_at(&behind, 3, 1);
        assert_carries(&behind, "defgh", position - 3);
        behind.carry_length = 0;
    }
    audience_move(&audience, &behind, 2, 0);
    audience_turn_back(&audience, &behind);
    assert_at(&behind, 0, 0);
    assert_carries(&behind, "ab", 2);
    end_two();
}

static void test_carry_grows(void **state)
{
    struct follower follower = {0};
    size_t length = 0;

    (void)state;
    follower_carry(&follower, (const unsigned char *)"", 1);
    follower.carry_length = 0;
    for (size_t i = 0; i < 300; i++) {
        unsigned char bytes[300];

        memset(bytes, (int)(i % 256), sizeof(bytes));
        follower_carry(&follower, bytes, i);
        length += i;
        assert_int_equal(follower.carry_length, length);
    }
    for (size_t i = 0, at = 0; i < 300; i++) {
        for (size_t j = 0; j < i; j++)
            assert_int_equal(follower.carry[at++], i % 256);
    }
    follower_release(&follower);
    assert_null(follower.carry);
}

/* ---- Forgetting --------------------------------------------------------- */

/* Bytes of the run that append_run wrote. */
static void assert_carries_run(const struct follower *follower, uint32_t number,
                               size_t length)
{
    assert_int_equal(follower->carry_length, length);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(follower->carry[i], 'a' + number);
}

/* Of 16 messages that are as much as is kept, the first 8 are forgotten when
 * one more comes. */
static void fill(void)
{
    for (uint32_t number = 0; number < TRANSCRIPT_MIB; number++)
        append_run(&ahead, number, MIB);
    assert_int_equal(audience.begin, 0);
    assert_int_equal(audience.end, TRANSCRIPT_MIB * MIB);
}

static void assert_half_is_forgotten(void)
{
    assert_int_equal(audience.begin, 8 * MIB);
    assert_int_equal(audience.entries_begin, 8);
    assert_int_equal(audience.end, 17 * MIB);
    assert_int_equal(audience.entries_end, 17);
    assert_true(audience.bytes_allocated <= TRANSCRIPT_MIB * MIB);
    for (uint64_t i = 8; i < 17; i++) {
        assert_int_equal(audience_entry(&audience, i)->number, i);
        assert_int_equal(audience_entry_begin(&audience, i), i * MIB);
        assert_int_equal(*audience_at(&audience, i * MIB), 'a' + i);
        assert_int_equal(*audience_at(&audience, (i + 1) * MIB - 1), 'a' + i);
    }
}

static void test_forget_with_followers_behind(void **state)
{
    struct follower inside, before, at, after, beyond;

    (void)state;
    begin_two();
    join(&inside);
    join(&before);
    join(&at);
    join(&after);
    join(&beyond);
    fill();
    audience_move(&audience, &inside, 2 * MIB + 12345, 2);
    audience_move(&audience, &before, 8 * MIB - 1, 7);
    audience_move(&audience, &at, 8 * MIB, 8);
    audience_move(&audience, &after, 8 * MIB + 1, 8);
    audience_move(&audience, &beyond, 16 * MIB, 16);
    assert_int_equal(audience.at_end, 2);
    append_run(&ahead, 16, MIB);
    assert_half_is_forgotten();
    assert_int_equal(audience.at_end, 1);

    assert_at(&behind, 8 * MIB, 8);
    assert_carries(&behind, "", 0);
    assert_at(&inside, 8 * MIB, 8);
    assert_carries_run(&inside, 2, 12345);
    /* What it has not heard of what was forgotten will not come late. */
    assert_int_equal(inside.since, 8);
    assert_int_equal(beyond.since, 0);
    assert_at(&before, 8 * MIB, 8);
    assert_carries_run(&before, 7, MIB - 1);
    assert_at(&at, 8 * MIB, 8);
    assert_carries(&at, "", 0);
    assert_at(&after, 8 * MIB + 1, 8);
    assert_carries(&after, "", 0);
    assert_at(&beyond, 16 * MIB, 16);
    assert_carries(&beyond, "", 0);

    leave(&inside);
    leave(&before);
    leave(&at);
    leave(&after);
    leave(&beyond);
    end_two();
}

/* Who was carrying something goes on with that. */
static void test_forget_with_a_carry(void **state)
{
    (void)state;
    begin_two();
    fill();
    audience_move(&audience, &behind, 3 * MIB, 3);
    follower_carry(&behind, (const unsigned char *)"not in it", 9);
    append_run(&ahead, 16, MIB);
    assert_at(&behind, 8 * MIB, 8);
    assert_carries(&behind, "not in it", 9);
    end_two();
}

/* One message that is more than all that is kept otherwise: nothing is left
 * when one more comes. */
static void test_forget_all(void **state)
{
    struct follower inside;

    (void)state;
    begin_two();
    join(&inside);
    append_run(&ahead, 0, (TRANSCRIPT_MIB + 1) * MIB);
    assert_int_equal(audience.begin, 0);
    audience_move(&audience, &inside, 100, 0);
    append_run(&ahead, 1, 10);
    assert_true(audience.begin == 0 ||
                audience.begin == (TRANSCRIPT_MIB + 1) * MIB);
    assert_int_equal(*audience_at(&audience, audience.end - 10), 'b');
    assert_int_equal(audience_entry_begin(&audience, 1),
                     (TRANSCRIPT_MIB + 1) * MIB);
    leave(&inside);
    end_two();
}

/* Who never reads does not make it grow. */
static void test_forget_again_and_again(void **state)
{
    (void)state;
    begin_two();
    for (uint32_t number = 0; number < 100; number++) {
        append_run(&ahead, number, MIB);
        assert_true(audience.bytes_allocated <= TRANSCRIPT_MIB * MIB);
        assert_true(behind.position >= audience.begin);
        assert_int_equal(audience_entry_begin(&audience, behind.entry),
                         behind.position);
    }
    end_two();
}

/* ---- Coming and going --------------------------------------------------- */

static void assert_listed(struct follower *const *expected, size_t count)
{
    const struct follower *previous = NULL, *follower = audience.first;

    assert_int_equal(audience.followers, count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(follower, expected[i]);
        assert_ptr_equal(follower->previous, previous);
        previous = follower;
        follower = follower->next;
    }
    assert_null(follower);
}

static void test_join_and_leave(void **state)
{
    struct follower a, b, c;

    (void)state;
    begin(true);
    assert_listed(NULL, 0);
    join(&a);
    join(&b);
    join(&c);
    assert_listed((struct follower *[]){&c, &b, &a}, 3);
    leave(&b);
    assert_listed((struct follower *[]){&c, &a}, 2);
    join(&b);
    leave(&b); /* the first */
    leave(&a); /* the last */
    assert_listed((struct follower *[]){&c}, 1);
    leave(&c);
    assert_listed(NULL, 0);
    assert_int_equal(audience.at_end, 0);
    assert_int_equal(audience.guided, 0);
    end();
}

static void test_who_leaves_keeps_its_carry(void **state)
{
    struct follower follower;

    (void)state;
    begin(true);
    join(&follower);
    follower_carry(&follower, (const unsigned char *)"abc", 3);
    audience_leave(&audience, &follower);
    assert_carries(&follower, "abc", 3);
    follower_release(&follower);
    end();
}

/* ---- Astray ------------------------------------------------------------- */

static void test_astray_where_others_are(void **state)
{
    struct follower first = {0}, second = {0};

    (void)state;
    begin(true);
    audience_join(&audience, &first, true);
    assert_false(first.is_astray);
    audience_join(&audience, &second, true);
    assert_true(second.is_astray);
    assert_int_equal(audience.guided, 1);
    append(&first, 0, "abc", 3);
    audience_guide(&audience, &second, 3, 1);
    assert_false(second.is_astray);
    assert_int_equal(audience.guided, 2);
    assert_int_equal(audience.at_end, 2);
    audience_guide(&audience, &second, 3, 1);
    assert_int_equal(audience.guided, 2);
    leave(&first);
    leave(&second);
    assert_int_equal(audience.guided, 0);
    end();
}

/* It is not one of those who know, when it goes. */
static void test_astray_one_leaves(void **state)
{
    struct follower first = {0}, second = {0};

    (void)state;
    begin(true);
    audience_join(&audience, &first, false);
    audience_join(&audience, &second, true);
    leave(&second);
    assert_int_equal(audience.guided, 1);
    audience_join(&audience, &second, true);
    leave(&first);
    assert_int_equal(audience.guided, 0);
    leave(&second);
    end();
}

/* ---- Records ------------------------------------------------------------ */

static void test_records_are_used_again(void **state)
{
    struct record *record;

    (void)state;
    begin(true);
    audience.waited_for = 2;
    record = audience_record(&audience, 1, 3);
    assert_int_equal(record->number, 3);
    assert_int_equal(record->left, 2);
    assert_true(record->entry == ENTRY_NONE);
    record->entry = 7;
    assert_ptr_equal(audience_record(&audience, 1, 3), record);
    assert_int_equal(record->entry, 7);
    assert_ptr_equal(audience_record(&audience, 1, 3 + PLACES), record);
    assert_int_equal(record->number, 3 + PLACES);
    assert_true(record->entry == ENTRY_NONE);
    assert_null(audience_record(&audience, 1, 3));
    assert_ptr_not_equal(audience_record(&audience, 2, 3), record);
    end();
}

static void test_record_is_done_once(void **state)
{
    struct record *record;

    (void)state;
    begin(true);
    audience.waited_for = 3;
    record = audience_record(&audience, 0, 0);
    assert_false(record_done(record));
    assert_false(record_done(record));
    assert_true(record_done(record));
    assert_false(record_done(record));
    end();
}

/* Who speaks is not waited for where it does not hear itself. */
static void test_record_without_the_speaker(void **state)
{
    (void)state;
    begin(false);
    voices[1].audience = &audience;
    audience.waited_for = 3;
    assert_int_equal(audience_record(&audience, 0, 0)->left, 3);
    assert_int_equal(audience_record(&audience, 1, 0)->left, 2);
    audience.waited_for = 0;
    assert_int_equal(audience_record(&audience, 1, 1)->left, 0);
    end();
}

static void test_record_knows_when_it_was_due(void **state)
{
    (void)state;
    begin(true);
    voices[2].room = &room;
    voice_say(&voices[2], 4711);
    voice_say(&voices[2], 4712);
    assert_int_equal(audience_record(&audience, 2, 1)->due_ns, 4712);
    assert_int_equal(audience_record(&audience, 2, 0)->due_ns, 4711);
    assert_int_equal(audience_record(&audience, 2, 2)->due_ns, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match_at_every_split),
        cmocka_unit_test(test_match_up_to_a_difference),
        cmocka_unit_test(test_match_beyond_the_end),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_who_is_at_the_end),
        cmocka_unit_test(test_begins_anew_when_all_have_read_it),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_turn_back),
        cmocka_unit_test(test_carry_grows),
        cmocka_unit_test(test_forget_with_followers_behind),
        cmocka_unit_test(test_forget_with_a_carry),
        cmocka_unit_test(test_forget_all),
        cmocka_unit_test(test_forget_again_and_again),
        cmocka_unit_test(test_join_and_leave),
        cmocka_unit_test(test_who_leaves_keeps_its_carry),
        cmocka_unit_test(test_astray_where_others_are),
        cmocka_unit_test(test_astray_one_leaves),
        cmocka_unit_test(test_records_are_used_again),
        cmocka_unit_test(test_record_is_done_once),
        cmocka_unit_test(test_record_without_the_speaker),
        cmocka_unit_test(test_record_knows_when_it_was_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
