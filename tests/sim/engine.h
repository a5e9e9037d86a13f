/*
 * The engine of a history: drives the one chat through its seam, in all the
 * ways in which the stages' engines do, and moves bytes between its sessions
 * and the peers' streams.
 */
#ifndef RINGCHAT_SIM_ENGINE_H
#define RINGCHAT_SIM_ENGINE_H

#include "tests/sim/world.h"

/* Before each history. */
void engine_begin(void);

/* One turn; whether anything moved. In which order the peers come, and in what
 * pieces their bytes, the salt decides. */
bool engine_turn(uint64_t salt);

/* Tells the chat the time, if it does not know it. */
void engine_tell_time(void);

/* Opens a session for the peer: peer->session, or its end if there is none. */
void engine_open(struct peer_state *, enum dialect);

/* The connection is over: of a send that is in flight the memory is kept until
 * that is over as well. */
void engine_close(struct peer_state *, enum reason);

#endif
