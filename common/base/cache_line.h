/*
 * The unit in which processors hand memory to each other: what two workers
 * write must not share one, or each waits for the other's writes.
 */
#ifndef RINGCHAT_BASE_CACHE_LINE_H
#define RINGCHAT_BASE_CACHE_LINE_H

/* Of x86-64 and nearly every aarch64. */
#define CACHE_LINE_BYTES 64

#endif
