/*
 * What one client has heard: see tally.h.
 */
#include "tests/load/tally.h"

#include <stdlib.h>
#include <string.h>

#define GAPS_MIN 4

bool tally_init(struct tally *tally, uint32_t speakers, uint32_t first)
{
    *tally = (struct tally){.speakers = speakers};
    tally->due = calloc(speakers ? speakers : 1, sizeof(*tally->due));
    if (!tally->due)
        return false;
    for (uint32_t i = 0; i < speakers; i++)
        tally->due[i] = first;
    return true;
}

void tally_release(struct tally *tally)
{
    free(tally->due);
    free(tally->gaps);
    *tally = (struct tally){0};
}

static void forget_first(struct tally *tally)
{
    tally->gaps_count--;
    memmove(tally->gaps, tally->gaps + 1,
            tally->gaps_count * sizeof(*tally->gaps));
}

/* Without memory they are missing like others, but no longer expected. */
static void remember(struct tally *tally, struct gap gap)
{
    size_t allocated = tally->gaps_allocated;
    struct gap *gaps;

    if (tally->gaps_count == GAPS_MAX)
        forget_first(tally);
    if (tally->gaps_count == allocated) {
        allocated = allocated ? 2 * allocated : GAPS_MIN;
        gaps = realloc(tally->gaps, allocated * sizeof(*gaps));
        if (!gaps)
            return;
        tally->gaps = gaps;
        tally->gaps_allocated = allocated;
    }
    tally->gaps[tally->gaps_count++] = gap;
}

/* Takes one out of a gap: of those on either side of it there are gaps left,
 * or not. */
static void fill(struct tally *tally, size_t at, uint32_t number)
{
    struct gap *gap = &tally->gaps[at];
    struct gap after = {gap->speaker, number + 1, gap->to};

    tally->missing--;
    gap->to = number;
    if (gap->from == gap->to && after.from == after.to) {
        tally->gaps_count--;
        memmove(gap, gap + 1, (tally->gaps_count - at) * sizeof(*gap));
    } else if (gap->from == gap->to) {
        *gap = after;
    } else if (after.from < after.to) {
        remember(tally, after);
    }
}

static bool was_missing(struct tally *tally, uint32_t speaker, uint32_t number)
{
    for (size_t i = 0; i < tally->gaps_count; i++) {
        const struct gap *gap = &tally->gaps[i];

        if (gap->speaker == speaker && gap->from <= number &&
            number < gap->to) {
            fill(tally, i, number);
            return true;
        }
    }
    return false;
}

enum hearing tally_hear_other(struct tally *tally, uint32_t speaker,
                              uint32_t number)
{
    uint32_t *due = &tally->due[speaker];
    struct gap gap = {speaker, *due, number};

    if (*due == NUMBER_ANY || number == *due) {
        *due = number + 1;
        return HEARD_NEXT;
    }
    if (number < *due)
        return was_missing(tally, speaker, number) ? HEARD_LATE : HEARD_TWICE;
    tally->missing += number - *due;
    remember(tally, gap);
    tally->latest = gap;
    *due = number + 1;
    return HEARD_AHEAD;
}

bool tally_miss(struct tally *tally, uint32_t speaker, uint32_t number)
{
    if (tally->due[speaker] != number)
        return false;
    tally->latest = (struct gap){speaker, number, number + 1};
    tally->missing++;
    remember(tally, tally->latest);
    tally->due[speaker] = number + 1;
    return true;
}

void tally_end(struct tally *tally, uint32_t speaker, uint32_t said)
{
    if (tally->due[speaker] == NUMBER_ANY || tally->due[speaker] >= said)
        return;
    tally->missing += said - tally->due[speaker];
    tally->due[speaker] = said;
}

uint64_t tally_lost(const struct tally *tally)
{
    uint64_t accounted = tally->unnamed + tally->lagged;

    return tally->missing > accounted ? tally->missing - accounted : 0;
}

uint64_t tally_overstated(const struct tally *tally)
{
    return tally->lagged > tally->missing ? tally->lagged - tally->missing : 0;
}
