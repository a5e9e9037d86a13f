/*
 * What the load generator counts for one client: each course that messages can
 * take, and random ones, compared with a model that remembers every number.
 */
#include "tests/load/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <string.h>

static void begin(struct tally *tally, uint32_t speakers, uint32_t first)
{
    assert_true(tally_init(tally, speakers, first));
}

/* Each of `from` up to but not `to` is the one that is due. */
static void hear_all(struct tally *tally, uint32_t speaker, uint32_t from,
                     uint32_t to)
{
    for (uint32_t number = from; number < to; number++)
        assert_int_equal(tally_hear(tally, speaker, number), HEARD_NEXT);
}

#define assert_hears(tally, speaker, number, hearing)                          \
    assert_int_equal(tally_hear(tally, speaker, number), hearing)

static void assert_latest(const struct tally *tally, uint32_t speaker,
                          uint32_t from, uint32_t to)
{
    assert_int_equal(tally->latest.speaker, speaker);
    assert_int_equal(tally->latest.from, from);
    assert_int_equal(tally->latest.to, to);
}

/* ---- One after another -------------------------------------------------- */

static void test_next(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 3, 0);
    for (uint32_t number = 0; number < 1000; number++) {
        for (uint32_t speaker = 0; speaker < 3; speaker++)
            assert_hears(&tally, speaker, number, HEARD_NEXT);
    }
    assert_int_equal(tally.missing, 0);
    assert_int_equal(tally_lost(&tally), 0);
    tally_release(&tally);
}

static void test_first_is_what_was_asked_for(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, 7);
    hear_all(&tally, 0, 7, 9);
    assert_hears(&tally, 0, 6, HEARD_TWICE);
    tally_release(&tally);
    begin(&tally, 1, 7);
    assert_hears(&tally, 0, 9, HEARD_AHEAD);
    assert_latest(&tally, 0, 7, 9);
    tally_release(&tally);
}

static void test_no_speakers(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 0, 0);
    assert_int_equal(tally_lost(&tally), 0);
    assert_int_equal(tally_overstated(&tally), 0);
    tally_release(&tally);
    assert_null(tally.due);
}

static void test_twice(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 2, 0);
    hear_all(&tally, 0, 0, 3);
    for (uint32_t number = 0; number < 3; number++)
        assert_hears(&tally, 0, number, HEARD_TWICE);
    hear_all(&tally, 0, 3, 4);
    /* Of another speaker it would be the first time. */
    hear_all(&tally, 1, 0, 4);
    assert_int_equal(tally.missing, 0);
    tally_release(&tally);
}

/* ---- Gaps --------------------------------------------------------------- */

static void test_ahead(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 2, 0);
    hear_all(&tally, 1, 0, 2);
    assert_hears(&tally, 1, 6, HEARD_AHEAD);
    assert_latest(&tally, 1, 2, 6);
    assert_int_equal(tally.missing, 4);
    assert_hears(&tally, 1, 6, HEARD_TWICE);
    hear_all(&tally, 1, 7, 9);
    assert_hears(&tally, 0, 1, HEARD_AHEAD);
    assert_latest(&tally, 0, 0, 1);
    assert_int_equal(tally.missing, 5);
    tally_release(&tally);
}

/* Of 10 to 14, which are missing, these come, in this order; each of them then
 * comes twice, and the others are still missing. */
static void fill_gap(const uint32_t *late, size_t count)
{
    struct tally tally;
    bool has_come[5] = {false};

    begin(&tally, 2, 10);
    assert_hears(&tally, 1, 15, HEARD_AHEAD);
    for (size_t i = 0; i < count; i++) {
        assert_hears(&tally, 1, late[i], HEARD_LATE);
        assert_int_equal(tally.missing, 4 - i);
        assert_hears(&tally, 1, late[i], HEARD_TWICE);
        has_come[late[i] - 10] = true;
    }
    hear_all(&tally, 1, 16, 17);
    for (uint32_t i = 0; i < 5; i++)
        assert_hears(&tally, 1, 10 + i, has_come[i] ? HEARD_TWICE : HEARD_LATE);
    assert_int_equal(tally.missing, 0);
    assert_int_equal(tally.gaps_count, 0);
    tally_release(&tally);
}

static void test_late_at_each_place_of_a_gap(void **state)
{
    (void)state;
    for (uint32_t number = 10; number < 15; number++)
        fill_gap(&number, 1);
}

/* All 120 orders of five, by counting in the base of five. */
static void test_late_in_each_order(void **state)
{
    unsigned orders = 0;

    (void)state;
    for (uint32_t code = 0; code < 5 * 5 * 5 * 5 * 5; code++) {
        uint32_t late[5], rest = code, seen = 0;

        for (size_t i = 0; i < 5; i++, rest /= 5) {
            late[i] = 10 + rest % 5;
            seen |= 1U << rest % 5;
        }
        if (seen != 0x1f)
            continue;
        fill_gap(late, 5);
        orders++;
    }
    assert_int_equal(orders, 120);
}

static void test_late_as_the_only_one(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, 0);
    assert_hears(&tally, 0, 1, HEARD_AHEAD);
    assert_hears(&tally, 0, 0, HEARD_LATE);
    assert_hears(&tally, 0, 0, HEARD_TWICE);
    hear_all(&tally, 0, 2, 3);
    assert_int_equal(tally.missing, 0);
    assert_int_equal(tally.gaps_count, 0);
    tally_release(&tally);
}

/* Two speakers miss the same numbers. */
static void test_late_of_the_right_speaker(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 2, 0);
    assert_hears(&tally, 0, 3, HEARD_AHEAD);
    assert_hears(&tally, 1, 3, HEARD_AHEAD);
    assert_hears(&tally, 1, 1, HEARD_LATE);
    assert_hears(&tally, 1, 1, HEARD_TWICE);
    assert_hears(&tally, 0, 1, HEARD_LATE);
    assert_int_equal(tally.missing, 4);
    tally_release(&tally);
}

/* ---- Many gaps ---------------------------------------------------------- */

/* Every other number is missing: 0, 2, 4 ... */
static void skip_every_other(struct tally *tally, uint32_t gaps)
{
    for (uint32_t i = 0; i < gaps; i++) {
        assert_hears(tally, 0, 2 * i + 1, HEARD_AHEAD);
        assert_latest(tally, 0, 2 * i, 2 * i + 1);
    }
    assert_int_equal(tally->missing, gaps);
}

static void test_as_many_gaps_as_are_remembered(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, 0);
    skip_every_other(&tally, GAPS_MAX);
    for (uint32_t i = 0; i < GAPS_MAX; i++)
        assert_hears(&tally, 0, 2 * i, HEARD_LATE);
    assert_int_equal(tally.missing, 0);
    tally_release(&tally);
}

/* The first are missing all the same, only taken for others if they come. */
static void test_more_gaps_than_are_remembered(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, 0);
    skip_every_other(&tally, GAPS_MAX + 10);
    assert_int_equal(tally.gaps_count, GAPS_MAX);
    for (uint32_t i = 0; i < 10; i++)
        assert_hears(&tally, 0, 2 * i, HEARD_TWICE);
    for (uint32_t i = 10; i < GAPS_MAX + 10; i++)
        assert_hears(&tally, 0, 2 * i, HEARD_LATE);
    assert_int_equal(tally.missing, 10);
    assert_int_equal(tally_lost(&tally), 10);
    tally_release(&tally);
}

/* A gap in two takes the place of one more: that of the first. */
static void test_gap_in_two_when_no_more_are_remembered(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, 0);
    skip_every_other(&tally, GAPS_MAX - 1);
    assert_hears(&tally, 0, 2 * GAPS_MAX + 1, HEARD_AHEAD);
    assert_int_equal(tally.missing, GAPS_MAX + 2);
    assert_hears(&tally, 0, 2 * GAPS_MAX - 1, HEARD_LATE);
    assert_int_equal(tally.gaps_count, GAPS_MAX);
    assert_hears(&tally, 0, 0, HEARD_TWICE);
    assert_hears(&tally, 0, 2, HEARD_LATE);
    assert_hears(&tally, 0, 2 * GAPS_MAX - 2, HEARD_LATE);
    assert_hears(&tally, 0, 2 * GAPS_MAX, HEARD_LATE);
    assert_int_equal(tally.missing, GAPS_MAX - 2);
    tally_release(&tally);
}

/* The first gap itself is parted, and forgotten with that. */
static void test_first_gap_in_two_when_no_more_are_remembered(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, 0);
    assert_hears(&tally, 0, 3, HEARD_AHEAD);
    for (uint32_t number = 5; tally.gaps_count < GAPS_MAX; number += 2)
        assert_hears(&tally, 0, number, HEARD_AHEAD);
    assert_hears(&tally, 0, 1, HEARD_LATE);
    assert_int_equal(tally.gaps_count, GAPS_MAX);
    assert_hears(&tally, 0, 0, HEARD_TWICE);
    assert_hears(&tally, 0, 2, HEARD_LATE);
    assert_int_equal(tally.missing, GAPS_MAX);
    tally_release(&tally);
}

/* ---- Whatever comes first ----------------------------------------------- */

static void test_any_number_comes_first(void **state)
{
    static const uint32_t firsts[] = {0, 1, 4711, NUMBER_ANY - 4};

    (void)state;
    for (size_t i = 0; i < sizeof(firsts) / sizeof(*firsts); i++) {
        struct tally tally;

        begin(&tally, 2, NUMBER_ANY);
        hear_all(&tally, 1, firsts[i], firsts[i] + 1);
        assert_hears(&tally, 1, firsts[i], HEARD_TWICE);
        assert_hears(&tally, 1, firsts[i] + 2, HEARD_AHEAD);
        assert_latest(&tally, 1, firsts[i] + 1, firsts[i] + 2);
        assert_hears(&tally, 1, firsts[i] + 1, HEARD_LATE);
        assert_int_equal(tally.missing, 0);
        assert_int_equal(tally.due[0], NUMBER_ANY);
        tally_release(&tally);
    }
}

/* What was said before is not missing. */
static void test_before_the_first_of_any(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, NUMBER_ANY);
    hear_all(&tally, 0, 5, 8);
    assert_hears(&tally, 0, 4, HEARD_TWICE);
    assert_int_equal(tally.missing, 0);
    tally_release(&tally);
}

/* ---- The end ------------------------------------------------------------ */

static void test_end(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 4, 0);
    hear_all(&tally, 0, 0, 10);
    hear_all(&tally, 1, 0, 9);
    assert_hears(&tally, 2, 4, HEARD_AHEAD);
    for (uint32_t speaker = 0; speaker < 4; speaker++)
        tally_end(&tally, speaker, 10);
    assert_int_equal(tally.missing, 0 + 1 + (4 + 5) + 10);
    for (uint32_t speaker = 0; speaker < 4; speaker++)
        tally_end(&tally, speaker, 10); /* has been told already */
    assert_int_equal(tally_lost(&tally), 20);
    tally_release(&tally);
}

static void test_end_of_who_was_never_due(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, NUMBER_ANY);
    tally_end(&tally, 0, 10);
    assert_int_equal(tally_lost(&tally), 0);
    hear_all(&tally, 0, 7, 8);
    tally_end(&tally, 0, 10);
    assert_int_equal(tally_lost(&tally), 2);
    tally_release(&tally);
}

/* Less was said than was heard: nothing is missing. */
static void test_end_before_what_was_heard(void **state)
{
    struct tally tally;

    (void)state;
    begin(&tally, 1, 0);
    hear_all(&tally, 0, 0, 10);
    tally_end(&tally, 0, 4);
    assert_int_equal(tally_lost(&tally), 0);
    assert_int_equal(tally.due[0], 10);
    tally_release(&tally);
}

static void test_what_accounts_for_the_missing(void **state)
{
    static const struct {
        uint64_t missing, unnamed, lagged, lost, overstated;
    } cases[] = {
        {0, 0, 0, 0, 0}, {5, 0, 0, 5, 0}, {5, 0, 3, 2, 0}, {5, 0, 5, 0, 0},
        {5, 0, 8, 0, 3}, {5, 2, 0, 3, 0}, {5, 2, 2, 1, 0}, {5, 2, 3, 0, 0},
        {5, 7, 0, 0, 0}, {5, 2, 6, 0, 1}, {0, 1, 0, 0, 0}, {0, 0, 1, 0, 1},
        {0, 1, 1, 0, 1}, {5, 9, 9, 0, 4}, {1, 0, 0, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct tally tally = {
            .missing = cases[i].missing,
            .unnamed = cases[i].unnamed,
            .lagged = cases[i].lagged,
        };

        assert_int_equal(tally_lost(&tally), cases[i].lost);
        assert_int_equal(tally_overstated(&tally), cases[i].overstated);
    }
}

/* ---- Random courses ----------------------------------------------------- */

#define SPEAKERS 4
#define NUMBERS 600
#define DELAYED_MAX 16
#define COURSES 300

/* A speaker as the client hears it. */
struct model {
    bool has_come[NUMBERS];
    uint32_t due, said;
    uint32_t delayed[DELAYED_MAX];
    size_t delayed_count;
};

struct course {
    struct rng rng;
    struct tally tally;
    struct model models[SPEAKERS];
    uint64_t counts[HEARD_TWICE + 1];
};

static enum hearing expected(const struct model *model, uint32_t number)
{
    if (model->has_come[number])
        return HEARD_TWICE;
    if (number < model->due)
        return HEARD_LATE;
    return number == model->due ? HEARD_NEXT : HEARD_AHEAD;
}

static uint64_t model_missing(const struct course *course)
{
    uint64_t missing = 0;

    for (uint32_t i = 0; i < SPEAKERS; i++) {
        const struct model *model = &course->models[i];

        for (uint32_t number = 0; number < model->due; number++)
            missing += !model->has_come[number];
    }
    return missing;
}

static void deliver(struct course *course, uint32_t speaker, uint32_t number)
{
    struct model *model = &course->models[speaker];
    enum hearing hearing = expected(model, number);

    assert_hears(&course->tally, speaker, number, hearing);
    if (hearing == HEARD_AHEAD)
        assert_latest(&course->tally, speaker, model->due, number);
    course->counts[hearing]++;
    model->has_come[number] = true;
    if (number >= model->due)
        model->due = number + 1;
    assert_int_equal(course->tally.missing, model_missing(course));
    assert_true(course->tally.gaps_count < GAPS_MAX);
}

static void deliver_delayed(struct course *course, uint32_t speaker)
{
    struct model *model = &course->models[speaker];
    size_t at = rng_below(&course->rng, model->delayed_count);
    uint32_t number = model->delayed[at];

    model->delayed[at] = model->delayed[--model->delayed_count];
    deliver(course, speaker, number);
}

/* The next message is dropped, doubled, swapped with later ones, or none of
 * these; or one comes again that has come, or was dropped, long ago. */
static void take_step(struct course *course, uint32_t speaker)
{
    struct rng *rng = &course->rng;
    struct model *model = &course->models[speaker];
    size_t what = rng_below(rng, 40);

    if (what == 0 && model->said > 0) {
        deliver(course, speaker, (uint32_t)rng_below(rng, model->said));
        return;
    }
    if (what <= 4 && model->delayed_count < DELAYED_MAX)
        model->delayed[model->delayed_count++] = model->said;
    else if (what != 5)
        deliver(course, speaker, model->said);
    if (what == 6)
        deliver(course, speaker, model->said);
    model->said++;
    if (model->delayed_count > 0 && rng_below(rng, 4) == 0)
        deliver_delayed(course, speaker);
}

static void check_end(struct course *course)
{
    for (uint32_t i = 0; i < SPEAKERS; i++) {
        struct model *model = &course->models[i];

        tally_end(&course->tally, i, model->said);
        model->due = model->said;
    }
    assert_int_equal(tally_lost(&course->tally), model_missing(course));
}

static void run_course(struct course *course, uint64_t seed)
{
    uint32_t steps = SPEAKERS * NUMBERS / 2;

    memset(course->models, 0, sizeof(course->models));
    course->rng.state = seed;
    begin(&course->tally, SPEAKERS, 0);
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t speaker = (uint32_t)rng_below(&course->rng, SPEAKERS);

        if (course->models[speaker].said < NUMBERS)
            take_step(course, speaker);
    }
    check_end(course);
    tally_release(&course->tally);
}

static void test_random_courses(void **state)
{
    static struct course course;

    (void)state;
    for (uint64_t seed = 0; seed < COURSES; seed++)
        run_course(&course, seed);
    for (int hearing = HEARD_NEXT; hearing <= HEARD_TWICE; hearing++)
        assert_true(course.counts[hearing] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_first_is_what_was_asked_for),
        cmocka_unit_test(test_no_speakers),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_late_at_each_place_of_a_gap),
        cmocka_unit_test(test_late_in_each_order),
        cmocka_unit_test(test_late_as_the_only_one),
        cmocka_unit_test(test_late_of_the_right_speaker),
        cmocka_unit_test(test_as_many_gaps_as_are_remembered),
        cmocka_unit_test(test_more_gaps_than_are_remembered),
        cmocka_unit_test(test_gap_in_two_when_no_more_are_remembered),
        cmocka_unit_test(test_first_gap_in_two_when_no_more_are_remembered),
        cmocka_unit_test(test_any_number_comes_first),
        cmocka_unit_test(test_before_the_first_of_any),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_end_of_who_was_never_due),
        cmocka_unit_test(test_end_before_what_was_heard),
        cmocka_unit_test(test_what_accounts_for_the_missing),
        cmocka_unit_test(test_random_courses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
