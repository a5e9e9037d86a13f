/*
 * crowd PORT MEMBERS FIRST-SOURCE EACH-SOURCE TOGETHER
 *
 * Connects to 127.0.0.1:PORT from FIRST-SOURCE (such as 127.0.0.2) and the
 * addresses after it, EACH-SOURCE members from each. Is told by lines on
 * standard input what to do, and tells by lines of JSON on standard output
 * what came of it; the end of the input is the end:
 *
 *   join          all come, unless another line comes first
 *   say BYTES     one message
 */
#include "tests/million/crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE_NS (20 * S_NS)

static void fail(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerrordesc_np(errno));
    _exit(EX_OSERR);
}

/* Of standard input, which epoll watches, nothing is kept in a FILE. */
static bool read_command(char *line, size_t size)
{
    size_t length = 0;

    while (length < size - 1) {
        ssize_t got = read(STDIN_FILENO, line + length, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (line[length] == '\n')
            break;
        length++;
    }
    line[length] = '\0';
    return true;
}

/* Its words do not matter. Its end is read again by who comes next. */
static bool asked_to_stop(void)
{
    char line[64];

    read_command(line, sizeof(line));
    return true;
}

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || *end || end == text || value == 0 || value > max) {
        fprintf(stderr, "crowd: %s is not a number from 1 to %u\n", text, max);
        _exit(EX_USAGE);
    }
    return (uint32_t)value;
}

static void crowd_init(struct crowd *crowd, char **arguments)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = COMMANDS};
    struct in_addr first;

    crowd->server.sin_family = AF_INET;
    crowd->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    crowd->server.sin_port = htons((uint16_t)number(arguments[0], UINT16_MAX));
    crowd->count = number(arguments[1], INT32_MAX);
    if (inet_pton(AF_INET, arguments[2], &first) != 1) {
        fprintf(stderr, "crowd: %s is no address\n", arguments[2]);
        _exit(EX_USAGE);
    }
    crowd->sources_first = ntohl(first.s_addr);
    crowd->each_source = number(arguments[3], UINT16_MAX);
    crowd->together = number(arguments[4], UINT16_MAX);
    crowd->members = malloc(crowd->count * sizeof(*crowd->members));
    if (!crowd->members)
        fail("malloc");
    /* Touched here: what is measured later is not ours. */
    for (uint32_t i = 0; i < crowd->count; i++)
        crowd->members[i] = (struct member){.fd = -1, .state = MEMBER_ABSENT};
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (crowd->epoll < 0 ||
        epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        fail("epoll");
}

static void tell_joined(const struct crowd *crowd)
{
    printf("{\"event\": \"joined\", \"seconds\": %.4f, \"members\": %u, "
           "\"stopped_by\": \"%s\"}\n",
           (double)(clock_ns() - crowd->begin_ns) / S_NS, crowd->present,
           crowd->stopped_by);
    fflush(stdout);
}

static void serve(struct crowd *crowd)
{
    char command[64];

    while (read_command(command, sizeof(command))) {
        if (strcmp(command, "join") == 0) {
            crowd_join(crowd, asked_to_stop);
            tell_joined(crowd);
        } else if (strncmp(command, "say ", 4) == 0) {
            crowd_say(crowd, number(command + 4, LINE_BYTES_MAX), PATIENCE_NS);
        }
    }
}

int main(int count, char **arguments)
{
    static struct crowd crowd;

    if (count != 6) {
        fputs("usage: crowd PORT MEMBERS FIRST-SOURCE EACH-SOURCE TOGETHER\n",
              stderr);
        return EX_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    crowd_init(&crowd, arguments + 1);
    puts("{\"event\": \"ready\"}");
    fflush(stdout);
    serve(&crowd);
    crowd_leave(&crowd);
    free(crowd.members);
    return 0;
}
