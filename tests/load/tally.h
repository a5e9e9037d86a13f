/*
 * What one client has heard of each speaker: whether every message came, once,
 * and in order. Messages are numbered by speaker, from 0, without gaps. No I/O.
 *
 * What is skipped is missing from then on, unless it comes after all. At the
 * end that which is missing and which the server has owned up to (`lagged`) is
 * not lost.
 */
#ifndef RINGCHAT_LOAD_TALLY_H
#define RINGCHAT_LOAD_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hearing {
    HEARD_NEXT,  /* the one that was due */
    HEARD_AHEAD, /* some before it are missing */
    HEARD_LATE,  /* it was missing: the order is another */
    HEARD_TWICE,
};

/* Missing numbers of one speaker: from `from` up to but not `to`. */
struct gap {
    uint32_t speaker, from, to;
};

/* Those that are remembered, so that what comes late is not taken for what
 * comes twice: the latest. */
#define GAPS_MAX 256

/* Due next from a speaker who has not been heard: whatever comes. */
#define NUMBER_ANY UINT32_MAX

struct tally {
    uint32_t *due; /* by speaker */
    uint32_t speakers;
    struct gap *gaps;
    size_t gaps_count, gaps_allocated;
    struct gap latest;
    uint64_t missing;
    uint64_t unnamed; /* messages that came but do not say which they are */
    uint64_t lagged;  /* messages missed, as the server says */
};

/* `speakers` of which each begins with the number `first`; false without
 * memory. */
bool tally_init(struct tally *, uint32_t speakers, uint32_t first);
void tally_release(struct tally *);

/* For HEARD_AHEAD: `latest` is what was skipped. */
enum hearing tally_hear_other(struct tally *, uint32_t speaker,
                              uint32_t number);

static inline enum hearing tally_hear(struct tally *tally, uint32_t speaker,
                                      uint32_t number)
{
    if (tally->due[speaker] != number)
        return tally_hear_other(tally, speaker, number);
    tally->due[speaker]++;
    return HEARD_NEXT;
}

/* It is known to be missing, if it is the one that is due: then it is the
 * latest gap. */
bool tally_miss(struct tally *, uint32_t speaker, uint32_t number);

/* The speaker has said `said` messages, and no more will be heard. */
void tally_end(struct tally *, uint32_t speaker, uint32_t said);

/* Of the missing ones, those that nothing accounts for; and how many fewer are
 * missing than the server says. */
uint64_t tally_lost(const struct tally *);
uint64_t tally_overstated(const struct tally *);

#endif
