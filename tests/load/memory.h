/*
 * Memory that is not there ends the program, with a line that says so: exit
 * status 71, EX_OSERR. Nothing is measured by one that has to do without.
 */
#ifndef RINGCHAT_LOAD_MEMORY_H
#define RINGCHAT_LOAD_MEMORY_H

#include <stddef.h>

/* As calloc(3) and reallocarray(3); at least one byte. */
void *allocate(size_t count, size_t size);
void *reallocate(void *, size_t count, size_t size);

__attribute__((noreturn)) void no_memory(void);

#endif
