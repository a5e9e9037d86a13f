/*
 * What the kernel says of a process, by its files below /proc, and of our own
 * processor time. Nothing is kept from one call to the next.
 */
#include "tests/load/observe.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 64
#define KIB 1024

/* ---- Files -------------------------------------------------------------- */

/* A file as a string; getdelim(3) makes it larger as needed. */
struct text {
    char *bytes;
    size_t allocated;
};

/* A file of /proc has no zero byte, so up to one is all of it. NULL: errno says
 * why. open(2): ENOENT if there is no such process, EACCES if it is another's.
 * read(2): ESRCH if it has ended since. */
static const char *text_read(struct text *text, const char *path)
{
    FILE *file = fopen(path, "re");
    ssize_t length;
    int error;

    if (!file)
        return NULL;
    errno = ESRCH; /* what it means if there is nothing to read */
    length = getdelim(&text->bytes, &text->allocated, '\0', file);
    error = errno;
    fclose(file);
    errno = error;
    return length >= 0 ? text->bytes : NULL;
}

static const char *text_read_of(struct text *text, pid_t pid, const char *name)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return text_read(text, path);
}

static uint64_t number_at(const char *text)
{
    return strtoull(text, NULL, 10);
}

/* The number of a line `field: number`; 0 if there is none. The first line, of
 * which this does not think, is never asked for. A name with line feeds in it
 * cannot pass for such a line: status has them as \n. */
static uint64_t text_field(const struct text *text, const char *field)
{
    char start[PATH_BYTES];
    const char *found;

    snprintf(start, sizeof(start), "\n%s:", field);
    found = strstr(text->bytes, start);
    return found ? number_at(found + strlen(start)) : 0;
}

/* ---- The process -------------------------------------------------------- */

/* The fields of stat are numbered as in proc_pid_stat(5). The second is a name
 * in parentheses, with spaces, line feeds and parentheses as it pleases: only
 * the last one of all is sure to end it. */
enum stat_field {
    STAT_NAME = 2,
    STAT_USER_TICKS = 14,
    STAT_SYSTEM_TICKS = 15,
    STAT_THREADS = 20,
};

static uint64_t stat_number(const char *name_end, enum stat_field field)
{
    const char *at = name_end;

    for (int i = STAT_NAME; i < (int)field; i++) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    return number_at(at);
}

static double seconds_of_ticks(uint64_t ticks)
{
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static int read_stat(pid_t pid, struct text *text, struct usage *usage)
{
    const char *stat = text_read_of(text, pid, "stat");
    const char *name_end;

    if (!stat)
        return -errno;
    name_end = strrchr(stat, ')');
    if (!name_end)
        return -EPROTO; /* it is not as proc(5) says */
    usage->user_s = seconds_of_ticks(stat_number(name_end, STAT_USER_TICKS));
    usage->system_s =
        seconds_of_ticks(stat_number(name_end, STAT_SYSTEM_TICKS));
    usage->threads = (unsigned)stat_number(name_end, STAT_THREADS);
    return 0;
}

/* ---- Its threads -------------------------------------------------------- */

/* Adds what the status of a thread says; one that has just ended says nothing.
 * All have the same memory, but the first may have ended before the others:
 * then it has none. VmRSS lacks what each processor has not yet added to it. */
static void add_thread(pid_t pid, const char *thread, struct text *text,
                       struct usage *usage)
{
    char path[PATH_BYTES + NAME_MAX];
    uint64_t resident_bytes;

    snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, thread);
    if (!text_read(text, path))
        return;
    usage->switches_voluntary += text_field(text, "voluntary_ctxt_switches");
    usage->switches_involuntary +=
        text_field(text, "nonvoluntary_ctxt_switches");
    resident_bytes = text_field(text, "VmRSS") * KIB;
    if (resident_bytes > usage->resident_bytes)
        usage->resident_bytes = resident_bytes;
}

static void add_thread_time(pid_t pid, const char *thread, struct text *text,
                            struct usage *usage)
{
    char path[PATH_BYTES + NAME_MAX];
    const char *stat, *name_end;
    unsigned i = 0;

    while (i < USAGE_THREADS_MAX && usage->each[i].id != 0)
        i++;
    snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, thread);
    stat = text_read(text, path);
    name_end = stat ? strrchr(stat, ')') : NULL;
    if (i == USAGE_THREADS_MAX || !name_end)
        return;
    usage->each[i].id = (pid_t)number_at(thread);
    usage->each[i].cpu_s =
        seconds_of_ticks(stat_number(name_end, STAT_USER_TICKS) +
                         stat_number(name_end, STAT_SYSTEM_TICKS));
}

static int read_threads(pid_t pid, struct text *text, struct usage *usage)
{
    char path[PATH_BYTES];
    const struct dirent *entry;
    DIR *folder;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    folder = opendir(path);
    if (!folder)
        return -errno;
    /* cppcheck-suppress readdirCalled ; nobody else has the folder open */
    /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        add_thread(pid, entry->d_name, text, usage);
        add_thread_time(pid, entry->d_name, text, usage);
    }
    closedir(folder);
    return 0;
}

/* Counted page by page. It takes the right to trace the process (ptrace(2)):
 * without, or if it has no memory any more, what read_threads found stays. */
static void read_resident(pid_t pid, struct text *text, struct usage *usage)
{
    if (text_read_of(text, pid, "smaps_rollup"))
        usage->resident_bytes = text_field(text, "Rss") * KIB;
}

int usage_read(pid_t pid, struct usage *usage)
{
    struct text text = {0};
    int error;

    *usage = (struct usage){0};
    error = read_stat(pid, &text, usage);
    if (error == 0)
        error = read_threads(pid, &text, usage);
    if (error == 0)
        read_resident(pid, &text, usage);
    free(text.bytes);
    return error;
}

/* ---- Between ------------------------------------------------------------ */

/* What threads did that have ended is not counted any more. */
static uint64_t grown(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

static double thread_s(const struct usage *usage, pid_t id)
{
    for (unsigned i = 0; i < USAGE_THREADS_MAX && usage->each[i].id != 0; i++) {
        if (usage->each[i].id == id)
            return usage->each[i].cpu_s;
    }
    return 0; /* it began later */
}

static double busiest_s(const struct usage *before, const struct usage *after)
{
    double most_s = 0;

    for (unsigned i = 0; i < USAGE_THREADS_MAX && after->each[i].id != 0; i++) {
        double s = after->each[i].cpu_s - thread_s(before, after->each[i].id);

        if (s > most_s)
            most_s = s;
    }
    return most_s;
}

struct usage usage_between(const struct usage *before,
                           const struct usage *after)
{
    struct usage usage = *after;

    usage.user_s -= before->user_s;
    usage.system_s -= before->system_s;
    usage.switches_voluntary =
        grown(before->switches_voluntary, after->switches_voluntary);
    usage.switches_involuntary =
        grown(before->switches_involuntary, after->switches_involuntary);
    usage.busiest_s = busiest_s(before, after);
    return usage;
}

/* ---- Ourselves ---------------------------------------------------------- */

/* clock_gettime(2) cannot fail: these clocks always are. */
static double clock_s(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double thread_cpu_s(void)
{
    return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

double process_cpu_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

/* ---- The machine -------------------------------------------------------- */

/* cpu USER NICE SYSTEM IDLE IOWAIT ...: proc_stat(5), in clock ticks. */
double machine_idle_s(void)
{
    struct text text = {0};
    const char *stat = text_read(&text, "/proc/stat");
    double ticks = 0;

    if (stat && strncmp(stat, "cpu ", 4) == 0) {
        char *at = text.bytes + 4;

        for (unsigned field = 1; field <= 5; field++) {
            double value = (double)strtoull(at, &at, 10);

            ticks += field >= 4 ? value : 0;
        }
    }
    free(text.bytes);
    return ticks / (double)sysconf(_SC_CLK_TCK);
}
