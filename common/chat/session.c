/*
 * One peer's life: opened, ended by itself or by us, and its deadlines.
 *
 * How a session ends                            then         last word
 *   session_end       by the peer, or stopped   ENDING       bye, DISCONNECT or
 *                                                            none
 *   session_fail      an error that closes      ENDING       the error
 *   session_fault     a fault of ours           ENDING       internal
 *   session_lag_out   out of the window         ENDING       lagged
 *   session_abandon   no memory, no time left   ENDED        none
 *   session_close     by the engine             out of the chat
 */
#include "common/base/clock.h"
#include "common/chat/application.h"
#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include <assert.h>
#include <string.h>

void session_log(struct session *session, enum log_level level,
                 const char *event, const struct log_field *more, size_t count)
{
    struct log_field fields[8];
    size_t used = 0;

    if (!session->chat->config.log)
        return;
    fields[used++] = log_number("session", session->id);
    if (session->nick_length > 0)
        fields[used++] = log_text("nick", session->nick, session->nick_length);
    assert(used + count <= sizeof(fields) / sizeof(fields[0]));
    for (size_t i = 0; i < count; i++)
        fields[used++] = more[i];
    session->chat->config.log(level, event, fields, used);
}

/* ---- Opening ------------------------------------------------------------ */

/* `guest-` and `digits` random hexadecimal digits. */
static struct slice guest_nick(const struct chat *chat, unsigned digits,
                               char nick[NICK_BYTES_MAX])
{
    static const char prefix[] = "guest-";
    static const char hex[] = "0123456789abcdef";
    size_t length = sizeof(prefix) - 1;
    uint32_t random;

    chat->config.random(&random, sizeof(random));
    memcpy(nick, prefix, length);
    for (unsigned i = 0; i < digits; i++, random >>= 4)
        nick[length++] = hex[random & 15];
    return (struct slice){nick, length};
}

/* A nick that nobody has. Four digits while that finds a free one, then up to
 * eight: at a million guests one in 4,000 of those is taken, so a few attempts
 * suffice. */
static bool give_guest_nick(struct session *session)
{
    char nick[NICK_BYTES_MAX];

    for (unsigned attempt = 0; attempt < 32; attempt++) {
        unsigned digits = 4 + attempt / 4;

        if (nick_take(session,
                      guest_nick(session->chat, digits < 8 ? digits : 8, nick)))
            return true;
    }
    return false;
}

/* False without memory; text peers need none. */
static bool make_binary(struct session *session)
{
    struct chat *chat = session->chat;
    struct binary *binary;

    if (session->decoder.dialect == DIALECT_TEXT)
        return true;
    binary = session->binary = pool_alloc(&chat->binaries_pool);
    if (!binary)
        return false;
    *binary = (struct binary){
        .hello_by_ns = chat->now_ns + chat->config.handshake_timeout_ns,
    };
    chat->config.random(binary->peer.uuid, sizeof(binary->peer.uuid));
    uuid_from_random(binary->peer.uuid);
    return true;
}

static struct session *session_create(struct chat *chat, enum dialect dialect,
                                      const struct peer *peer)
{
    struct session *session;

    if (!timers_reserve(&chat->timers, chat->budget))
        return NULL;
    session = pool_alloc(&chat->sessions_pool);
    if (!session)
        return NULL;
    *session = (struct session){
        .chat = chat,
        .user = peer->user,
        .id = atomic_fetch_add_explicit(&chat->shards->last_id, 1,
                                        memory_order_relaxed) +
              1,
        .opened_ns = chat->now_ns,
        .clock_ns = chat->now_ns,
        .progress_ns = chat->now_ns,
        .until_ns = UINT64_MAX,
        .encoding = dialect_encoding(dialect),
        .state = SESSION_GREETING,
    };
    decoder_init(&session->decoder, dialect);
    if (!make_binary(session)) {
        pool_free(&chat->sessions_pool, session);
        return NULL;
    }
    timers_add(&chat->timers, session, UINT64_MAX);
    return session;
}

static void session_destroy(struct session *session)
{
    struct chat *chat = session->chat;

    output_drop(session);
    intake_drop(session);
    if (session->binary) {
        explicit_bzero(&session->binary->peer, sizeof(session->binary->peer));
        pool_free(&chat->binaries_pool, session->binary);
    }
    pool_free(&chat->sessions_pool, session);
}

/* Counts the session for its address; false if that has as many as it may, or
 * without memory to count. */
static bool count_address(struct session *session, const struct peer *peer)
{
    struct chat *chat = session->chat;

    if (!peer->counted || chat->config.sessions_per_address_max == 0)
        return true;
    session->address = address_enter(chat, peer->address);
    return session->address;
}

/* Takes a place among all workers' sessions; false if there is none. */
static bool take_place(struct session *session, const struct peer *peer)
{
    struct shards *shards = session->chat->shards;
    bool taken;

    pthread_mutex_lock(&shards->lock);
    taken = shards->sessions < session->chat->config.sessions_max &&
            count_address(session, peer);
    shards->sessions += taken;
    pthread_mutex_unlock(&shards->lock);
    return taken;
}

/* Why the chat takes no further session of this peer; ERROR_NONE if it does,
 * and then it is counted. */
static enum error_code admit(struct session *session, const struct peer *peer)
{
    if (session->chat->stopping)
        return ERROR_SHUTDOWN;
    return take_place(session, peer) ? ERROR_NONE : ERROR_SERVER_FULL;
}

/* Counts one more that is refused; false: there are too many. */
static bool count_refused(struct session *session)
{
    struct shards *shards = session->chat->shards;

    pthread_mutex_lock(&shards->lock);
    session->refused = shards->refused < REFUSED_SESSIONS_MAX;
    shards->refused += session->refused;
    pthread_mutex_unlock(&shards->lock);
    return session->refused;
}

/* The session only says why it is not served. */
static void turn_away(struct session *session, enum error_code code,
                      const struct peer *peer)
{
    struct log_field why[] = {
        log_string("peer", peer->name),
        log_string("reason", error_name(code)),
    };

    session_log(session, LOG_INFO, "refused", why, 2);
    session_fail(session, code);
}

static void log_joined(struct session *session, const struct room *room)
{
    struct log_field name = log_text("room", room->name, room->name_length);

    session_log(session, LOG_INFO, "joined", &name, 1);
}

/* It has its first room, or an application in its place. */
static void welcome(struct session *session, struct slice room)
{
    session->state = SESSION_OPEN;
    session_tell(session, &(struct event){
                              .kind = EVENT_WELCOME,
                              .nick = session_nick(session),
                              .room = room,
                          });
    if (!session->binary)
        return;
    decoder_welcome(&session->decoder);
    heartbeat_start(session);
}

void session_joined(struct session *session, struct membership *membership,
                    uint32_t members)
{
    if (session->state == SESSION_GREETING) {
        welcome(session, room_name(membership->room));
        log_joined(session, membership->room);
        return;
    }
    log_joined(session, membership->room);
    reply_joined(session, room_name(membership->room), members);
}

static void log_closed(struct session *, enum reason);

/* It has a nick. False without memory. */
static bool enter(struct session *session)
{
    const struct application *application = session->chat->config.application;

    if (!application)
        return room_join(session, SLICE(LOBBY));
    welcome(session, application->name);
    application_enter(session);
    return true;
}

/* A text peer is welcomed at once, a binary one asked who it is. False without
 * memory. */
static bool greet(struct session *session, const struct peer *peer)
{
    struct log_field from = log_string("peer", peer->name);

    if (session->binary)
        session_tell(session, &(struct event){.kind = EVENT_SESSION_INIT});
    else if (!give_guest_nick(session))
        return false;
    session_log(session, LOG_INFO, "connected", &from, 1);
    if (session->binary || enter(session))
        return true;
    session->ending = ENDING_NO_MEMORY;
    log_closed(session, REASON_ENDED);
    return false;
}

void session_hello(struct session *session, struct slice nick)
{
    if (session->binary->peer.sealed)
        session->encoding = ENCODING_SEALED;
    if (nick.length > 0) {
        if (!nick_or_refuse(session, nick))
            return;
    } else if (!give_guest_nick(session)) {
        session_fault(session, "no guest nick is free");
        return;
    }
    if (!enter(session))
        session_fault(session, "no memory for a room");
}

/* With the lock held. */
static void free_place(struct session *session)
{
    session->chat->shards->sessions--;
    if (session->address)
        address_leave(session->chat, session->address);
    session->address = NULL;
}

void session_uncount(struct session *session)
{
    struct shards *shards = session->chat->shards;

    if (session->refused)
        return;
    pthread_mutex_lock(&shards->lock);
    session->uncounted = shards->uncounted < UNCOUNTED_SESSIONS_MAX;
    if (session->uncounted) {
        shards->uncounted++;
        free_place(session);
    }
    pthread_mutex_unlock(&shards->lock);
}

/* It is gone. */
static void leave_place(struct session *session)
{
    struct shards *shards = session->chat->shards;

    pthread_mutex_lock(&shards->lock);
    if (session->refused)
        shards->refused--;
    else if (session->uncounted)
        shards->uncounted--;
    else
        free_place(session);
    pthread_mutex_unlock(&shards->lock);
}

uint64_t sessions_served(const struct chat *chat)
{
    struct shards *shards = chat->shards;
    uint64_t count;

    pthread_mutex_lock(&shards->lock);
    count = shards->sessions;
    pthread_mutex_unlock(&shards->lock);
    return count;
}

/* Not to be served, and not even told why. */
static struct session *session_discard(struct session *session)
{
    timers_remove(&session->chat->timers, session);
    session_destroy(session);
    return NULL;
}

struct session *session_open(struct chat *chat, enum dialect dialect,
                             const struct peer *peer)
{
    struct session *session = session_create(chat, dialect, peer);
    enum error_code code;

    if (!session)
        return NULL;
    code = admit(session, peer);
    if (code != ERROR_NONE) {
        if (!count_refused(session))
            return session_discard(session);
        turn_away(session, code, peer);
        return session;
    }
    if (!greet(session, peer)) {
        nick_drop(session);
        leave_place(session);
        return session_discard(session);
    }
    timers_advance(&chat->timers, session, session_deadline(session));
    return session;
}

/* ---- What other workers owe it ------------------------------------------ */

void session_park(struct session *session)
{
    assert(!session->parked);
    session->parked = true;
    session->awaited++;
}

bool session_answered(struct session *session)
{
    return session->parked && session_listens(session);
}

void session_paid(struct session *session)
{
    assert(session->awaited > 0);
    if (--session->awaited > 0)
        return;
    if (session->freed)
        session_destroy(session);
    else if (session->state == SESSION_ENDING && !session->blocked)
        ready_add(session); /* its last word waited for that */
}

void session_unpark(struct session *session)
{
    if (session_answered(session)) {
        session->parked = false;
        session->request_id = 0;
        if (session->paused)
            session_resume(session);
        else if (session->eof)
            intake_end(session);
    }
    session_paid(session);
}

/* ---- Ending ------------------------------------------------------------- */

/* Nobody finds the session any more, and its rooms see it leave. */
static void depart(struct session *session)
{
    nick_drop(session);
    for (struct membership *m = session->memberships, *next; m; m = next) {
        next = m->sibling;
        if (!m->leaving)
            room_leave(m);
    }
}

/* Until when a last word that is an error is offered. */
static uint64_t error_deadline(const struct chat *chat)
{
    uint64_t within_ns = at_least(chat->config.drain_timeout_ns, LAST_OFFER_NS);
    uint64_t deadline = chat->now_ns + within_ns;

    return chat->stopping ? earlier(deadline, chat->stop_by_ns) : deadline;
}

void session_end(struct session *session, enum ending ending)
{
    struct chat *chat = session->chat;

    assert(session_listens(session));
    if (session->parked) /* that is not what ends it */
        session->request_id = 0;
    session->parked = false;
    session->state = SESSION_ENDING;
    session->ending = ending;
    session->paused = false;
    session->until_ns = chat->stopping ? chat->stop_by_ns : UINT64_MAX;
    if (ending == ENDING_ERROR) {
        session->progress_ns = chat->now_ns; /* it has a second to read why */
        session->until_ns = error_deadline(chat);
    }
    depart(session);
    timers_advance(&chat->timers, session, session_deadline(session));
    ready_add(session);
}

void session_abandon(struct session *session, enum ending ending)
{
    session->state = SESSION_ENDED;
    session->ending = ending;
    session->paused = false;
    nick_drop(session);
    ready_add(session);
}

/* Whatever else it is ending for, session->error is its last word now. */
static void end_in_error(struct session *session)
{
    if (session_listens(session)) {
        session_end(session, ENDING_ERROR);
        return;
    }
    session->ending = ENDING_ERROR;
    session->progress_ns = session->chat->now_ns; /* as in session_end */
    session->until_ns =
        earlier(session->until_ns, error_deadline(session->chat));
    timers_advance(&session->chat->timers, session, session_deadline(session));
}

void session_lag_out(struct session *session)
{
    struct chat *chat = session->chat;
    struct log_field name = log_string("error", error_name(ERROR_LAGGED));

    session_log(session, LOG_INFO, "error", &name, 1);
    chat->metrics.errors++;
    session->error = ERROR_LAGGED;
    end_in_error(session);
    session->request_id = 0;
    while (session->memberships)
        membership_finish(session->memberships);
}

bool session_can_fail(const struct session *session)
{
    return session->state <= SESSION_ENDING && session->ending != ENDING_ERROR;
}

static void fail(struct session *session, enum error_code code)
{
    if (!session_can_fail(session))
        return;
    session->chat->metrics.errors++;
    session->error = code;
    end_in_error(session);
}

void session_fail(struct session *session, enum error_code code)
{
    struct log_field name = log_string("error", error_name(code));

    assert(error_closes(code));
    session_log(session, LOG_INFO, "error", &name, 1);
    fail(session, code);
}

void session_fault(struct session *session, const char *cause)
{
    struct log_field fields[] = {
        log_string("error", error_name(ERROR_INTERNAL)),
        log_string("cause", cause),
    };

    session_log(session, LOG_ERROR, "error", fields, 2);
    fail(session, ERROR_INTERNAL);
}

static const char *ending_name(const struct session *session,
                               enum reason reason)
{
    if (reason == REASON_RESET)
        return "reset";
    if (reason == REASON_SEND_TIMEOUT)
        return "send-timeout";
    switch (session->ending) {
    case ENDING_EOF:
        return "eof";
    case ENDING_QUIT:
        return "quit";
    case ENDING_DISCONNECT:
        return "disconnect";
    case ENDING_ERROR:
        return error_name(session->error);
    case ENDING_NO_MEMORY:
        return "no-memory";
    case ENDING_NONE:
        break;
    }
    return "closed";
}

static void log_closed(struct session *session, enum reason reason)
{
    uint64_t connected_ns = session->chat->now_ns - session->opened_ns;
    struct log_field fields[] = {
        log_string("reason", ending_name(session, reason)),
        log_number("bytes_in", session->bytes_in),
        log_number("bytes_out", session->bytes_out),
        log_number("messages", session->messages),
        log_seconds("seconds", connected_ns / NS_PER_US),
    };

    if (!session->refused)
        session_log(session, LOG_INFO, "disconnected", fields, 5);
}

void session_close(struct session *session, enum reason reason)
{
    struct chat *chat = session->chat;

    if (session_listens(session))
        session_end(session, ENDING_NONE);
    if (chat->config.application)
        application_leave(session);
    span_keep(&session->span); /* it is freed in a later turn, maybe */
    session->state = SESSION_ENDED;
    depart(session); /* one that was abandoned while OPEN is in its rooms */
    while (session->memberships)
        membership_finish(session->memberships);
    if (session->blocked)
        chat->blocked--;
    session->blocked = false;
    meter_release(session);
    serve_end(session);
    ready_remove(session);
    timers_remove(&chat->timers, session);
    leave_place(session);
    log_closed(session, reason);
}

void session_free(struct session *session)
{
    session->freed = session->awaited > 0;
    if (session->freed)
        output_drop(session);
    else
        session_destroy(session);
}

/* ---- Deadlines ---------------------------------------------------------- */

/* When the peer will have taken nothing of what is offered for too long. */
static uint64_t stall_deadline(const struct session *session)
{
    uint64_t timeout_ns = session->chat->config.stall_timeout_ns;
    uint64_t deadline = UINT64_MAX;

    if (!session->span.segment)
        return UINT64_MAX;
    if (timeout_ns > 0)
        deadline = session->progress_ns + timeout_ns;
    if (session->ending == ENDING_ERROR && session->error != ERROR_SHUTDOWN)
        deadline = earlier(deadline, session->progress_ns + LINGER_NS);
    return deadline;
}

/* When a time of the session's clock comes; never without a timeout. */
static uint64_t after(const struct session *session, uint64_t since_ns,
                      uint64_t timeout_ns)
{
    if (timeout_ns == 0 || session->paused)
        return UINT64_MAX;
    return session->clock_ns + since_ns + timeout_ns;
}

/* When the peer will have been silent for too long. */
static uint64_t silence_deadline(const struct session *session)
{
    const struct chat_config *config = &session->chat->config;
    uint64_t deadline = UINT64_MAX;

    if (!session->binary)
        return after(session, session->since_ns, config->idle_timeout_ns);
    if (session->within)
        deadline = earlier(deadline, after(session, session->since_ns,
                                           config->frame_timeout_ns));
    return deadline;
}

/* When it must have said who it is. That it is paused, for it does not read its
 * errors, gains it no time. */
static uint64_t handshake_deadline(const struct session *session)
{
    if (session->state != SESSION_GREETING || !session->binary ||
        session->chat->config.handshake_timeout_ns == 0)
        return UINT64_MAX;
    return session->binary->hello_by_ns;
}

static uint64_t open_deadline(const struct session *session)
{
    uint64_t deadline = handshake_deadline(session);

    if (session->paused)
        return earlier(deadline, session->until_ns);
    deadline = earlier(deadline, silence_deadline(session));
    return earlier(deadline, heartbeat_deadline(session));
}

uint64_t session_deadline(const struct session *session)
{
    switch (session->state) {
    case SESSION_GREETING:
    case SESSION_OPEN:
        return earlier(open_deadline(session), stall_deadline(session));
    case SESSION_ENDING:
    case SESSION_LAST_WORD:
        return earlier(session->until_ns, stall_deadline(session));
    case SESSION_LINGERING:
        return session->until_ns;
    case SESSION_ENDED:
        break;
    }
    return UINT64_MAX;
}

void session_expire(struct session *session)
{
    uint64_t now_ns = session->chat->now_ns;

    if (!session_listens(session))
        session_abandon(session, session->ending);
    else if (stall_deadline(session) <= now_ns ||
             handshake_deadline(session) <= now_ns ||
             silence_deadline(session) <= now_ns)
        session_fail(session, ERROR_TIMEOUT);
    else if (session->paused)
        session_resume(session);
    else
        heartbeat_expire(session);
}

bool session_paused(const struct session *session)
{
    return session->paused;
}

bool session_blocked(const struct session *session)
{
    return session->blocked;
}

void *session_user(const struct session *session)
{
    return session->user;
}
