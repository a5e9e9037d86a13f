/*
 * What a speaker has said: see voice.h.
 */
#include "tests/load/voice.h"

#include <assert.h>
#include <stdlib.h>

#define NUMBER_NOBODYS UINT32_MAX

void voice_init(struct voice *voice, uint32_t places)
{
    assert(places > 0 && (places & (places - 1)) == 0);
    voice->ring = allocate(places, sizeof(*voice->ring));
    voice->mask = places - 1;
}

void voice_release(struct voice *voice)
{
    free(voice->ring);
}

static struct utterance *place(const struct voice *voice, uint32_t number)
{
    return &voice->ring[number & voice->mask];
}

/* A message's number above how many audiences have not heard it. */
static uint64_t state_of(uint32_t number, uint32_t audiences)
{
    return (uint64_t)number << 32 | audiences;
}

static uint32_t number_in(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static uint32_t audiences_in(uint64_t state)
{
    return (uint32_t)state;
}

static bool is_complete(const struct voice *voice, uint32_t number)
{
    return audiences_in(atomic_load(&place(voice, number)->state)) == 0;
}

bool voice_has_place(struct voice *voice)
{
    uint32_t said = atomic_load_explicit(&voice->said, memory_order_relaxed);

    return is_complete(voice, said);
}

/* Whoever reads the time (voice_due_ns) finds the same number before and after
 * it, or knows that it is another's. */
uint32_t voice_say(struct voice *voice, uint64_t due_ns)
{
    uint32_t number = atomic_load_explicit(&voice->said, memory_order_relaxed);
    uint32_t audiences = atomic_load(&voice->room->audiences);
    struct utterance *utterance = place(voice, number);

    atomic_store(&utterance->state, state_of(NUMBER_NOBODYS, 0));
    atomic_store(&utterance->due_ns, due_ns);
    atomic_store(&utterance->state, state_of(number, audiences));
    if (audiences > 0)
        atomic_fetch_add(&voice->outstanding, 1);
    atomic_store(&voice->said, number + 1);
    return number;
}

uint64_t voice_due_ns(const struct voice *voice, uint32_t number)
{
    const struct utterance *utterance = place(voice, number);
    uint32_t before = number_in(atomic_load(&utterance->state));
    uint64_t due_ns = atomic_load(&utterance->due_ns);
    uint32_t after = number_in(atomic_load(&utterance->state));

    return before == number && after == number ? due_ns : 0;
}

bool voice_heard(struct voice *voice, uint32_t number)
{
    struct utterance *utterance = place(voice, number);
    uint64_t state = atomic_load(&utterance->state);

    do {
        if (number_in(state) != number || audiences_in(state) == 0)
            return false; /* given up */
    } while (
        !atomic_compare_exchange_weak(&utterance->state, &state, state - 1));
    if (audiences_in(state) > 1)
        return false;
    atomic_fetch_sub(&voice->outstanding, 1);
    return true;
}

static bool give_up(struct voice *voice, uint32_t number)
{
    struct utterance *utterance = place(voice, number);
    uint64_t state = atomic_load(&utterance->state);

    do {
        if (audiences_in(state) == 0)
            return false; /* it was complete just then */
    } while (!atomic_compare_exchange_weak(&utterance->state, &state,
                                           state_of(number_in(state), 0)));
    atomic_fetch_sub(&voice->outstanding, 1);
    return true;
}

uint32_t voice_give_up(struct voice *voice, uint64_t before_ns)
{
    uint32_t said = atomic_load(&voice->said);
    uint32_t count = 0;

    if (said - voice->oldest > voice->mask) /* others have the places before */
        voice->oldest = said - voice->mask - 1;
    while (voice->oldest != said) {
        if (!is_complete(voice, voice->oldest)) {
            if (atomic_load(&place(voice, voice->oldest)->due_ns) >= before_ns)
                break;
            count += give_up(voice, voice->oldest);
        }
        voice->oldest++;
    }
    return count;
}
