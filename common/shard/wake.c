/*
 * One flag, and its exchanges: wake.h says why they are what they are.
 */
#include "common/shard/wake.h"

void sleeper_init(struct sleeper *sleeper)
{
    atomic_init(&sleeper->sleeping, false);
}

bool wake_needed(struct sleeper *other)
{
    return atomic_exchange_explicit(&other->sleeping, false,
                                    memory_order_acq_rel);
}

void sleep_prepare(struct sleeper *mine)
{
    atomic_exchange_explicit(&mine->sleeping, true, memory_order_acq_rel);
}

void sleep_over(struct sleeper *mine)
{
    atomic_exchange_explicit(&mine->sleeping, false, memory_order_acq_rel);
}
