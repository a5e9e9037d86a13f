/*
 * Slabs are aligned, to more than their size, so that an object finds its slab
 * by masking its address. A slab hands out the objects freed last first (they
 * are warm in the cache), and carves a fresh one only when it has none.
 *
 *    partial -> [slab: free -> o -> o, fresh 7 of 180] -> [slab ...]
 *
 * A full slab is on no list; the first object freed into it puts it back.
 */
#include "common/buffer/pool.h"

#include "common/base/limits.h"
#include "common/base/poison.h"

#include <assert.h>
#include <stdint.h>

#define SLAB_ALIGNMENT (64 * KIB)

/*
 * A little less, so that slabs stand side by side in glibc's heap: malloc has a
 * header before each, and what small memory is asked for between two of them
 * finds room in the gap of 1 KiB, and need not push the next one a whole slab
 * away. And what malloc looks for, to find aligned memory within it, is both
 * together: from a certain size on it would map each slab apart. Either way a
 * slab touches two more pages than it needs, an eighth of its memory.
 */
#define SLAB_BYTES (SLAB_ALIGNMENT - KIB - 16)

_Static_assert(SLAB_BYTES + SLAB_ALIGNMENT < MAPPED_BYTES_MIN - 64,
               "malloc does not map a slab apart");

struct free_object {
    struct free_object *next;
};

struct slab {
    struct slab *next, *previous;
    struct free_object *free;
    uint32_t used;
    uint32_t fresh; /* objects carved so far; those after were never touched */
};

#define SLAB_HEADER_BYTES ((sizeof(struct slab) + 15) / 16 * 16)

static uint32_t objects_per_slab(const struct pool *pool)
{
    return (uint32_t)((SLAB_BYTES - SLAB_HEADER_BYTES) / pool->object_bytes);
}

static struct slab *slab_of(void *object)
{
    uintptr_t offset = (uintptr_t)object % SLAB_ALIGNMENT;

    return (struct slab *)(void *)((unsigned char *)object - offset);
}

void pool_init(struct pool *pool, struct budget *budget, size_t object_bytes)
{
    *pool = (struct pool){
        .budget = budget,
        .object_bytes = (object_bytes + 7) / 8 * 8,
    };
    assert(object_bytes >= sizeof(struct free_object));
    assert(objects_per_slab(pool) > 0);
}

static void partial_push(struct pool *pool, struct slab *slab)
{
    slab->previous = NULL;
    slab->next = pool->partial;
    if (slab->next)
        slab->next->previous = slab;
    pool->partial = slab;
}

static void partial_remove(struct pool *pool, struct slab *slab)
{
    if (slab->previous)
        slab->previous->next = slab->next;
    else
        pool->partial = slab->next;
    if (slab->next)
        slab->next->previous = slab->previous;
}

static struct slab *slab_create(struct pool *pool)
{
    struct slab *slab = pool->spare;

    if (slab) {
        pool->spare = NULL;
        return slab;
    }
    slab = budget_alloc_aligned(pool->budget, SLAB_ALIGNMENT, SLAB_BYTES);
    if (!slab)
        return NULL;
    *slab = (struct slab){.used = 0};
    poison((unsigned char *)slab + SLAB_HEADER_BYTES,
           SLAB_BYTES - SLAB_HEADER_BYTES);
    return slab;
}

static void slab_destroy(struct pool *pool, struct slab *slab)
{
    unpoison(slab, SLAB_BYTES);
    budget_free(pool->budget, slab, SLAB_BYTES);
}

static void *slab_take(const struct pool *pool, struct slab *slab)
{
    struct free_object *object = slab->free;

    slab->used++;
    if (object) {
        unpoison(object, pool->object_bytes);
        slab->free = object->next;
        return object;
    }
    object = (void *)((unsigned char *)slab + SLAB_HEADER_BYTES +
                      pool->object_bytes * slab->fresh++);
    unpoison(object, pool->object_bytes);
    return object;
}

void *pool_alloc(struct pool *pool)
{
    struct slab *slab = pool->partial;
    void *object;

    if (!slab) {
        slab = slab_create(pool);
        if (!slab)
            return NULL;
        partial_push(pool, slab);
    }
    object = slab_take(pool, slab);
    if (slab->used == objects_per_slab(pool))
        partial_remove(pool, slab);
    pool->objects++;
    return object;
}

void pool_free(struct pool *pool, void *object)
{
    struct free_object *freed = object;
    struct slab *slab;

    if (!object)
        return;
    slab = slab_of(object);
    if (slab->used == objects_per_slab(pool))
        partial_push(pool, slab);
    freed->next = slab->free;
    slab->free = freed;
    poison(freed, pool->object_bytes);
    slab->used--;
    pool->objects--;
    if (slab->used > 0)
        return;
    partial_remove(pool, slab);
    if (pool->spare)
        slab_destroy(pool, slab);
    else
        pool->spare = slab;
}

void pool_release(struct pool *pool)
{
    assert(pool->objects == 0);
    if (pool->spare)
        slab_destroy(pool, pool->spare);
    pool->spare = NULL;
}
