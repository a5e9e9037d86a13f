/*
 * The peers' side of a history: what they say, read and answer. They touch
 * their own two streams, and never the chat.
 */
#ifndef RINGCHAT_SIM_PEER_H
#define RINGCHAT_SIM_PEER_H

#include "tests/sim/world.h"

#include "tests/unit/support_random.h"

/* Random numbers that are the salt's and the index's alone. */
struct rng rng_of(uint64_t salt, unsigned index);

/* Puts what the step says into the peer's stream, and a hello before it if it
 * has to say that first. Nothing, if the peer cannot speak (any more). */
void peer_say(struct peer_state *, const struct step *);

/* It ends its stream; the last line may go without its end. */
void peer_half_close(struct peer_state *, const struct step *);

/* Reads what the peer has appetite for, and answers pings. Whether it did
 * anything. */
bool peer_read(struct peer_state *, struct rng *);

/* The connection is over, and peer->session gone: the peer reads what is left
 * of its stream, unless the end came by a reset. */
void peer_over(struct peer_state *, enum end);

#endif
