/*
 * sched_getaffinity(2) and sched_setaffinity(2), of the calling thread (0),
 * with sets that are large enough for every kernel: it refuses one that has
 * fewer bits than it knows processors, and glibc's own has 1024.
 */
#include "common/base/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>

/* CONFIG_NR_CPUS goes up to 8192. */
#define SETS 8
#define SETS_BYTES (SETS * sizeof(cpu_set_t))

/* Fails where a seccomp filter forbids it. */
static int allowed_read(cpu_set_t sets[SETS])
{
    CPU_ZERO_S(SETS_BYTES, sets);
    return sched_getaffinity(0, SETS_BYTES, sets) < 0 ? -errno : 0;
}

uint32_t cpus_allowed(void)
{
    cpu_set_t sets[SETS];

    if (allowed_read(sets) != 0)
        return 1;
    return (uint32_t)CPU_COUNT_S(SETS_BYTES, sets);
}

/* The one that has so many before it in the set. */
static size_t cpu_at(const cpu_set_t sets[SETS], uint32_t before)
{
    size_t cpu = 0;

    while (!CPU_ISSET_S(cpu, SETS_BYTES, sets) || before-- > 0)
        cpu++;
    return cpu;
}

/* EINVAL: it has been taken from us since we asked. */
int cpu_bind(uint32_t place)
{
    cpu_set_t sets[SETS];
    uint32_t count;
    size_t cpu;
    int error = allowed_read(sets);

    if (error != 0)
        return error;
    count = (uint32_t)CPU_COUNT_S(SETS_BYTES, sets);
    cpu = cpu_at(sets, place % count);
    CPU_ZERO_S(SETS_BYTES, sets);
    CPU_SET_S(cpu, SETS_BYTES, sets);
    return sched_setaffinity(0, SETS_BYTES, sets) < 0 ? -errno : 0;
}
