/*
 * A buffer that grows by doubling to a bound, and is gone when it is empty: a
 * session between two requests has none.
 */
#include "common/wire/tail.h"

#include "common/buffer/budget.h"

#include <assert.h>
#include <string.h>

#define TAIL_BYTES_MIN 128

static bool tail_grow(struct decoder *decoder, struct budget *budget,
                      size_t needed, size_t capacity_max)
{
    size_t capacity = decoder->tail_capacity;
    unsigned char *tail;

    assert(needed <= capacity_max && capacity_max <= UINT32_MAX / 2);
    if (capacity < TAIL_BYTES_MIN)
        capacity = TAIL_BYTES_MIN;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > capacity_max)
        capacity = capacity_max;
    tail =
        budget_resize(budget, decoder->tail, decoder->tail_capacity, capacity);
    if (!tail)
        return false;
    decoder->tail = tail;
    decoder->tail_capacity = (uint32_t)capacity;
    return true;
}

bool tail_append(struct decoder *decoder, struct budget *budget,
                 const unsigned char *bytes, size_t length, size_t capacity_max)
{
    size_t needed = decoder->tail_length + length;

    if (needed > decoder->tail_capacity &&
        !tail_grow(decoder, budget, needed, capacity_max))
        return false;
    memcpy(decoder->tail + decoder->tail_length, bytes, length);
    decoder->tail_length = (uint32_t)needed;
    return true;
}

void tail_release(struct decoder *decoder, struct budget *budget)
{
    budget_free(budget, decoder->tail, decoder->tail_capacity);
    decoder->tail = NULL;
    decoder->tail_length = 0;
    decoder->tail_capacity = 0;
}
