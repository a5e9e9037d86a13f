/*
 * One of the two engines: one ring for each worker, completion. It is that of
 * stage 4.
 *
 * The kernel is told what to do, for all at once, and tells what has been done.
 * A receive stands ordered for each connection; a send is ordered when there is
 * something to send. One turn:
 *
 *     turn_wait        io_uring_enter(2): what has been ordered, what is over
 *     sends_over       what has become of the last turn's sends
 *     on_completion    what has come is handed to the chat
 *     worker_accept    who comes is let in
 *     send_ready       what the chat has for them is ordered
 *     chat_publish     what it has for other workers is theirs to see, and to
 *                      wake them is ordered
 *
 * All is read before anything is sent: what many have said in one turn goes to
 * each member in one send. A peer that takes no more is left alone until the
 * kernel says that it does; the chat keeps its place meanwhile.
 *
 * What is ordered to be sent may lie in another worker's room, which keeps it
 * for us until we announce our next turn, or sleep. The kernel reads it in the
 * io_uring_enter(2) after: so as long as a send is not over, neither is done.
 */
#include "stage5-threads/uring.h"

#include "common/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* At the end: how long to wait at a time for what has been taken back. */
#define FINISH_NS (1000 * NS_PER_US)

/* ---- What the kernel is told -------------------------------------------- */

uint64_t token(enum operation operation, uint32_t slot, uint16_t generation)
{
    return (uint64_t)operation << 48 | (uint64_t)generation << 32 | slot;
}

/* When there is no room for one more, what there is goes to the kernel now. */
struct io_uring_sqe *order(struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring.uring);

    if (sqe)
        return sqe;
    ring_submit(&uring->ring);
    sqe = io_uring_get_sqe(&uring->ring.uring);
    if (!sqe)
        uring->refused = true;
    return sqe;
}

/* IORING_OP_ASYNC_CANCEL of what has the token: ECANCELED will be its end.
 * CQE_SKIP_SUCCESS: that says enough. ENOENT, EALREADY: it was over just then,
 * or is about to be. */
bool order_cancel(struct uring *uring, uint64_t about)
{
    struct io_uring_sqe *sqe = order(uring);

    if (!sqe)
        return false;
    io_uring_prep_cancel64(sqe, about, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(sqe, token(OPERATION_CANCEL, 0, 0));
    return true;
}

/* IORING_OP_ASYNC_CANCEL, ASYNC_CANCEL_ANY: of all that is still ordered. The
 * kernel would do that by itself, but some time after we have exited, and keep
 * our ports until then. */
static void order_cancel_all(struct uring *uring)
{
    struct io_uring_sqe *sqe = order(uring);

    if (!sqe)
        return;
    io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(sqe, token(OPERATION_CANCEL, 0, 0));
}

/* ---- What is watched ---------------------------------------------------- */

static uint64_t token_of(const struct uring *uring, const struct watch *watch)
{
    return token(OPERATION_WATCH, (uint32_t)(watch - uring->watches), 0);
}

/* IORING_OP_POLL_ADD, multishot: a completion each time that something has
 * come, with CQE_F_MORE as long as more will. Without memory for the order it
 * stays due. */
static void order_watch(struct uring *uring, struct watch *watch)
{
    struct io_uring_sqe *sqe = order(uring);

    if (!sqe)
        return;
    io_uring_prep_poll_multishot(sqe, watch->fd, POLLIN);
    io_uring_sqe_set_data64(sqe, token_of(uring, watch));
    watch->ordered = true;
    uring->operations++;
}

static void watches_due(struct uring *uring)
{
    for (uint32_t i = 0; i < uring->watch_count; i++) {
        struct watch *watch = &uring->watches[i];

        if (watch->wanted && !watch->ordered)
            order_watch(uring, watch);
    }
}

static int uring_watch(struct worker *worker, enum source source,
                       uint32_t index, int fd)
{
    struct uring *uring = worker->io;

    assert(uring->watch_count < WATCHES_MAX);
    uring->watches[uring->watch_count++] = (struct watch){
        .source = source, .index = index, .fd = fd, .wanted = true};
    return 0;
}

/* The order keeps the descriptor open until it is taken back. */
static void uring_unwatch(struct worker *worker, enum source source,
                          uint32_t index, int fd)
{
    struct uring *uring = worker->io;

    (void)source;
    (void)index;
    for (uint32_t i = 0; i < uring->watch_count; i++) {
        struct watch *watch = &uring->watches[i];

        if (!watch->wanted || watch->fd != fd)
            continue;
        watch->wanted = false;
        order_cancel(uring, token_of(uring, watch));
    }
}

static void on_watch(struct uring *uring, const struct io_uring_cqe *cqe)
{
    struct watch *watch = &uring->watches[(uint32_t)cqe->user_data];

    if (is_over(cqe)) {
        watch->ordered = false;
        uring->operations--;
    }
    if (cqe->res > 0)
        on_watched(uring->worker, watch->source, watch->index);
}

/* ---- Wake-ups ----------------------------------------------------------- */

/* It is ordered before the next wait, which is at once. */
static void uring_wake(struct worker *worker, struct worker *other)
{
    struct uring *uring = worker->io;

    uring->owed |= UINT64_C(1) << other->index;
}

/* IORING_OP_MSG_RING: posts a completion to the other's ring, whose number it
 * has written down before it served. IOSQE_CQE_SKIP_SUCCESS: we hear of it only
 * if that fails, but at the end, when we wait for it. False without memory for
 * the order: it stays owed. */
static bool order_wake(struct uring *uring, uint32_t other)
{
    const struct uring *target = uring->worker->server->workers[other].io;
    struct io_uring_sqe *sqe = order(uring);

    if (!sqe)
        return false;
    io_uring_prep_msg_ring(sqe, target->ring.uring.ring_fd, 0,
                           token(OPERATION_WOKEN, 0, 0), 0);
    if (uring->finishing) {
        io_uring_sqe_set_data64(sqe, token(OPERATION_LAST_WAKE, other, 0));
        uring->operations++;
    } else {
        io_uring_sqe_set_data64(sqe, token(OPERATION_WAKE, other, 0));
        io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    }
    return true;
}

static void wakes_due(struct uring *uring)
{
    uint64_t left = uring->owed;

    while (left != 0) {
        uint32_t other = (uint32_t)__builtin_ctzll(left);

        if (!order_wake(uring, other))
            return;
        left &= left - 1;
        uring->owed = left;
    }
}

/* EOVERFLOW: the other has more completions than have room, and so is awake.
 * ENOMEM, EAGAIN: the kernel has no memory for one more now. */
static void on_wake(struct uring *uring, const struct io_uring_cqe *cqe)
{
    assert(cqe->res == -EOVERFLOW || cqe->res == -ENOMEM ||
           cqe->res == -EAGAIN || cqe->res == 0);
    if (cqe->res == -ENOMEM || cqe->res == -EAGAIN)
        uring->owed |= UINT64_C(1) << (uint32_t)cqe->user_data;
}

/* ---- Completions -------------------------------------------------------- */

static enum operation operation_of(const struct io_uring_cqe *cqe)
{
    return (enum operation)(cqe->user_data >> 48);
}

static void on_completion(struct uring *uring, const struct io_uring_cqe *cqe)
{
    switch (operation_of(cqe)) {
    case OPERATION_WATCH:
        on_watch(uring, cqe);
        break;
    case OPERATION_RECEIVE:
        on_received(uring, cqe);
        break;
    case OPERATION_WRITABLE:
        on_writable(uring, cqe);
        break;
    case OPERATION_LAST_WAKE:
        uring->operations--;
        on_wake(uring, cqe);
        break;
    case OPERATION_WAKE:
        on_wake(uring, cqe);
        break;
    case OPERATION_SEND:   /* sends_over has seen to it */
    case OPERATION_CANCEL: /* what it was about says how it ended */
    case OPERATION_WOKEN:  /* to have woken us was all it is for */
        break;
    }
}

/* Before anything else, so that who waited for others to be sent something is
 * read from again. What was submitted has been read by the kernel: there is
 * room for more. */
static void sends_over(struct uring *uring, unsigned count)
{
    const struct io_uring_cqe *cqes = uring->ring.completions;

    for (unsigned i = 0; i < count; i++) {
        if (operation_of(&cqes[i]) == OPERATION_SEND)
            on_sent(uring, &cqes[i]);
    }
    if (uring->ring.submitted)
        uring->send_count = 0;
}

/* A receive that found its pool empty. */
static bool found_none(const struct io_uring_cqe *cqe)
{
    return operation_of(cqe) == OPERATION_RECEIVE && cqe->res == -ENOBUFS;
}

/* Those that found none are ordered again before those that took them all, or
 * they might find none for ever. */
static void completions_due(struct uring *uring, unsigned count)
{
    const struct io_uring_cqe *cqes = uring->ring.completions;

    for (unsigned i = 0; i < count; i++) {
        if (found_none(&cqes[i]))
            on_completion(uring, &cqes[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        if (!found_none(&cqes[i]))
            on_completion(uring, &cqes[i]);
    }
}

/* ---- Turns -------------------------------------------------------------- */

/* io_uring_enter(2), in ring_turn: submits, and waits, with a time-out in
 * nanoseconds; the number of completions. */
static unsigned wait_until(struct uring *uring, uint64_t until_ns)
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct __kernel_timespec timeout = {
        .tv_sec = (long long)(ns / NS_PER_SECOND),
        .tv_nsec = (long long)(ns % NS_PER_SECOND),
    };

    return ring_turn(&uring->ring, until_ns == UINT64_MAX ? NULL : &timeout);
}

/* Who has sends under way does not wait, for they are over as soon as they are
 * submitted; nor does who could order no more of them, for others may be ready,
 * and if the kernel has taken these, but not all behind them, nothing comes of
 * what is left; nor who has been refused an order, for what that was for is
 * due; nor who finds news in chat_sleep, or could not order all that wakes
 * others. */
static unsigned turn_wait(struct uring *uring)
{
    struct worker *worker = uring->worker;
    bool sleeps = uring->sending == 0 && uring->send_count < SENDS_MAX &&
                  !uring->refused && chat_sleep(worker->chat);
    uint64_t until_ns = worker_deadline(worker);
    unsigned count;

    wakes_due(uring);
    count = wait_until(uring, sleeps && uring->owed == 0 ? until_ns : 0);
    if (sleeps)
        chat_awake(worker->chat);
    return count;
}

static void turn(struct uring *uring)
{
    struct worker *worker = uring->worker;
    unsigned count = turn_wait(uring);

    sends_over(uring, count);
    if (uring->sending == 0)
        chat_announce(worker->chat);
    worker_begin(worker);
    completions_due(uring, count);
    take_back_due(uring);
    watches_due(uring);
    worker_accept(worker);
    send_ready(uring);
    if (worker_cuts(worker))
        cut(uring);
    chat_publish(worker->chat);
}

/* What is still watched is taken back, and all others are woken once more: that
 * one of the last wake-ups has failed we may not have heard yet. */
static void finish(struct uring *uring)
{
    uint64_t workers = uring->worker->server->options.workers;
    uint64_t own = UINT64_C(1) << uring->worker->index;

    uring->finishing = true;
    uring->owed = UINT64_MAX >> (64 - workers) & ~own;
    while (uring->operations > 0 || uring->owed != 0 ||
           !uring->ring.submitted) {
        unsigned count;

        wakes_due(uring);
        order_cancel_all(uring);
        count = wait_until(uring, clock_mono_ns() + FINISH_NS);
        completions_due(uring, count);
    }
}

static void uring_serve(struct worker *worker)
{
    struct uring *uring = worker->io;

    worker->turn_ns = clock_mono_ns();
    watches_due(uring);
    while (worker_is_serving(worker))
        turn(uring);
    finish(uring);
}

/* ---- Starting ----------------------------------------------------------- */

static int uring_open(struct worker *worker)
{
    struct uring *uring = calloc(1, sizeof(*uring));
    int error;

    if (!uring)
        return -ENOMEM;
    uring->worker = worker;
    table_init(uring);
    error = ring_open(&uring->ring);
    if (error != 0) {
        free(uring);
        return error;
    }
    worker->io = uring;
    return 0;
}

static void uring_close(struct worker *worker)
{
    struct uring *uring = worker->io;

    ring_close(&uring->ring);
    table_release(uring);
    free(uring);
}

const struct engine engine_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .watch = uring_watch,
    .unwatch = uring_unwatch,
    .connect = uring_connect,
    .serve = uring_serve,
    .wake = uring_wake,
};
