/*
 * What comes from a peer: decoded, and acted on at once where that is allowed.
 *
 * A session is paused, and not read from, while one of these holds (of who has
 * not been welcomed the last does not: it is let in, or told why not, in time;
 * nor of the end of a stream, with a last line that has none):
 *   - it is over its rate (delay, never loss);
 *   - it does not read the replies it asks for;
 *   - it has left more rooms than it has been sent the rest of;
 *   - half a room window has been appended since all who take bytes had been
 *     sent what they were due: members that read promptly are to be sent that
 *     before more comes, or they would fall out of the window. Who has waited
 *     longest for that goes on first.
 * What had arrived by then waits in the inbox. Deadlines on what the peer must
 * send stand still meanwhile.
 */
#include "common/base/builder.h"
#include "common/base/clock.h"
#include "common/chat/internal.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

/* What had come when the session was paused, and is not parsed yet. */
struct inbox {
    struct session *session;
    struct inbox *next, *previous; /* those that wait for the turn to end */
    bool waiting;                  /* is one of them */
    uint32_t from, length;         /* what is left begins at `from` */
    unsigned char bytes[];
};

/* ---- Rate --------------------------------------------------------------- */

/*
 * The generic cell rate algorithm (ITU-T I.371, annex A): one time, `rate_ns`,
 * at which all that was received would have been due at the steady rate. It may
 * lie ahead by the burst, twice what a second allows.
 */
static uint64_t rate_interval_ns(const struct chat *chat)
{
    return (uint64_t)((double)NS_PER_SECOND / chat->config.rate_per_second);
}

static uint64_t rate_ahead_max_ns(const struct chat *chat)
{
    uint64_t interval = rate_interval_ns(chat);

    return interval < 2 * NS_PER_SECOND ? 2 * NS_PER_SECOND - interval : 0;
}

/* When the rate lets the session go on; 0 if it does not wait for that. */
static uint64_t session_rate_until(const struct session *session)
{
    const struct chat *chat = session->chat;
    uint64_t ahead_max;

    if (chat->config.rate_per_second == 0)
        return 0;
    ahead_max = rate_ahead_max_ns(chat);
    if (session->rate_ns <= chat->now_ns + ahead_max)
        return 0;
    return session->rate_ns - ahead_max;
}

static void rate_count(struct session *session)
{
    const struct chat *chat = session->chat;

    if (chat->config.rate_per_second == 0)
        return;
    if (session->rate_ns < chat->now_ns)
        session->rate_ns = chat->now_ns;
    session->rate_ns += rate_interval_ns(chat);
}

/* ---- Parsing ------------------------------------------------------------ */

/* Whether more may only be said when others have been sent what there is. */
static bool turn_is_full(const struct chat *chat)
{
    return chat->appended_bytes > chat->config.room_window_bytes / 2;
}

/* Whether it is the session itself that keeps it from going on. */
static bool is_over_its_part(const struct session *session)
{
    return session_unread(session) > REPLIES_UNREAD_MAX ||
           session->leaving_count >= LEAVING_MAX ||
           session_rate_until(session) > 0;
}

/* Whether it is the others that must be sent something first. */
static bool is_out_of_turn(const struct session *session)
{
    return session->state == SESSION_OPEN && turn_is_full(session->chat);
}

/* Whether what has come may be acted on now. */
static bool may_act(const struct session *session)
{
    return !is_out_of_turn(session) && !is_over_its_part(session);
}

static void line_too_long(struct session *session)
{
    struct builder detail = {0};

    build_string(&detail, "at most ");
    build_number(&detail, session->chat->config.wire.line_bytes_max);
    build_string(&detail, " bytes");
    session_refuse(session, ERROR_LINE_TOO_LONG, builder_slice(&detail));
}

/* What the decoder refused without an end to the session. */
static void decode_refused(struct session *session, enum error_code code)
{
    switch (code) {
    case ERROR_LINE_TOO_LONG:
        line_too_long(session);
        return;
    case ERROR_USAGE:
        session_refuse(session, code, SLICE("MESSAGE has a text"));
        return;
    case ERROR_BAD_TEXT:
        session_refuse(session, code,
                       SLICE("control characters or invalid UTF-8"));
        return;
    default:
        session_refuse(session, code, SLICE(""));
        return;
    }
}

static void decode_failed(struct session *session, enum error_code code)
{
    if (code == ERROR_INTERNAL)
        session_fault(session, "no memory for a request");
    else if (error_closes(code))
        session_fail(session, code);
    else
        decode_refused(session, code);
}

static void act_on(struct session *session, const struct request *request)
{
    switch (request->kind) {
    case REQUEST_NOTHING:
        return;
    case REQUEST_HELLO:
        session_hello(session, request->name);
        return;
    case REQUEST_PING:
        session_tell(session, &(struct event){
                                  .kind = EVENT_PONG,
                                  .number = request->stamp,
                              });
        return;
    case REQUEST_PONG:
        heartbeat_pong(session, request->stamp);
        return;
    case REQUEST_MESSAGE:
        message_post(session, request);
        return;
    case REQUEST_COMMAND:
        command_run(session, request->text);
        return;
    case REQUEST_DISCONNECT:
        session_end(session, ENDING_DISCONNECT);
        return;
    case REQUEST_TRANSFER:
        session_refuse(session, ERROR_UNAVAILABLE, SLICE("no file transfers"));
        return;
    }
}

/* Whether it counts for the rate: messages, commands and what is wrong. */
static bool is_counted(enum wire_outcome outcome, const struct request *request)
{
    return outcome == WIRE_INVALID || request->kind == REQUEST_MESSAGE ||
           request->kind == REQUEST_COMMAND;
}

/* One outcome of the decoder takes effect. What ends the session is answered
 * later, so then the number stays. */
static void take_outcome(struct session *session, enum wire_outcome outcome,
                         const struct request *request, enum error_code error)
{
    session->since_ns = session_clock(session);
    session->within = false;
    session->request_id = request->id;
    if (is_counted(outcome, request))
        rate_count(session);
    if (outcome == WIRE_INVALID)
        decode_failed(session, error);
    else
        act_on(session, request);
    if (session_listens(session))
        session->request_id = 0;
}

/* What has come is not whole: a frame must be, soon. */
static void note_partial(struct session *session)
{
    if (!session->binary || session->within ||
        !decoder_is_within(&session->decoder))
        return;
    session->within = true;
    session->since_ns = session_clock(session);
    timers_advance(&session->chat->timers, session, session_deadline(session));
}

/* Acts on what is whole, until the session must wait; moves `*bytes` on. */
static void parse(struct session *session, const unsigned char **bytes,
                  size_t *length)
{
    while (session_listens(session) && may_act(session)) {
        enum error_code error = ERROR_NONE;
        struct request request;
        enum wire_outcome outcome =
            wire_decode(session->chat->wire, &session->decoder,
                        session_peer(session), bytes, length, &request, &error);

        if (outcome == WIRE_PARTIAL) {
            note_partial(session);
            return;
        }
        take_outcome(session, outcome, &request, error);
    }
}

static void parse_end(struct session *session)
{
    enum error_code error = ERROR_NONE;
    struct request request;
    enum wire_outcome outcome = wire_decode_end(
        session->chat->wire, &session->decoder, &request, &error);

    if (outcome != WIRE_PARTIAL)
        take_outcome(session, outcome, &request, error);
    if (session_listens(session))
        session_end(session, ENDING_EOF);
}

/* ---- Pausing ------------------------------------------------------------ */

static void inbox_queue(struct inbox *inbox)
{
    if (!inbox->waiting)
        DL_APPEND2(inbox->session->chat->waiting, inbox, previous, next);
    inbox->waiting = true;
}

static void inbox_unqueue(struct inbox *inbox)
{
    if (inbox->waiting)
        DL_DELETE2(inbox->session->chat->waiting, inbox, previous, next);
    inbox->waiting = false;
}

static void inbox_drop(struct session *session)
{
    struct inbox *inbox = session->inbox;

    if (!inbox)
        return;
    inbox_unqueue(inbox);
    budget_free(&session->chat->budget, inbox, sizeof(*inbox) + inbox->length);
    session->inbox = NULL;
}

void intake_drop(struct session *session)
{
    inbox_drop(session);
    decoder_release(&session->decoder, &session->chat->budget);
}

static void inbox_keep(struct session *session, const unsigned char *bytes,
                       size_t length)
{
    struct inbox *inbox;

    assert(!session->inbox && length <= RECEIVE_BYTES_MAX);
    if (length == 0)
        return;
    inbox = budget_alloc(&session->chat->budget, sizeof(*inbox) + length);
    if (!inbox) {
        session_fault(session, "no memory for what was received");
        return;
    }
    *inbox = (struct inbox){.session = session, .length = (uint32_t)length};
    memcpy(inbox->bytes, bytes, length);
    session->inbox = inbox;
}

/* Parses what waits in the inbox, which goes when it is empty. */
static void parse_inbox(struct session *session)
{
    struct inbox *inbox = session->inbox;
    const unsigned char *bytes;
    size_t length;

    if (!inbox)
        return;
    bytes = inbox->bytes + inbox->from;
    length = inbox->length - inbox->from;
    parse(session, &bytes, &length);
    inbox->from = inbox->length - (uint32_t)length;
    if (length == 0 || !session_listens(session))
        inbox_drop(session);
}

/* Whether it is not to be read from. That is not !may_act: who has nothing left
 * to be acted on need not wait for the turn to end. */
static bool must_pause(const struct session *session)
{
    return is_over_its_part(session) ||
           (session->inbox && is_out_of_turn(session));
}

/* Waits until the rate allows it, session_sent finds that replies have been
 * read, or the turn is over. */
static void wait_on(struct session *session)
{
    uint64_t until_ns = session_rate_until(session);

    session->until_ns = until_ns > 0 ? until_ns : UINT64_MAX;
    if (!is_over_its_part(session))
        inbox_queue(session->inbox);
    timers_advance(&session->chat->timers, session, session_deadline(session));
}

static void pause_reading(struct session *session)
{
    session->clock_ns = session_clock(session);
    session->paused = true;
    wait_on(session);
}

static void unpause(struct session *session)
{
    struct chat *chat = session->chat;

    session->paused = false;
    session->clock_ns = chat->now_ns - session->clock_ns;
    timers_advance(&chat->timers, session, session_deadline(session));
    ready_add(session);
}

/* So nobody, however fast he reads the replies to what waits in his inbox, has
 * more than his part of a turn: the others are read from in between. */
void session_resume_next(struct session *session)
{
    struct chat *chat = session->chat;

    if (!session->paused)
        return;
    if (must_pause(session)) {
        wait_on(session);
        return;
    }
    session->until_ns = chat->now_ns + 1;
    timers_advance(&chat->timers, session, session_deadline(session));
}

void session_resume(struct session *session)
{
    assert(session->paused);
    parse_inbox(session);
    if (!session_listens(session))
        return;
    if (must_pause(session)) {
        wait_on(session);
        return;
    }
    unpause(session);
    if (session->eof)
        parse_end(session);
}

/* Each of them parses on, or stands at the end again: until the turn is full,
 * or nobody is left. */
void intake_turn(struct chat *chat)
{
    while (chat->waiting && !turn_is_full(chat)) {
        struct session *session = chat->waiting->session;

        inbox_unqueue(chat->waiting);
        if (session->paused)
            session_resume(session);
        else
            inbox_drop(session); /* it has ended meanwhile */
    }
}

size_t session_need(const struct session *session)
{
    size_t need = RECEIVE_BYTES_MAX;

    if (session_listens(session))
        need = wire_need(&session->decoder);
    return need < RECEIVE_BYTES_MAX ? need : RECEIVE_BYTES_MAX;
}

enum verdict session_receive(struct session *session, const void *bytes,
                             size_t length)
{
    const unsigned char *at = bytes;

    assert(length <= RECEIVE_BYTES_MAX && !session->paused);
    meter_add(session, (struct traffic){.in = length});
    if (!session_listens(session))
        return VERDICT_CONTINUE;
    parse(session, &at, &length);
    if (!session_listens(session))
        return VERDICT_CONTINUE;
    inbox_keep(session, at, length);
    if (!session_listens(session) || !must_pause(session))
        return VERDICT_CONTINUE;
    pause_reading(session);
    return VERDICT_PAUSE;
}

void session_eof(struct session *session)
{
    session->eof = true;
    if (session_listens(session) && !session->paused)
        parse_end(session);
    if (session->state == SESSION_LINGERING)
        session_abandon(session, session->ending);
}
