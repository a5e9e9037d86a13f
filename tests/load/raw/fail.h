/*
 * What the kernel refuses ends the program: exit status 71 (EX_OSERR).
 */
#ifndef RINGCHAT_LOAD_RAW_FAIL_H
#define RINGCHAT_LOAD_RAW_FAIL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static inline _Noreturn void fail(const char *what)
{
    fprintf(stderr, "raw: %s: %s\n", what, strerrordesc_np(errno));
    exit(EX_OSERR); /* NOLINT(concurrency-mt-unsafe): the only thread */
}

static inline void *reallocated(void *memory, size_t size)
{
    void *larger = realloc(memory, size);

    if (!larger)
        fail("memory");
    return larger;
}

#endif
