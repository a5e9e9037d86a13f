/*
 * What goes to a peer, and in which order.
 *
 * A session finishes the span it has begun; then its outbox, with which rooms
 * that are due take turns; then its memberships in rotation; and when it is
 * ending and has been sent all of that, its last word. Nothing is queued per
 * recipient: a room's bytes are taken from its log when the peer can take them.
 */
#include "common/base/builder.h"
#include "common/chat/internal.h"
#include "common/wire/name.h"

#include <assert.h>

struct wire_peer *session_peer(struct session *session)
{
    return session->binary ? &session->binary->peer : NULL;
}

void session_tell(struct session *session, const struct event *event)
{
    struct chat *chat = session->chat;
    struct segment_store *segments = &chat->segments;
    struct outgoing outgoing;
    unsigned char *out, *end;
    uint32_t length;

    if (session->state == SESSION_ENDED)
        return;
    length = (uint32_t)wire_prepare(chat->wire, session->encoding,
                                    session_peer(session), event, &outgoing);
    out = outbox_reserve(&session->outbox, segments, length);
    end = out ? wire_write(chat->wire, &outgoing, out) : NULL;
    if (!end) {
        session_abandon(session, ENDING_NO_MEMORY);
        return;
    }
    assert(end == out + length);
    outbox_commit(&session->outbox, length);
    if (!session->blocked)
        ready_add(session);
}

void session_reply(struct session *session, struct slice text)
{
    session_tell(session, &(struct event){
                              .kind = EVENT_REPLY,
                              .id = session->request_id,
                              .text = text,
                          });
}

void session_reply_more(struct session *session, struct slice text)
{
    session_tell(session, &(struct event){
                              .kind = EVENT_REPLY,
                              .id = session->request_id,
                              .text = text,
                              .more = true,
                          });
}

void session_acknowledge(struct session *session, uint32_t id, uint64_t seq)
{
    if (id == 0 || session->state > SESSION_ENDING)
        return;
    session_tell(session, &(struct event){
                              .kind = EVENT_ACK,
                              .id = id,
                              .seq = seq,
                          });
}

enum error_code session_tell_private(struct session *session, struct slice from,
                                     struct slice text,
                                     struct slice content_type)
{
    if (session_unread(session) > PRIVATE_UNREAD_MAX)
        return ERROR_RECEIVER_BUSY;
    session_tell(session, &(struct event){
                              .kind = EVENT_PRIVATE,
                              .nick = from,
                              .text = text,
                              .content_type = content_type,
                              .time_us = session->chat->wall_us,
                          });
    session->chat->metrics.deliveries++;
    return ERROR_NONE;
}

void session_refuse(struct session *session, enum error_code code,
                    struct slice detail)
{
    struct log_field name = log_string("error", error_name(code));

    assert(!error_closes(code));
    session_log(session, LOG_DEBUG, "error", &name, 1);
    session->chat->metrics.errors++;
    session_tell(session, &(struct event){
                              .kind = EVENT_ERROR,
                              .id = session->request_id,
                              .code = code,
                              .text = detail,
                          });
}

uint64_t session_unread(const struct session *session)
{
    return session->outbox.bytes +
           (session->span_outbox ? session->span.left : 0);
}

void output_drop(struct session *session)
{
    struct segment_store *segments = &session->chat->segments;

    span_drop(&session->span, segments);
    outbox_drop(&session->outbox, segments);
}

/* ---- Taking ------------------------------------------------------------- */

/* A room left and joined again: what was before comes before. */
static bool membership_waits(const struct membership *membership)
{
    const struct session *session = membership->session;

    if (session->leaving_count == 0)
        return false;
    for (struct membership *m = session->memberships; m; m = m->sibling) {
        if (m->leaving && m->stamp < membership->stamp &&
            name_equals(room_name(m->room), room_name(membership->room)))
            return true;
    }
    return false;
}

static struct membership *next_due(const struct session *session)
{
    for (struct membership *m = session->memberships; m; m = m->sibling) {
        if (membership_due(m) && !membership_waits(m))
            return m;
    }
    return NULL;
}

/* The one that has been served goes behind the others. */
static void rotate(struct membership *membership)
{
    struct membership **place = &membership->session->memberships;

    while (*place != membership)
        place = &(*place)->sibling;
    *place = membership->sibling;
    while (*place)
        place = &(*place)->sibling;
    *place = membership;
    membership->sibling = NULL;
}

static void take_outbox(struct session *session)
{
    outbox_take(&session->outbox, &session->chat->segments, &session->span);
    session->span_outbox = true;
    if (session->outbox.bytes == 0)
        session->outbox_first = false;
    session->rooms_next = !session->outbox_first && next_due(session);
}

/*
 * The membership has fallen out of the window: it goes on from the oldest
 * message kept, or from its end if that comes first. Returns the number of
 * messages missed: none, if it was only notices.
 */
static uint64_t skip_missed(struct membership *membership, struct cursor oldest)
{
    struct cursor end = membership_end(membership);
    uint64_t before = membership->cursor.seq;

    if (membership->leaving && end.position < oldest.position)
        oldest = end;
    membership_skip(membership, oldest);
    return oldest.seq - before;
}

static void tell_lagged(struct membership *membership, uint64_t missed)
{
    struct session *session = membership->session;

    session->chat->metrics.lagged += missed;
    if (session->chat->config.slow_consumer == SLOW_CONSUMER_DISCONNECT) {
        session_lag_out(session);
        return;
    }
    session_tell(session, &(struct event){
                              .kind = EVENT_LAGGED,
                              .room = room_name(membership->room),
                              .number = missed,
                          });
    session->outbox_first = true;
}

/* Takes from the lane what fits a turn. */
static void take_lane(struct membership *membership)
{
    struct session *session = membership->session;
    struct chat *chat = session->chat;
    uint64_t before = membership->cursor.seq;

    membership_take(membership, &session->span);
    session->span_outbox = false;
    chat->metrics.deliveries += membership->cursor.seq - before;
}

static void take_membership(struct membership *membership)
{
    struct cursor oldest = membership_oldest(membership);
    uint64_t missed = 0;

    if (membership->cursor.position < oldest.position)
        missed = skip_missed(membership, oldest);
    if (missed > 0)
        tell_lagged(membership, missed);
    else if (membership_due(membership))
        take_lane(membership);
}

/* Lets go of the rooms it has left whose end it has been sent, or has missed:
 * only then is it due what they kept waiting. */
static void finish_left(struct session *session)
{
    for (struct membership *m = session->memberships, *next; m; m = next) {
        next = m->sibling;
        if (m->leaving && !m->awaited && !membership_due(m))
            membership_finish(m);
    }
}

/* The outbox comes first, but not again and again: then a room that had to wait
 * for it. NULL: no room's turn, or none is due. */
static struct membership *next_room(struct session *session)
{
    if (session->outbox.bytes > 0 && !session->rooms_next)
        return NULL;
    session->rooms_next = false;
    return next_due(session);
}

/* Begins the next span. Where a membership had missed something, what it is
 * told stands in the outbox now, and comes first. */
static void session_take(struct session *session)
{
    while (!session->span.segment && session->state != SESSION_ENDED) {
        struct membership *membership = next_room(session);

        if (!membership && session->outbox.bytes > 0)
            take_outbox(session);
        if (!membership)
            break;
        rotate(membership);
        take_membership(membership);
        finish_left(session);
    }
}

/* ---- Ending ------------------------------------------------------------- */

static void tell_error(struct session *session)
{
    struct builder detail = {0};

    build_string(&detail, error_detail(session->error));
    if (session->error == ERROR_INTERNAL) { /* found in the log by it */
        build_string(&detail, "session=");
        build_number(&detail, session->id);
    }
    session_tell(session, &(struct event){
                              .kind = EVENT_ERROR,
                              .id = session->request_id,
                              .code = session->error,
                              .text = builder_slice(&detail),
                          });
}

/* `bye` answers /quit; a binary peer's DISCONNECT, by which it may have asked
 * as well, is answered by one. */
static void tell_bye(struct session *session)
{
    if (session->ending == ENDING_QUIT)
        session_reply(session, SLICE("bye"));
    if (session->binary)
        session_tell(session, &(struct event){.kind = EVENT_DISCONNECT});
}

static void last_word(struct session *session)
{
    session->state = SESSION_LAST_WORD;
    if (session->ending == ENDING_ERROR)
        tell_error(session);
    else
        tell_bye(session);
    session_take(session);
}

/* Nothing is left to send. Returns what that means for the engine. */
static int session_finish(struct session *session)
{
    struct chat *chat = session->chat;

    if (session->state == SESSION_ENDING && session->ending == ENDING_EOF &&
        session->awaited == 0)
        session->state = SESSION_ENDED;
    if (session->state == SESSION_LAST_WORD) {
        session->state = session->eof ? SESSION_ENDED : SESSION_LINGERING;
        session->until_ns = chat->now_ns + LINGER_NS;
        session_uncount(session);
        timers_advance(&chat->timers, session, session_deadline(session));
        if (session->state == SESSION_LINGERING)
            return SESSION_SHUT;
    }
    return session->state == SESSION_ENDED ? SESSION_END : 0;
}

/* Takes the next span. What a paused session waits for may go without a byte
 * (the rest of a room that it has left were notices that it missed). */
static void take_next(struct session *session)
{
    struct chat *chat = session->chat;

    session_take(session);
    if (!session->span.segment)
        session_resume_next(session);
    if (!session->span.segment && session->state == SESSION_ENDING &&
        session->ending != ENDING_EOF && session->awaited == 0)
        last_word(session);
    if (!session->span.segment)
        return;
    session->progress_ns = chat->now_ns;
    timers_advance(&chat->timers, session, session_deadline(session));
}

int session_pending(struct session *session, struct iovec *vectors, int max)
{
    assert(max >= 2); /* or what is offered is not what session_sent expects */
    if (session->state != SESSION_ENDED && !session->span.segment)
        take_next(session);
    if (session->state == SESSION_ENDED || !session->span.segment) {
        serve_end(session);
        return session_finish(session);
    }
    return span_vectors(&session->span, vectors, max);
}

static void set_blocked(struct session *session, bool blocked)
{
    if (blocked && !session->blocked)
        session->chat->blocked++;
    if (!blocked && session->blocked)
        session->chat->blocked--;
    session->blocked = blocked;
}

/* Whether session_pending has more to say. */
static bool session_due(const struct session *session)
{
    return session->span.segment || session->outbox.bytes > 0 ||
           (session->state == SESSION_ENDING && session->awaited == 0) ||
           session->state == SESSION_LAST_WORD ||
           session->state == SESSION_ENDED || next_due(session);
}

void session_sent(struct session *session, size_t length)
{
    uint32_t offered = session->span.left < SPAN_BYTES_MAX ? session->span.left
                                                           : SPAN_BYTES_MAX;

    assert(length <= offered);
    meter_add(session, (struct traffic){.out = length});
    if (session->span_outbox)
        heartbeat_sent(session, length);
    if (length > 0)
        session->progress_ns = session->chat->now_ns;
    span_advance(&session->span, &session->chat->segments, length);
    span_keep(&session->span);
    set_blocked(session, length < offered);
    if (session->blocked && session->state != SESSION_ENDED) {
        serve_end(session);
        return;
    }
    session_resume_next(session);
    if (session_due(session))
        ready_add(session);
    else
        serve_end(session);
}
