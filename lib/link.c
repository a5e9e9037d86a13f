/*
 * The client's socket, which never blocks, and what its own loop waits by. No
 * signal is raised when the peer has gone.
 */
#include "lib/internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int link_init(struct link *link)
{
    *link = (struct link){.fd = -1};
    link->interrupt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return link->interrupt_fd < 0 ? -errno : 0;
}

void link_close(struct link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    link->connecting = false;
    link->deaf = false;
}

void link_release(struct link *link)
{
    link_close(link);
    close(link->interrupt_fd);
}

/* What is said goes at once. Of a Unix socket it means nothing, and fails. */
static void send_at_once(int fd)
{
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int link_open(struct link *link, const struct address *address)
{
    const struct sockaddr *to = (const struct sockaddr *)&address->bytes;
    int fd = socket(address->bytes.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    send_at_once(fd);
    if (connect(fd, to, address->length) < 0 && errno != EINPROGRESS) {
        int error = -errno;

        close(fd);
        return error;
    }
    link->fd = fd;
    link->fd_changes++;
    link->connecting = true;
    return 0;
}

int link_check(struct link *link)
{
    struct pollfd poll_fd = {.fd = link->fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof(error);

    if (poll(&poll_fd, 1, 0) <= 0)
        return 0;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    if (error != 0)
        return -error;
    link->connecting = false;
    return 1;
}

ssize_t link_receive(struct link *link, void *bytes, size_t capacity)
{
    ssize_t length;

    do
        length = recv(link->fd, bytes, capacity, 0);
    while (length < 0 && errno == EINTR);
    return length < 0 ? -errno : length;
}

/* Why the peer takes nothing more, it may have said: that is read first. */
ssize_t link_send(struct link *link, const void *bytes, size_t length)
{
    ssize_t written;

    if (link->deaf)
        return (ssize_t)length;
    do
        written = send(link->fd, bytes, length, MSG_NOSIGNAL);
    while (written < 0 && errno == EINTR);
    if (written >= 0)
        return written;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return -EAGAIN;
    link->deaf = true;
    return (ssize_t)length;
}

/* Takes the interrupt, if there is one. */
static bool link_interrupted(struct link *link)
{
    uint64_t count;

    return read(link->interrupt_fd, &count, sizeof(count)) > 0;
}

/* Until an instant, as ppoll(2) has it: from now on. */
static struct timespec *time_until(uint64_t until_ns, struct timespec *left)
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;

    if (until_ns == NEVER)
        return NULL;
    *left = (struct timespec){
        .tv_sec = (time_t)(left_ns / NS_PER_SECOND),
        .tv_nsec = (long)(left_ns % NS_PER_SECOND),
    };
    return left;
}

int link_wait(struct link *link, bool read, bool write, uint64_t until_ns)
{
    struct pollfd fds[2] = {
        {.fd = link->interrupt_fd, .events = POLLIN},
        {.fd = link->fd,
         .events = (short)((read ? POLLIN : 0) | (write ? POLLOUT : 0))},
    };
    struct timespec left;

    if (ppoll(fds, 2, time_until(until_ns, &left), NULL) < 0)
        return -errno;
    if (fds[0].revents != 0 && link_interrupted(link))
        return -EINTR;
    return fds[1].revents != 0;
}
