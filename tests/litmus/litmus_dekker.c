/*
 * The two other moments at which each of two threads writes and then reads what
 * the other writes, as Dekker's do, so that release and acquire are not enough:
 * turns.h has one, and reach_tell with reach_heed (lane.h) the other.
 * litmus_log comes to the first of them too seldom to see it go wrong, and to
 * the second not at all. As in litmus_wake two threads come to each of them at
 * once, again and again.
 *
 *   turns    the owner unlinks, stamps and asks whether all turns have passed;
 *            the reader comes online and looks: what it finds is not freed
 *   told     the owner publishes and asks whether to tell the follower, who
 *            heeds what it was told before and looks: either it is told again,
 *            or it finds it
 *   before   who has to tell sees what the follower did before it heeded
 *
 *     litmus_dekker [--seconds 2]
 */
#include "common/buffer/lane.h"
#include "common/buffer/turns.h"
#include "tests/litmus/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* More than a cache holds of them would only be slower. */
#define TRIALS 64

/* Workers of a `struct turns`. The owner stays offline. */
#define OWNER 0
#define READER 1
#define WORKERS 2

struct trial {
    /* turns */
    struct turns turns;
    alignas(CACHE_LINE_BYTES) _Atomic bool linked; /* release, acquire */
    /* The owner writes it when it is its own again. No atomic: ThreadSanitizer
     * sees to that, too. */
    alignas(CACHE_LINE_BYTES) uint64_t record;
    alignas(CACHE_LINE_BYTES) bool freed; /* the owner */
    alignas(CACHE_LINE_BYTES) bool found; /* the reader */

    /* told */
    struct reach reach;
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t head; /* release, acquire */
    alignas(CACHE_LINE_BYTES) bool tells;            /* the owner */
    /* The follower's, in a round. `told` alone publishes the first. */
    alignas(CACHE_LINE_BYTES) uint64_t heeded;
    bool seen;
};

static struct trial trials[TRIALS];
static struct arrivals owner_arrivals, reader_arrivals;

/* The main thread's, for the owner; the owner's, for the reader, before they
 * meet. Relaxed: neither publishes anything. */
static _Atomic bool time_is_up, is_last_round;

/* ---- The owner ---------------------------------------------------------- */

/* That the owner looks at what the others write to next puts it in its cache:
 * their store is on its way for as long as a store can be. */
static void link_record(struct trial *trial, uint64_t round)
{
    trial->record = round;
    atomic_store_explicit(&trial->linked, true, memory_order_release);
    if (!turns_passed(&trial->turns, UINT64_MAX))
        broken("turns: one who is offline is waited for");
    reach_tell(&trial->reach); /* as it is while a letter is on its way */
}

static void unlink_record(struct trial *trial)
{
    uint64_t stamp;

    atomic_store_explicit(&trial->linked, false, memory_order_release);
    stamp = turns_stamp(&trial->turns);
    trial->freed = turns_passed(&trial->turns, stamp);
    if (trial->freed)
        trial->record = 0;
}

static void publish(struct trial *trial, uint64_t round)
{
    atomic_store_explicit(&trial->head, round, memory_order_release);
    trial->tells = reach_tell(&trial->reach);
    if (trial->tells && trial->heeded != round)
        broken("before: heeded, and what was before that is not to be seen");
}

static void check(const struct trial *trial)
{
    if (trial->freed && trial->found)
        broken("turns: freed while it is being read");
    if (!trial->tells && !trial->seen)
        broken("told: neither is told nor finds");
}

static void *own(void *argument)
{
    struct rng rng = {1};
    uint64_t round = 0;
    bool last;

    (void)argument;
    do {
        round++;
        last = atomic_load_explicit(&time_is_up, memory_order_relaxed);
        atomic_store_explicit(&is_last_round, last, memory_order_relaxed);
        for (size_t i = 0; i < TRIALS; i++)
            link_record(&trials[i], round);
        for (size_t i = 0; i < TRIALS; i++) {
            meet(&owner_arrivals, &reader_arrivals);
            linger(&rng);
            unlink_record(&trials[i]);
            meet(&owner_arrivals, &reader_arrivals);
            linger(&rng);
            publish(&trials[i], round);
        }
        meet(&owner_arrivals, &reader_arrivals);
        for (size_t i = 0; i < TRIALS; i++)
            check(&trials[i]);
        meet(&owner_arrivals, &reader_arrivals);
    } while (!last);
    return NULL;
}

/* ---- Who reads ---------------------------------------------------------- */

/* Its turn lasts until the round is over. */
static void look(struct trial *trial, uint64_t round)
{
    turns_online(&trial->turns, READER);
    trial->found = atomic_load_explicit(&trial->linked, memory_order_acquire);
    if (trial->found && trial->record != round)
        broken("turns: what is found has been freed");
}

static void heed(struct trial *trial, uint64_t round)
{
    trial->heeded = round;
    reach_heed(&trial->reach);
    trial->seen =
        atomic_load_explicit(&trial->head, memory_order_acquire) == round;
}

static void *read_on(void *argument)
{
    struct rng rng = {2};
    uint64_t round = 0;
    bool last;

    (void)argument;
    do {
        round++;
        for (size_t i = 0; i < TRIALS; i++) {
            meet(&reader_arrivals, &owner_arrivals);
            linger(&rng);
            look(&trials[i], round);
            meet(&reader_arrivals, &owner_arrivals);
            linger(&rng);
            heed(&trials[i], round);
        }
        meet(&reader_arrivals, &owner_arrivals);
        last = atomic_load_explicit(&is_last_round, memory_order_relaxed);
        for (size_t i = 0; i < TRIALS; i++)
            turns_offline(&trials[i].turns, READER);
        meet(&reader_arrivals, &owner_arrivals);
    } while (!last);
    return NULL;
}

/* ---- All of it ---------------------------------------------------------- */

int main(int argc, char **argv)
{
    struct settings settings = settings_parse(argc, argv);
    pthread_t owner, reader;

    for (size_t i = 0; i < TRIALS; i++) {
        turns_init(&trials[i].turns, WORKERS);
        reach_init(&trials[i].reach, READER);
    }
    owner = thread_start(own);
    reader = thread_start(read_on);
    nanosleep(&(struct timespec){.tv_sec = settings.seconds}, NULL);
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    pthread_join(owner, NULL);
    pthread_join(reader, NULL);
    printf("litmus_dekker: %" PRIu64 " meetings; all promises kept\n",
           atomic_load(&owner_arrivals.count));
    return 0;
}
