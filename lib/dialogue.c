/*
 * The client's state machine (internal.h has the diagram): when to connect,
 * what to say first, when a connection is no good, when to try again and when
 * no more. Pure: time and chance are handed in, bytes are handed over.
 */
#include "lib/internal.h"

#include <assert.h>
#include <errno.h>

void dialogue_init(struct dialogue *dialogue, const struct manner *manner,
                   uint64_t seed)
{
    *dialogue = (struct dialogue){
        .manner = *manner,
        .random = seed,
        .figures = {RINGCHAT_SIZED(dialogue->figures)},
    };
    errands_init(&dialogue->errands, manner->queue_bytes_max);
}

/* What belongs to one connection. */
static void connection_release(struct dialogue *dialogue)
{
    ringchat_codec_destroy(dialogue->codec);
    dialogue->codec = NULL;
    dialogue->input = NULL;
    dialogue->input_length = 0;
    dialogue->stream_ended = false;
    dialogue->holds = false;
    dialogue->loose = 0;
    dialogue->blocked = false;
    dialogue->as_guest = false;
    output_release(&dialogue->output);
}

void dialogue_release(struct dialogue *dialogue)
{
    connection_release(dialogue);
    errands_release(&dialogue->errands);
    errand_free(dialogue->told_errand);
}

/* ---- How it stands ------------------------------------------------------ */

enum ringchat_state dialogue_state(const struct dialogue *dialogue)
{
    if (dialogue->phase == PHASE_ENDED)
        return RINGCHAT_CLOSED;
    if (dialogue->closing)
        return RINGCHAT_CLOSING;
    switch (dialogue->phase) {
    case PHASE_IDLE:
        return RINGCHAT_IDLE;
    case PHASE_CONNECTING:
        return RINGCHAT_CONNECTING;
    case PHASE_GREETING:
    case PHASE_NAMING:
    case PHASE_JOINING:
        return RINGCHAT_ENTERING;
    case PHASE_TALKING:
        return RINGCHAT_OPEN;
    case PHASE_WAITING:
        return RINGCHAT_WAITING;
    case PHASE_PARTING:
    case PHASE_ENDED:
        break;
    }
    assert(!"parting without closing");
    return RINGCHAT_CLOSED;
}

uint64_t dialogue_deadline(const struct dialogue *dialogue)
{
    uint64_t deadline = NEVER;

    switch (dialogue->phase) {
    case PHASE_CONNECTING:
    case PHASE_GREETING:
    case PHASE_NAMING:
    case PHASE_JOINING:
    case PHASE_WAITING:
        deadline = dialogue->phase_ns;
        break;
    case PHASE_TALKING:
        deadline = dialogue->beat_ns;
        break;
    case PHASE_IDLE:
    case PHASE_PARTING:
    case PHASE_ENDED:
        break;
    }
    if (dialogue->closing && dialogue->phase != PHASE_ENDED)
        deadline = earlier(deadline, dialogue->close_ns);
    return deadline;
}

/* ---- The end of a connection -------------------------------------------- */

/* Words of a server's, of which the beginning is enough; no character is cut
 * in two. */
static void keep_detail(struct dialogue *dialogue, struct ringchat_text detail)
{
    size_t length = detail.length;

    if (length > sizeof(dialogue->detail)) {
        length = sizeof(dialogue->detail);
        while (length > 0 &&
               ((unsigned char)detail.bytes[length] & 0xC0) == 0x80)
            length--;
    }
    if (length > 0)
        memcpy(dialogue->detail, detail.bytes, length);
    dialogue->detail_length = length;
}

static void dialogue_end(struct dialogue *dialogue, enum ringchat_error code,
                         int error)
{
    connection_release(dialogue);
    errands_cancel(&dialogue->errands);
    dialogue->phase = PHASE_ENDED;
    dialogue->why_code = code;
    dialogue->why_error = error;
}

/* What would be the same the next time: the wrong port, the wrong key, a name
 * that cannot be. Once it has worked it may be a server that is being replaced.
 */
static bool is_incurable(const struct dialogue *dialogue,
                         enum ringchat_error code)
{
    if (dialogue->been_open)
        return false;
    switch (code) {
    case RINGCHAT_ERROR_BAD_NAME:
    case RINGCHAT_ERROR_WRONG_PROTOCOL:
    case RINGCHAT_ERROR_HANDSHAKE:
    case RINGCHAT_ERROR_BAD_MAGIC:
    case RINGCHAT_ERROR_BAD_VERSION:
    case RINGCHAT_ERROR_BAD_HMAC:
        return true;
    default:
        return false;
    }
}

/* 0 to `most`. As splitmix64 does it: Steele, Lea and Flood, "Fast Splittable
 * Pseudorandom Number Generators", 2014. */
static uint64_t random_up_to(struct dialogue *dialogue, uint64_t most)
{
    uint64_t z = dialogue->random += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return z % (most + 1);
}

/* Full jitter: anything up to a bound that doubles each time. */
static uint64_t backoff_ns(struct dialogue *dialogue)
{
    uint64_t most = dialogue->manner.backoff_first_ns;

    for (uint32_t i = 1;
         i < dialogue->failures && most < dialogue->manner.backoff_max_ns; i++)
        most *= 2;
    return random_up_to(dialogue,
                        earlier(most, dialogue->manner.backoff_max_ns));
}

static void dialogue_wait(struct dialogue *dialogue, uint64_t now_ns)
{
    dialogue->phase = PHASE_WAITING;
    dialogue->retry_ns = backoff_ns(dialogue);
    dialogue->phase_ns = now_ns + dialogue->retry_ns;
}

static bool is_last_failure(const struct dialogue *dialogue,
                            enum ringchat_error code)
{
    uint32_t most = dialogue->manner.attempts_max;

    return is_incurable(dialogue, code) ||
           (most > 0 && dialogue->failures >= most) ||
           (dialogue->closing && dialogue->errands.queued.count == 0);
}

void dialogue_lose(struct dialogue *dialogue, enum ringchat_error code,
                   int error, struct ringchat_text detail, uint64_t now_ns)
{
    bool parting = dialogue->phase == PHASE_PARTING;

    assert(dialogue_wants_link(dialogue));
    if (dialogue->phase >= PHASE_TALKING) {
        dialogue->lost_ns = now_ns;
        if (now_ns - dialogue->open_ns >= STEADY_NS)
            dialogue->failures = 0;
    }
    keep_detail(dialogue, detail);
    connection_release(dialogue);
    errands_lost(&dialogue->errands, dialogue->manner.resend);
    belonging_lost(&dialogue->belonging);
    dialogue->failures++;
    dialogue->why_code = code;
    dialogue->why_error = error;
    if (parting)
        dialogue_end(dialogue, RINGCHAT_ERROR_NONE, 0);
    else if (is_last_failure(dialogue, code))
        dialogue_end(dialogue, code, error);
    else
        dialogue_wait(dialogue, now_ns);
}

/* ---- From outside ------------------------------------------------------- */

void dialogue_start(struct dialogue *dialogue, uint64_t now_ns)
{
    dialogue->phase = PHASE_CONNECTING;
    dialogue->phase_ns = now_ns + dialogue->manner.connect_timeout_ns;
}

/* A frame holds no more than its length can say. */
static uint32_t message_bytes_max(const struct manner *manner)
{
    if (manner->dialect == RINGCHAT_FRAME &&
        manner->message_bytes_max > FRAME_BODY_BYTES_MAX)
        return FRAME_BODY_BYTES_MAX;
    return manner->message_bytes_max;
}

void dialogue_connected(struct dialogue *dialogue, uint64_t now_ns)
{
    const struct manner *manner = &dialogue->manner;
    bool secure = manner->dialect == RINGCHAT_SECURE;
    struct ringchat_codec_config config = {
        RINGCHAT_SIZED(config),
        .role = RINGCHAT_CLIENT,
        .dialect = manner->dialect,
        .key = secure ? manner->key : NULL,
        .key_bytes = secure ? manner->key_bytes : 0,
        .seal = secure && manner->seal,
        .bytes_max = message_bytes_max(manner),
    };
    int error = ringchat_codec_create(&dialogue->codec, &config);

    if (error < 0) {
        dialogue_lose(dialogue, RINGCHAT_ERROR_NONE, error, TEXT(""), now_ns);
        return;
    }
    dialogue->phase = PHASE_GREETING;
    dialogue->figures.connections++;
}

void dialogue_receive(struct dialogue *dialogue, const unsigned char *bytes,
                      size_t length)
{
    assert(dialogue->input_length == 0);
    dialogue->input = bytes;
    dialogue->input_length = length;
    dialogue->heard = true;
    dialogue->figures.bytes_in += length;
}

void dialogue_stream_ended(struct dialogue *dialogue)
{
    dialogue->stream_ended = true;
}

void dialogue_failed(struct dialogue *dialogue, int error, uint64_t now_ns)
{
    dialogue_lose(dialogue, RINGCHAT_ERROR_NONE, error, TEXT(""), now_ns);
}

void dialogue_close(struct dialogue *dialogue, uint64_t now_ns)
{
    if (dialogue->closing || dialogue->phase == PHASE_ENDED)
        return;
    dialogue->closing = true;
    dialogue->close_ns = now_ns + dialogue->manner.close_timeout_ns;
}

struct ringchat_text dialogue_output(const struct dialogue *dialogue)
{
    const struct output *output = &dialogue->output;

    return (struct ringchat_text){
        output->bytes ? (const char *)output->bytes + output->begin : NULL,
        output->end - output->begin,
    };
}

void dialogue_sent(struct dialogue *dialogue, size_t bytes)
{
    dialogue->figures.bytes_out += bytes;
    dialogue->blocked = false;
    output_drop_sent(&dialogue->output, bytes);
}

/* ---- Time --------------------------------------------------------------- */

/* In `text` a heartbeat is a line that comes back: it is asked for less often,
 * and not while anything else is to be answered. */
static uint64_t beat_interval_ns(const struct dialogue *dialogue)
{
    return dialogue->manner.heartbeat_ns *
           (dialogue->manner.dialect == RINGCHAT_TEXT ? 2 : 1);
}

static bool wants_its_nick(const struct dialogue *dialogue)
{
    const struct belonging *belonging = &dialogue->belonging;

    return belonging->nick_wanted.length > 0 &&
           !name_is(&belonging->nick, name_text(&belonging->nick_wanted)) &&
           dialogue->errands.moving == 0 && dialogue->errands.own.count == 0 &&
           !dialogue->closing;
}

/* Whoever has said anything at all since the last time is there: an answer may
 * have to wait behind what a server that is busy has not read yet. */
static void dialogue_beat(struct dialogue *dialogue, uint64_t now_ns)
{
    dialogue->silent = dialogue->heard ? 0 : dialogue->silent + 1;
    dialogue->heard = false;
    dialogue->beat_ns = now_ns + beat_interval_ns(dialogue);
    if (dialogue->silent == HEARTBEATS_UNANSWERED_MAX) {
        dialogue_lose(dialogue, RINGCHAT_ERROR_NONE, -ETIMEDOUT, TEXT(""),
                      now_ns);
        return;
    }
    saying_ping(dialogue, now_ns);
    if (dialogue->phase == PHASE_TALKING && wants_its_nick(dialogue))
        dialogue_ask(dialogue, ERRAND_RENAME, &dialogue->belonging.nick_wanted,
                     now_ns);
}

/* Nobody has answered in time; if nobody had to, it is well. */
static void close_in_any_case(struct dialogue *dialogue)
{
    const struct errands *errands = &dialogue->errands;
    bool done = errands->queued.count == 0 && errands->sent.count == 0;

    dialogue->detail_length = 0;
    dialogue_end(dialogue, RINGCHAT_ERROR_NONE, done ? 0 : -ETIMEDOUT);
}

void dialogue_elapse(struct dialogue *dialogue, uint64_t now_ns)
{
    if (now_ns < dialogue_deadline(dialogue))
        return;
    if (dialogue->closing && now_ns >= dialogue->close_ns)
        close_in_any_case(dialogue);
    else if (dialogue->phase == PHASE_WAITING)
        dialogue_start(dialogue, now_ns);
    else if (dialogue->phase < PHASE_TALKING)
        dialogue_lose(dialogue, RINGCHAT_ERROR_NONE, -ETIMEDOUT, TEXT(""),
                      now_ns);
    else
        dialogue_beat(dialogue, now_ns);
}

/* ---- Coming in ---------------------------------------------------------- */

void dialogue_ask(struct dialogue *dialogue, enum errand_kind kind,
                  const struct name *name, uint64_t now_ns)
{
    struct errand *errand = errands_make_own(&dialogue->errands, kind, name);

    if (errand)
        errands_queue(&dialogue->errands, errand);
    else
        dialogue_lose(dialogue, RINGCHAT_ERROR_NONE, -ENOMEM, TEXT(""), now_ns);
}

void dialogue_greeted(struct dialogue *dialogue, uint64_t now_ns)
{
    struct ringchat_message hello = {
        RINGCHAT_SIZED(hello),
        .kind = RINGCHAT_HELLO,
        .nick = name_text(&dialogue->belonging.nick_wanted),
    };

    dialogue->phase = PHASE_NAMING;
    saying_retort(dialogue, &hello, now_ns);
}

/* Never 0, which would say that it was not. */
static uint64_t away_ms(const struct dialogue *dialogue, uint64_t now_ns)
{
    return (now_ns - dialogue->lost_ns) / NS_PER_MS + 1;
}

/* Asks for what it wants to have and where it wants to be; before that it
 * leaves where it does not, for that room is one of those it may be in. */
void dialogue_welcomed(struct dialogue *dialogue, const struct name *room,
                       uint64_t now_ns)
{
    struct belonging *belonging = &dialogue->belonging;

    belonging_begin(belonging, room);
    if (dialogue->been_open)
        belonging_back(belonging, away_ms(dialogue, now_ns));
    dialogue->spoken_room = *room;
    dialogue->phase = PHASE_JOINING;
    if (dialogue->manner.dialect == RINGCHAT_TEXT && wants_its_nick(dialogue))
        dialogue_ask(dialogue, ERRAND_RENAME, &belonging->nick_wanted, now_ns);
    if (dialogue->codec && !belonging_find(belonging, name_text(room)))
        dialogue_ask(dialogue, ERRAND_LEAVE, room, now_ns);
    for (size_t i = 0; i < belonging->count && dialogue->codec; i++) {
        if (i > 0 || !belonging->places[i].inside)
            dialogue_ask(dialogue, ERRAND_JOIN, &belonging->places[i].room,
                         now_ns);
    }
}

static void dialogue_open(struct dialogue *dialogue, uint64_t now_ns)
{
    dialogue->phase = PHASE_TALKING;
    dialogue->open_ns = now_ns;
    dialogue->again = dialogue->been_open;
    dialogue->been_open = true;
    if (dialogue->again && dialogue->manner.dialect == RINGCHAT_TEXT)
        belonging_guess(&dialogue->belonging);
    dialogue->heard = true;
    dialogue->pings = 0;
    dialogue_beat(dialogue, now_ns);
}

/* ---- What comes of it --------------------------------------------------- */

static bool nothing_is_left(const struct dialogue *dialogue)
{
    const struct errands *errands = &dialogue->errands;

    return errands->queued.count == 0 && errands->sent.count == 0 &&
           errands->own.count == 0;
}

static bool is_to_end(const struct dialogue *dialogue)
{
    return dialogue->closing && nothing_is_left(dialogue) &&
           dialogue->phase != PHASE_PARTING && dialogue->phase != PHASE_ENDED;
}

static bool is_to_open(const struct dialogue *dialogue)
{
    return dialogue->phase == PHASE_JOINING &&
           dialogue->errands.own.count == 0 &&
           dialogue->errands.sent.count == 0;
}

/* What follows from what has come, without anything more. */
static void dialogue_settle(struct dialogue *dialogue, uint64_t now_ns)
{
    if (is_to_end(dialogue) && dialogue->phase == PHASE_TALKING)
        saying_bye(dialogue, now_ns);
    else if (is_to_end(dialogue) && dialogue->phase < PHASE_TALKING)
        dialogue_end(dialogue, RINGCHAT_ERROR_NONE, 0);
    else if (is_to_end(dialogue) && dialogue->phase == PHASE_WAITING)
        dialogue_end(dialogue, RINGCHAT_ERROR_NONE, 0);
    else
        saying_go_on(dialogue, now_ns);
}

static bool is_writable(const struct dialogue *dialogue)
{
    return dialogue->errands.turned_away > 0 &&
           errands_are_roomy(&dialogue->errands) && !dialogue->closing;
}

static struct place *next_missed(struct dialogue *dialogue)
{
    struct belonging *belonging = &dialogue->belonging;

    for (size_t i = 0; i < belonging->count; i++) {
        if (belonging->places[i].missed > 0)
            return &belonging->places[i];
    }
    return NULL;
}

/* Something is to be told that is not read first. */
static bool has_tidings(const struct dialogue *dialogue)
{
    return dialogue->errands.over.count > 0 || dialogue->holds ||
           dialogue_state(dialogue) != dialogue->told_state ||
           is_writable(dialogue);
}

bool dialogue_has_news(const struct dialogue *dialogue)
{
    return has_tidings(dialogue) || is_to_end(dialogue) ||
           is_to_open(dialogue) || saying_can(dialogue);
}

static bool is_end(enum ringchat_state state)
{
    return state == RINGCHAT_WAITING || state == RINGCHAT_CLOSED;
}

static bool tell_change(struct dialogue *dialogue, struct told *told)
{
    enum ringchat_state to = dialogue_state(dialogue);
    bool ended = is_end(to);

    if (to == dialogue->told_state)
        return false;
    *told = (struct told){
        .kind = TOLD_CHANGED,
        .change =
            {
                RINGCHAT_SIZED(told->change),
                .from = dialogue->told_state,
                .to = to,
                .code = ended ? dialogue->why_code : RINGCHAT_ERROR_NONE,
                .error = ended ? dialogue->why_error : 0,
                .again = to == RINGCHAT_OPEN && dialogue->again,
            },
    };
    if (ended && (dialogue->why_code != 0 || dialogue->why_error != 0))
        told->change.detail =
            (struct ringchat_text){dialogue->detail, dialogue->detail_length};
    if (to == RINGCHAT_WAITING) {
        told->change.attempt = dialogue->failures;
        told->change.retry_ms =
            (dialogue->retry_ns + NS_PER_MS - 1) / NS_PER_MS;
    }
    dialogue->told_state = to;
    return true;
}

static bool tell_missed(struct dialogue *dialogue, struct told *told)
{
    struct place *place = next_missed(dialogue);

    if (!place)
        return false;
    *told = (struct told){
        .kind = TOLD_MISSED,
        .missed =
            {
                RINGCHAT_SIZED(told->missed),
                .room = name_text(&place->room),
                .count = place->missed,
                .away_ms = place->missed_ms,
            },
    };
    place->missed = 0;
    return true;
}

static bool tell_writable(struct dialogue *dialogue, struct told *told)
{
    if (!is_writable(dialogue))
        return false;
    dialogue->errands.turned_away = 0;
    *told = (struct told){.kind = TOLD_WRITABLE};
    return true;
}

/* What is to be told and stands fast already, in this order: how the client
 * stands, what has become of requests, that a connection is lost, what was
 * missed, and then what has shown that. */
static bool tell_tidings(struct dialogue *dialogue, struct told *told)
{
    if (!is_end(dialogue_state(dialogue)) && tell_change(dialogue, told))
        return true;
    return answers_over(dialogue, told) || tell_change(dialogue, told) ||
           tell_missed(dialogue, told) || hearing_held(dialogue, told) ||
           tell_writable(dialogue, told);
}

bool dialogue_next(struct dialogue *dialogue, uint64_t now_ns,
                   struct told *told)
{
    errand_free(dialogue->told_errand);
    dialogue->told_errand = NULL;
    for (;;) {
        if (is_to_open(dialogue))
            dialogue_open(dialogue, now_ns);
        if (tell_tidings(dialogue, told))
            return true;
        switch (hearing_next(dialogue, now_ns, told)) {
        case HEARD_TO_TELL:
            return true;
        case HEARD:
            continue;
        case HEARD_NOTHING:
            break;
        }
        dialogue_settle(dialogue, now_ns);
        if (!dialogue_has_news(dialogue) && !next_missed(dialogue))
            return false;
    }
}
