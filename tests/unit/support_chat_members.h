/*
 * A room with a member in each of the four encodings, for the tests of the
 * chat's lanes; and what each is sent of it.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_CHAT_MEMBERS_H
#define RINGCHAT_UNIT_SUPPORT_CHAT_MEMBERS_H

#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

/* In the lobby, by encoding: tess, fred, sue and seal, who only listens. */
extern struct client *members[ENCODINGS];
extern const char *const nicks[ENCODINGS];

/* Without heartbeats, as what is sealed cannot answer, and for idle ones. */
struct chat_config quiet_config(void);

struct client *open_member(enum encoding, const char *nick);

/* All four, of whom nothing is unread. */
void start_members_with(const struct chat_config *);
void start_members(void);

/* NULL when nobody is in it. */
struct room *lobby(void);

/* To be received in the next turn. */
void say(enum encoding from, const char *text);

/* The number, and as many digits as `length`. */
void say_number(enum encoding from, unsigned number, int length);

/* What a member has been sent of messages that carry their numbers, from 0. */
struct account {
    uint64_t next;   /* the number that is due */
    uint64_t missed; /* messages, as it was told */
    uint64_t told;   /* how often */
    uint64_t bytes;  /* of messages since it was told last */
    uint64_t record; /* the largest one's */
    bool guess;      /* sealed: how many it missed the next one tells */
};

/* Reads all that the member was sent; lines of other kinds do not matter. */
void account_all(struct account *, enum encoding);

/* Each member that is still there has, or was told to have missed, all that the
 * room has. */
void expect_all_account(void);

#endif
