/*
 * The heap. Invariant: a parent's deadline is not after its children's, and
 * heap[s->timer_index].session is s.
 */
#include "common/chat/timers.h"

#include "common/chat/internal.h"

#include <assert.h>

#define TIMERS_MIN (MAPPED_BYTES_MIN / (uint32_t)sizeof(struct timer))

bool timers_reserve(struct timers *timers, struct budget *budget)
{
    uint32_t capacity = timers->capacity ? timers->capacity * 2 : TIMERS_MIN;
    struct timer *heap;

    if (timers->count < timers->capacity)
        return true;
    heap = budget_resize(budget, timers->heap,
                         timers->capacity * sizeof(struct timer),
                         capacity * sizeof(struct timer));
    if (!heap)
        return false;
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

void timers_release(struct timers *timers, struct budget *budget)
{
    assert(timers->count == 0);
    budget_free(budget, timers->heap, timers->capacity * sizeof(struct timer));
    *timers = (struct timers){0};
}

static void place(struct timers *timers, uint32_t index, struct timer timer)
{
    timers->heap[index] = timer;
    timer.session->timer_index = index;
}

static void sift_up(struct timers *timers, uint32_t index, struct timer timer)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;

        if (timers->heap[parent].deadline_ns <= timer.deadline_ns)
            break;
        place(timers, index, timers->heap[parent]);
        index = parent;
    }
    place(timers, index, timer);
}

static void sift_down(struct timers *timers, uint32_t index, struct timer timer)
{
    for (;;) {
        uint32_t child = index * 2 + 1;

        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && timers->heap[child + 1].deadline_ns <
                                             timers->heap[child].deadline_ns)
            child++;
        if (timers->heap[child].deadline_ns >= timer.deadline_ns)
            break;
        place(timers, index, timers->heap[child]);
        index = child;
    }
    place(timers, index, timer);
}

/* `timer` replaces whatever was at `index`. */
static void replace(struct timers *timers, uint32_t index, struct timer timer)
{
    if (timer.deadline_ns < timers->heap[index].deadline_ns)
        sift_up(timers, index, timer);
    else
        sift_down(timers, index, timer);
}

void timers_add(struct timers *timers, struct session *session,
                uint64_t deadline_ns)
{
    assert(timers->count < timers->capacity);
    timers->count++;
    sift_up(timers, timers->count - 1, (struct timer){deadline_ns, session});
}

void timers_remove(struct timers *timers, struct session *session)
{
    uint32_t index = session->timer_index;
    struct timer last;

    assert(timers->heap[index].session == session);
    last = timers->heap[--timers->count];
    if (last.session != session)
        replace(timers, index, last);
}

void timers_set(struct timers *timers, struct session *session,
                uint64_t deadline_ns)
{
    assert(timers->heap[session->timer_index].session == session);
    replace(timers, session->timer_index, (struct timer){deadline_ns, session});
}

void timers_advance(struct timers *timers, struct session *session,
                    uint64_t deadline_ns)
{
    if (deadline_ns < timers->heap[session->timer_index].deadline_ns)
        timers_set(timers, session, deadline_ns);
}

uint64_t timers_next(const struct timers *timers)
{
    return timers->count > 0 ? timers->heap[0].deadline_ns : UINT64_MAX;
}
