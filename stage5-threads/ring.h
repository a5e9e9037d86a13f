/*
 * The ring: orders to the kernel one way, completions the other, and two pools
 * of buffers that it fills with what it receives (io_uring(7),
 * io_uring_register(2), "IORING_REGISTER_PBUF_RING").
 *
 * All that goes to the kernel by the ring goes through here, and all that
 * comes back. Each worker has one, and calls no other's.
 */
#ifndef RINGCHAT_STAGE5_RING_H
#define RINGCHAT_STAGE5_RING_H

#include "common/base/limits.h"
#include "stage5-threads/engine.h"

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How many sends a turn orders; orders that fit between two submissions (more
 * are submitted in parts); completions that fit without overflow; and what the
 * kernel has to put in what it receives. Powers of two, by the kernel's rule,
 * but for the bytes.
 *
 * Of small buffers there are so many that a thousand who speak at once are
 * heard in one turn. What comes in bulk goes into large ones, which cut fewer
 * messages in two; they are few, and stay in the processor's cache. Who finds
 * none of them asks for a small one next. Each worker pays for its own, so
 * there are fewer than in stage 4: together they are some 2 MiB.
 *
 * With RING_TINY, for tests, all of them are tiny.
 */
#ifndef RING_TINY
#define SENDS_MAX 1024
#define ORDERS_MAX 8192
#define COMPLETIONS_MAX 8192
#define SMALL_BUFFERS 1024
#define SMALL_BYTES 1024
#define LARGE_BUFFERS 16
#define LARGE_BYTES RECEIVE_BYTES_MAX
#else
#define SENDS_MAX 4
#define ORDERS_MAX 8
#define COMPLETIONS_MAX 8
#define SMALL_BUFFERS 4
#define SMALL_BYTES 32
#define LARGE_BUFFERS 2
#define LARGE_BYTES 64
#endif

/* All who found no buffer are ordered again in one piece, and submitted when
 * buffers have come back: see completions_due. */
_Static_assert(ORDERS_MAX >= COMPLETIONS_MAX, "or the first find none again");

_Static_assert(SMALL_BYTES < RECEIVE_BYTES_MAX + 1 &&
                   LARGE_BYTES < RECEIVE_BYTES_MAX + 1,
               "session_receive takes it");

/* The groups that buffers are asked for by (IOSQE_BUFFER_SELECT). */
enum buffer_group { GROUP_SMALL, GROUP_LARGE, GROUPS };

/* Small ones are numbered first, so that a number says which group it is of. */
#define BUFFERS (SMALL_BUFFERS + LARGE_BUFFERS)

/* A group's buffers: shared with the kernel, which takes what lies between the
 * ring's head and our tail. */
struct buffer_pool {
    struct io_uring_buf_ring *shared;
    unsigned char *bytes;
};

struct ring {
    struct io_uring uring;
    /* What turned up in this turn. */
    struct io_uring_cqe completions[COMPLETIONS_MAX];
    bool submitted; /* all that was ordered before it */
    struct buffer_pool pools[GROUPS];
    bool ours[BUFFERS]; /* filled, and not given back yet */
};

/* To be used by the thread that opens it, and closed by it. Returns 0 or
 * -errno; then there is nothing to close. ENOSYS, EPERM, EINVAL: this process
 * has no io_uring, or none that does (see ring_explain). */
int ring_open(struct ring *);

/* Nothing that was ordered may be left. */
void ring_close(struct ring *);

/* Submits what has been ordered, to make room; 0 or -errno. */
int ring_submit(struct ring *);

/*
 * Submits what has been ordered, waits until something is over, but no longer
 * than `timeout` (NULL: for ever), and fetches what is over into `completions`.
 * Returns how many, 0 when the time is over or a signal was handled.
 */
unsigned ring_turn(struct ring *, struct __kernel_timespec *timeout);

/* The buffer that the kernel has filled, ours until given back. */
const void *buffer_take(struct ring *, const struct io_uring_cqe *);
void buffer_return(struct ring *, const struct io_uring_cqe *);

#endif
