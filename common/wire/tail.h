/*
 * The tail of a decoder: the bytes of a request that is not whole yet. What
 * arrives whole is decoded where it lies and never copied here.
 */
#ifndef RINGCHAT_WIRE_TAIL_H
#define RINGCHAT_WIRE_TAIL_H

#include "common/wire/wire.h"

struct tail {
    uint32_t size;   /* of this memory, with what stands before `bytes` */
    uint32_t length; /* of what is in it: more than 0 */
    unsigned char bytes[];
};

static inline size_t tail_length(const struct decoder *decoder)
{
    return decoder->tail ? decoder->tail->length : 0;
}

/* Appends something; false without memory. `length_max` is what the tail may
 * ever have to hold. */
bool tail_append(struct decoder *, struct budget *, const unsigned char *bytes,
                 size_t length, size_t length_max);

/* Empties it and gives back the memory. */
void tail_release(struct decoder *, struct budget *);

/* Likewise, if it was what came out last. */
void tail_drop_spent(struct decoder *, struct budget *);

#endif
