/*
 * Dealing: each new connection goes to the worker that has the fewest, through
 * a pipe of that worker's own. Nobody waits in it: when the pipe is full worker
 * 0 serves the connection itself.
 *
 * A worker has as many as it has been dealt, less those that are gone. The one
 * count is worker 0's, the other the worker's (`gone`); so those that are still
 * in the pipe are counted, and a burst is dealt evenly.
 */
#include "stage5-threads/worker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* What goes through the pipe. All the threads of a process have the same
 * descriptors, so a number is enough. */
struct card {
    int fd;
    uint32_t acceptor;
};

_Static_assert(sizeof(struct card) <= PIPE_BUF, "is written whole: pipe(7)");

/* How many are read at a time. */
#define CARDS 64

/* pipe2(2): fails for want of descriptors or memory. O_NONBLOCK: neither end
 * waits. */
int deal_open(struct server *server)
{
    for (uint64_t i = 0; i < server->options.workers; i++)
        server->workers[i].dealt_fd = server->workers[i].deal_fd = -1;
    for (uint64_t i = 1; i < server->options.workers; i++) {
        struct worker *worker = &server->workers[i];
        int ends[2];

        if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
            return -errno;
        worker->dealt_fd = ends[0];
        worker->deal_fd = ends[1];
    }
    return 0;
}

void deal_close(struct server *server)
{
    for (uint64_t i = 1; i < server->options.workers; i++) {
        if (server->workers[i].dealt_fd < 0)
            return;
        close(server->workers[i].dealt_fd);
        close(server->workers[i].deal_fd);
    }
}

static uint64_t load_of(struct server *server, uint32_t worker)
{
    uint64_t gone = atomic_load_explicit(&server->workers[worker].gone,
                                         memory_order_relaxed);

    return server->dealt[worker] - gone;
}

/* The first of those that have the fewest. */
static uint32_t least_loaded(struct server *server)
{
    uint64_t least = load_of(server, 0);
    uint32_t place = 0;

    for (uint32_t i = 1; i < server->options.workers; i++) {
        uint64_t load = load_of(server, i);

        if (load < least) {
            least = load;
            place = i;
        }
    }
    return place;
}

/* write(2) to a pipe that is not waited for: all of it, or nothing: EAGAIN, it
 * is full; ENOMEM. Whether it has gone; worker 0 has none. */
static bool hand_over(const struct worker *worker,
                      const struct acceptor *acceptor, int fd)
{
    struct card card = {.fd = fd, .acceptor = acceptor->index};
    ssize_t written;

    if (worker->index == 0)
        return false;
    written = write(worker->deal_fd, &card, sizeof(card));
    assert(written == sizeof(card) || written < 0);
    return written > 0;
}

void deal(struct server *server, const struct acceptor *acceptor, int fd)
{
    uint32_t place = least_loaded(server);

    if (hand_over(&server->workers[place], acceptor, fd)) {
        server->dealt[place]++;
        return;
    }
    server->dealt[0]++;
    on_accept(&server->workers[0], acceptor, fd);
}

/* read(2): as many cards as there are, whole ones, for they were written so;
 * EAGAIN when there are none. */
void deal_take(struct worker *worker)
{
    struct card cards[CARDS];
    ssize_t bytes;

    while ((bytes = read(worker->dealt_fd, cards, sizeof(cards))) > 0) {
        assert((size_t)bytes % sizeof(cards[0]) == 0);
        for (size_t i = 0; i < (size_t)bytes / sizeof(cards[0]); i++)
            on_accept(worker, &worker->server->acceptors[cards[i].acceptor],
                      cards[i].fd);
    }
    assert(bytes < 0 && errno == EAGAIN);
}

void deal_gone(struct worker *worker)
{
    atomic_fetch_add_explicit(&worker->gone, 1, memory_order_relaxed);
}
