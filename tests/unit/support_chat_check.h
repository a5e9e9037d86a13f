/*
 * The chat's invariants, looked at from outside: every count against what it
 * counts, every list against its members.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_CHAT_CHECK_H
#define RINGCHAT_UNIT_SUPPORT_CHAT_CHECK_H

#include <stdbool.h>

struct chat;
struct session;

/* What holds between any two calls into the chat. */
void check_chat(struct chat *);

/* What holds besides when a turn is over and nothing more can be sent: nobody
 * whose peer takes bytes is due any. */
void check_chat_idle(struct chat *);

/* Whether so much has been said in this turn that the rest waits for the next
 * one. */
bool is_turn_full(const struct chat *);

/* Whether the session only waits for the next turn (and not for its rate). */
bool is_turn_awaited(const struct session *);

/* Whether the session has been sent all that it was due. */
bool is_drained(const struct session *);

#endif
