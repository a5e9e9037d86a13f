/*
 * The table of nicks against a list that is searched from end to end, while it
 * grows and where it cannot.
 */
#include "common/chat/shared.h"
#include "common/wire/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"

#include <stdio.h>

#define SESSIONS 70000
#define STEPS 100000

/* More than the table has memory for at first. */
#define MANY 50000

/* A chat of which nothing is used but its nicks, its budget and its key; and
 * sessions with a nick each and no more. */
static struct shards shards;
static struct chat chat;
static struct session sessions[SESSIONS];

static int begin(void **state)
{
    (void)state;
    chat = (struct chat){
        .shards = &shards,
        .budget = &shards.budget,
        .hash_key = {1, 2, 3},
    };
    budget_init(&shards.budget, 64 * MIB);
    for (size_t i = 0; i < SESSIONS; i++) {
        struct session *session = &sessions[i];
        char nick[NICK_BYTES_MAX];
        int length = snprintf(nick, sizeof(nick), "Somebody_%zu", i);

        *session = (struct session){.chat = &chat};
        session_set_nick(session, (struct slice){nick, (size_t)length});
    }
    return nicks_init(&shards.nicks, &shards.budget) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < SESSIONS; i++) {
        if (sessions[i].named)
            nick_remove(&sessions[i]);
    }
    nicks_release(&shards.nicks, &shards.budget);
    assert_int_equal(shards.budget.used_bytes, 0);
    return 0;
}

static void add(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        nick_add(&sessions[i]);
}

/* All that are in it are found, and no others. */
static void check_found(void)
{
    size_t named = 0;

    for (size_t i = 0; i < SESSIONS; i++) {
        struct session *session = &sessions[i];

        assert_ptr_equal(nick_find(&chat, session_nick(session)),
                         session->named ? session : NULL);
        named += session->named;
    }
    assert_int_equal(shards.nicks.count, named);
}

static size_t chain_length(const struct session *session)
{
    size_t length = 0;

    for (; session; session = session->nick_next)
        length++;
    return length;
}

/* The buckets in use hold all, and none of them far more than others. */
static void check_chains(size_t longest)
{
    size_t count = 0;

    for (uint32_t i = 0; i < shards.nicks.used; i++) {
        size_t length = chain_length(shards.nicks.buckets[i]);

        assert_in_range(length, 0, longest);
        count += length;
    }
    assert_int_equal(shards.nicks.count, count);
    assert_in_range(shards.nicks.used, 1, shards.nicks.capacity);
}

/* ---- Tests -------------------------------------------------------------- */

static void test_nobody(void **state)
{
    (void)state;
    assert_null(nick_find(&chat, SLICE("nobody")));
    assert_null(nick_find(&chat, SLICE("")));
    check_found();
}

static void test_whatever_the_case(void **state)
{
    (void)state;
    add(7, 9);
    assert_ptr_equal(nick_find(&chat, SLICE("SOMEBODY_7")), &sessions[7]);
    assert_ptr_equal(nick_find(&chat, SLICE("somebody_8")), &sessions[8]);
    assert_null(nick_find(&chat, SLICE("somebody_9")));
    assert_null(nick_find(&chat, SLICE("somebody_")));
    assert_null(nick_find(&chat, SLICE("somebody_77")));
}

/* No nick is so long; what was asked for may be. */
static void test_lengths(void **state)
{
    static const char longest[] = "abcdefghijklmnopqrstuvwxyz";
    struct slice nick = {longest, NICK_BYTES_MAX};

    (void)state;
    session_set_nick(&sessions[0], nick);
    nick_add(&sessions[0]);
    assert_ptr_equal(nick_find(&chat, nick), &sessions[0]);
    assert_null(nick_find(&chat, (struct slice){longest, NICK_BYTES_MAX - 1}));
    assert_null(nick_find(&chat, (struct slice){longest, NICK_BYTES_MAX + 1}));
}

/* By one bucket for two sessions, at every size on the way. */
static void test_growth(void **state)
{
    (void)state;
    for (size_t i = 0; i < SESSIONS; i++) {
        uint32_t before = shards.nicks.used;

        add(i, i + 1);
        assert_true(shards.nicks.used - before <= 1);
        assert_true(shards.nicks.count <= 2 * shards.nicks.used);
        if (i < 200)
            check_found();
    }
    assert_int_equal(shards.nicks.used, SESSIONS / 2);
    check_found();
    /* Half of the buckets are about to be split: twice the average, and the
     * tail of a Poisson distribution. */
    check_chains(20);
}

/* What is taken out is not found; what stays is, and who comes back. */
static void test_removed(void **state)
{
    (void)state;
    add(0, SESSIONS);
    for (size_t i = 0; i < SESSIONS; i += 3)
        nick_remove(&sessions[i]);
    check_found();
    for (size_t i = 0; i < SESSIONS; i += 6)
        nick_add(&sessions[i]);
    check_found();
    check_chains(20);
}

static void test_other_nick(void **state)
{
    (void)state;
    add(0, 100);
    nick_remove(&sessions[50]);
    session_set_nick(&sessions[50], SLICE("another"));
    nick_add(&sessions[50]);
    assert_ptr_equal(nick_find(&chat, SLICE("Another")), &sessions[50]);
    assert_null(nick_find(&chat, SLICE("Somebody_50")));
    check_found();
}

/* Without memory the chains get longer; with it they get short again. */
static void test_no_memory_to_grow(void **state)
{
    uint64_t limit = shards.budget.limit_bytes;
    uint32_t full;

    (void)state;
    shards.budget.limit_bytes = shards.budget.used_bytes;
    add(0, MANY);
    full = shards.nicks.capacity;
    assert_int_equal(shards.nicks.used, full);
    assert_true(full < MANY / 3);
    check_found();
    shards.budget.limit_bytes = limit;
    add(MANY, MANY + 1);
    assert_int_equal(shards.nicks.used, full + 1);
    check_found();
    add(MANY + 1, SESSIONS);
    assert_int_equal(shards.nicks.used, SESSIONS / 2);
    check_found();
    check_chains(20);
}

/* As long as each attempt fails, and after that. */
static void test_each_growth_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        alloc_fail_at(1);
        add(i, i + 1);
        alloc_fail_at(0);
    }
    assert_int_equal(shards.nicks.used, shards.nicks.capacity);
    check_found();
    add(MANY, SESSIONS);
    assert_int_equal(shards.nicks.used, SESSIONS / 2);
    check_found();
}

static void test_no_memory_to_begin(void **state)
{
    struct nicks nicks;

    (void)state;
    alloc_fail_at(1);
    assert_false(nicks_init(&nicks, &shards.budget));
    shards.budget.limit_bytes = shards.budget.used_bytes + 1;
    assert_false(nicks_init(&nicks, &shards.budget));
}

static void test_any_order(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (size_t step = 0; step < STEPS; step++) {
        size_t most = step < STEPS / 2 ? SESSIONS : 300;
        struct session *session = &sessions[rng_below(&rng, most)];

        if (session->named)
            nick_remove(session);
        else
            nick_add(session);
        assert_int_equal(!nick_find(&chat, session_nick(session)),
                         !session->named);
    }
    check_found();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nobody),
        TEST(test_whatever_the_case),
        TEST(test_lengths),
        TEST(test_growth),
        TEST(test_removed),
        TEST(test_other_nick),
        TEST(test_no_memory_to_grow),
        TEST(test_each_growth_fails),
        TEST(test_no_memory_to_begin),
        TEST(test_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
