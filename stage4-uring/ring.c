/*
 * The ring: see ring.h. What is ordered, and what it means when it is over, is
 * in server.c and accept.c.
 */
#include "stage4-uring/ring.h"

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

#define POOL_BYTES (BUFFERS * sizeof(struct io_uring_buf))
#define BUFFERS_BYTES ((size_t)BUFFERS * BUFFER_BYTES)
#define ALL_BYTES (POOL_BYTES + BUFFERS_BYTES)

static unsigned char *buffer_at(const struct ring *ring, unsigned id)
{
    return ring->bytes + (size_t)id * BUFFER_BYTES;
}

/* The kernel owns these bytes from now on, until a completion names them. */
static void buffer_give(struct ring *ring, unsigned id)
{
    ring->ours[id] = false;
    poison(buffer_at(ring, id), BUFFER_BYTES);
    io_uring_buf_ring_add(ring->pool, buffer_at(ring, id), BUFFER_BYTES,
                          (unsigned short)id, io_uring_buf_ring_mask(BUFFERS),
                          0);
    io_uring_buf_ring_advance(ring->pool, 1);
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
    unpoison(buffer_at(ring, id), BUFFER_BYTES);
    return buffer_at(ring, id);
}

void buffer_return(struct ring *ring, const struct io_uring_cqe *cqe)
{
    assert(ring->ours[buffer_id(cqe)]);
    buffer_give(ring, buffer_id(cqe));
}

/*
 * mmap(2): one piece for the pool and the buffers, from the start of a page, as
 * the kernel wants the pool. MAP_POPULATE: it is paid for now, and the server
 * does not grow by it when the first clients come. ENOMEM.
 */
static int buffers_open(struct ring *ring)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    /* cppcheck-suppress invalidFunctionArg */
    void *memory = mmap(NULL, ALL_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)memory,
        .ring_entries = BUFFERS,
        .bgid = BUFFER_GROUP,
    };
    int error;

    if (memory == MAP_FAILED)
        return -errno;
    error = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (error != 0) {
        munmap(memory, ALL_BYTES);
        return error;
    }
    ring->pool = memory;
    ring->bytes = (unsigned char *)memory + POOL_BYTES;
    io_uring_buf_ring_init(ring->pool);
    for (unsigned id = 0; id < BUFFERS; id++)
        buffer_give(ring, id);
    return 0;
}

static void buffers_close(struct ring *ring)
{
    for (unsigned id = 0; id < BUFFERS; id++)
        assert(!ring->ours[id]);
    unpoison(ring->bytes, BUFFERS_BYTES);
    munmap(ring->pool, ALL_BYTES);
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
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                 IORING_SETUP_CLAMP,
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
    error = buffers_open(ring);
    if (error != 0)
        goto close_ring;
    return 0;
close_ring:
    io_uring_queue_exit(&ring->uring);
    return error;
}

void ring_close(struct ring *ring)
{
    io_uring_queue_exit(&ring->uring); /* and with it the pool is let go */
    buffers_close(ring);
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
               "stage3-epoll";
    if (error == -ENOSYS)
        return "the kernel has none, or a seccomp filter hides it; allow "
               "io_uring_setup, io_uring_enter and io_uring_register, or take "
               "stage3-epoll";
    if (error != -EPERM && error != -EACCES)
        return NULL;
    if (disabled_by() == '2')
        return "kernel.io_uring_disabled is 2; set it to 0 with sysctl(8), or "
               "take stage3-epoll";
    if (disabled_by() == '1')
        return "kernel.io_uring_disabled is 1; set it to 0 with sysctl(8), "
               "join the group kernel.io_uring_group, or take stage3-epoll";
    return "a seccomp filter or a security module forbids it; allow "
           "io_uring_setup, io_uring_enter and io_uring_register, or take "
           "stage3-epoll";
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
    count = fetch(ring);
    ring->submitted = io_uring_sq_ready(&ring->uring) == 0;
    return count;
}
