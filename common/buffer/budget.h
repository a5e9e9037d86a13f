/*
 * One limit for all the memory that peers can make the server hold.
 *
 * Every allocation of the core whose number or size a peer decides is counted
 * here, and refused when the sum would pass the limit (--max-memory). A refusal
 * looks like malloc's: NULL, which every caller handles. Not counted are
 * uthash's buckets, a few bytes for each room and source address that is.
 */
#ifndef RINGCHAT_BUFFER_BUDGET_H
#define RINGCHAT_BUFFER_BUDGET_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* From here on malloc makes a mapping of its own (glibc's M_MMAP_THRESHOLD):
 * what of that is not used takes no memory, and to grow moves no byte and
 * leaves no hole. A table that grows with the sessions begins with as much. */
#define MAPPED_BYTES_MIN (UINT32_C(128) * 1024)

struct budget {
    uint64_t limit_bytes;
    /* Any worker adds and subtracts, and looks whether it is much; nothing is
     * ordered by it: relaxed would do wherever it is read. */
    _Atomic uint64_t used_bytes;
};

void budget_init(struct budget *, uint64_t limit_bytes);

/* The caller owns what it gets; NULL over the limit or without memory. */
void *budget_alloc(struct budget *, size_t length);
void *budget_alloc_aligned(struct budget *, size_t alignment, size_t length);

/* As realloc(3): on NULL the old memory is still the caller's. */
void *budget_resize(struct budget *, void *memory, size_t old_length,
                    size_t new_length);

/* Takes NULL. `length` is what was asked for. */
void budget_free(struct budget *, void *memory, size_t length);

#endif
