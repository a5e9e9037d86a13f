/*
 * The counter behind budget.h, and malloc.
 */
#include "common/buffer/budget.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

void budget_init(struct budget *budget, uint64_t limit_bytes)
{
    budget->limit_bytes = limit_bytes;
    atomic_init(&budget->used_bytes, 0);
}

static void budget_return(struct budget *budget, size_t length)
{
    uint64_t before = atomic_fetch_sub_explicit(&budget->used_bytes, length,
                                                memory_order_relaxed);

    assert(before >= length);
}

/* Adds first and looks after, so that two workers cannot both take the last
 * bytes. */
static bool budget_take(struct budget *budget, size_t length)
{
    uint64_t before = atomic_fetch_add_explicit(&budget->used_bytes, length,
                                                memory_order_relaxed);

    if (before + length <= budget->limit_bytes)
        return true;
    budget_return(budget, length);
    return false;
}

void *budget_alloc(struct budget *budget, size_t length)
{
    void *memory;

    if (!budget_take(budget, length))
        return NULL;
    memory = malloc(length);
    if (!memory)
        budget_return(budget, length);
    return memory;
}

void *budget_alloc_aligned(struct budget *budget, size_t alignment,
                           size_t length)
{
    void *memory;

    if (!budget_take(budget, length))
        return NULL;
    if (posix_memalign(&memory, alignment, length) == 0)
        return memory;
    budget_return(budget, length);
    return NULL;
}

void *budget_resize(struct budget *budget, void *memory, size_t old_length,
                    size_t new_length)
{
    void *resized;

    if (!budget_take(budget, new_length))
        return NULL;
    resized = realloc(memory, new_length);
    budget_return(budget, resized ? old_length : new_length);
    return resized;
}

void budget_free(struct budget *budget, void *memory, size_t length)
{
    if (!memory)
        return;
    free(memory);
    budget_return(budget, length);
}
