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

/* Bytes of which `needed` are to fit: `*allocated`, 0 with NULL, is doubled,
 * from `least` on, until they do. */
void *grow(void *bytes, size_t *allocated, size_t needed, size_t least);

__attribute__((noreturn)) void no_memory(void);

#endif
