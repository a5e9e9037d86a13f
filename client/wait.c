/*
 * Waiting (wait.h), by one poll(2).
 */
#include "client/wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

enum { POLLED_SIGNALS, POLLED_CLIENT, POLLED_OTHER, POLLED_COUNT };

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Rounded up: what is woken too early has nothing to do. */
static int timeout_until(uint64_t deadline_ns)
{
    uint64_t now = now_ns(), ms;

    if (deadline_ns == UINT64_MAX)
        return -1;
    if (deadline_ns <= now)
        return 0;
    ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* What the client waits for, and until when. */
static uint64_t ask_client(const struct ringchat_client *client,
                           struct pollfd *polled)
{
    struct ringchat_wants wants = {RINGCHAT_SIZED(wants)};

    ringchat_client_wants(client, &wants);
    polled->fd = wants.fd;
    polled->events =
        (short)((wants.read ? POLLIN : 0) | (wants.write ? POLLOUT : 0));
    return wants.deadline_ns;
}

int wait_for(const struct wait *wait, struct waited *waited)
{
    struct pollfd polled[POLLED_COUNT] = {
        [POLLED_SIGNALS] = {.fd = wait->signals, .events = POLLIN},
        [POLLED_CLIENT] = {.fd = -1},
        [POLLED_OTHER] = {.fd = wait->fd, .events = wait->events},
    };
    uint64_t client_ns = UINT64_MAX, until = wait->deadline_ns;

    if (wait->client)
        client_ns = ask_client(wait->client, &polled[POLLED_CLIENT]);
    if (client_ns < until)
        until = client_ns;
    *waited = (struct waited){.client = false};
    if (poll(polled, POLLED_COUNT, timeout_until(until)) < 0) {
        if (errno != EINTR)
            return -errno;
        return 0; /* the pipe tells which signal */
    }
    waited->signalled = polled[POLLED_SIGNALS].revents != 0;
    waited->client =
        polled[POLLED_CLIENT].revents != 0 || client_ns <= now_ns();
    waited->events = polled[POLLED_OTHER].revents;
    return 0;
}
