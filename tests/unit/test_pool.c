/*
 * The budget and the pools it pays for: what is counted, what is given back,
 * and what happens when there is no more.
 */
#include "common/buffer/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"

#include <stdbool.h>
#include <string.h>

#define SLAB_BYTES (63 * KIB - 16)
#define OBJECTS_MAX 10000

static const size_t sizes[] = {8, 16, 17, 40, 512, 4096, 30000, 64000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct budget budget;
static struct pool pool;
static unsigned char *objects[OBJECTS_MAX];

static uint64_t used(void)
{
    return atomic_load(&budget.used_bytes);
}

static void pool_open(size_t object_bytes)
{
    budget_init(&budget, UINT64_MAX);
    pool_init(&pool, &budget, object_bytes);
}

static void assert_gone(void)
{
    assert_int_equal(pool.objects, 0);
    assert_true(used() <= SLAB_BYTES);
    pool_release(&pool);
    assert_int_equal(used(), 0);
}

/* ---- The budget --------------------------------------------------------- */

static void test_budget_limit(void **state)
{
    void *a, *b;

    (void)state;
    budget_init(&budget, 100);
    a = budget_alloc(&budget, 60);
    assert_non_null(a);
    assert_null(budget_alloc(&budget, 41));
    assert_null(budget_alloc_aligned(&budget, 64, 64));
    b = budget_alloc(&budget, 40);
    assert_non_null(b);
    assert_int_equal(used(), 100);
    assert_null(budget_alloc(&budget, 1));
    budget_free(&budget, a, 60);
    budget_free(&budget, NULL, 40);
    assert_int_equal(used(), 40);
    budget_free(&budget, b, 40);
    assert_int_equal(used(), 0);
}

static void test_budget_without_memory(void **state)
{
    (void)state;
    budget_init(&budget, UINT64_MAX);
    alloc_fail_at(1);
    assert_null(budget_alloc(&budget, 10));
    alloc_fail_at(1);
    assert_null(budget_alloc_aligned(&budget, 64, 64));
    alloc_fail_at(1);
    assert_null(budget_resize(&budget, NULL, 0, 10));
    assert_int_equal(used(), 0);
}

/* What could not grow is as it was. */
static void test_budget_resize(void **state)
{
    char *memory, *larger;

    (void)state;
    budget_init(&budget, 100);
    memory = budget_resize(&budget, NULL, 0, 10);
    assert_non_null(memory);
    memcpy(memory, "ringchat", sizeof("ringchat"));
    assert_null(budget_resize(&budget, memory, 10, 91));
    alloc_fail_at(1);
    assert_null(budget_resize(&budget, memory, 10, 20));
    assert_string_equal(memory, "ringchat");
    assert_int_equal(used(), 10);
    larger = budget_resize(&budget, memory, 10, 90);
    assert_non_null(larger);
    assert_string_equal(larger, "ringchat");
    assert_int_equal(used(), 90);
    budget_free(&budget, larger, 90);
    assert_int_equal(used(), 0);
}

/* ---- Pools -------------------------------------------------------------- */

/* All objects keep what is written to them, so none of them overlap. */
static void test_objects_are_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        size_t count = 5 * SLAB_BYTES / (sizes[i] < 64 ? 64 : sizes[i]);

        pool_open(sizes[i]);
        for (size_t j = 0; j < count; j++) {
            objects[j] = pool_alloc(&pool);
            assert_non_null(objects[j]);
            assert_int_equal((uintptr_t)objects[j] % 8, 0);
            memset(objects[j], (int)(j % 251), sizes[i]);
        }
        assert_int_equal(pool.objects, count);
        for (size_t j = 0; j < count; j++) {
            for (size_t k = 0; k < sizes[i]; k++)
                assert_true(objects[j][k] == j % 251);
        }
        while (count > 0)
            pool_free(&pool, objects[--count]);
        assert_gone();
    }
}

/* Allocates until a slab is full and the next one has been begun; returns how
 * many objects a slab has. */
static size_t fill_slab(void)
{
    size_t count = 0;

    objects[count++] = pool_alloc(&pool);
    assert_int_equal(used(), SLAB_BYTES);
    while (used() == SLAB_BYTES)
        objects[count++] = pool_alloc(&pool);
    assert_int_equal(used(), 2 * SLAB_BYTES);
    return count - 1;
}

static void test_slabs_are_filled(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        size_t bytes = (sizes[i] + 7) / 8 * 8;
        size_t count;

        pool_open(sizes[i]);
        count = fill_slab();
        /* The head of a slab costs less than 64 bytes. */
        assert_true(count * bytes <= SLAB_BYTES);
        assert_true((count + 1) * bytes > SLAB_BYTES - 64);
        for (size_t j = 0; j <= count; j++)
            pool_free(&pool, objects[j]);
        assert_gone();
    }
}

static void test_last_freed_comes_first(void **state)
{
    void *again[3];

    (void)state;
    pool_open(100);
    for (size_t i = 0; i < 10; i++)
        objects[i] = pool_alloc(&pool);
    for (size_t i = 4; i < 7; i++)
        pool_free(&pool, objects[i]);
    pool_free(&pool, NULL);
    assert_int_equal(pool.objects, 7);
    for (size_t i = 0; i < 3; i++)
        again[i] = pool_alloc(&pool);
    assert_ptr_equal(again[0], objects[6]);
    assert_ptr_equal(again[1], objects[5]);
    assert_ptr_equal(again[2], objects[4]);
    for (size_t i = 0; i < 10; i++)
        pool_free(&pool, objects[i]);
    assert_gone();
}

/* A full slab with a place again is used before a new one is. */
static void test_full_slab_comes_back(void **state)
{
    size_t count;

    (void)state;
    pool_open(1000);
    count = fill_slab();
    pool_free(&pool, objects[count]);
    pool_free(&pool, objects[3]);
    assert_ptr_equal(pool_alloc(&pool), objects[3]);
    for (size_t i = 0; i < count; i++)
        pool_free(&pool, objects[i]);
    assert_gone();
}

/* At the edge of a slab, coming and going allocates nothing. */
static void test_one_slab_is_spared(void **state)
{
    unsigned long before;
    size_t count;

    (void)state;
    pool_open(1000);
    count = fill_slab();
    before = alloc_count();
    for (int i = 0; i < 100; i++) {
        pool_free(&pool, objects[count]);
        objects[count] = pool_alloc(&pool);
        assert_non_null(objects[count]);
    }
    assert_int_equal(alloc_count(), before);
    for (size_t i = 0; i <= count; i++)
        pool_free(&pool, objects[i]);
    assert_int_equal(used(), SLAB_BYTES);
    assert_gone();
}

static void test_failure_changes_nothing(void **state)
{
    (void)state;
    pool_open(40000); /* one to a slab */
    objects[0] = pool_alloc(&pool);
    alloc_fail_at(1);
    assert_null(pool_alloc(&pool));
    budget.limit_bytes = 2 * SLAB_BYTES - 1;
    assert_null(pool_alloc(&pool));
    assert_int_equal(pool.objects, 1);
    assert_int_equal(used(), SLAB_BYTES);
    budget.limit_bytes = 2 * SLAB_BYTES;
    objects[1] = pool_alloc(&pool);
    assert_non_null(objects[1]);
    assert_int_equal(used(), 2 * SLAB_BYTES);
    pool_free(&pool, objects[0]);
    pool_free(&pool, objects[1]);
    assert_gone();
}

/* Objects come and go in any order; each keeps its first bytes meanwhile. */
static void come_and_go(struct rng *rng, size_t object_bytes)
{
    size_t count = 0;

    pool_open(object_bytes);
    for (int turn = 0; turn < 20000; turn++) {
        bool growing = turn / 2000 % 2 == 0;

        if (rng_below(rng, 10) < (growing ? 7 : 3) && count < OBJECTS_MAX) {
            unsigned char *object = pool_alloc(&pool);

            assert_non_null(object);
            *(void **)(void *)object = object;
            objects[count++] = object;
        } else if (count > 0) {
            size_t chosen = rng_below(rng, count);
            unsigned char *object = objects[chosen];

            assert_ptr_equal(*(void **)(void *)object, object);
            pool_free(&pool, object);
            objects[chosen] = objects[--count];
        }
        assert_int_equal(pool.objects, count);
        assert_true(used() >= count * object_bytes);
    }
    while (count > 0)
        pool_free(&pool, objects[--count]);
    assert_gone();
}

static void test_any_order(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        come_and_go(&rng, sizes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget_limit),
        cmocka_unit_test(test_budget_without_memory),
        cmocka_unit_test(test_budget_resize),
        cmocka_unit_test(test_objects_are_apart),
        cmocka_unit_test(test_slabs_are_filled),
        cmocka_unit_test(test_last_freed_comes_first),
        cmocka_unit_test(test_full_slab_comes_back),
        cmocka_unit_test(test_one_slab_is_spared),
        cmocka_unit_test(test_failure_changes_nothing),
        cmocka_unit_test(test_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
