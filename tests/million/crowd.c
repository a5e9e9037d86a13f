/*
 * What all phases need: see crowd.h.
 */
#include "tests/million/crowd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * S_NS + (uint64_t)now.tv_nsec;
}

/* It goes into JSON, and on somebody's terminal. */
static void make_plain(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f ||
            *text == '"' || *text == '\\')
            *text = '?';
    }
}

void crowd_stop(struct crowd *crowd, const char *format, ...)
{
    va_list arguments;

    if (crowd->stopped_by[0])
        return;
    va_start(arguments, format);
    vsnprintf(crowd->stopped_by, sizeof(crowd->stopped_by), format, arguments);
    va_end(arguments);
    make_plain(crowd->stopped_by);
}

void member_lost(struct crowd *crowd, struct member *member)
{
    if (member->state == MEMBER_PRESENT) {
        crowd->present--;
        crowd->lost++;
    }
    member->state = MEMBER_GONE;
    close(member->fd);
    member->fd = -1;
}

ssize_t member_receive(struct crowd *crowd, struct member *member)
{
    ssize_t got = recv(member->fd, crowd->scratch, SCRATCH_BYTES, MSG_DONTWAIT);

    if (got > 0)
        return got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (member->state == MEMBER_COMING)
        crowd_stop(crowd, "a connection ended before its welcome: %s",
                   got < 0 ? strerrordesc_np(errno) : "end of stream");
    member_lost(crowd, member);
    return -1;
}

int crowd_wait(struct crowd *crowd, int timeout_ms)
{
    int count = epoll_wait(crowd->epoll, crowd->events, EVENTS_MAX, timeout_ms);

    return count < 0 ? 0 : count; /* a signal */
}

/* A reset, not a farewell: a million sockets in TIME_WAIT would be in the way
 * of the next run, and of everybody else. */
void crowd_leave(struct crowd *crowd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    for (uint32_t i = 0; i < crowd->begun; i++) {
        struct member *member = &crowd->members[i];

        if (member->fd < 0)
            continue;
        setsockopt(member->fd, SOL_SOCKET, SO_LINGER, &at_once,
                   sizeof(at_once));
        member_lost(crowd, member);
    }
}
