/*
 * Memory: see memory.h.
 */
#include "tests/load/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

void no_memory(void)
{
    fputs("ringchat-load: out of memory\n", stderr);
    _exit(EX_OSERR);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory)
        no_memory();
    return memory;
}

void *reallocate(void *memory, size_t count, size_t size)
{
    memory = reallocarray(memory, count ? count : 1, size);
    if (!memory)
        no_memory();
    return memory;
}

void *grow(void *bytes, size_t *allocated, size_t needed, size_t least)
{
    size_t count = *allocated ? *allocated : least;

    if (bytes && needed <= *allocated)
        return bytes;
    while (count < needed)
        count *= 2;
    *allocated = count;
    return reallocate(bytes, count, 1);
}
