/*
 * What comes from a peer: decoded, and acted on at once where that is allowed.
 *
 * A session is paused, and not read from, while one of these holds (of who has
 * not been welcomed the last does not: it is let in, or told why not, in time;
 * nor of the end of a stream, with a last line that has none, unless another
 * worker has no room for that):
 *   - it is over its rate (delay, never loss);
 *   - it does not read the replies it asks for;
 *   - another worker has to answer its last request, or has not the room to be
 *     asked more, or has not done yet what was said before: requests keep
 *     their order, and so do answers;
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
#include "common/wire/name.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

/* A request that has been decoded, but not acted on; what it refers to stands
 * behind it. */
struct held {
    enum wire_outcome outcome;
    enum error_code error;
    struct request request;
    char bytes[];
};

/* What had come when the session was paused, and is not parsed yet. */
struct inbox {
    struct session *session;
    struct held *held;             /* which comes first; NULL */
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

/* ---- What waits ---------------------------------------------------------- */

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

static size_t held_bytes(const struct request *request)
{
    return sizeof(struct held) + request->name.length + request->text.length +
           request->content_type.length;
}

static void held_free(struct chat *chat, struct held *held)
{
    if (held)
        budget_free(chat->budget, held, held_bytes(&held->request));
}

static void inbox_free(struct inbox *inbox)
{
    struct chat *chat = inbox->session->chat;

    inbox_unqueue(inbox);
    held_free(chat, inbox->held);
    budget_free(chat->budget, inbox, sizeof(*inbox) + inbox->length);
}

static void inbox_drop(struct session *session)
{
    if (session->inbox)
        inbox_free(session->inbox);
    session->inbox = NULL;
}

void intake_drop(struct session *session)
{
    inbox_drop(session);
    decoder_release(&session->decoder, session->chat->budget);
}

/* Puts the bytes behind a request that is held, if there is one; false without
 * memory. */
static bool inbox_fill(struct session *session, const unsigned char *bytes,
                       size_t length)
{
    struct inbox *before = session->inbox;
    struct inbox *inbox =
        budget_alloc(session->chat->budget, sizeof(*inbox) + length);

    assert(!before || before->length == 0);
    if (!inbox)
        return false;
    *inbox = (struct inbox){.session = session, .length = (uint32_t)length};
    if (length > 0)
        memcpy(inbox->bytes, bytes, length);
    if (before) {
        inbox->held = before->held;
        before->held = NULL;
        inbox_free(before);
    }
    session->inbox = inbox;
    return true;
}

static void inbox_keep(struct session *session, const unsigned char *bytes,
                       size_t length)
{
    assert(length <= RECEIVE_BYTES_MAX);
    if (length > 0 && !inbox_fill(session, bytes, length))
        session_fault(session, "no memory for what was received");
}

static struct slice copy_to(char **place, struct slice slice)
{
    struct slice copy = {*place, slice.length};

    if (slice.length > 0)
        memcpy(*place, slice.bytes, slice.length);
    *place += slice.length;
    return copy;
}

static struct held *held_create(struct chat *chat,
                                const struct request *request)
{
    struct held *held = budget_alloc(chat->budget, held_bytes(request));
    char *place;

    if (!held)
        return NULL;
    place = held->bytes;
    held->request = *request;
    held->request.name = copy_to(&place, request->name);
    held->request.text = copy_to(&place, request->text);
    held->request.content_type = copy_to(&place, request->content_type);
    return held;
}

/* It is kept, as the decoder does not keep it, until what was said before has
 * taken effect. */
static void hold(struct session *session, enum wire_outcome outcome,
                 const struct request *request, enum error_code error)
{
    struct held *held = held_create(session->chat, request);

    if (!held || (!session->inbox && !inbox_fill(session, NULL, 0)) ||
        !session_fence(session)) {
        held_free(session->chat, held);
        session_fault(session, "no memory for a request");
        return;
    }
    held->outcome = outcome;
    held->error = error;
    session->inbox->held = held;
}

/* ---- Order --------------------------------------------------------------- */

/* Whether it is said to the worker that the last thing was said to, which does
 * one after the other. */
static bool is_said_there(const struct session *session,
                          const struct request *request)
{
    const struct membership *membership =
        request->target == TARGET_CURRENT
            ? session_current(session)
            : session_membership(session, room_name_plain(request->name));

    if (!membership || !membership->room->remote)
        return false;
    return !session->binary ||
           room_owner(session->chat, room_name(membership->room)) ==
               session->binary->posted_to;
}

/* Whether its answer and its effect come after those of all before. */
static bool is_in_order(const struct session *session,
                        const struct request *request)
{
    if (!session->posting)
        return true;
    switch (request->kind) {
    case REQUEST_NOTHING:
    case REQUEST_PONG:
    case REQUEST_DISCONNECT:
        return true;
    case REQUEST_MESSAGE:
        return request->target != TARGET_NICK &&
               is_said_there(session, request);
    default:
        return false;
    }
}

/* ---- Parsing ------------------------------------------------------------ */

/* Or if others have waited for so long to hear that what they said has been
 * passed on: it is, as soon as nothing new comes in between. */
bool turn_is_full(const struct chat *chat)
{
    return chat->owing_turns > OWING_TURNS_MAX ||
           chat->appended_bytes > chat->config.room_window_bytes / 2;
}

/* Whether a request that has been decoded comes first. */
static bool holds(const struct session *session)
{
    return session->inbox && session->inbox->held;
}

/* Whether it is the session itself that keeps it from going on. */
static bool is_over_its_part(const struct session *session)
{
    return session->parked || session->awaited > AWAITED_MAX ||
           session_unread(session) > REPLIES_UNREAD_MAX ||
           session->leaving_count >= LEAVING_MAX ||
           session_rate_until(session) > 0;
}

/* Whether it is the others that must be sent something first, or another worker
 * that must take what it has been asked. */
static bool is_out_of_turn(const struct session *session)
{
    const struct chat *chat = session->chat;

    return chat->crowded || chat->stopping ||
           (session->state == SESSION_OPEN &&
            (turn_is_full(chat) || memory_is_awaited(chat)));
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
        if (session->chat->config.application)
            application_message(session, request);
        else
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
    if (session_listens(session) && !session->parked)
        session->request_id = 0;
}

static void take_or_hold(struct session *session, enum wire_outcome outcome,
                         const struct request *request, enum error_code error)
{
    bool waits = outcome == WIRE_INVALID ? session->posting
                                         : !is_in_order(session, request);

    if (waits)
        hold(session, outcome, request, error);
    else
        take_outcome(session, outcome, request, error);
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
    while (session_listens(session) && may_act(session) && !holds(session)) {
        enum error_code error = ERROR_NONE;
        struct request request;
        enum wire_outcome outcome =
            wire_decode(session->chat->wire, &session->decoder,
                        session_peer(session), bytes, length, &request, &error);

        if (outcome == WIRE_PARTIAL) {
            note_partial(session);
            return;
        }
        take_or_hold(session, outcome, &request, error);
    }
}

/* What was said before has taken effect. */
static void take_held(struct session *session)
{
    struct held *held = session->inbox->held;

    session->inbox->held = NULL;
    take_outcome(session, held->outcome, &held->request, held->error);
    held_free(session->chat, held);
}

/* What comes before the end, a last line that has no end of its own. */
static void parse_last(struct session *session)
{
    enum error_code error = ERROR_NONE;
    struct request request;
    enum wire_outcome outcome = wire_decode_end(
        session->chat->wire, &session->decoder, &request, &error);

    if (outcome != WIRE_PARTIAL)
        take_or_hold(session, outcome, &request, error);
}

/* ---- Pausing ------------------------------------------------------------ */

/* Parses what waits in the inbox, which goes when it is empty. */
static void parse_inbox(struct session *session)
{
    struct inbox *inbox = session->inbox;
    const unsigned char *bytes;
    size_t length;

    if (!inbox)
        return;
    if (holds(session) && may_act(session))
        take_held(session);
    bytes = inbox->bytes + inbox->from;
    length = inbox->length - inbox->from;
    parse(session, &bytes, &length);
    inbox->from = inbox->length - (uint32_t)length;
    if ((length == 0 && !inbox->held) || !session_listens(session))
        inbox_drop(session);
}

void intake_relieve(struct session *session)
{
    if (session_listens(session) && session->paused && !session->parked)
        session_resume(session);
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

/* Its end waits, as if there were something in the inbox. */
static void keep_end(struct session *session)
{
    if (session->inbox || inbox_fill(session, NULL, 0))
        pause_reading(session);
    else
        session_fault(session, "no memory for the end");
}

void intake_end(struct session *session)
{
    if (session->chat->crowded || session->chat->stopping) {
        keep_end(session);
        return;
    }
    if (holds(session))
        take_held(session);
    else
        parse_last(session);
    if (session_listens(session) && !session->parked)
        session_end(session, ENDING_EOF);
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
        intake_end(session);
}

/* Each of them parses on, or stands at the end again: until the turn is full,
 * or nobody is left. */
void intake_turn(struct chat *chat)
{
    while (chat->waiting && !turn_is_full(chat) && !chat->crowded &&
           !chat->stopping && !memory_is_awaited(chat)) {
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
    if (session_listens(session) && !session->paused && !session->parked)
        intake_end(session);
    if (session->state == SESSION_LINGERING)
        session_abandon(session, session->ending);
}
