/*
 * Completions, on their way back: some are kept for some turns, and those of
 * different orders come in another order, as they well may: each is carried out
 * on its own. Those of one order (multishot) stay as they were. Those of sends
 * are not kept: a send is over when it is submitted, and so before what is
 * ordered, or happens, after that.
 */
#include "tests/faults/faults.h"
#include "tests/faults/ring.h"

#include "common/base/clock.h"

#include <assert.h>
#include <string.h>
#include <time.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp):
 * the names are the linker's */
int __real_ring_open(struct ring *);
int __wrap_ring_open(struct ring *);
unsigned __real_ring_turn(struct ring *, struct __kernel_timespec *);
unsigned __wrap_ring_turn(struct ring *, struct __kernel_timespec *);

/* In time: most often none, for a flood is a hundred thousand turns. */
#define BRIEF_IN 32
#define BRIEF_NS (500 * NS_PER_US)
#define OVERSLEPT_NS_MAX (1000 * NS_PER_US)
#define LATE_TURNS_MAX 6
/* From half of it on nothing is kept: a turn brings COMPLETIONS_MAX at most,
 * and as many go. */
#define KEPT_MAX (8 * COMPLETIONS_MAX)

/* In the order in which they came. */
static _Thread_local struct io_uring_cqe kept[KEPT_MAX];
static _Thread_local unsigned turns_left[KEPT_MAX]; /* until it is told */
static _Thread_local bool prompt[KEPT_MAX]; /* it is told now, before others */
static _Thread_local unsigned count;

/* What orders.c has marked, as it is to be told. */
static struct io_uring_cqe unmarked(const struct io_uring_cqe *cqe)
{
    int error = (int)(cqe->user_data >> MARK_ERROR_SHIFT);

    return (struct io_uring_cqe){
        .user_data = cqe->user_data & ~MARKS,
        .res = error && cqe->res >= 0 ? -error : cqe->res,
        .flags = cqe->flags,
    };
}

static void keep(const struct io_uring_cqe *cqe)
{
    bool send = cqe->user_data & MARK_SEND;
    bool late = !send && fault_happens(FAULT_LATE);

    assert(count < KEPT_MAX);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        order_over(cqe->user_data & ~MARKS);
    prompt[count] = send;
    turns_left[count] = late ? 1 + fault_below(LATE_TURNS_MAX) : 0;
    kept[count++] = unmarked(cqe);
}

static void remove_at(unsigned at)
{
    count--;
    memmove(&kept[at], &kept[at + 1], (count - at) * sizeof(kept[0]));
    memmove(&turns_left[at], &turns_left[at + 1],
            (count - at) * sizeof(turns_left[0]));
    memmove(&prompt[at], &prompt[at + 1], (count - at) * sizeof(prompt[0]));
}

static void turn_begins(void)
{
    for (unsigned i = 0; i < count; i++) {
        if (turns_left[i] > 0)
            turns_left[i] = count > KEPT_MAX / 2 ? 0 : turns_left[i] - 1;
    }
}

static bool is_first_of_its_order(unsigned at)
{
    for (unsigned i = 0; i < at; i++) {
        if (kept[i].user_data == kept[at].user_data)
            return false;
    }
    return true;
}

/* A send, or any that may be told now; `count` for none. */
static unsigned choose(void)
{
    unsigned choice = count, choices = 0;

    for (unsigned i = 0; i < count; i++) {
        if (prompt[i])
            return i;
        if (turns_left[i] > 0 || !is_first_of_its_order(i))
            continue;
        choices++;
        if (fault_below(choices) == 0)
            choice = i;
    }
    return choice;
}

static unsigned tell(struct ring *ring)
{
    unsigned told = 0, at;

    while (told < COMPLETIONS_MAX && (at = choose()) < count) {
        ring->completions[told++] = kept[at];
        remove_at(at);
    }
    return told;
}

/* A turn with some kept, or that wakes for nothing, does not wait, or not for
 * long. */
static struct __kernel_timespec *shortened(struct __kernel_timespec *timeout,
                                           struct __kernel_timespec *brief)
{
    if (count == 0 && !fault_happens(FAULT_WAKE))
        return timeout;
    brief->tv_nsec = fault_below(BRIEF_IN) == 0 ? BRIEF_NS : 0;
    if (timeout && timeout->tv_sec == 0 && timeout->tv_nsec <= brief->tv_nsec)
        return timeout;
    return brief;
}

/* Who is woken late: others have gone on meanwhile, and take it to be awake. */
static void oversleep(const struct ring *ring, unsigned came)
{
    for (unsigned i = 0; i < came; i++) {
        struct timespec pause = {0};

        if (!(ring->completions[i].user_data & MARK_OVERSLEPT))
            continue;
        pause.tv_nsec = fault_below(OVERSLEPT_NS_MAX);
        nanosleep(&pause, NULL);
    }
}

int __wrap_ring_open(struct ring *ring)
{
    faults_begin();
    return __real_ring_open(ring);
}

unsigned __wrap_ring_turn(struct ring *ring, struct __kernel_timespec *timeout)
{
    struct __kernel_timespec brief = {0};
    unsigned came;

    if (!faults_on())
        return __real_ring_turn(ring, timeout);
    came = __real_ring_turn(ring, shortened(timeout, &brief));
    orders_all_seen(&ring->uring);
    oversleep(ring, came);
    turn_begins();
    for (unsigned i = 0; i < came; i++)
        keep(&ring->completions[i]);
    return tell(ring);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
