/*
 * A buffer that grows by doubling to a bound, and is gone when it is empty: a
 * session between two requests has none.
 */
#include "common/wire/tail.h"

#include "common/buffer/budget.h"

#include <assert.h>
#include <string.h>

#define TAIL_BYTES_MIN 128

/* To `needed` bytes at least, and at most `most`. */
static bool tail_grow(struct decoder *decoder, struct budget *budget,
                      size_t needed, size_t most)
{
    size_t before = decoder->tail ? decoder->tail->size : 0;
    size_t size = before < TAIL_BYTES_MIN ? TAIL_BYTES_MIN : before;
    struct tail *tail;

    assert(needed <= most && most <= UINT32_MAX / 2);
    while (size < needed)
        size *= 2;
    if (size > most)
        size = most;
    tail = budget_resize(budget, decoder->tail, before, size);
    if (!tail)
        return false;
    tail->size = (uint32_t)size;
    decoder->tail = tail;
    return true;
}

bool tail_append(struct decoder *decoder, struct budget *budget,
                 const unsigned char *bytes, size_t length, size_t length_max)
{
    size_t before = tail_length(decoder);
    size_t needed = sizeof(struct tail) + before + length;

    assert(before + length > 0);
    if ((!decoder->tail || needed > decoder->tail->size) &&
        !tail_grow(decoder, budget, needed, sizeof(struct tail) + length_max))
        return false;
    memcpy(decoder->tail->bytes + before, bytes, length);
    decoder->tail->length = (uint32_t)(before + length);
    return true;
}

void tail_release(struct decoder *decoder, struct budget *budget)
{
    if (decoder->tail)
        budget_free(budget, decoder->tail, decoder->tail->size);
    decoder->tail = NULL;
}

void tail_drop_spent(struct decoder *decoder, struct budget *budget)
{
    if (!decoder->spent)
        return;
    tail_release(decoder, budget);
    decoder->spent = false;
}
