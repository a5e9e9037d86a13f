/*
 * Those who hear the same bytes: see audience.h.
 */
#include "tests/load/audience.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Who falls behind more than that reads for himself: what is compared should
 * not have left the processor's cache. */
#define TRANSCRIPT_MIN (64 * 1024)
#define TRANSCRIPT_MAX (16 * 1024 * 1024)
#define ENTRIES_MIN 256
#define CARRY_MIN 256

void audience_init(struct audience *audience, struct room *room,
                   struct voice *voices, uint32_t speakers, uint32_t places,
                   bool hears_itself)
{
    *audience = (struct audience){
        .room = room,
        .voices = voices,
        .speakers = speakers,
        .mask = places - 1,
        .hears_itself = hears_itself,
        .records = allocate((size_t)speakers * places, sizeof(struct record)),
    };
    for (size_t i = 0; i < (size_t)speakers * places; i++)
        audience->records[i] = (struct record){.number = NUMBER_NONE};
}

void audience_release(struct audience *audience)
{
    free(audience->records);
    free(audience->bytes);
    free(audience->entries);
}

/* ---- Records ------------------------------------------------------------ */

struct record *audience_record_begin(struct audience *audience,
                                     struct record *record, uint32_t speaker,
                                     uint32_t number)
{
    const struct voice *voice = &audience->voices[speaker];

    if (record->number != NUMBER_NONE && record->number > number)
        return NULL;
    *record = (struct record){
        .due_ns = voice_due_ns(voice, number),
        .entry = ENTRY_NONE,
        .before = ENTRY_NONE,
        .number = number,
        .left = audience->waited_for,
    };
    if (!audience->hears_itself && voice->audience == audience &&
        record->left > 0)
        record->left--;
    return record;
}

/* ---- The transcript ----------------------------------------------------- */

uint64_t audience_entry_begin(const struct audience *audience, uint64_t entry)
{
    return entry == audience->entries_begin
               ? audience->begin
               : audience_entry(audience, entry - 1)->end;
}

static size_t words_alike(const unsigned char *a, const unsigned char *b,
                          size_t length)
{
    size_t at = 0;

    while (at + 8 <= length && memcmp(a + at, b + at, 8) == 0)
        at += 8;
    while (at < length && a[at] == b[at])
        at++;
    return at;
}

size_t audience_match(const struct audience *audience, uint64_t position,
                      const unsigned char *bytes, size_t length)
{
    const unsigned char *kept = audience_at(audience, position);

    if (length > audience->end - position)
        length = audience->end - position;
    if (length == 0 || memcmp(kept, bytes, length) == 0)
        return length;
    return words_alike(kept, bytes, length);
}

/* Forgets what is before the entry; who is behind it reads for himself. */
static void forget(struct audience *audience, uint64_t entry)
{
    uint64_t begin = audience_entry_begin(audience, entry);
    struct follower *follower;

    for (follower = audience->first; follower; follower = follower->next) {
        if (follower->position >= begin)
            continue;
        audience_turn_back(audience, follower);
        audience_move(audience, follower, begin, entry);
        follower->since = entry;
    }
    memmove(audience->bytes, audience_at(audience, begin),
            audience->end - begin);
    memmove(audience->entries, audience_entry(audience, entry),
            (audience->entries_end - entry) * sizeof(struct entry));
    audience->begin = begin;
    audience->entries_begin = entry;
}

/* The entry in the middle. */
static uint64_t middle(const struct audience *audience)
{
    uint64_t half = (audience->begin + audience->end) / 2;
    uint64_t entry = audience->entries_begin;

    while (entry < audience->entries_end &&
           audience_entry(audience, entry)->end <= half)
        entry++;
    return entry;
}

static void make_room(struct audience *audience, size_t length)
{
    size_t kept = audience->end - audience->begin;

    if (kept + length > TRANSCRIPT_MAX && kept > 0) {
        forget(audience, middle(audience));
        kept = audience->end - audience->begin;
    }
    audience->bytes = grow(audience->bytes, &audience->bytes_allocated,
                           kept + length, TRANSCRIPT_MIN);
}

static void make_room_for_entry(struct audience *audience)
{
    size_t count = audience->entries_end - audience->entries_begin;

    if (count < audience->entries_allocated)
        return;
    audience->entries_allocated = count ? 2 * count : ENTRIES_MIN;
    audience->entries = reallocate(
        audience->entries, audience->entries_allocated, sizeof(struct entry));
}

void audience_append(struct audience *audience, struct follower *follower,
                     struct record *record, uint32_t speaker,
                     const unsigned char *bytes, size_t length)
{
    assert(follower->position == audience->end && length > 0);
    if (audience->at_end == audience->followers) {
        audience->begin = audience->end; /* all have read it */
        audience->entries_begin = audience->entries_end;
    }
    make_room(audience, length);
    make_room_for_entry(audience);
    memcpy(audience->bytes + (audience->end - audience->begin), bytes, length);
    audience->end += length;
    record->entry = audience->entries_end++;
    audience->entries[record->entry - audience->entries_begin] =
        (struct entry){audience->end, speaker, record->number};
    follower->position = audience->end;
    follower->entry = audience->entries_end;
    audience->at_end = 1;
}

/* ---- Followers ---------------------------------------------------------- */

void audience_join(struct audience *audience, struct follower *follower,
                   bool is_spoken_in)
{
    follower->is_astray = is_spoken_in && audience->guided > 0;
    audience->guided += !follower->is_astray;
    follower->position = audience->end;
    follower->entry = audience->entries_end;
    follower->since = audience->entries_end;
    follower->previous = NULL;
    follower->next = audience->first;
    if (audience->first)
        audience->first->previous = follower;
    audience->first = follower;
    audience->followers++;
    audience->at_end++;
}

void audience_leave(struct audience *audience, struct follower *follower)
{
    if (follower->previous)
        follower->previous->next = follower->next;
    else
        audience->first = follower->next;
    if (follower->next)
        follower->next->previous = follower->previous;
    audience->followers--;
    audience->guided -= !follower->is_astray;
    if (follower->position == audience->end)
        audience->at_end--;
}

void audience_move(struct audience *audience, struct follower *follower,
                   uint64_t position, uint64_t entry)
{
    if (position == audience->end && follower->position != audience->end)
        audience->at_end++;
    if (position != audience->end && follower->position == audience->end)
        audience->at_end--;
    follower->position = position;
    follower->entry = entry;
}

void audience_guide(struct audience *audience, struct follower *follower,
                    uint64_t position, uint64_t entry)
{
    if (follower->is_astray) {
        audience->guided++;
        follower->is_astray = false;
        follower->since = entry;
    }
    audience_move(audience, follower, position, entry);
}

void audience_turn_back(struct audience *audience, struct follower *follower)
{
    uint64_t begin = audience_entry_begin(audience, follower->entry);

    if (follower->position == begin)
        return;
    assert(follower->carry_length == 0);
    follower_carry(follower, audience_at(audience, begin),
                   follower->position - begin);
    audience_move(audience, follower, begin, follower->entry);
}

void follower_carry(struct follower *follower, const unsigned char *bytes,
                    size_t length)
{
    size_t needed = follower->carry_length + length;

    follower->carry =
        grow(follower->carry, &follower->carry_allocated, needed, CARRY_MIN);
    memcpy(follower->carry + follower->carry_length, bytes, length);
    follower->carry_length = needed;
}

void follower_release(struct follower *follower)
{
    free(follower->carry);
    *follower = (struct follower){0};
}
