/*
 * One member speaks, all hear it: when each has the last byte is noted, and
 * that they were the right bytes. See crowd.h.
 */
#include "tests/million/crowd.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* Nothing has come for so long: nobody is told anything any more. */
#define QUIET_MS 50

/* What is still on its way is read and dropped. */
static void become_quiet(struct crowd *crowd)
{
    int count;

    do {
        count = crowd_wait(crowd, QUIET_MS);
        for (int i = 0; i < count; i++) {
            uint32_t index = crowd->events[i].data.u32;

            if (index == COMMANDS)
                return; /* somebody is in a hurry */
            while (crowd->members[index].fd >= 0 &&
                   member_receive(crowd, &crowd->members[index]) > 0)
                ;
        }
    } while (count > 0);
}

static void due_again(struct crowd *crowd)
{
    crowd->heard = crowd->corrupted = 0;
    for (uint32_t i = 0; i < crowd->begun; i++) {
        crowd->members[i].seen = 0;
        crowd->members[i].heard_ns = 0;
    }
}

/* What is sent is the end of what is heard: `[lobby] NICK: TEXT`. */
static const char *make_line(struct crowd *crowd, size_t bytes)
{
    static unsigned number;
    int before =
        snprintf(crowd->line, LINE_BYTES_MAX, "[lobby] %s: ", crowd->nick);
    char *text = crowd->line + before;

    assert(before > 0 && bytes >= 8);
    if ((size_t)before + bytes + 1 > LINE_BYTES_MAX)
        bytes = LINE_BYTES_MAX - 1 - (size_t)before;
    memset(text, '.', bytes);
    snprintf(text, 8, "%07u", number++ % 10000000);
    text[7] = ' ';
    text[bytes] = '\n';
    crowd->line_length = (size_t)before + bytes + 1;
    return text;
}

static void hear(struct crowd *crowd, struct member *member)
{
    ssize_t got;

    while (member->fd >= 0) {
        got = member_receive(crowd, member);
        if (got <= 0)
            return;
        if ((size_t)got > crowd->line_length - member->seen ||
            memcmp(crowd->line + member->seen, crowd->scratch, (size_t)got) !=
                0) {
            crowd->corrupted++;
            member_lost(crowd, member);
            return;
        }
        member->seen = (uint16_t)(member->seen + got);
        if (member->seen == crowd->line_length) {
            member->heard_ns = clock_ns();
            crowd->heard++;
            return;
        }
    }
}

static void hear_all(struct crowd *crowd, uint64_t patience_ns)
{
    uint64_t deadline = clock_ns() + patience_ns;

    while (crowd->heard < crowd->present && clock_ns() < deadline) {
        int count = crowd_wait(crowd, 100);

        for (int i = 0; i < count; i++) {
            uint32_t index = crowd->events[i].data.u32;

            if (index == COMMANDS)
                return;
            hear(crowd, &crowd->members[index]);
        }
        if (count > 0)
            deadline = clock_ns() + patience_ns;
    }
}

static int ascending(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

static double own_seconds(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static double ms_at(const uint64_t *sorted, uint32_t count, double share)
{
    uint32_t place = (uint32_t)(share * count);

    if (count == 0)
        return 0;
    return (double)sorted[place < count ? place : count - 1] / MS_NS;
}

static void tell(const struct crowd *crowd, uint64_t begin_ns, double own_s)
{
    uint64_t *times = calloc(crowd->heard + 1, sizeof(*times));
    uint32_t count = 0;

    if (!times) {
        fputs("crowd: out of memory\n", stderr);
        _exit(EX_OSERR);
    }
    for (uint32_t i = 0; i < crowd->begun && count < crowd->heard; i++) {
        if (crowd->members[i].heard_ns)
            times[count++] = crowd->members[i].heard_ns - begin_ns;
    }
    qsort(times, count, sizeof(*times), ascending);
    printf("{\"event\": \"heard\", \"members\": %u, \"heard\": %u, "
           "\"corrupted\": %u, \"lost\": %u, \"first_ms\": %.4f, "
           "\"p50_ms\": %.4f, \"p99_ms\": %.4f, \"last_ms\": %.4f, "
           "\"own_cpu_s\": %.6f}\n",
           crowd->present, crowd->heard, crowd->corrupted, crowd->lost,
           ms_at(times, count, 0), ms_at(times, count, 0.5),
           ms_at(times, count, 0.99), ms_at(times, count, 1), own_s);
    fflush(stdout);
    free(times);
}

void crowd_say(struct crowd *crowd, size_t bytes, uint64_t patience_ns)
{
    const char *text;
    size_t length;
    uint64_t begin_ns;
    double own;

    become_quiet(crowd);
    due_again(crowd);
    text = make_line(crowd, bytes);
    length = crowd->line_length - (size_t)(text - crowd->line);
    own = own_seconds();
    begin_ns = clock_ns();
    /* 64 bytes, and nothing before them: they fit, or the speaker is gone. */
    if (crowd->members[0].fd >= 0 && send(crowd->members[0].fd, text, length,
                                          MSG_NOSIGNAL) == (ssize_t)length)
        hear_all(crowd, patience_ns);
    tell(crowd, begin_ns, own_seconds() - own);
}
