/*
 * What docs/protocol.md promises, and nothing else: written from that page, not
 * from the code. The world tells it what happened; a promise that is broken is
 * said to promise_broken.
 *
 *   model.c       the calls below; each peer's life, its deadlines
 *   effects.c     when what was asked for has been done
 *   answers.c     each request's answer, in the order of asking
 *   matches.c     what an answer is
 *   rooms.c       who was in which room when; what each member saw
 *   positions.c   where in a room's order each message stands
 *   deadlines.c   when a time-out is due, and when it is not
 *   verdict.c     at the end: one order, nothing lost, nicks
 *   presence.c    at the end: who was there, and who was told
 */
#ifndef RINGCHAT_SIM_MODEL_H
#define RINGCHAT_SIM_MODEL_H

#include "tests/sim/speech.h"
#include "tests/sim/world.h"

/* Before the first step. */
void model_begin(const struct setup *);

/* The peer connects, and session_open has returned (a session or none). */
void model_connected(const struct peer_state *);

/* It has put a request into its stream: the op is the model's, to be filled
 * from the step, and is given its `end` by the world. NULL if the history has
 * too many. */
struct op *model_op(void);
void model_said(const struct peer_state *, struct op *);
/* The nick by which it knows the peer `whom`, to send it something. */
const char *model_nick_of(unsigned whom);

/* session_receive had everything up to `handed`; or session_eof was called. To
 * be called right before the call into the chat, with its stamp. */
void model_handed(const struct peer_state *);
void model_eof(const struct peer_state *);

/* The chat may have acted on what it was handed: called for each connected peer
 * after each call into the chat that could (receive, eof, sent, pending, tick),
 * with whether it is paused now. */
void model_acted(const struct peer_state *);

/* It has heard that, at world.now_ns. */
void model_heard(const struct peer_state *, const struct heard *);

/* Answers to pings that it puts into its stream: stamp, and where it ends. */
void model_ponged(const struct peer_state *, uint64_t stamp, uint64_t end);

/* Its connection is over: `end` says how; everything that it could read, it has
 * read. */
void model_closed(const struct peer_state *);

/* Bytes left the chat for it (`length` of them), or it was offered some and
 * took none (0). */
void model_sent(const struct peer_state *, size_t length);

/* Time passes: from now on it is world.now_ns. */
void model_time(void);

/* For so long until now the engine has read from nobody, and says so. */
void model_away(uint64_t ns);

/* chat_shutdown has been called, for the first chat or for another. */
void model_stopping(void);

/* A worker's turn is over: nothing is ready. */
void model_turn_over(unsigned worker);

/* Of several workers nobody has anything to do: what they were handed by
 * sessions that are not paused has had all its effects, and all is read. */
void model_quiet(void);

/* All that peers are due has been offered to them and read: those that are
 * still connected have everything. */
void model_settled(void);

/* The history is over: every session has ended. */
void model_end(void);

#endif
