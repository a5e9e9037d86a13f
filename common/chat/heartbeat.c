/*
 * Heartbeats: a ping every so often to each binary peer, which must answer with
 * the ping's stamp; nothing else counts as an answer.
 *
 * A ping waits in the outbox behind what else the peer has to read, and counts
 * from when it has been sent: until then no further one is due. When as many as
 * HEARTBEATS_UNANSWERED_MAX are unanswered and one more is due, that is the
 * end. All of it goes by the session's own clock, which stands still while we
 * do not read from the peer.
 */
#include "common/base/clock.h"
#include "common/chat/internal.h"

#include <assert.h>

static uint64_t *sent_at(struct binary *binary, uint64_t stamp)
{
    return &binary->sent_ns[stamp % HEARTBEATS_UNANSWERED_MAX];
}

void heartbeat_start(struct session *session)
{
    session->binary->beat_ns = session_clock(session);
    timers_advance(&session->chat->timers, session, session_deadline(session));
}

uint64_t heartbeat_deadline(const struct session *session)
{
    const struct binary *binary = session->binary;
    uint64_t interval_ns = session->chat->config.heartbeat_ns;

    if (!binary || session->state != SESSION_OPEN || interval_ns == 0 ||
        binary->ping_ahead > 0)
        return UINT64_MAX;
    return session->clock_ns + binary->beat_ns + interval_ns;
}

/* Whether it is in the middle of a frame, where it cannot answer; how long it
 * may be there, --frame-timeout says. */
static bool must_finish_frame(const struct session *session)
{
    return session->within && session->chat->config.frame_timeout_ns > 0;
}

void heartbeat_expire(struct session *session)
{
    struct binary *binary = session->binary;

    if (binary->unanswered == HEARTBEATS_UNANSWERED_MAX) {
        if (must_finish_frame(session))
            binary->beat_ns = session_clock(session);
        else
            session_fail(session, ERROR_TIMEOUT);
        return;
    }
    binary->unanswered++;
    session_tell(session, &(struct event){
                              .kind = EVENT_PING,
                              .number = ++binary->stamp,
                          });
    binary->ping_ahead = session_unread(session);
    *sent_at(binary, binary->stamp) = session_clock(session);
}

void heartbeat_sent(struct session *session, size_t length)
{
    struct binary *binary = session->binary;

    if (!binary || binary->ping_ahead == 0)
        return;
    binary->ping_ahead -=
        length < binary->ping_ahead ? length : binary->ping_ahead;
    if (binary->ping_ahead > 0)
        return;
    binary->beat_ns = session_clock(session);
    *sent_at(binary, binary->stamp) = binary->beat_ns;
    timers_advance(&session->chat->timers, session, session_deadline(session));
}

/* Whether the last ping may have reached the peer: an engine may learn that it
 * was sent after it reads the answer. */
static bool is_offered(const struct session *session)
{
    uint64_t ahead = session->binary->ping_ahead;

    return ahead == 0 || (session->span_outbox && ahead <= session->span.left);
}

/* Whether a ping with that stamp has not been answered, nor a later one. */
static bool is_awaited(const struct session *session, uint64_t stamp)
{
    const struct binary *binary = session->binary;

    if (stamp == binary->stamp && !is_offered(session))
        return false;
    return stamp <= binary->stamp && binary->stamp - stamp < binary->unanswered;
}

void heartbeat_pong(struct session *session, uint64_t stamp)
{
    struct binary *binary = session->binary;
    uint64_t ns;

    if (!is_awaited(session, stamp))
        return;
    binary->unanswered = (uint8_t)(binary->stamp - stamp);
    ns = session_clock(session) - *sent_at(binary, stamp);
    binary->rtt_us = ns / NS_PER_US + 1; /* 0 is for none */
    histogram_add(&session->chat->metrics.latency_us, binary->rtt_us);
}
