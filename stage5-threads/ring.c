/*
 * The ring: see ring.h. What is ordered, and what it means when it is over, is
 * in uring.c and uring_connection.c.
 */
#include "stage5-threads/ring.h"

#include "common/base/clock.h"
#include "common/base/poison.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A pause when the kernel has no memory for orders. */
#define WANT_NS (1000 * NS_PER_US)

/* ---- Buffers ------------------------------------------------------------ */

static const struct {
    unsigned first, count; /* the numbers of its buffers */
    unsigned bytes;        /* of each */
} groups[GROUPS] = {
    [GROUP_SMALL] = {0, SMALL_BUFFERS, SMALL_BYTES},
    [GROUP_LARGE] = {SMALL_BUFFERS, LARGE_BUFFERS, LARGE_BYTES},
};

static enum buffer_group group_of(unsigned id)
{
    return id < SMALL_BUFFERS ? GROUP_SMALL : GROUP_LARGE;
}

static size_t shared_bytes(enum buffer_group group)
{
    return groups[group].count * sizeof(struct io_uring_buf);
}

static size_t pool_bytes(enum buffer_group group)
{
    return shared_bytes(group) +
           (size_t)groups[group].count * groups[group].bytes;
}

static unsigned char *buffer_at(const struct ring *ring, unsigned id)
{
    enum buffer_group group = group_of(id);
    size_t index = id - groups[group].first;

    return ring->pools[group].bytes + index * groups[group].bytes;
}

/* The kernel owns these bytes from now on, until a completion names them. */
static void buffer_give(struct ring *ring, unsigned id)
{
    enum buffer_group group = group_of(id);
    struct io_uring_buf_ring *shared = ring->pools[group].shared;
    unsigned bytes = groups[group].bytes;
    int mask = io_uring_buf_ring_mask(groups[group].count);

    ring->ours[id] = false;
    poison(buffer_at(ring, id), bytes);
    io_uring_buf_ring_add(shared, buffer_at(ring, id), bytes,
                          (unsigned short)id, mask, 0);
    io_uring_buf_ring_advance(shared, 1);
}

static unsigned buffer_id(const struct io_uring_cqe *cqe)
{
    assert(cqe->flags & IORING_CQE_F_BUFFER);
    return cqe->flags >> IORING_CQE_BUFFER_SHIFT;
}

const void *buffer_take(struct ring *ring, const struct io_uring_cqe *cqe)
{
    unsigned id = buffer_id(cqe);

    assert(id < BUFFERS && !ring->ours[id]);
    ring->ours[id] = true;
    unpoison(buffer_at(ring, id), groups[group_of(id)].bytes);
    return buffer_at(ring, id);
}

void buffer_return(struct ring *ring, const struct io_uring_cqe *cqe)
{
    assert(ring->ours[buffer_id(cqe)]);
    buffer_give(ring, buffer_id(cqe));
}

/*
 * mmap(2): one piece for what is shared and the buffers, from the start of a
 * page, as the kernel wants it. MAP_POPULATE: it is paid for now, and the
 * server does not grow by it when the first clients come. ENOMEM.
 */
static int pool_open(struct ring *ring, enum buffer_group group)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    size_t bytes = pool_bytes(group);
    /* cppcheck-suppress invalidFunctionArg */
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)memory,
        .ring_entries = groups[group].count,
        .bgid = (uint16_t)group,
    };
    struct buffer_pool *pool = &ring->pools[group];
    int error;

    if (memory == MAP_FAILED)
        return -errno;
    error = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (error != 0) {
        munmap(memory, bytes);
        return error;
    }
    pool->shared = memory;
    pool->bytes = (unsigned char *)memory + shared_bytes(group);
    io_uring_buf_ring_init(pool->shared);
    for (unsigned i = 0; i < groups[group].count; i++)
        buffer_give(ring, groups[group].first + i);
    return 0;
}

static void pool_close(struct ring *ring, enum buffer_group group)
{
    size_t bytes = pool_bytes(group);

    for (unsigned i = 0; i < groups[group].count; i++)
        assert(!ring->ours[groups[group].first + i]);
    unpoison(ring->pools[group].shared, bytes);
    munmap(ring->pools[group].shared, bytes);
}

/* ---- Opening ------------------------------------------------------------ */

/*
 * io_uring_setup(2), mmap(2) of what we share with the kernel, and three of
 * io_uring_register(2) and io_uring_enter(2): all that is used later is tried
 * now, for a filter may let one of them pass and not the other.
 *
 *   SINGLE_ISSUER   one thread submits, and the kernel need not guard against
 *                   another
 *   DEFER_TASKRUN   what has been waited for is finished in our own
 *                   io_uring_enter(2), and interrupts us nowhere else
 *   TASKRUN_FLAG    the kernel says when some of that has been left
 *   SUBMIT_ALL      an order that is refused does not stop those behind it
 *   CQSIZE          room for completions, for one that finds none ends what
 *                   goes on by itself
 *   CLAMP           a size that is too large is made as large as may be
 *
 * The last of them to come was DEFER_TASKRUN, with Linux 6.1.
 */
int ring_open(struct ring *ring)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = COMPLETIONS_MAX,
    };
    int error =
        io_uring_queue_init_params(ORDERS_MAX, &ring->uring, &parameters);

    if (error != 0)
        return error;
    /* Saves the kernel a look at our table of descriptors each time. */
    error = io_uring_register_ring_fd(&ring->uring);
    if (error < 0)
        goto close_ring;
    error = io_uring_get_events(&ring->uring);
    if (error < 0)
        goto close_ring;
    error = pool_open(ring, GROUP_SMALL);
    if (error != 0)
        goto close_ring;
    error = pool_open(ring, GROUP_LARGE);
    if (error != 0)
        goto close_small;
    return 0;
close_small:
    pool_close(ring, GROUP_SMALL);
close_ring:
    io_uring_queue_exit(&ring->uring);
    return error;
}

void ring_close(struct ring *ring)
{
    io_uring_queue_exit(&ring->uring); /* and with it the pools are let go */
    pool_close(ring, GROUP_SMALL);
    pool_close(ring, GROUP_LARGE);
}

/* kernel.io_uring_disabled (since Linux 6.6), '0' if there is none. */
static char disabled_by(void)
{
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    char digit = '0';

    if (fd < 0)
        return '0';
    if (read(fd, &digit, 1) != 1)
        digit = '0';
    close(fd);
    return digit;
}

const char *ring_explain(int error)
{
    if (error == -EINVAL)
        return "the kernel is too old; it takes Linux 6.1 or later, or "
               "--io epoll";
    if (error == -ENOSYS)
        return "the kernel has none, or a seccomp filter hides it; allow "
               "io_uring_setup, io_uring_enter and io_uring_register, or take "
               "--io epoll";
    if (error != -EPERM && error != -EACCES)
        return NULL;
    if (disabled_by() == '2')
        return "kernel.io_uring_disabled is 2; set it to 0 with sysctl(8), or "
               "take --io epoll";
    if (disabled_by() == '1')
        return "kernel.io_uring_disabled is 1; set it to 0 with sysctl(8), "
               "join the group kernel.io_uring_group, or take --io epoll";
    return "a seccomp filter or a security module forbids it; allow "
           "io_uring_setup, io_uring_enter and io_uring_register, or take "
           "--io epoll";
}

/* ---- Turns -------------------------------------------------------------- */

/* io_uring_enter(2). EAGAIN: no memory for an order; it stays where it is, and
 * those behind it. */
int ring_submit(struct ring *ring)
{
    int count = io_uring_submit(&ring->uring);

    return count < 0 ? count : 0;
}

/* Copies what is over, so that its place is free for more. */
static unsigned fetch(struct ring *ring)
{
    const struct io_uring_cqe *cqe;
    unsigned count = 0;
    unsigned head;

    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        assert(count < COMPLETIONS_MAX);
        ring->completions[count++] = *cqe;
    }
    io_uring_cq_advance(&ring->uring, count);
    return count;
}

/* io_uring_enter(2). Who does not wait needs no timer: to set one costs more
 * than the rest of the call. */
static int enter(struct ring *ring, struct __kernel_timespec *timeout)
{
    struct io_uring_cqe *first;

    if (timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0)
        return io_uring_submit_and_get_events(&ring->uring);
    return io_uring_submit_and_wait_timeout(&ring->uring, &first, 1, timeout,
                                            NULL);
}

/* IORING_SQ_TASKRUN: the kernel has not finished all that it could. */
static bool work_is_left(const struct ring *ring)
{
    return IO_URING_READ_ONCE(*ring->uring.sq.kflags) & IORING_SQ_TASKRUN;
}

/*
 * io_uring_enter(2), which since Linux 6.13 finishes some twenty of those that
 * are waited for, and leaves the rest: so again, or what the members of a room
 * say at once would be heard in many turns, and go out in as many sends.
 *
 * Until a call brings nothing, whatever the flag says: the kernel raises it
 * after what it is about is there to be finished, and if that has been finished
 * in between, the flag stands until something else comes. While half of the
 * completion queue is free, as an accept may bring many. It does not wait, and
 * so does not fail.
 */
static void finish(struct ring *ring)
{
    unsigned count = io_uring_cq_ready(&ring->uring);
    unsigned before = 0;

    while (work_is_left(ring) && count > before &&
           count < COMPLETIONS_MAX / 2) {
        before = count;
        io_uring_get_events(&ring->uring);
        count = io_uring_cq_ready(&ring->uring);
    }
}

/*
 * ETIME: nothing in time. EINTR: the process was stopped and continued
 * (signal(7)). EBUSY: more was over than has room; we fetch, and the kernel
 * brings the rest next time. EAGAIN, ENOMEM: it has no memory for an order,
 * which stays where it is, and is given time.
 */
unsigned ring_turn(struct ring *ring, struct __kernel_timespec *timeout)
{
    static const struct timespec want = {.tv_nsec = WANT_NS};
    int error = enter(ring, timeout);
    unsigned count;

    if (error == -EAGAIN || error == -ENOMEM)
        nanosleep(&want, NULL);
    else
        assert(error >= 0 || error == -ETIME || error == -EINTR ||
               error == -EBUSY);
    finish(ring);
    count = fetch(ring);
    ring->submitted = io_uring_sq_ready(&ring->uring) == 0;
    return count;
}
