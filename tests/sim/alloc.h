/*
 * The chat's memory: counted, and failing on demand. The linker leads each call
 * of malloc and its kin in the program here (--wrap, see the Makefile); what
 * shared libraries call themselves is not seen.
 */
#ifndef RINGCHAT_SIM_ALLOC_H
#define RINGCHAT_SIM_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* To be called first. Bytes that are freed change and stay mapped, so that who
 * still uses them is found by what it does (mallopt(3); sanitizers see to that
 * by themselves). */
void alloc_init(void);

/* From the nth call from now on so many fail; 0: none does. */
void alloc_fail_at(uint64_t n, uint64_t count);

/* Bytes allocated and not freed, as the allocator rounds them up
 * (malloc_usable_size(3)). */
size_t alloc_bytes(void);
/* Blocks, likewise. */
size_t alloc_blocks(void);

#endif
