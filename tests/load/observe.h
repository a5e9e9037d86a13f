/*
 * What the kernel says of a process: proc(5), /proc/PID/{stat,status} and
 * those of its threads, /proc/PID/smaps_rollup.
 */
#ifndef RINGCHAT_LOAD_OBSERVE_H
#define RINGCHAT_LOAD_OBSERVE_H

#include <stdint.h>
#include <sys/types.h>

/* Threads that are told apart: the first. */
#define USAGE_THREADS_MAX 64

struct thread_usage {
    pid_t id;
    double cpu_s;
};

/* Since it began. */
struct usage {
    double user_s, system_s; /* processor time of all its threads */
    /* Of the threads that there are: with one that ends, its own go. */
    uint64_t switches_voluntary, switches_involuntary;
    uint64_t resident_bytes; /* now */
    unsigned threads;
    struct thread_usage each[USAGE_THREADS_MAX]; /* id 0: no more */
    double busiest_s; /* of one thread, the most; see usage_between */
};

/* 0, or -errno: ENOENT or ESRCH if there is no such process (any more), EACCES
 * if it is not ours to look at. */
int usage_read(pid_t pid, struct usage *);

/* What was used between the two; of memory and threads: as in `after`. */
struct usage usage_between(const struct usage *before,
                           const struct usage *after);

/* Processor time of the thread that calls, and of this process, in seconds:
 * clock_gettime(2). */
double thread_cpu_s(void);
double process_cpu_s(void);

/* How long the machine's processors have had nothing to do, all together, since
 * it was started: the first line of /proc/stat; 0 if it cannot be read. */
double machine_idle_s(void);

#endif
