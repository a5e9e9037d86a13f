/*
 * What --wrap=malloc calls __wrap_malloc, and the real one __real_malloc.
 */
#include "tests/unit/support_alloc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp):
 * the names are the linker's */
void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
int __real_posix_memalign(void **, size_t, size_t);

void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
int __wrap_posix_memalign(void **, size_t, size_t);

static _Thread_local unsigned long calls;
static _Thread_local unsigned long failing_call;

void alloc_fail_at(unsigned n)
{
    failing_call = n ? calls + n : 0;
}

unsigned long alloc_count(void)
{
    return calls;
}

static bool call_fails(void)
{
    if (++calls != failing_call)
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return call_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return call_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return call_fails() ? NULL : __real_realloc(memory, size);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    return call_fails() ? ENOMEM
                        : __real_posix_memalign(memory, alignment, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
