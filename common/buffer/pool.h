/*
 * A slab pool: objects of one size, many to a slab.
 *
 * Sessions, rooms, lanes and small segments come and go by the thousand; a
 * pool makes that two pointer moves, without a header per object, and gives
 * whole slabs back when they empty. An object that has never been used is
 * never touched, so that an idle server stays small. One thread uses a pool.
 *
 * After Bonwick, "The Slab Allocator" (USENIX 1994), without its caches.
 */
#ifndef RINGCHAT_BUFFER_POOL_H
#define RINGCHAT_BUFFER_POOL_H

#include "common/buffer/budget.h"

#include <stddef.h>

struct slab;

struct pool {
    struct budget *budget;
    size_t object_bytes;
    size_t objects;       /* in use */
    struct slab *partial; /* slabs with a free object, the last used first */
    struct slab *spare;   /* one empty slab kept, so that a session that comes
                             and goes does not allocate each time */
};

void pool_init(struct pool *, struct budget *, size_t object_bytes);

/* Memory of `object_bytes`, not cleared, aligned to 8 bytes; NULL when the
 * budget or the memory is used up. */
void *pool_alloc(struct pool *);

/* Takes NULL. */
void pool_free(struct pool *, void *object);

/* Gives back the spare slab. Every object must have been freed. */
void pool_release(struct pool *);

#endif
