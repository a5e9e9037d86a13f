/*
 * What an engine does for the session of one peer: it moves bytes between the
 * session and the peer's streams, in all the ways in which the stages' engines
 * do. When it does that is its worker's affair (workers.h).
 */
#ifndef RINGCHAT_SIM_ENGINE_H
#define RINGCHAT_SIM_ENGINE_H

#include "tests/sim/world.h"

/* Before each history. */
void engine_begin(void);

/* From now on the salt decides in what pieces bytes come and go. */
void engine_draw(uint64_t salt);

/* Opens a session for the peer, with its worker: peer->session, or its end if
 * there is none. */
void engine_open(struct peer_state *, enum dialect);

/* The connection is over: of a send that is in flight the memory is kept until
 * that is over as well. */
void engine_close(struct peer_state *, enum reason);

/* The rest says whether anything moved. */

/* A send that began in an earlier turn is over, now or soon. Time may pass
 * until then. */
bool engine_complete(struct peer_state *);

/* Sends end, bytes and ends of streams come in, the blocked are offered their
 * rest. */
bool engine_serve(struct peer_state *);

/* Its session is ready: bytes go out. */
void engine_serve_ready(struct peer_state *);

/* The peer's turn. */
bool engine_read(struct peer_state *);

/* Whether who waits for what happens to sockets has not to wait for this one.
 */
bool engine_has_news(const struct peer_state *);

#endif
