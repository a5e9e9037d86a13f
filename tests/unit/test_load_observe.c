/*
 * What the load generator learns of a process: against getrusage(2) of the
 * same, of names that are hard to read, of none, and of another's. Nothing is
 * timed: what was used up to a moment before is no more than what the kernel
 * says, and what was used up to a moment after is no less.
 */
#include "tests/load/observe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define SLACK ((size_t)8 * MIB)
#define BURN_S 0.05
#define SLEEPS 20
#define THREADS 3
#define NOBODY 65534

static void burn(void)
{
    double end_s = thread_cpu_s() + BURN_S;

    while (thread_cpu_s() < end_s)
        (void)getppid(); /* system time, too */
}

/* Each gives up the processor. */
static void sleep_often(void)
{
    const struct timespec little = {.tv_nsec = 1000};

    for (int i = 0; i < SLEEPS; i++)
        nanosleep(&little, NULL);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* The kernel rounds down to ticks, user and system time each. */
static void assert_between(double before, double value, double after)
{
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);

    assert_true(value >= before - 2 * tick - 1e-6);
    assert_true(value <= after + 1e-6);
}

static void assert_about(double value, double wanted)
{
    assert_true(value > wanted - 0.001 && value < wanted + 0.001);
}

static void assert_usage_between(const struct rusage *before,
                                 const struct usage *usage,
                                 const struct rusage *after)
{
    assert_between(seconds(before->ru_utime), usage->user_s,
                   seconds(after->ru_utime));
    assert_between(seconds(before->ru_stime), usage->system_s,
                   seconds(after->ru_stime));
    assert_in_range(usage->switches_voluntary, before->ru_nvcsw,
                    after->ru_nvcsw);
    assert_in_range(usage->switches_involuntary, before->ru_nivcsw,
                    after->ru_nivcsw);
}

/* ---- Oneself ------------------------------------------------------------ */

static void test_oneself(void **state)
{
    struct rusage before, after;
    struct usage usage;

    (void)state;
    burn();
    sleep_often();
    getrusage(RUSAGE_SELF, &before);
    assert_int_equal(usage_read(getpid(), &usage), 0);
    getrusage(RUSAGE_SELF, &after);
    assert_usage_between(&before, &usage, &after);
    assert_true(usage.switches_voluntary >= SLEEPS);
    assert_int_equal(usage.threads, 1);
    assert_int_equal(usage.each[0].id, getpid());
    assert_between(seconds(before.ru_utime) + seconds(before.ru_stime),
                   usage.each[0].cpu_s,
                   seconds(after.ru_utime) + seconds(after.ru_stime));
    assert_int_equal(usage.each[1].id, 0);
}

static void test_clocks(void **state)
{
    double thread_s = thread_cpu_s(), process_s = process_cpu_s();
    struct rusage after;

    (void)state;
    burn();
    assert_true(thread_cpu_s() - thread_s >= BURN_S);
    assert_true(process_cpu_s() - process_s >= BURN_S);
    assert_true(process_cpu_s() >= thread_s + BURN_S);
    process_s = process_cpu_s();
    getrusage(RUSAGE_SELF, &after);
    assert_true(process_s <=
                seconds(after.ru_utime) + seconds(after.ru_stime) + BURN_S);
}

/* Not quite a clock: what waits for a disk may be counted back, proc_stat(5).
 */
static void test_machine_idle(void **state)
{
    double before_s = machine_idle_s();

    (void)state;
    assert_true(before_s > 0);
    sleep_often();
    assert_true(machine_idle_s() >= before_s - 1);
}

/* Pages of our program and its libraries may come and go meanwhile. */
static void test_resident_bytes(void **state)
{
    const size_t length = (size_t)64 * MIB;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    struct usage before, after, without;
    void *pages;

    (void)state;
    assert_int_equal(usage_read(getpid(), &before), 0);
    /* cppcheck-suppress invalidFunctionArg */
    pages = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(usage_read(getpid(), &after), 0);
    munmap(pages, length);
    assert_int_equal(usage_read(getpid(), &without), 0);
    assert_true(before.resident_bytes > 0);
    assert_in_range(after.resident_bytes - before.resident_bytes,
                    length - SLACK, length + SLACK);
    assert_true(without.resident_bytes < after.resident_bytes - length + SLACK);
}

/* ---- Threads ------------------------------------------------------------ */

struct sleeper {
    pthread_t thread;
    pid_t id;
    uint64_t switches; /* when it has slept */
};

static sem_t slept, leave;

static void *sleeper_main(void *argument)
{
    struct sleeper *sleeper = argument;
    struct rusage usage;

    sleep_often();
    getrusage(RUSAGE_THREAD, &usage);
    sleeper->id = gettid();
    sleeper->switches = (uint64_t)usage.ru_nvcsw;
    sem_post(&slept);
    sem_wait(&leave);
    return NULL;
}

static void start_sleepers(struct sleeper sleepers[THREADS])
{
    sem_init(&slept, 0, 0);
    sem_init(&leave, 0, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&sleepers[i].thread, NULL, sleeper_main,
                                        &sleepers[i]),
                         0);
    for (int i = 0; i < THREADS; i++)
        sem_wait(&slept);
}

static void end_sleepers(struct sleeper sleepers[THREADS])
{
    for (int i = 0; i < THREADS; i++)
        sem_post(&leave);
    for (int i = 0; i < THREADS; i++)
        pthread_join(sleepers[i].thread, NULL);
    sem_destroy(&slept);
    sem_destroy(&leave);
}

static bool has_thread(const struct usage *usage, pid_t id)
{
    for (unsigned i = 0; i < USAGE_THREADS_MAX; i++) {
        if (usage->each[i].id == id)
            return true;
    }
    return false;
}

/* Those of all threads, not of the first alone. */
static void test_switches_of_threads(void **state)
{
    struct sleeper sleepers[THREADS];
    struct rusage first, after;
    struct usage usage;
    uint64_t switches;

    (void)state;
    start_sleepers(sleepers);
    getrusage(RUSAGE_THREAD, &first);
    assert_int_equal(usage_read(getpid(), &usage), 0);
    getrusage(RUSAGE_SELF, &after);
    end_sleepers(sleepers);
    switches = (uint64_t)first.ru_nvcsw;
    for (int i = 0; i < THREADS; i++) {
        assert_true(has_thread(&usage, sleepers[i].id));
        switches += sleepers[i].switches;
    }
    assert_true(switches >= SLEEPS * THREADS);
    assert_in_range(usage.switches_voluntary, switches, after.ru_nvcsw);
    assert_true(usage.threads >= 1 + THREADS);
}

/* ---- A child ------------------------------------------------------------ */

/* Works, says what that took, and waits to be killed. */
static _Noreturn void child_main(int report_fd)
{
    struct rusage usage;

    burn();
    sleep_often();
    getrusage(RUSAGE_SELF, &usage);
    if (write(report_fd, &usage, sizeof(usage)) == (ssize_t)sizeof(usage)) {
        while (true)
            pause();
    }
    _exit(1);
}

static pid_t start_child(struct rusage *worked)
{
    int fds[2];
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_main(fds[1]);
    close(fds[1]);
    assert_int_equal(read(fds[0], worked, sizeof(*worked)), sizeof(*worked));
    close(fds[0]);
    return pid;
}

static void test_child(void **state)
{
    struct rusage worked, ended;
    struct usage usage;
    pid_t pid = start_child(&worked);
    int status;

    (void)state;
    assert_int_equal(usage_read(pid, &usage), 0);
    kill(pid, SIGKILL);
    assert_int_equal(wait4(pid, &status, 0, &ended), pid);
    assert_usage_between(&worked, &usage, &ended);
    assert_int_equal(usage.threads, 1);
    assert_true(usage.resident_bytes > 0);
}

/* It has ended, but its parent has not asked yet: what it used is still there,
 * its memory is not. */
static void test_zombie(void **state)
{
    struct rusage worked, ended;
    struct usage usage;
    pid_t pid = start_child(&worked);
    siginfo_t info;
    int status;

    (void)state;
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(usage_read(pid, &usage), 0);
    assert_int_equal(wait4(pid, &status, 0, &ended), pid);
    assert_usage_between(&worked, &usage, &ended);
    assert_int_equal(usage.resident_bytes, 0);
}

static void test_no_process(void **state)
{
    struct rusage worked;
    struct usage usage;
    pid_t pid = start_child(&worked);
    int status;

    (void)state;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_int_equal(usage_read(pid, &usage), -ENOENT);
    assert_int_equal(usage_read(INT32_MAX, &usage), -ENOENT);
    assert_int_equal(usage_read(0, &usage), -ENOENT);
    assert_int_equal(usage_read(-1, &usage), -ENOENT);
}

/* ---- Names -------------------------------------------------------------- */

/* To a reader who does not look for the last parenthesis, each of these is
 * something else. */
static void test_names(void **state)
{
    static const char *const names[] = {
        "a b", "a) R 1 2 3", "((", "))", ") ) 9 9 9 9 9", "a\nVmRSS: 9 kB", "",
    };
    char name[16];

    (void)state;
    prctl(PR_GET_NAME, name);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct rusage before, after;
        struct usage usage;

        assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
        getrusage(RUSAGE_SELF, &before);
        assert_int_equal(usage_read(getpid(), &usage), 0);
        getrusage(RUSAGE_SELF, &after);
        assert_usage_between(&before, &usage, &after);
        assert_int_equal(usage.threads, 1);
    }
    prctl(PR_SET_NAME, name);
}

/* ---- Another's ---------------------------------------------------------- */

enum sight {
    SIGHT_GOOD,
    SIGHT_NOT_BARRED, /* smaps_rollup can be read all the same */
    SIGHT_NO_USAGE,
    SIGHT_NOTHING_RESIDENT,
};

static bool can_read_rollup(pid_t pid)
{
    char path[64], byte;
    bool can;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    can = fread(&byte, 1, 1, file) == 1;
    fclose(file);
    return can;
}

/* What somebody sees who has no right to trace the process. */
static enum sight look_from_outside(pid_t pid)
{
    struct usage usage;

    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return SIGHT_NOT_BARRED;
    if (can_read_rollup(pid))
        return SIGHT_NOT_BARRED;
    if (usage_read(pid, &usage) != 0)
        return SIGHT_NO_USAGE;
    return usage.resident_bytes > 0 && usage.threads == 1
               ? SIGHT_GOOD
               : SIGHT_NOTHING_RESIDENT;
}

/* Who is not dumpable is not traced by its own user either: ptrace(2). */
static void test_of_another(void **state)
{
    pid_t parent = getpid(), pid;
    int status;

    (void)state;
    prctl(PR_SET_DUMPABLE, 0);
    pid = fork();
    if (pid == 0)
        _exit((int)look_from_outside(parent));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    prctl(PR_SET_DUMPABLE, 1);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SIGHT_NOT_BARRED)
        skip();
    assert_int_equal(WEXITSTATUS(status), SIGHT_GOOD);
}

/* ---- Between ------------------------------------------------------------ */

static void test_between(void **state)
{
    const struct usage before = {.user_s = 1.5,
                                 .system_s = 0.5,
                                 .switches_voluntary = 100,
                                 .switches_involuntary = 10,
                                 .resident_bytes = 7000,
                                 .threads = 3};
    const struct usage after = {.user_s = 4.0,
                                .system_s = 0.75,
                                .switches_voluntary = 150,
                                .switches_involuntary = 9,
                                .resident_bytes = 5000,
                                .threads = 2};
    struct usage usage = usage_between(&before, &after);

    (void)state;
    assert_about(usage.user_s, 2.5);
    assert_about(usage.system_s, 0.25);
    assert_int_equal(usage.switches_voluntary, 50);
    /* A thread has ended, and its switches have gone with it. */
    assert_int_equal(usage.switches_involuntary, 0);
    assert_int_equal(usage.resident_bytes, 5000);
    assert_int_equal(usage.threads, 2);
}

/* Not who has used the most ever, but in between; who began later, all. */
static void test_busiest_between(void **state)
{
    const struct usage before = {.each = {{10, 50.0}, {11, 1.0}, {12, 2.0}}};
    struct usage after = {.each = {{10, 50.5}, {12, 3.0}}};

    (void)state;
    assert_about(usage_between(&before, &after).busiest_s, 1.0);
    after.each[2] = (struct thread_usage){13, 4.0};
    assert_about(usage_between(&before, &after).busiest_s, 4.0);
    assert_about(usage_between(&after, &after).busiest_s, 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oneself),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_machine_idle),
        cmocka_unit_test(test_resident_bytes),
        cmocka_unit_test(test_child),
        cmocka_unit_test(test_zombie),
        cmocka_unit_test(test_no_process),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_of_another),
        cmocka_unit_test(test_between),
        cmocka_unit_test(test_busiest_between),
        /* Last: what these threads did is counted by getrusage for ever. */
        cmocka_unit_test(test_switches_of_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
