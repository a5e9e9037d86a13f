/*
 * Those of a room who are on one thread and speak one dialect: servers send
 * them the same bytes. So what the first of them has heard is kept, in a
 * transcript, and what the others hear is compared with it, which is much
 * faster than to read it again. Each still counts every message for itself: the
 * transcript says which message bytes are, not whether they are due.
 *
 * A follower is at a position of the transcript, perhaps in the middle of a
 * message. What is not in it, because it is for one alone, or comes in another
 * order, is read by the follower (client.c).
 *
 * Positions and entries are counted from the beginning of the run.
 */
#ifndef RINGCHAT_LOAD_AUDIENCE_H
#define RINGCHAT_LOAD_AUDIENCE_H

#include "tests/load/run.h"
#include "tests/load/voice.h"

/* A message, where it ends. */
struct entry {
    uint64_t end;
    uint32_t speaker, number;
};

#define ENTRY_NONE UINT64_MAX
#define NUMBER_NONE UINT32_MAX

/* A message on its way to this audience. */
struct record {
    uint64_t due_ns; /* 0: not known any more */
    uint64_t entry;  /* ENTRY_NONE: not in the transcript */
    uint32_t number;
    uint32_t left; /* who have not heard it, of those who are waited for */
    /* While it is not in the transcript: somebody has heard it before this
     * entry, and somebody behind all those before that one. */
    uint64_t before, after;
};

#define EARLY_MAX 4

struct early {
    uint32_t speaker, number;
};

/* Who reads the transcript, and what it has read that is not in it. */
struct follower {
    uint64_t position, entry; /* the entry that the position is in or before */
    /* From this entry on it knows what it has gone by: that comes late. */
    uint64_t since;
    /* Messages that it has heard before the entries up to that one, but which
     * were not in the transcript then: the first few. */
    struct early early[EARLY_MAX];
    size_t early_count;
    uint64_t early_end;
    /* The beginning of an item that has not come whole; while there is one, the
     * position is where an entry begins. */
    unsigned char *carry;
    size_t carry_length, carry_allocated;
    /* It does not know where it is: it came while others had something unread,
     * or were ahead. It reads for itself until it hears what is written. */
    bool is_astray;
    struct follower *next, *previous;
};

struct audience {
    struct room *room;
    struct voice *voices; /* the room's */
    uint32_t speakers;
    bool hears_itself;
    uint32_t waited_for;      /* clients that a message is complete with */
    struct follower *first;   /* who are in the room */
    size_t followers, at_end; /* those, and those who have read all of it */
    size_t guided;            /* those who are not astray */
    /* The records: places of each speaker. */
    struct record *records;
    uint32_t mask;
    /* The transcript. */
    unsigned char *bytes;
    size_t bytes_allocated;
    uint64_t begin, end; /* the positions that are kept */
    struct entry *entries;
    size_t entries_allocated;
    uint64_t entries_begin, entries_end;
};

void audience_init(struct audience *, struct room *, struct voice *voices,
                   uint32_t speakers, uint32_t places, bool hears_itself);
void audience_release(struct audience *);

struct record *audience_record_begin(struct audience *, struct record *,
                                     uint32_t speaker, uint32_t number);

/* The record of a message: NULL if it was so long ago that its place is
 * another's. */
static inline struct record *audience_record(struct audience *audience,
                                             uint32_t speaker, uint32_t number)
{
    size_t first = (size_t)speaker * (audience->mask + 1);
    struct record *record =
        &audience->records[first + (number & audience->mask)];

    if (record->number == number)
        return record;
    return audience_record_begin(audience, record, speaker, number);
}

/* One of those who are waited for has it, or never will: returns whether it was
 * the last. */
static inline bool record_done(struct record *record)
{
    return record->left > 0 && --record->left == 0;
}

static inline const struct entry *
audience_entry(const struct audience *audience, uint64_t entry)
{
    return &audience->entries[entry - audience->entries_begin];
}

/* Where an entry begins. */
uint64_t audience_entry_begin(const struct audience *, uint64_t entry);

static inline const unsigned char *audience_at(const struct audience *audience,
                                               uint64_t position)
{
    return audience->bytes + (position - audience->begin);
}

/* How many of the bytes go on with the transcript from there. */
size_t audience_match(const struct audience *, uint64_t position,
                      const unsigned char *bytes, size_t length);

/* A message that a follower at the end has heard. */
void audience_append(struct audience *, struct follower *, struct record *,
                     uint32_t speaker, const unsigned char *bytes,
                     size_t length);

/* Who comes begins at the end; if something is being said, it is astray, unless
 * nobody else is there who is not. Who leaves keeps its carry, to be freed by
 * follower_release. */
void audience_join(struct audience *, struct follower *, bool is_spoken_in);
void audience_leave(struct audience *, struct follower *);

/* A follower goes to where an entry begins or ends, or stays in between. */
void audience_move(struct audience *, struct follower *, uint64_t position,
                   uint64_t entry);

/* Who was astray is there. */
void audience_guide(struct audience *, struct follower *, uint64_t position,
                    uint64_t entry);

/* What comes now is no part of the entry that the follower is in: what it has
 * read of it is carried, and it is where the entry begins. */
void audience_turn_back(struct audience *, struct follower *);

/* More bytes of an item that is not whole. */
void follower_carry(struct follower *, const unsigned char *bytes,
                    size_t length);
void follower_release(struct follower *);

#endif
