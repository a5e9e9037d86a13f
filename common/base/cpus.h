/*
 * The processors that this process may use: how many there are, and a thread
 * bound to one of them. Which those are, an administrator has said, with
 * taskset(1) or a cpuset, and not we.
 */
#ifndef RINGCHAT_BASE_CPUS_H
#define RINGCHAT_BASE_CPUS_H

#include <stdint.h>

/* How many the calling thread may use; 1 if that cannot be learnt. */
uint32_t cpus_allowed(void);

/* Binds the calling thread to one of those that it may use: the first for
 * `place` 0, and round and round. Returns 0 or -errno. */
int cpu_bind(uint32_t place);

#endif
