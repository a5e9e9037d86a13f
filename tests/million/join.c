/*
 * Members come: each connects from an address that many share, and is there
 * when its welcome has been read to its end. See crowd.h.
 *
 * No port is chosen before connect(2) (IP_BIND_ADDRESS_NO_PORT, ip(7)): then
 * it has to be free only for this server, not for everybody.
 */
#include "tests/million/crowd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WELCOME "* welcome to "
#define NICK_BEGIN "you are "
/* How often it is told how many there are. */
#define TELL_NS (20 * MS_NS)
/* Nobody has been let in for so long: nobody will be. */
#define PATIENCE_NS (15 * S_NS)

static const char *limit_of(int error)
{
    switch (error) {
    case EMFILE:
        return "descriptors of this process (RLIMIT_NOFILE)";
    case ENFILE:
        return "descriptors of the system (fs.file-max)";
    case EADDRNOTAVAIL:
        return "ports (net.ipv4.ip_local_port_range)";
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
        return "the kernel's memory";
    default:
        return "connect";
    }
}

static int open_socket(const struct crowd *crowd, uint32_t index)
{
    const int yes = 1;
    const struct sockaddr_in source = {
        .sin_family = AF_INET,
        .sin_addr.s_addr =
            htonl(crowd->sources_first + index / crowd->each_source),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) <
        0)
        goto close_fd;
    if (bind(fd, (const struct sockaddr *)&source, sizeof(source)) < 0)
        goto close_fd;
    if (connect(fd, (const struct sockaddr *)&crowd->server,
                sizeof(crowd->server)) < 0 &&
        errno != EINPROGRESS)
        goto close_fd;
    return fd;

close_fd:
    error = -errno;
    close(fd);
    return error;
}

static void join_one(struct crowd *crowd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    struct member *member = &crowd->members[crowd->begun];

    member->fd = open_socket(crowd, crowd->begun);
    if (member->fd < 0) {
        crowd_stop(crowd, "%s: %s", limit_of(-member->fd),
                   strerrordesc_np(-member->fd));
        return;
    }
    member->state = MEMBER_COMING;
    event.data.u32 = crowd->begun++;
    if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, member->fd, &event) < 0) {
        crowd_stop(crowd, "%s: epoll_ctl: %s", limit_of(errno),
                   strerrordesc_np(errno));
        member_lost(crowd, member);
    }
}

/* The first member's welcome, `... you are NICK, in ROOM; ...`, is kept until
 * it says who speaks. */
static void keep_welcome(struct crowd *crowd, const char *bytes, size_t length)
{
    char *nick;

    if (length > LINE_BYTES_MAX - 1 - crowd->line_length)
        length = LINE_BYTES_MAX - 1 - crowd->line_length;
    memcpy(crowd->line + crowd->line_length, bytes, length);
    crowd->line_length += length;
    crowd->line[crowd->line_length] = '\0';
    nick = strstr(crowd->line, NICK_BEGIN);
    if (!nick)
        return;
    nick += strlen(NICK_BEGIN);
    snprintf(crowd->nick, sizeof(crowd->nick), "%.*s",
             (int)strcspn(nick, ",\n"), nick);
}

/* How it begins is all that is looked at: what follows is for people. */
static bool begins_like_welcome(const struct member *member, const char *bytes,
                                size_t length)
{
    size_t left = strlen(WELCOME);

    if (member->seen >= left)
        return true;
    left -= member->seen;
    return memcmp(bytes, &WELCOME[member->seen],
                  length < left ? length : left) == 0;
}

static void welcomed(struct crowd *crowd, struct member *member, size_t length)
{
    const char *bytes = crowd->scratch;
    bool whole = memchr(bytes, '\n', length);

    if (!begins_like_welcome(member, bytes, length)) {
        crowd_stop(crowd, "the server: %.*s",
                   (int)(whole ? strcspn(bytes, "\n") : length), bytes);
        member_lost(crowd, member);
        return;
    }
    if (member == crowd->members)
        keep_welcome(crowd, bytes, length);
    member->seen = (uint16_t)(member->seen + length);
    if (whole) {
        member->state = MEMBER_PRESENT;
        crowd->present++;
    }
}

/* Presence notices come to who is present; they are read and dropped. */
static void hear_arrival(struct crowd *crowd, struct member *member)
{
    ssize_t got;

    while (member->state == MEMBER_COMING || member->state == MEMBER_PRESENT) {
        got = member_receive(crowd, member);
        if (got <= 0)
            return;
        if (member->state == MEMBER_COMING)
            welcomed(crowd, member, (size_t)got);
    }
}

static void tell(const struct crowd *crowd)
{
    printf("{\"event\": \"joining\", \"seconds\": %.4f, \"members\": %u}\n",
           (double)(clock_ns() - crowd->begin_ns) / S_NS, crowd->present);
    fflush(stdout);
}

static uint32_t coming(const struct crowd *crowd)
{
    return crowd->begun - crowd->present - crowd->lost;
}

static void turn(struct crowd *crowd, bool (*asked_to_stop)(void))
{
    int count;

    while (!crowd->stopped_by[0] && crowd->begun < crowd->count &&
           coming(crowd) < crowd->together)
        join_one(crowd);
    count = crowd_wait(crowd, 50);
    for (int i = 0; i < count; i++) {
        uint32_t index = crowd->events[i].data.u32;

        if (index != COMMANDS)
            hear_arrival(crowd, &crowd->members[index]);
        else if (asked_to_stop())
            crowd_stop(crowd, "asked to");
    }
}

/* Who has not been let in by now is not counted, nor kept. */
static void forget_coming(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->begun; i++) {
        if (crowd->members[i].state == MEMBER_COMING)
            member_lost(crowd, &crowd->members[i]);
    }
}

void crowd_join(struct crowd *crowd, bool (*asked_to_stop)(void))
{
    uint64_t told, changed;
    uint32_t present = 0;

    crowd->begin_ns = told = changed = clock_ns();
    while (crowd->present + crowd->lost < crowd->count &&
           !crowd->stopped_by[0]) {
        turn(crowd, asked_to_stop);
        uint64_t now = clock_ns();

        if (crowd->present != present)
            changed = now;
        present = crowd->present;
        if (now - changed > PATIENCE_NS)
            crowd_stop(crowd, "nobody was let in for %d s",
                       (int)(PATIENCE_NS / S_NS));
        if (now - told < TELL_NS)
            continue;
        told = now;
        tell(crowd);
    }
    forget_coming(crowd);
    tell(crowd);
}
