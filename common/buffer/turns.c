/*
 * Turns. Invariant:
 *
 *   T1  a worker that has seen a stamp sees all that was unlinked before it.
 *
 * So, while it stays online, the owner needs its word alone: whoever has seen
 * the stamp can find nothing old any more, and has put down what it had found.
 * Coming online is the one place where a worker and an owner could miss each
 * other, the worker saying that it is there and the owner looking for it: as in
 * Dekker's algorithm, each has to write before it reads, in an order that both
 * agree on (seq_cst). An atomic_thread_fence would do as well, but not for
 * ThreadSanitizer, which does not see it (gcc(1), -Wtsan).
 */
#include "common/buffer/turns.h"

#include <assert.h>

#define OFFLINE UINT64_MAX

void turns_init(struct turns *turns, uint32_t count)
{
    assert(count <= WORKERS_MAX);
    turns->count = count;
    atomic_init(&turns->stamp, 0);
    for (uint32_t i = 0; i < WORKERS_MAX; i++)
        atomic_init(&turns->workers[i].seen, OFFLINE);
}

void turns_announce(struct turns *turns, uint32_t worker)
{
    /* Acquire: what was unlinked before the stamp. Partner: turns_stamp. */
    uint64_t stamp = atomic_load_explicit(&turns->stamp, memory_order_acquire);

    /* Release: our reads of the turns before are over. Partner: the load in
     * turns_passed. That it may become visible late only delays a free. */
    atomic_store_explicit(&turns->workers[worker].seen, stamp,
                          memory_order_release);
}

void turns_online(struct turns *turns, uint32_t worker)
{
    /* An old one will do: it makes an owner wait for our next turn. */
    uint64_t stamp = atomic_load_explicit(&turns->stamp, memory_order_acquire);

    /* Here we are, then look. Partner: in turns_stamp and turns_passed an owner
     * stamps, then looks for us. All four are seq_cst, so that either it sees
     * us here, or we see its stamp, and with it (acquire) what was unlinked:
     * the value is not needed, to have read it is. */
    atomic_store_explicit(&turns->workers[worker].seen, stamp,
                          memory_order_seq_cst);
    (void)atomic_load_explicit(&turns->stamp, memory_order_seq_cst);
}

void turns_offline(struct turns *turns, uint32_t worker)
{
    /* Release: our reads are over. Partner: the load in turns_passed. */
    atomic_store_explicit(&turns->workers[worker].seen, OFFLINE,
                          memory_order_release);
}

uint64_t turns_stamp(struct turns *turns)
{
    /* Release: what we have unlinked. Partners: the loads of `stamp` in
     * turns_announce and turns_online. seq_cst: see turns_online. That it adds
     * keeps another owner's release of an earlier stamp in force. */
    return atomic_fetch_add_explicit(&turns->stamp, 1, memory_order_seq_cst) +
           1;
}

bool turns_passed(const struct turns *turns, uint64_t stamp)
{
    for (uint32_t i = 0; i < turns->count; i++) {
        /* Acquire: its reads came before what we free now. Partners: the
         * stores of `seen`. seq_cst: see turns_online. */
        if (atomic_load_explicit(&turns->workers[i].seen,
                                 memory_order_seq_cst) < stamp)
            return false;
    }
    return true;
}
