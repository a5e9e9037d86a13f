/*
 * What a speaker of the load generator's has on its way: that each place is
 * used again when all have heard what was in it, or it was given up, and not
 * before.
 */
#include "tests/load/voice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <string.h>

struct stage {
    struct room room;
    struct voice voice;
};

static void begin(struct stage *stage, uint32_t places, uint32_t audiences)
{
    memset(stage, 0, sizeof(*stage));
    stage->room.audiences = audiences;
    stage->voice.room = &stage->room;
    voice_init(&stage->voice, places);
}

/* As if it had said so many, all of which are complete. */
static void begin_at(struct stage *stage, uint32_t places, uint32_t audiences,
                     uint32_t said)
{
    begin(stage, places, audiences);
    stage->voice.said = said;
    stage->voice.oldest = said;
}

static uint32_t outstanding(struct stage *stage)
{
    return atomic_load(&stage->voice.outstanding);
}

static void say(struct stage *stage, uint32_t number, uint64_t due_ns)
{
    assert_true(voice_has_place(&stage->voice));
    assert_int_equal(voice_say(&stage->voice, due_ns), number);
    assert_int_equal(voice_due_ns(&stage->voice, number), due_ns);
}

/* ---- Places ------------------------------------------------------------- */

static void test_as_many_as_there_are_places(void **state)
{
    struct stage stage;

    (void)state;
    for (uint32_t places = 1; places <= 64; places *= 2) {
        begin(&stage, places, 1);
        for (uint32_t number = 0; number < places; number++)
            say(&stage, number, number + 1);
        assert_int_equal(outstanding(&stage), places);
        assert_false(voice_has_place(&stage.voice));
        assert_true(voice_heard(&stage.voice, 0));
        say(&stage, places, 99);
        assert_false(voice_has_place(&stage.voice));
        voice_release(&stage.voice);
    }
}

/* The next place is that of the oldest: others do not make room. */
static void test_place_of_the_oldest(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 4, 1);
    for (uint32_t number = 0; number < 4; number++)
        say(&stage, number, 1);
    for (uint32_t number = 3; number > 0; number--) {
        assert_true(voice_heard(&stage.voice, number));
        assert_false(voice_has_place(&stage.voice));
    }
    assert_int_equal(outstanding(&stage), 1);
    assert_true(voice_heard(&stage.voice, 0));
    for (uint32_t number = 4; number < 8; number++)
        say(&stage, number, 1);
    voice_release(&stage.voice);
}

static void test_complete_when_all_audiences_have_it(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 4, 3);
    say(&stage, 0, 5);
    say(&stage, 1, 6);
    assert_false(voice_heard(&stage.voice, 0));
    assert_false(voice_heard(&stage.voice, 1));
    assert_false(voice_heard(&stage.voice, 0));
    assert_int_equal(outstanding(&stage), 2);
    assert_true(voice_heard(&stage.voice, 0));
    assert_int_equal(outstanding(&stage), 1);
    assert_false(voice_heard(&stage.voice, 1));
    assert_true(voice_heard(&stage.voice, 1));
    assert_int_equal(outstanding(&stage), 0);
    voice_release(&stage.voice);
}

/* One that comes or goes counts for what is said from then on. */
static void test_audiences_come_and_go(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 4, 2);
    say(&stage, 0, 1);
    stage.room.audiences = 1;
    say(&stage, 1, 1);
    assert_true(voice_heard(&stage.voice, 1));
    assert_false(voice_heard(&stage.voice, 0));
    assert_true(voice_heard(&stage.voice, 0));
    voice_release(&stage.voice);
}

static void test_no_audience(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 2, 0);
    for (uint32_t number = 0; number < 10; number++) {
        say(&stage, number, 1);
        assert_int_equal(outstanding(&stage), 0);
        assert_false(voice_heard(&stage.voice, number));
    }
    assert_int_equal(voice_give_up(&stage.voice, 2), 0);
    assert_int_equal(stage.voice.oldest, 10);
    voice_release(&stage.voice);
}

/* ---- When they were due ------------------------------------------------- */

static void test_due_until_the_place_is_used_again(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 4, 1);
    for (uint32_t number = 0; number < 100; number++) {
        say(&stage, number, 1000 + number);
        for (uint32_t old = 0; old <= number; old++)
            assert_int_equal(voice_due_ns(&stage.voice, old),
                             number - old < 4 ? 1000 + old : 0);
        assert_int_equal(voice_due_ns(&stage.voice, number + 4), 0);
        assert_true(voice_heard(&stage.voice, number));
    }
    voice_release(&stage.voice);
}

/* ---- Given up ----------------------------------------------------------- */

static void test_give_up_what_was_due_before(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 8, 1);
    for (uint32_t number = 0; number < 8; number++)
        say(&stage, number, 10 * (number + 1));
    assert_int_equal(voice_give_up(&stage.voice, 10), 0);
    assert_int_equal(voice_give_up(&stage.voice, 11), 1);
    assert_true(voice_heard(&stage.voice, 1));
    assert_true(voice_heard(&stage.voice, 3));
    assert_int_equal(voice_give_up(&stage.voice, 51), 2); /* 30 and 50 */
    assert_int_equal(stage.voice.oldest, 5);
    assert_int_equal(outstanding(&stage), 3);
    assert_int_equal(voice_give_up(&stage.voice, UINT64_MAX), 3);
    assert_int_equal(outstanding(&stage), 0);
    assert_int_equal(voice_give_up(&stage.voice, UINT64_MAX), 0);
    voice_release(&stage.voice);
}

/* With one that is not due for long, those behind it wait, even if they were
 * due sooner. */
static void test_give_up_in_order(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 4, 1);
    say(&stage, 0, 50);
    say(&stage, 1, 20);
    assert_int_equal(voice_give_up(&stage.voice, 30), 0);
    assert_int_equal(voice_give_up(&stage.voice, 60), 2);
    voice_release(&stage.voice);
}

/* Nor does one that has the place of what was complete long ago hold up those
 * that were due before it. */
static void test_give_up_after_the_ring_went_round(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 4, 1);
    for (uint32_t number = 0; number < 9; number++) {
        say(&stage, number, 10);
        assert_true(voice_heard(&stage.voice, number));
    }
    for (uint32_t number = 9; number < 13; number++)
        say(&stage, number, 10 * number);
    assert_int_equal(voice_give_up(&stage.voice, 100), 1);
    assert_int_equal(stage.voice.oldest, 10);
    voice_release(&stage.voice);
}

static void test_heard_after_it_was_given_up(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 2, 2);
    say(&stage, 0, 1);
    assert_false(voice_heard(&stage.voice, 0));
    assert_int_equal(voice_give_up(&stage.voice, 2), 1);
    assert_false(voice_heard(&stage.voice, 0));
    assert_int_equal(outstanding(&stage), 0);
    voice_release(&stage.voice);
}

/* Then it is not taken for the one that has its place. */
static void test_heard_after_its_place_was_used_again(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 2, 1);
    say(&stage, 0, 1);
    assert_int_equal(voice_give_up(&stage.voice, 2), 1);
    say(&stage, 1, 3);
    say(&stage, 2, 4);
    assert_false(voice_heard(&stage.voice, 0));
    assert_int_equal(outstanding(&stage), 2);
    assert_int_equal(voice_due_ns(&stage.voice, 0), 0);
    assert_true(voice_heard(&stage.voice, 2));
    assert_true(voice_heard(&stage.voice, 1));
    voice_release(&stage.voice);
}

/* Nor is one that has not been said. */
static void test_heard_before_it_was_said(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, 4, 1);
    assert_false(voice_heard(&stage.voice, 0));
    say(&stage, 0, 1);
    assert_false(voice_heard(&stage.voice, 4));
    assert_false(voice_heard(&stage.voice, 1));
    assert_int_equal(outstanding(&stage), 1);
    voice_release(&stage.voice);
}

/* ---- Far on ------------------------------------------------------------- */

static void test_numbers_far_on(void **state)
{
    const uint32_t said = UINT32_MAX - 100;
    struct stage stage;

    (void)state;
    begin_at(&stage, 8, 1, said);
    for (uint32_t i = 0; i < 100; i++) {
        say(&stage, said + i, i + 1);
        assert_int_equal(voice_due_ns(&stage.voice, said + i), i + 1);
        if (i % 3 > 0)
            assert_true(voice_heard(&stage.voice, said + i));
        else
            assert_int_equal(voice_give_up(&stage.voice, i + 2), 1);
    }
    assert_int_equal(outstanding(&stage), 0);
    assert_int_equal(voice_give_up(&stage.voice, UINT64_MAX), 0);
    assert_int_equal(stage.voice.oldest, UINT32_MAX);
    voice_release(&stage.voice);
}

/* ---- Random courses ----------------------------------------------------- */

#define PLACES 8
#define NUMBERS 400
#define AUDIENCES 3

/* How many audiences have not heard each, and when it was due. */
struct model {
    struct rng rng;
    uint32_t left[NUMBERS];
    uint64_t due_ns[NUMBERS];
    uint32_t said, oldest;
};

static bool model_has_place(const struct model *model)
{
    return model->said < PLACES || model->left[model->said - PLACES] == 0;
}

static uint32_t model_outstanding(const struct model *model)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < model->said; i++)
        count += model->left[i] > 0;
    return count;
}

static uint32_t model_give_up(struct model *model, uint64_t before_ns)
{
    uint32_t *oldest = &model->oldest;
    uint32_t count = 0;

    while (*oldest < model->said &&
           (model->left[*oldest] == 0 || model->due_ns[*oldest] < before_ns)) {
        count += model->left[*oldest] > 0;
        model->left[(*oldest)++] = 0;
    }
    return count;
}

static void step_say(struct stage *stage, struct model *model, uint64_t now_ns)
{
    assert_int_equal(voice_has_place(&stage->voice), model_has_place(model));
    if (!model_has_place(model) || model->said == NUMBERS)
        return;
    stage->room.audiences = (uint32_t)rng_below(&model->rng, AUDIENCES + 1);
    say(stage, model->said, now_ns);
    model->left[model->said] = stage->room.audiences;
    model->due_ns[model->said++] = now_ns;
}

static void step_hear(struct stage *stage, struct model *model)
{
    uint32_t number = (uint32_t)rng_below(&model->rng, model->said + 1);

    if (rng_below(&model->rng, 4) > 0 && model->said > PLACES)
        number = model->said - 1 - (uint32_t)rng_below(&model->rng, PLACES);
    if (number == model->said) {
        assert_false(voice_heard(&stage->voice, number));
        return;
    }
    assert_int_equal(voice_heard(&stage->voice, number),
                     model->left[number] == 1);
    model->left[number] -= model->left[number] > 0;
}

static void run_course(struct model *model, uint64_t seed)
{
    struct stage stage;

    memset(model, 0, sizeof(*model));
    model->rng.state = seed;
    begin(&stage, PLACES, AUDIENCES);
    for (uint64_t now_ns = 1; now_ns < 6 * NUMBERS; now_ns++) {
        if (rng_below(&model->rng, 4) == 0)
            step_say(&stage, model, now_ns);
        else
            step_hear(&stage, model);
        if (rng_below(&model->rng, 8) == 0 && now_ns > 100)
            assert_int_equal(voice_give_up(&stage.voice, now_ns - 100),
                             model_give_up(model, now_ns - 100));
        assert_int_equal(outstanding(&stage), model_outstanding(model));
    }
    assert_true(model->said > NUMBERS / 4);
    voice_release(&stage.voice);
}

static void test_random_courses(void **state)
{
    static struct model model;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++)
        run_course(&model, seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_as_there_are_places),
        cmocka_unit_test(test_place_of_the_oldest),
        cmocka_unit_test(test_complete_when_all_audiences_have_it),
        cmocka_unit_test(test_audiences_come_and_go),
        cmocka_unit_test(test_no_audience),
        cmocka_unit_test(test_due_until_the_place_is_used_again),
        cmocka_unit_test(test_give_up_what_was_due_before),
        cmocka_unit_test(test_give_up_in_order),
        cmocka_unit_test(test_give_up_after_the_ring_went_round),
        cmocka_unit_test(test_heard_after_it_was_given_up),
        cmocka_unit_test(test_heard_after_its_place_was_used_again),
        cmocka_unit_test(test_heard_before_it_was_said),
        cmocka_unit_test(test_numbers_far_on),
        cmocka_unit_test(test_random_courses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
