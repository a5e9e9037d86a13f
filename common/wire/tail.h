/*
 * The tail of a decoder: the bytes of a request that is not whole yet. What
 * arrives whole is decoded where it lies and never copied here.
 */
#ifndef RINGCHAT_WIRE_TAIL_H
#define RINGCHAT_WIRE_TAIL_H

#include "common/wire/wire.h"

/* Appends; false without memory. `capacity_max` is what the tail may ever
 * have to hold. */
bool tail_append(struct decoder *, struct budget *, const unsigned char *bytes,
                 size_t length, size_t capacity_max);

/* Empties it and gives back the memory. */
void tail_release(struct decoder *, struct budget *);

#endif
