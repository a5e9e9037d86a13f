/*
 * Orders, on their way to the kernel: some are changed, some are kept back.
 *
 * One that is to fail becomes a NOP, and its token says which error is told in
 * place of the NOP's success: each is one that the kernel gives for that order,
 * and then it does nothing else either. One that is to come short is ordered
 * short.
 */
#include "tests/faults/faults.h"
#include "tests/faults/ring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp):
 * the names are the linker's */
int __real_accept4(int, struct sockaddr *, socklen_t *, int);
int __wrap_accept4(int, struct sockaddr *, socklen_t *, int);
int __real_io_uring_submit(struct io_uring *);
int __real_io_uring_submit_and_wait_timeout(struct io_uring *,
                                            struct io_uring_cqe **, unsigned,
                                            struct __kernel_timespec *,
                                            sigset_t *);
int __real_io_uring_submit_and_get_events(struct io_uring *);
int __wrap_io_uring_submit(struct io_uring *);
int __wrap_io_uring_submit_and_get_events(struct io_uring *);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *,
                                            struct io_uring_cqe **, unsigned,
                                            struct __kernel_timespec *,
                                            sigset_t *);

/* ---- Watched ------------------------------------------------------------ */

/*
 * Who can be sent to in part only is watched: the kernel says when it can be
 * sent to again. If it is watched already, and multishot, the kernel says so
 * by an edge; but of a send that we have made short there is none. So there a
 * send stays as it is.
 *
 * By slot, the token of the poll; each of a connection's tokens ends with its
 * slot, be that its descriptor or its place in a table.
 */
#define SLOTS_MAX (1 << 14)

static _Thread_local uint64_t watched[SLOTS_MAX];

static bool is_watched(uint64_t token)
{
    assert((uint32_t)token < SLOTS_MAX);
    return watched[(uint32_t)token] != 0;
}

static void watch(const struct io_uring_sqe *sqe)
{
    if (!(sqe->poll32_events & POLLOUT))
        return; /* of no connection */
    assert(!is_watched(sqe->user_data));
    watched[(uint32_t)sqe->user_data] = sqe->user_data;
}

void order_over(uint64_t token)
{
    if (is_watched(token) && watched[(uint32_t)token] == token)
        watched[(uint32_t)token] = 0;
}

/* ---- Changed ------------------------------------------------------------ */

static void fail(struct io_uring_sqe *sqe, unsigned error)
{
    io_uring_prep_nop(sqe);
    sqe->user_data |= (uint64_t)error << MARK_ERROR_SHIFT;
}

/* ENOBUFS comes also when there are buffers: another took them, and gave them
 * back. */
static void change_receive(struct io_uring_sqe *sqe)
{
    static const unsigned deadly[] = {ECONNRESET, ETIMEDOUT, ENOMEM};

    if (fault_happens(FAULT_DEADLY))
        fail(sqe, deadly[fault_below(3)]);
    else if (fault_happens(FAULT_NO_BUFFER))
        fail(sqe, ENOBUFS);
    else if (fault_happens(FAULT_RECEIVE_SHORT))
        sqe->len = (unsigned)fault_magnitude(LARGE_BYTES);
}

/* An error, or 0. EMFILE, ENFILE: the server gives up its spare descriptor, and
 * then the next client may be one too many. */
static unsigned accept_error(void)
{
    static const unsigned deadly[] = {EMFILE, ENFILE};
    static const unsigned harmless[] = {ECONNABORTED, ENOMEM};

    if (fault_happens(FAULT_DEADLY))
        return deadly[fault_below(2)];
    if (fault_happens(FAULT_NO_ACCEPT))
        return harmless[fault_below(2)];
    return 0;
}

static void change_accept(struct io_uring_sqe *sqe)
{
    unsigned error = accept_error();

    if (error)
        fail(sqe, error);
    else if (fault_happens(FAULT_ONCE))
        sqe->ioprio &= (uint16_t)~IORING_ACCEPT_MULTISHOT;
}

static void change_poll(struct io_uring_sqe *sqe)
{
    watch(sqe);
    if (fault_happens(FAULT_NO_POLL))
        fail(sqe, ENOMEM);
    else if (fault_happens(FAULT_ONCE))
        sqe->len &= ~(unsigned)IORING_POLL_ADD_MULTI;
}

#define VECTORS_MAX 2

/* A message of ours, for the other is the server's, who must not see it
 * changed. One for each entry of the queue: needed until that is submitted. */
static _Thread_local struct part {
    struct msghdr message;
    struct iovec vectors[VECTORS_MAX];
} parts[ORDERS_MAX];

static size_t message_bytes(const struct msghdr *message)
{
    size_t bytes = 0;

    for (size_t i = 0; i < message->msg_iovlen; i++)
        bytes += message->msg_iov[i].iov_len;
    return bytes;
}

static void part_init(struct part *part, const struct msghdr *whole,
                      size_t bytes)
{
    assert(whole->msg_iovlen <= VECTORS_MAX);
    part->message = *whole;
    part->message.msg_iov = part->vectors;
    part->message.msg_iovlen = 0;
    for (size_t i = 0; bytes > 0; i++) {
        size_t length = whole->msg_iov[i].iov_len;

        part->vectors[i] = whole->msg_iov[i];
        if (length > bytes)
            length = bytes;
        part->vectors[i].iov_len = length;
        part->message.msg_iovlen++;
        bytes -= length;
    }
}

static void shorten_message(struct io_uring_sqe *sqe, struct part *part)
{
    const struct msghdr *whole = (const struct msghdr *)(uintptr_t)sqe->addr;
    size_t bytes = message_bytes(whole);

    if (bytes < 2)
        return;
    part_init(part, whole, fault_magnitude(bytes - 1));
    sqe->addr = (uintptr_t)&part->message;
}

static void shorten(struct io_uring_sqe *sqe, struct part *part)
{
    if (sqe->opcode == IORING_OP_SENDMSG)
        shorten_message(sqe, part);
    else if (sqe->len > 1)
        sqe->len = (unsigned)fault_magnitude(sqe->len - 1);
}

static void change_send(struct io_uring_sqe *sqe, struct part *part)
{
    static const unsigned deadly[] = {ECONNRESET, EPIPE, ENOMEM};

    sqe->user_data |= MARK_SEND;
    if (fault_happens(FAULT_DEADLY))
        fail(sqe, deadly[fault_below(3)]);
    else if (is_watched(sqe->user_data))
        return;
    else if (fault_happens(FAULT_SEND_NOTHING))
        fail(sqe, EAGAIN);
    else if (fault_happens(FAULT_SEND_SHORT))
        shorten(sqe, part);
}

/* Wakes all the same, and says otherwise: of one that has no room for what
 * wakes it, all that matters is that it is awake. */
static void overflow(struct io_uring_sqe *sqe)
{
    sqe->flags &= (uint8_t)~IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data |= (uint64_t)EOVERFLOW << MARK_ERROR_SHIFT;
}

/* `off` is what the other ring is told with. */
static void change_wake(struct io_uring_sqe *sqe)
{
    static const unsigned wants[] = {ENOMEM, EAGAIN};

    assert(!(sqe->off & MARKS));
    if (fault_happens(FAULT_NO_WAKE))
        fail(sqe, wants[fault_below(2)]);
    else if (fault_happens(FAULT_NO_ROOM))
        overflow(sqe);
    else if (fault_happens(FAULT_OVERSLEPT))
        sqe->off |= MARK_OVERSLEPT;
}

static void change(struct io_uring_sqe *sqe, struct part *part)
{
    assert(!(sqe->user_data & MARKS));
    switch (sqe->opcode) {
    case IORING_OP_RECV:
        change_receive(sqe);
        break;
    case IORING_OP_ACCEPT:
        change_accept(sqe);
        break;
    case IORING_OP_POLL_ADD:
        change_poll(sqe);
        break;
    case IORING_OP_ASYNC_CANCEL:
        break; /* fails by itself if what it is about is over: see FAULT_LATE */
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
        change_send(sqe, part);
        break;
    case IORING_OP_MSG_RING:
        change_wake(sqe);
        break;
    default:
        assert(!"an order that nothing is known of: see to it here");
    }
}

/* ---- Kept back ---------------------------------------------------------- */

/* Those that liburing has not seen yet. Those that it has and that the kernel
 * did not take are changed already. */
static unsigned orders_new(const struct io_uring *uring)
{
    return uring->sq.sqe_tail - uring->sq.sqe_head;
}

/* How many of the last ones are kept back. */
static unsigned orders_kept(const struct io_uring *uring)
{
    unsigned count = orders_new(uring);

    if (count < 2 || !fault_happens(FAULT_NOT_SUBMITTED))
        return 0;
    return 1 + fault_below(count - 1);
}

static _Thread_local unsigned seen; /* up to here */

void orders_all_seen(const struct io_uring *uring)
{
    assert(uring->sq.sqe_head == seen);
}

/* Those that are not kept back are changed, and nothing is to be seen of the
 * others until orders_restore. Returns how many those are. */
static unsigned orders_change(struct io_uring *uring)
{
    struct io_uring_sq *sq = &uring->sq;
    unsigned kept = orders_kept(uring);

    sq->sqe_tail -= kept;
    seen = sq->sqe_tail;
    for (unsigned i = sq->sqe_head; i != seen; i++) {
        unsigned entry = i & sq->ring_mask;

        assert(entry < ORDERS_MAX);
        change(&sq->sqes[entry], &parts[entry]);
    }
    return kept;
}

static void orders_restore(struct io_uring *uring, unsigned kept)
{
    uring->sq.sqe_tail += kept;
}

/* io_uring_enter(2). EAGAIN, no memory for an order; EBUSY, completions that
 * found no room are to be fetched first: then nothing is submitted. EINTR, a
 * signal was handled: if nothing was to be submitted. */
static int refusal(const struct io_uring *uring)
{
    if (io_uring_sq_ready(uring) == 0)
        return -EINTR;
    return fault_below(2) ? -EAGAIN : -EBUSY;
}

/* ---- Called ------------------------------------------------------------- */

/* What stage 4 orders, stage 5 calls. */
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length,
                   int flags)
{
    unsigned error = faults_on() ? accept_error() : 0;

    if (!error)
        return __real_accept4(fd, address, length, flags);
    errno = (int)error;
    return -1;
}

/* ---- liburing's --------------------------------------------------------- */

/* To make room for an order: without it the server gives somebody up, so it is
 * refused altogether only if that is asked for. */
int __wrap_io_uring_submit(struct io_uring *uring)
{
    unsigned kept;
    int result;

    if (!faults_on())
        return __real_io_uring_submit(uring);
    if (faults_refuse() && fault_happens(FAULT_NOT_SUBMITTED))
        return refusal(uring);
    kept = orders_change(uring);
    result = __real_io_uring_submit(uring);
    orders_restore(uring, kept);
    return result;
}

int __wrap_io_uring_submit_and_get_events(struct io_uring *uring)
{
    unsigned kept;
    int result;

    if (!faults_on())
        return __real_io_uring_submit_and_get_events(uring);
    if (fault_happens(FAULT_NOT_SUBMITTED))
        return refusal(uring);
    kept = orders_change(uring);
    result = __real_io_uring_submit_and_get_events(uring);
    orders_restore(uring, kept);
    return result;
}

/* What the kernel takes in part it does not wait for. */
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *uring,
                                            struct io_uring_cqe **first,
                                            unsigned count,
                                            struct __kernel_timespec *timeout,
                                            sigset_t *mask)
{
    struct __kernel_timespec none = {0};
    unsigned kept;
    int result;

    if (!faults_on())
        return __real_io_uring_submit_and_wait_timeout(uring, first, count,
                                                       timeout, mask);
    if (fault_happens(FAULT_NOT_SUBMITTED))
        return refusal(uring);
    kept = orders_change(uring);
    result = __real_io_uring_submit_and_wait_timeout(
        uring, first, count, kept > 0 ? &none : timeout, mask);
    orders_restore(uring, kept);
    return result;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
