/*
 * Clients of the load generator's who hear a room in different orders, and
 * those who are cut off.
 */
#include "tests/unit/support_load_hearing.h"

/* ---- Two orders --------------------------------------------------------- */

#define ORDERED SPEAKERS

static const size_t orders[][ORDERED] = {
    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
};
#define ORDERS (sizeof(orders) / sizeof(*orders))

/* Two clients hear three messages, each in its own order; of the turns, those
 * with a bit set are the second one's. */
static void hear_in_turns(const size_t *first, const size_t *second,
                          unsigned turns)
{
    const size_t *const order[] = {first, second};
    size_t heard[2] = {0};

    for (unsigned i = 0; i < 2 * ORDERED; i++) {
        unsigned who = turns >> i & 1;
        struct listener *listener = &world.listeners[who];

        send_message(listener, order[who][heard[who]++ % ORDERED]);
        feed(listener, SIZE_MAX);
    }
}

/* What all hear in the same order, then, changes nothing. */
static void hear_the_same(size_t clients)
{
    for (uint32_t speaker = 0; speaker < SPEAKERS; speaker++) {
        assert_true(say(speaker));
        for (size_t i = 0; i < clients; i++) {
            send_message(&world.listeners[i], world.count - 1);
            feed(&world.listeners[i], SIZE_MAX);
        }
    }
}

/* Whether they are found to differ. */
static bool is_noticed(const size_t *first, const size_t *second,
                       unsigned turns, bool are_others_there)
{
    uint64_t late;

    begin(&dialect_raw, 40, turns);
    for (size_t i = 2; i < CLIENTS && !are_others_there; i++)
        client_end(&world.clients[i]);
    for (uint32_t speaker = 0; speaker < SPEAKERS; speaker++)
        assert_true(say(speaker));
    hear_in_turns(first, second, turns);
    hear_the_same(2);
    late = world.worker.counts.late;
    assert_int_equal(world.worker.counts.delivered, 2 * 2 * SPEAKERS);
    for (size_t i = 0; i < CLIENTS; i++)
        client_end(&world.clients[i]);
    release();
    return late > 0;
}

static void check_all_orders(unsigned turns)
{
    for (size_t i = 0; i < ORDERS; i++) {
        for (size_t j = 0; j < ORDERS; j++) {
            assert_int_equal(is_noticed(orders[i], orders[j], turns, false),
                             i != j);
            assert_int_equal(is_noticed(orders[i], orders[j], turns, true),
                             i != j);
        }
    }
}

/* Whoever is first to hear a message, and whoever is ahead. */
static void test_another_order_is_noticed(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 1U << 2 * ORDERED; turns++) {
        if (__builtin_popcount(turns) == ORDERED)
            check_all_orders(turns);
    }
}

static void hear_one(size_t client, size_t index)
{
    send_message(&world.listeners[client], index);
    feed(&world.listeners[client], SIZE_MAX);
}

/* One writes the first and the third down, and has not heard the second, about
 * which the two others differ. */
static void test_another_order_is_noticed_by_those_behind(void **state)
{
    (void)state;
    begin(&dialect_raw, 40, 0);
    for (uint32_t speaker = 0; speaker < SPEAKERS; speaker++)
        assert_true(say(speaker));
    hear_one(2, 0);
    hear_one(2, 2);
    hear_one(0, 0);
    hear_one(0, 1);
    hear_one(1, 1);
    assert_int_equal(world.worker.counts.late, 0);
    hear_one(1, 0);
    assert_int_equal(world.worker.counts.late, 1);
    for (size_t i = 0; i < CLIENTS; i++)
        client_end(&world.clients[i]);
    release();
}

/* ---- Cut off ------------------------------------------------------------ */

static uint32_t outstanding(void)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < SPEAKERS; i++)
        sum += world.voices[FIRST_SPEAKER + i].outstanding;
    return sum;
}

static void say_all_that_fits(void)
{
    for (uint32_t i = 0; i < SPEAKERS * PLACES; i++)
        assert_true(say(i % SPEAKERS));
    assert_false(say(0));
    assert_int_equal(outstanding(), SPEAKERS * PLACES);
}

/* Of what it was sent it has heard so much. */
static void hear_some(struct listener *listener, size_t count)
{
    for (size_t i = 0; i < count; i++)
        send_message(listener, i);
    feed(listener, SIZE_MAX);
}

/* Those who are left hear all: nobody waits for what the others have not. */
static void cut_after(size_t count)
{
    begin(&dialect_raw, 40, count);
    say_all_that_fits();
    hear_some(&world.listeners[0], count);
    client_gone(&world.clients[0], "in a test");
    hear_some(&world.listeners[1], SPEAKERS * PLACES);
    assert_int_equal(outstanding(), SPEAKERS * PLACES);
    hear_some(&world.listeners[2], count);
    assert_int_equal(outstanding(), SPEAKERS * PLACES - count);
    client_gone(&world.clients[2], "in a test");
    assert_int_equal(outstanding(), 0);
    assert_int_equal(world.audience.waited_for, 1);
    assert_int_equal(world.room.audiences, 1);
    assert_int_equal(world.worker.counts.cut, 2);
    assert_int_equal(world.worker.counts.lost, 0);
    client_end(&world.clients[1]);
    client_end(&world.clients[SLOW]);
    release();
}

static void test_nobody_waits_for_who_is_cut_off(void **state)
{
    (void)state;
    for (size_t count = 0; count <= SPEAKERS * PLACES; count++)
        cut_after(count);
}

/* The last one who was waited for. */
static void test_all_are_cut_off(void **state)
{
    (void)state;
    begin(&dialect_raw, 40, 0);
    say_all_that_fits();
    for (size_t i = 0; i < CLIENTS; i++)
        client_gone(&world.clients[i], "in a test");
    assert_int_equal(outstanding(), 0);
    assert_int_equal(world.room.audiences, 0);
    assert_int_equal(world.worker.counts.cut, CLIENTS);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_order_is_noticed),
        cmocka_unit_test(test_another_order_is_noticed_by_those_behind),
        cmocka_unit_test(test_nobody_waits_for_who_is_cut_off),
        cmocka_unit_test(test_all_are_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
