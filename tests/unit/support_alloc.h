/*
 * Allocation that fails on demand, for unit tests: the linker leads every call
 * of malloc, calloc, realloc and posix_memalign in the program here (--wrap,
 * see the Makefile). Calls from within shared libraries are not seen. Each
 * thread counts its own.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_ALLOC_H
#define RINGCHAT_UNIT_SUPPORT_ALLOC_H

/* The nth call from now fails, and that one alone; 0: none does. */
void alloc_fail_at(unsigned n);

/* The calls so far, those that failed included. */
unsigned long alloc_count(void);

#endif
