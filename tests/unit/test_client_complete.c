/*
 * Completion: what may stand where, and the way through the candidates.
 */
#include "client/complete.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void check_place(const char *line, size_t cursor,
                        enum complete_what what, size_t from,
                        const char *suffix)
{
    struct complete_place place = complete_place(slice_of(line), cursor);

    assert_int_equal(place.what, what);
    assert_int_equal(place.from, from);
    assert_string_equal(place.suffix, suffix);
}

static void what_may_stand_where(void **state)
{
    (void)state;
    check_place("", 0, COMPLETE_NICK, 0, ": ");
    check_place("bo", 2, COMPLETE_NICK, 0, ": ");
    check_place("hello bo", 8, COMPLETE_NICK, 6, " ");
    check_place("hello ", 6, COMPLETE_NICK, 6, " ");
    check_place("hello", 2, COMPLETE_NICK, 0, ": ");
    check_place("/", 1, COMPLETE_COMMAND, 1, " ");
    check_place("/jo", 3, COMPLETE_COMMAND, 1, " ");
    check_place("/join te", 2, COMPLETE_COMMAND, 1, " ");
    check_place("/join te", 0, COMPLETE_NICK, 0, ": ");
    check_place("/join te", 8, COMPLETE_ROOM, 6, " ");
    check_place("/leave ", 7, COMPLETE_ROOM, 7, " ");
    check_place("/who  t", 7, COMPLETE_ROOM, 6, " ");
    check_place("/window t", 9, COMPLETE_ROOM, 8, " ");
    check_place("/msg bo", 7, COMPLETE_NICK, 5, " ");
    check_place("/msg bob al", 11, COMPLETE_NICK, 9, " ");
    check_place("/joins te", 9, COMPLETE_NICK, 7, " ");
}

static struct completion offered(const char *stem, const char *const names[])
{
    struct completion completion = {.stem = slice_of(stem)};

    for (; *names; names++)
        completion_offer(&completion, slice_of(*names));
    return completion;
}

static void check_is(struct slice text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.length);
}

static const char *const names[] = {"Bob",   "bo",    "alice",
                                    "Bobby", "carol", NULL};

static void what_all_have_in_common(void **state)
{
    struct completion completion = offered("b", names);

    (void)state;
    assert_int_equal(completion.count, 3);
    check_is(completion_common(&completion), "Bo");
    completion = offered("BOB", names);
    assert_int_equal(completion.count, 2);
    check_is(completion_common(&completion), "Bob");
    completion = offered("al", names);
    check_is(completion_common(&completion), "alice");
    completion = offered("", names);
    assert_int_equal(completion.count, 5);
    assert_int_equal(completion_common(&completion).length, 0);
    completion = offered("alicex", names);
    assert_int_equal(completion.count, 0);
}

static void round_and_round(void **state)
{
    struct completion completion = offered("b", names);

    (void)state;
    check_is(completion_turn(&completion, CANDIDATE_NEXT), "Bob");
    check_is(completion_turn(&completion, CANDIDATE_NEXT), "bo");
    check_is(completion_turn(&completion, CANDIDATE_NEXT), "Bobby");
    check_is(completion_turn(&completion, CANDIDATE_NEXT), "Bob");
    check_is(completion_turn(&completion, CANDIDATE_BEFORE), "Bobby");
    check_is(completion_turn(&completion, CANDIDATE_BEFORE), "bo");
    completion = offered("b", names);
    check_is(completion_turn(&completion, CANDIDATE_BEFORE), "Bobby");
    completion = offered("c", names);
    check_is(completion_turn(&completion, CANDIDATE_BEFORE), "carol");
    check_is(completion_turn(&completion, CANDIDATE_BEFORE), "carol");
    check_is(completion_turn(&completion, CANDIDATE_NEXT), "carol");
}

static void no_more_than_there_is_room_for(void **state)
{
    char made[CANDIDATES_MAX + 1][8];
    struct completion completion = {.stem = SLICE("n")};

    (void)state;
    for (size_t i = 0; i <= CANDIDATES_MAX; i++) {
        (void)snprintf(made[i], sizeof(made[i]), "n%zu", i);
        completion_offer(&completion, slice_of(made[i]));
    }
    assert_int_equal(completion.count, CANDIDATES_MAX);
    check_is(completion_turn(&completion, CANDIDATE_BEFORE),
             made[CANDIDATES_MAX - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_stand_where),
        cmocka_unit_test(what_all_have_in_common),
        cmocka_unit_test(round_and_round),
        cmocka_unit_test(no_more_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
