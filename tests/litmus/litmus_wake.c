/*
 * The two moments on which wake.h turns, again and again, with two threads that
 * come to them at once, as litmus7 does (Alglave, Maranget, Sarkar, Sewell,
 * "Litmus: Running Tests against Hardware", TACAS 2011). litmus_queue shows
 * that all of it works together, but there what is lost is mostly made up for
 * by somebody else, and who sleeps has seldom just been looking.
 *
 *   wake-up   one publishes and asks whether to wake, the other prepares to
 *             sleep and looks: either is told, or the other finds it
 *   before    who is told sees what the other did before it prepared to sleep
 *   one       both have news for one who sleeps: one of them is told
 *
 *     litmus_wake [--seconds 2]
 */
#include "common/buffer/budget.h"
#include "common/shard/queue.h"
#include "common/shard/wake.h"
#include "tests/litmus/support.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* More than a cache holds of them would only be slower. */
#define TRIALS 256

/* Each of the two has its own of both. */
struct trial {
    struct queue queue;
    struct sleeper sleeper;
    alignas(CACHE_LINE_BYTES) bool told; /* the one with news */
    alignas(CACHE_LINE_BYTES) bool met;  /* the sleeper: found it, or told */
    /* The sleeper's, in a round. No atomic: `sleeping` alone publishes it. */
    alignas(CACHE_LINE_BYTES) uint64_t prepared;
};

static struct budget budget;
static struct trial trials[TRIALS];
static struct arrivals newsman_arrivals, sleeper_arrivals;

/* The main thread's, for the newsman; the newsman's, for the sleeper, before
 * they meet. Relaxed: neither publishes anything. */
static _Atomic bool time_is_up, is_last_round;

/* Every other trial is of the second kind. */
static bool has_two_newsmen(size_t trial)
{
    return trial % 2 == 1;
}

/* ---- Who has news ------------------------------------------------------- */

static void tell(size_t number, uint64_t round)
{
    struct trial *trial = &trials[number];

    queue_publish(&trial->queue);
    trial->told = wake_needed(&trial->sleeper);
    if (!has_two_newsmen(number) && trial->told && trial->prepared != round)
        broken("before: told, and does not see what was before that");
}

static void write_news(struct trial *trial)
{
    unsigned char *bytes = queue_reserve(&trial->queue, 1);

    assert(bytes); /* wake_up has given the room back */
    bytes[0] = 1;
    queue_commit(&trial->queue);
}

/* To whom is awake one has news, too. So the flag is in our cache, and the
 * sleeper's store to it on its way for as long as a store can be. */
static void tell_awake(size_t number)
{
    if (!has_two_newsmen(number) && wake_needed(&trials[number].sleeper))
        broken("wake-up: one who is awake is told");
}

static void check(size_t number)
{
    const struct trial *trial = &trials[number];

    if (!trial->told && !trial->met)
        broken(has_two_newsmen(number) ? "one: nobody is told"
                                       : "wake-up: neither is told nor finds");
    if (has_two_newsmen(number) && trial->told && trial->met)
        broken("one: both are told");
}

static void *bring_news(void *argument)
{
    struct rng rng = {1};
    uint64_t round = 0;
    bool last;

    (void)argument;
    do {
        round++;
        last = atomic_load_explicit(&time_is_up, memory_order_relaxed);
        atomic_store_explicit(&is_last_round, last, memory_order_relaxed);
        for (size_t i = 0; i < TRIALS; i++) {
            write_news(&trials[i]);
            tell_awake(i);
        }
        for (size_t i = 0; i < TRIALS; i++) {
            meet(&newsman_arrivals, &sleeper_arrivals);
            linger(&rng);
            tell(i, round);
        }
        meet(&newsman_arrivals, &sleeper_arrivals);
        for (size_t i = 0; i < TRIALS; i++)
            check(i);
        meet(&newsman_arrivals, &sleeper_arrivals);
    } while (!last);
    return NULL;
}

/* ---- Who goes to sleep -------------------------------------------------- */

static bool finds_news(struct trial *trial)
{
    size_t length;

    return queue_peek(&trial->queue, &length) != NULL;
}

static void fall_asleep(struct trial *trial, uint64_t round)
{
    trial->prepared = round;
    sleep_prepare(&trial->sleeper);
    trial->met = finds_news(trial);
}

/* As if from another thread, for one that sleeps since the last round. */
static void tell_too(struct trial *trial)
{
    trial->met = wake_needed(&trial->sleeper);
}

static void wake_up(size_t number)
{
    struct trial *trial = &trials[number];

    if (!finds_news(trial))
        broken("content: what was published is not seen");
    queue_pop(&trial->queue);
    queue_consumed(&trial->queue);
    sleep_over(&trial->sleeper);
    if (has_two_newsmen(number))
        sleep_prepare(&trial->sleeper);
}

static void *sleep_and_wake(void *argument)
{
    struct rng rng = {2};
    uint64_t round = 0;
    bool last;

    (void)argument;
    do {
        round++;
        for (size_t i = 0; i < TRIALS; i++) {
            meet(&sleeper_arrivals, &newsman_arrivals);
            linger(&rng);
            if (has_two_newsmen(i))
                tell_too(&trials[i]);
            else
                fall_asleep(&trials[i], round);
        }
        meet(&sleeper_arrivals, &newsman_arrivals);
        last = atomic_load_explicit(&is_last_round, memory_order_relaxed);
        for (size_t i = 0; i < TRIALS; i++)
            wake_up(i);
        meet(&sleeper_arrivals, &newsman_arrivals);
    } while (!last);
    return NULL;
}

/* ---- All of it ---------------------------------------------------------- */

static void prepare(void)
{
    budget_init(&budget, UINT64_MAX);
    for (size_t i = 0; i < TRIALS; i++) {
        if (!queue_init(&trials[i].queue, &budget, QUEUE_BYTES_MIN))
            broken("no memory");
        sleeper_init(&trials[i].sleeper);
        if (has_two_newsmen(i))
            sleep_prepare(&trials[i].sleeper);
    }
}

int main(int argc, char **argv)
{
    struct settings settings = settings_parse(argc, argv);
    pthread_t newsman, sleeper;

    prepare();
    newsman = thread_start(bring_news);
    sleeper = thread_start(sleep_and_wake);
    nanosleep(&(struct timespec){.tv_sec = settings.seconds}, NULL);
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    pthread_join(newsman, NULL);
    pthread_join(sleeper, NULL);
    for (size_t i = 0; i < TRIALS; i++)
        queue_release(&trials[i].queue);
    printf("litmus_wake: %" PRIu64 " meetings; all promises kept\n",
           atomic_load(&newsman_arrivals.count));
    return 0;
}
