/*
 * What a speaker has said: see voice.h.
 */
#include "tests/load/voice.h"

#include <assert.h>
#include <stdlib.h>

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

static bool is_complete(const struct voice *voice, uint32_t number)
{
    return atomic_load(&place(voice, number)->audiences) == 0;
}

bool voice_has_place(struct voice *voice)
{
    uint32_t said = atomic_load_explicit(&voice->said, memory_order_relaxed);

    return is_complete(voice, said);
}

/* `number` last: who finds it (voice_due_ns) finds the rest. */
uint32_t voice_say(struct voice *voice, uint64_t due_ns)
{
    uint32_t number = atomic_load_explicit(&voice->said, memory_order_relaxed);
    uint32_t audiences = atomic_load(&voice->room->audiences);
    struct utterance *utterance = place(voice, number);

    atomic_store(&utterance->due_ns, due_ns);
    atomic_store(&utterance->audiences, audiences);
    atomic_store(&utterance->number, number);
    if (audiences > 0)
        atomic_fetch_add(&voice->outstanding, 1);
    atomic_store(&voice->said, number + 1);
    return number;
}

uint64_t voice_due_ns(const struct voice *voice, uint32_t number)
{
    const struct utterance *utterance = place(voice, number);
    uint64_t due_ns = atomic_load(&utterance->due_ns);

    return atomic_load(&utterance->number) == number ? due_ns : 0;
}

bool voice_heard(struct voice *voice, uint32_t number)
{
    struct utterance *utterance = place(voice, number);
    uint32_t left = atomic_load(&utterance->audiences);

    if (atomic_load(&utterance->number) != number)
        return false; /* given up, and forgotten */
    do {
        if (left == 0)
            return false; /* given up */
    } while (
        !atomic_compare_exchange_weak(&utterance->audiences, &left, left - 1));
    if (left > 1)
        return false;
    atomic_fetch_sub(&voice->outstanding, 1);
    return true;
}

static bool give_up(struct voice *voice, uint32_t number)
{
    if (atomic_exchange(&place(voice, number)->audiences, 0) == 0)
        return false; /* it was complete just then */
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
