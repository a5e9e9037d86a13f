/*
 * Completion. What may stand at the cursor follows from what stands before: a
 * command after `/`; a room after /join, /leave, /who, /window; a nick after
 * /msg and anywhere else, those who spoke last first, and with ": " at the
 * beginning of a line. Tab inserts what all have in common, and further Tabs go
 * through them; any other key ends it.
 */
#ifndef RINGCHAT_CLIENT_COMPLETE_H
#define RINGCHAT_CLIENT_COMPLETE_H

#include "common/base/slice.h"

#include <stdbool.h>

#define CANDIDATES_MAX 64

enum complete_what { COMPLETE_NICK, COMPLETE_ROOM, COMPLETE_COMMAND };

/* Where the word begins that is to be completed, what may stand there, and what
 * follows it once it is whole. */
struct complete_place {
    enum complete_what what;
    size_t from;
    const char *suffix;
};
struct complete_place complete_place(struct slice line, size_t cursor);

/* Candidates in the order in which Tab offers them, borrowed. `stem` is what
 * was typed; all zero but for that it has none. */
struct completion {
    struct slice stem;
    size_t count, next;
    struct slice candidates[CANDIDATES_MAX];
};

/* `name` is one of them if it begins with the stem, whatever the case of ASCII
 * letters; the first CANDIDATES_MAX are. */
void completion_offer(struct completion *, struct slice name);

/* The longest beginning that all have in common, which there is: at least as
 * long as the stem. */
struct slice completion_common(const struct completion *);

/* Round and round: the next one, or with CANDIDATE_BEFORE the one before. There
 * is one. */
enum candidate { CANDIDATE_NEXT, CANDIDATE_BEFORE };
struct slice completion_turn(struct completion *, enum candidate);

#endif
