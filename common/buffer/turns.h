/*
 * Turns: when what one worker has unlinked may be freed though others read it
 * without a lock, a count or a word.
 *
 * A turn is what a worker does between two waits. What it finds of another's
 * lists it uses in that turn and then forgets; it announces each turn as it
 * begins, and is offline while it sleeps. So what was unlinked before every
 * other worker's present turn began, nobody has: a grace period has passed.
 *
 *     owner     unlink    stamp                              free
 *                 |         |   grace period                  |
 *     worker  [ turn ........... ][ turn ...                  |
 *     worker      [ turn ][ turn ....        ][ turn          |
 *     worker  [ turn ]  offline
 *
 * This is quiescent-state-based reclamation: McKenney and Slingwine, "Read-Copy
 * Update: Using Execution History to Solve Concurrency Problems" (PDCS 1998);
 * compared with others by Hart, McKenney, Brown and Walpole, "Performance of
 * memory reclamation for lockless synchronization" (JPDC 67, 2007); as a
 * library, liburcu's urcu-qsbr. Nobody waits here: an owner asks again later.
 */
#ifndef RINGCHAT_BUFFER_TURNS_H
#define RINGCHAT_BUFFER_TURNS_H

#include "common/base/cache_line.h"
#include "common/base/limits.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct turn {
    /* The latest stamp when its turn began; UINT64_MAX: offline. Written by
     * its worker, read by all; what it pairs with stands in turns.c. */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t seen;
};

struct turns {
    /* The latest stamp: owners add, workers read. */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t stamp;
    struct turn workers[WORKERS_MAX];
    uint32_t count;
};

/* `count` workers, all of them offline. */
void turns_init(struct turns *, uint32_t count);

/* The worker begins to take part: before it looks at anything. */
void turns_online(struct turns *, uint32_t worker);
/* A turn begins: nothing that was found in those before is in use. */
void turns_announce(struct turns *, uint32_t worker);
/* It will sleep, or has ended: nothing is in use until it is online again. */
void turns_offline(struct turns *, uint32_t worker);

/* The owner asks, once it has unlinked something; */
uint64_t turns_stamp(struct turns *);
/* and later, with the stamp it got, whether nobody can have that any more. */
bool turns_passed(const struct turns *, uint64_t stamp);

#endif
