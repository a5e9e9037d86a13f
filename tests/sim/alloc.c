/*
 * What --wrap=malloc calls __wrap_malloc, and the real one __real_malloc; and
 * so for calloc, realloc, posix_memalign and free.
 */
#include "tests/sim/alloc.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp):
 * the names are the linker's */
void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
int __real_posix_memalign(void **, size_t, size_t);
void __real_free(void *);

void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
int __wrap_posix_memalign(void **, size_t, size_t);
void __wrap_free(void *);

static uint64_t calls_left; /* to the first that fails, that one included */
static uint64_t failing;    /* those that fail from then on */
static size_t bytes, blocks;

void alloc_init(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): there is one thread */
    (void)mallopt(M_MMAP_THRESHOLD, INT_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    (void)mallopt(M_PERTURB, 0xdd);
    /* NOLINTEND(concurrency-mt-unsafe) */
}

void alloc_fail_at(uint64_t n, uint64_t count)
{
    calls_left = n;
    failing = count;
}

size_t alloc_bytes(void)
{
    return bytes;
}

size_t alloc_blocks(void)
{
    return blocks;
}

static bool call_fails(void)
{
    if (failing == 0)
        return false;
    if (calls_left > 1) {
        calls_left--;
        return false;
    }
    failing--;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    if (!memory)
        return NULL;
    bytes += malloc_usable_size(memory);
    blocks++;
    return memory;
}

static void uncount(void *memory)
{
    if (!memory)
        return;
    bytes -= malloc_usable_size(memory);
    blocks--;
}

void *__wrap_malloc(size_t size)
{
    return call_fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return call_fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    size_t before = memory ? malloc_usable_size(memory) : 0;
    void *moved;

    if (call_fails())
        return NULL;
    moved = __real_realloc(memory, size);
    if (!memory || !moved)
        return counted(moved);
    bytes += malloc_usable_size(moved) - before;
    return moved;
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    int failure =
        call_fails() ? ENOMEM : __real_posix_memalign(memory, alignment, size);

    if (failure == 0)
        counted(*memory);
    return failure;
}

void __wrap_free(void *memory)
{
    uncount(memory);
    __real_free(memory);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
