/*
 * Structs that begin with their size, between programs and libraries of
 * different versions (see <ringchat/protocol.h>, "Growth").
 */
#ifndef RINGCHAT_LIB_SIZED_H
#define RINGCHAT_LIB_SIZED_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies what the caller has filled in to a struct of ours, of `ours_bytes`.
 * What is not in theirs becomes 0. False if `theirs` is NULL or cannot be: its
 * size is less than that of a size, or it asks for something (is not 0) where
 * we know nothing.
 */
bool sized_take(void *ours, size_t ours_bytes, const void *theirs);

/* Fills theirs in, but for its size, as far as that goes: with ours, and then
 * with 0. Nothing if it is less than that of a size. */
void sized_give(void *theirs, const void *ours, size_t ours_bytes);

#endif
