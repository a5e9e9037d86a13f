/*
 * What the files of common/chat share and nobody else sees: the structures, and
 * the functions by which one file calls another.
 *
 *   chat.c      the whole: create, tick, whose turn it is, shutdown
 *   session.c   one peer's life: opened, ended, its deadlines
 *   intake.c    what comes from it: parsing, pausing
 *   heartbeat.c pings and pongs of the binary dialects
 *   output.c    what goes to it: replies, spans of its rooms, the last word
 *   room.c      members, posting, the sweep over who has news
 *   command.c   what `/nick` and the others do
 *   application.c   what is said with an application in the place of rooms
 *   nicks.c     finding sessions by nick
 *   registry.c  finding rooms and addresses by name
 *   shards.c    what the chats of several workers share
 *   letters.c   what they have to say to one another, and when it is taken
 *   handover.c  what is done with that
 *   following.c the lanes of others' rooms that members here read
 *   listing.c   what is asked of all of them
 *   stop.c      how they end
 *   timers.c, metrics.c, histogram.c   as they say
 */
#ifndef RINGCHAT_CHAT_INTERNAL_H
#define RINGCHAT_CHAT_INTERNAL_H

#include "common/base/builder.h"
#include "common/base/limits.h"
#include "common/buffer/budget.h"
#include "common/buffer/follower.h"
#include "common/buffer/lane.h"
#include "common/buffer/outbox.h"
#include "common/buffer/pool.h"
#include "common/buffer/segment.h"
#include "common/chat/chat.h"
#include "common/chat/letters.h"
#include "common/chat/metrics.h"
#include "common/chat/timers.h"
#include "common/wire/wire.h"

#include <assert.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct following;
struct shards;

/* What several workers are asked for a session, which waits for all of them. */
struct errand {
    struct session *session;
    uint32_t awaited; /* answers */
};

/* The structure that a member of it, which the pointer leads to, is in. */
#define CONTAINER(type, member, pointer)                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* What waits until another worker's queue has room for a letter about it. */
struct waiter {
    struct waiter *next;
    enum letter_kind kind;
};

/*
 * A session's place in a room: a cursor in the room's lane. One that has left
 * lives until it has been sent everything up to its end.
 *
 * In a room of another worker its owner has to be asked, so there are states
 * between:
 *
 *     asked to join    awaited: in the session's list nor the room's yet
 *      |  it has a cursor
 *     in the room
 *      |  room_leave
 *     asked to leave   leaving, awaited: it is sent what the owner had told
 *      |  its end is known        news of before it knew of the leaving
 *     leaving          until it has been sent all up to there
 */
struct membership {
    struct room *room; /* NULL: this one is free */
    struct session *session;
    struct membership *previous, *next; /* the room's circle of members */
    struct membership *sibling;         /* the session's next one */
    struct cursor cursor;
    union {
        struct cursor end;    /* if leaving: no further than this */
        struct waiter waiter; /* if awaited */
    };
    uint32_t stamp; /* the session's latest is its current room */
    bool leaving;
    bool awaited; /* its room's owner has to answer */
    bool gone;    /* awaited, but the session has let go of it */
    bool told;    /* awaited, and the session waits to be told that it left */
};

/*
 * States of a session.
 *
 *     GREETING    a binary peer has been sent SESSION_INIT
 *      |  session_hello: it has said who it is, and is sent WELCOME; a text
 *      |  peer is welcomed as it comes: session_open
 *      v
 *     OPEN
 *      |  session_end (from GREETING too): session_eof, /quit, DISCONNECT, an
 *      |  error that closes (a deadline passed, it is refused), chat_shutdown
 *      v
 *     ENDING      is still sent what it is due
 *      |     |
 *      |     +-- session_finish: it was the peer that ended ----------+
 *      |  last_word: it has been sent all that; `bye` or the error    |
 *      v                                                              |
 *     LAST_WORD                                                       |
 *      |     |                                                        |
 *      |     +-- session_finish: the peer will send no more ----------+
 *      |  session_finish: session_pending returns SESSION_SHUT        |
 *      v                                                              |
 *     LINGERING   what comes is dropped                               |
 *      |  session_eof, or a second has passed                         |
 *      v                                                              |
 *     ENDED <---------------------------------------------------------+
 *         session_pending returns SESSION_END. Want of memory leads here from
 *         every state, a deadline from ENDING on: session_abandon.
 */
enum session_state {
    SESSION_GREETING,
    SESSION_OPEN,
    SESSION_ENDING,
    SESSION_LAST_WORD,
    SESSION_LINGERING,
    SESSION_ENDED,
};

/* Why a session ends, for the log and for its last word. */
enum ending {
    ENDING_NONE,
    ENDING_EOF,
    ENDING_QUIT,
    ENDING_DISCONNECT, /* the peer's DISCONNECT */
    ENDING_ERROR,      /* session->error says which */
    ENDING_NO_MEMORY,
};

/* What a session of a binary dialect has besides. */
struct binary {
    struct wire_peer peer;
    uint64_t hello_by_ns; /* GREETING: when it must have said who it is */
    /* Heartbeats; times are of the session's clock. */
    uint64_t beat_ns;    /* when the last ping was sent, or it was welcomed */
    uint64_t stamp;      /* of the last ping: they are counted */
    uint64_t ping_ahead; /* bytes to send until that has been sent */
    uint64_t sent_ns[HEARTBEATS_UNANSWERED_MAX]; /* pings, by their stamp */
    uint64_t rtt_us;                             /* the last one, 0: none yet */
    uint8_t unanswered; /* pings in a row, the last one counted */
    uint8_t posted_to;  /* the worker of the room, if it is `posting` */
    bool post_failed; /* with another worker: what is behind is not answered */
};

/* What an application owes a session: see application.c. */
enum asked { ASKED_NOTHING, ASKED_MESSAGE, ASKED_COMMAND, ASKED_MORE };

/* A session's place with an application, which is all there is. */
struct visit {
    void *data;       /* the application's */
    uint64_t seq;     /* of the last message that it was told in the room */
    enum asked asked; /* by the request that the application is about */
    bool inside;      /* it was let in, and is not gone */
    bool closed;      /* the application has ended it */
};

struct inbox; /* intake.c */

/* A session that is owed more answers than this is not read from. */
#define AWAITED_MAX 1024

_Static_assert(MEMBERSHIPS_MAX < 64 && ROOMS_PER_SESSION_MAX < 32,
               "bits of a session");

struct session {
    struct chat *chat;
    void *user;
    struct session *nick_next; /* another in its bucket of `nicks` */
    struct session *ready_next, *ready_previous;
    /* Out: what is being sent, then the outbox, then the memberships, whose
     * first has waited longest. */
    struct span span;
    struct outbox outbox;
    struct membership *memberships;
    union {
        struct membership home; /* the first one needs no allocation */
        struct visit visit;     /* with an application: there are none */
    };
    /* In: a request that is not whole; bytes that may not be parsed yet. */
    struct decoder decoder;
    struct binary *binary; /* NULL for text */
    struct inbox *inbox;   /* NULL: empty */
    /* Figures. */
    uint64_t id;
    uint64_t messages, bytes_in, bytes_out;
    struct meter *meter;
    struct address *address;
    /* Time. */
    uint64_t opened_ns;
    uint64_t clock_ns; /* of session_clock: while paused what it says, else when
                          it would have been 0 */
    uint64_t since_ns; /* text: the last line; binary: when the frame began that
                          is not whole; of the session's clock */
    uint64_t progress_ns; /* the peer took something, or sending began */
    uint64_t rate_ns;     /* when the rate will have caught up */
    uint64_t until_ns;    /* paused: when to try again; ending: at most */
    uint32_t timer_index;
    /* Who it is and how it stands. */
    uint32_t request_id;   /* of what is being answered, 0: no number */
    uint16_t awaited : 14; /* answers that other workers owe it */
    bool freed : 1;        /* by the engine; it waits for what it is owed */
    bool posting : 1; /* has said something in a room of another worker, and had
                         no fence since */
    uint8_t leaving_count : 6;
    bool parked : 1;     /* waits for another worker to answer its request */
    bool uncounted : 1;  /* its place is another's already */
    uint8_t nick_length; /* no bit of a word: other workers look at it */
    enum error_code error : 7; /* if it ends with one */
    enum encoding encoding : 3;
    enum ending ending : 3;
    enum session_state state : 3;
    uint32_t room_count : 5;
    bool named : 1;        /* found by its nick */
    bool ready : 1;        /* on the ready list */
    bool served : 1;       /* is being sent what it is due, see `serving` */
    bool blocked : 1;      /* the peer took less than was offered */
    bool span_outbox : 1;  /* the span came from the outbox */
    bool rooms_next : 1;   /* a room was due already when it was taken */
    bool outbox_first : 1; /* a room's messages follow something in it */
    bool paused : 1;
    bool within : 1; /* a frame has begun, see since_ns */
    bool eof : 1;
    bool refused : 1;
    char nick[NICK_BYTES_MAX];
};

/*
 * A room: a log in each encoding in use, and who reads it. It belongs to one
 * worker. Others have a room of the same name while they have members in it:
 * with followers in place of lanes, and none but those members.
 */
struct room {
    UT_hash_handle by_name;
    union {
        struct lane *lanes[ENCODINGS];
        struct following *followings[ENCODINGS]; /* if it is another's */
    };
    struct membership *first; /* the circle, in the order of joining */
    struct membership *sweep; /* whom to look at next */
    struct room *ready_next;
    struct room *news_next;
    union {
        char *topic;
        struct room *home; /* if it is another's: that */
    };
    uint64_t seq;
    uint32_t members;   /* without those leaving; its owner counts all */
    uint32_t readers;   /* of this worker, with them */
    uint32_t unvisited; /* members to look at since the last append */
    union {
        uint32_t topic_length;
        uint32_t expected; /* if it is another's: who have asked to join */
    };
    bool ready : 1;
    bool news : 1;   /* others have to be told that it has some */
    bool remote : 1; /* it is another worker's */
    uint8_t name_length;
    char name[ROOM_NAME_BYTES_MAX];
};

/*
 * How this worker follows a lane of another's room. The owner knows of it from
 * the first one who joins on, until it has been told that nobody reads any more
 * and has answered that: so no letter about it is on the way when it is freed.
 */
struct following {
    struct follower follower;
    struct waiter waiter; /* to settle the lane */
    struct room *room;
    struct cursor news_head; /* of the lane, as of the last news */
    uint64_t turn;           /* in which it was last brought up to date */
    enum encoding encoding;
    bool known;    /* to the owner */
    bool settling; /* a letter is on its way */
    bool release;  /* it says that nobody is left: who leaves is before it */
    bool settle_again; /* since then there is more to settle */
};

_Static_assert(sizeof(struct room) + sizeof(struct lane) <= 256,
               "an idle room in one encoding costs 256 bytes");
_Static_assert(sizeof(struct session) <= 328, "an idle session is small");

/* How far a worker has come with stopping: see stop.c. */
enum stop { STOP_NOT, STOP_FREEZING, STOP_HEARING, STOP_HEARD, STOP_ENDING };

/* What this worker has for another, and owes it. */
struct outgoing_mail {
    struct waiter *waiting, *waiting_last; /* for room among the requests */
    uint64_t told; /* where the last news stands in the queue of answers */
    bool requests, answers; /* something is written, and not published */
};

struct chat {
    struct chat_config config;
    struct shards *shards;
    uint32_t worker;
    /* Time of this turn. */
    uint64_t now_ns, wall_us, started_ns;
    /* Memory. */
    struct budget *budget; /* of all workers */
    struct segment_store segments;
    struct pool sessions_pool, binaries_pool, rooms_pool, lanes_pool,
        memberships_pool, meters_pool;
    struct wire *wire;
    /* Who is there. */
    struct room *rooms;
    uint8_t hash_key[ADDRESS_BYTES]; /* the same for all workers */
    bool stopping;
    enum stop stop;
    uint64_t stop_by_ns;
    /* Deadlines. */
    struct timers timers;
    /* Whose turn it is. */
    struct session *ready_first, *ready_last;
    struct room *rooms_ready_first, *rooms_ready_last;
    uint32_t swept;   /* members of the first ready room looked at this turn */
    uint32_t serving; /* sessions that chat_next_ready has returned and that
                         take bytes and are due some, as far as we know */
    uint64_t appended_bytes; /* to rooms, since all had been served */
    bool others_first;       /* this turn is other workers' before ours */
    uint32_t owing_turns;    /* since somebody waits for us to be served */
    struct inbox *waiting;   /* until all are: who has waited longest first */
    /* Other workers. */
    uint64_t turn;    /* counts them */
    uint64_t crowded; /* workers, a bit each, whose queue is nearly full */
    bool online;      /* see turns.h */
    uint64_t reclaim_look_ns, reclaim_at_ns; /* see reclaim in shards.c */
    struct room *news_first, *news_last; /* of which others have to be told */
    struct outgoing_mail mail[WORKERS_MAX];
    uint32_t followings; /* of others' lanes */
    uint32_t listings;   /* of ours that are going round */
    /* Figures. */
    struct metrics metrics;
    uint32_t blocked; /* sessions that take no more at the moment */
    struct meter *meters_first, *meters_last;
};

static inline struct slice session_nick(const struct session *session)
{
    return (struct slice){session->nick, session->nick_length};
}

/* Whether what the peer sends still counts. */
static inline bool session_listens(const struct session *session)
{
    return session->state <= SESSION_OPEN;
}

/* The session's own clock, which stands still while nobody reads from the
 * peer: for deadlines on what that must send. */
static inline uint64_t session_clock(const struct session *session)
{
    return session->paused ? session->clock_ns
                           : session->chat->now_ns - session->clock_ns;
}

/* The nick must be valid, and the session not be found by the old one. */
static inline void session_set_nick(struct session *session, struct slice nick)
{
    assert(!session->named && nick.length <= NICK_BYTES_MAX);
    memcpy(session->nick, nick.bytes, nick.length);
    session->nick_length = (uint8_t)nick.length;
}

static inline struct slice room_name(const struct room *room)
{
    return (struct slice){room->name, room->name_length};
}

/* Whether rooms have to keep less, so that others find memory for what they
 * need: what is being received, replies, whoever comes. */
static inline bool memory_is_short(const struct chat *chat)
{
    uint64_t limit = chat->config.memory_bytes_max;

    return chat->budget->used_bytes >= limit - limit / 8;
}

/* The larger one of a time and the least that it may be. */
static inline uint64_t at_least(uint64_t ns, uint64_t least_ns)
{
    return ns < least_ns ? least_ns : ns;
}

/* ---- chat.c ---- */

/* One of the chats of a process; NULL without memory. */
struct chat *chat_open(struct shards *, uint32_t worker,
                       const struct chat_config *,
                       const uint8_t hash_key[ADDRESS_BYTES]);
/* Takes NULL. Every session has been freed, and no worker has anything. */
void chat_close(struct chat *);

/* Puts the session on the ready list; once is enough. */
void ready_add(struct session *);
void ready_remove(struct session *);

/* The session has nothing more to send, or takes no more. */
void serve_end(struct session *);

/* Puts the room on the list of those with news for our members, and on that
 * of those with news for other workers. */
void rooms_ready_add(struct chat *, struct room *);
void rooms_news_add(struct chat *, struct room *);
/* Takes the first of those off. */
void rooms_news_shift(struct chat *);

/* Whether all who take bytes have been sent what they are due. */
bool all_are_served(const struct chat *);

/* ---- session.c ---- */

/* The room in which every session starts. */
#define LOBBY "lobby"

/* A binary peer has said who it is: it is welcomed, or told what is wrong with
 * the nick. */
void session_hello(struct session *, struct slice nick);

/* It is in a room that it asked for, with so many members. */
void session_joined(struct session *, struct membership *, uint32_t members);

/* It waits for another worker's answer, and is not read from. */
void session_park(struct session *);
/* The answer has come; whether the session still waits for it. To be followed
 * by session_unpark. */
bool session_answered(struct session *);
void session_unpark(struct session *);

/* One of what it was owed has come: the session may be gone after it. */
void session_paid(struct session *);

/* Those of all workers that have a place. */
uint64_t sessions_served(const struct chat *);

/* Logs an event of the session's, with up to 6 fields more. */
void session_log(struct session *, enum log_level, const char *event,
                 const struct log_field *more, size_t count);

/* Whether it may end with an error yet: whatever else it is ending for, but for
 * another error, which came first. */
bool session_can_fail(const struct session *);

/* Ends with an error that closes, as its last word. */
void session_fail(struct session *, enum error_code);

/* A fault of ours: the detail is a reference that is in the log too. */
void session_fault(struct session *, const char *cause);

/* Begins to end: leaves its rooms, and is sent what it is due before. */
void session_end(struct session *, enum ending);

/* Has fallen out of the window where that ends a session: what it is due goes
 * unsent. */
void session_lag_out(struct session *);

/* Ends now, whatever is due. */
void session_abandon(struct session *, enum ending);

/* Frees its place among those that are served, though it lingers: it has been
 * told its last word. Not if too many linger so. */
void session_uncount(struct session *);

/* A deadline has passed; when the next one comes. */
void session_expire(struct session *);
uint64_t session_deadline(const struct session *);

/* ---- application.c: with one in the place of rooms ---- */

/* The session has been welcomed: it is let in, or ends. */
void application_enter(struct session *);

/* It has said something for the application: a message, or a command. */
void application_message(struct session *, const struct request *);

/* It is gone. */
void application_leave(struct session *);

/* ---- intake.c: what comes from the peer ---- */

/* Of a paused session: parses on if it may now. A turn begins in which what it
 * waited for may have come. */
void session_resume(struct session *);

/* In the middle of a turn it may have come: parses on in the next one. */
void session_resume_next(struct session *);

/* A turn begins: those that waited for the last one to end go on. */
void intake_turn(struct chat *);

/* Turns in which a worker may keep others waiting, before it hears nothing new
 * until all whom it serves have been sent what they are due. */
#define OWING_TURNS_MAX 8

/* Whether more may only be said when others have been sent what there is. */
bool turn_is_full(const struct chat *);

/* The end of the stream has come, and takes effect. */
void intake_end(struct session *);

/* It is owed less than it was: parses on, if that is what it waited for. */
void intake_relieve(struct session *);

/* Frees what has been received and not acted on. */
void intake_drop(struct session *);

/* ---- heartbeat.c ---- */

/* From now on the peer is sent pings. */
void heartbeat_start(struct session *);

/* When the next ping is due, UINT64_MAX while none is. */
uint64_t heartbeat_deadline(const struct session *);

/* It is due: sent, or the end of a peer that has not answered. */
void heartbeat_expire(struct session *);

/* So many bytes of the outbox have been sent. */
void heartbeat_sent(struct session *, size_t length);

/* A pong with this stamp has come. */
void heartbeat_pong(struct session *, uint64_t stamp);

/* ---- output.c: what goes to the peer ---- */

/* The peer as the wire knows it; NULL for text. */
struct wire_peer *session_peer(struct session *);

/* Queues an event for the session alone. Without memory the session is
 * abandoned: it must not miss a reply and go on. */
void session_tell(struct session *, const struct event *);
void session_reply(struct session *, struct slice text);
void session_reply_more(struct session *, struct slice text);

/* Tells that a message has its place. */
void session_acknowledge(struct session *, uint32_t id, uint64_t seq);

/* Tells a private message; or why it cannot be. */
enum error_code session_tell_private(struct session *, struct slice from,
                                     struct slice text,
                                     struct slice content_type);

/* Tells an error that does not close. */
void session_refuse(struct session *, enum error_code, struct slice detail);

/* Replies and private messages that the peer has not taken yet, in bytes. */
uint64_t session_unread(const struct session *);

/* Frees what has been queued and not been sent. */
void output_drop(struct session *);

/* ---- room.c ---- */

/* The session's current room; NULL if it is in none. */
struct membership *session_current(const struct session *);

/* Its membership in the room of that name; NULL if it is not in it. */
struct membership *session_membership(const struct session *, struct slice);

/* Joins the room of a valid name, which is made if there is none, and tells
 * the others. session_joined says so: now, or when the room's owner has
 * answered. False without memory, with nothing changed. */
bool room_join(struct session *, struct slice name);

/* Leaves, and tells the others unless the server is stopping. The membership
 * may be gone after it. */
void room_leave(struct membership *);

/* Its room is the session's current one from now on. */
void membership_select(struct membership *);

/* A membership that is leaving has been sent all it was due, or never will. */
void membership_finish(struct membership *);

/* Up to where in its lane it is to be sent. */
struct cursor membership_end(const struct membership *);

/* Whether its lane has something for it. */
bool membership_due(const struct membership *);

/* The oldest place that it may go on from; to be asked before the others. */
struct cursor membership_oldest(const struct membership *);
/* It has missed what is before. */
void membership_skip(struct membership *, struct cursor to);
/* Begins a span of what it is due. */
void membership_take(struct membership *, struct span *);

/* In a room of another worker: the lane as we see it. */
struct following *membership_following(const struct membership *);

/* Of the room's owner, who was asked: it is in; it is not, for want of memory;
 * it has left, and may read up to there. False: it has let go already. */
void membership_joined(struct membership *, struct room *home,
                       const struct letter_name *, struct shared_lane *,
                       struct cursor);
void membership_refused(struct membership *);
bool membership_left(struct membership *, struct cursor end);

/* In a room of this worker. Says something, as its next message: returns its
 * number, 0 without memory. */
uint64_t room_say(struct chat *, struct room *, struct slice nick,
                  struct slice text, struct slice content_type);

/* Tells the room that a member changes its nick, if it is small enough to be
 * told. */
void room_tell_nick(struct chat *, struct room *, struct slice from,
                    struct slice to);

struct slice room_topic(const struct room *);

/* Replaces the topic, if that is not empty and another one, and tells the room
 * who did; false without memory, with nothing changed. */
bool room_set_topic(struct chat *, struct room *, struct slice nick,
                    struct slice topic);

/* Somebody of another worker joins: the lane, which is shared, and the room;
 * NULL without memory, with nothing changed. */
struct lane *room_admit(struct chat *, struct slice name, enum encoding,
                        struct slice nick, struct room **);

/* Where its log ends in that encoding, so far. */
struct cursor room_end(const struct room *, enum encoding);

/* Somebody leaves, who is counted still; `quiet`: nobody is told. */
void room_depart(struct chat *, struct room *, struct slice nick, bool quiet);

/* Frees the lane if nobody needs it. */
void lane_put(struct chat *, struct room *, enum encoding);

/* The next member of the room that has news and takes them; NULL once all have
 * been looked at, or SWEEP_MEMBERS_MAX in this turn. */
struct session *room_sweep(struct chat *, struct room *);

/* Each room drops the oldest of what slow members have not taken yet, again and
 * again while memory is short and some room has any. */
void rooms_shrink(struct chat *);

/* Frees the room if nothing leads to it any more. */
void room_settle(struct chat *, struct room *);

/* ---- shards.c ---- */

/* A nick that nobody else has is the session's from now on; false if somebody
 * has it. */
bool nick_take(struct session *, struct slice nick);
/* It has none any more, if it had one. */
void nick_drop(struct session *);

/* The worker of whoever has the nick; UINT32_MAX: nobody. And the session, if
 * it is of this worker and has been welcomed; NULL. */
uint32_t nick_worker(const struct chat *, struct slice nick);
struct session *nick_session(const struct chat *, struct slice nick);

/* Another worker has been sent news in this turn. */
void news_mark(struct chat *, uint32_t worker);

/* Whether all who take bytes have been sent what they are due, of whichever
 * worker. */
bool turn_is_over(const struct chat *);

/* A turn begins, in which the sends of the last one may be over: tells others
 * that we have passed on what they told us, or counts that we have not. */
void shards_tick(struct chat *);

/* When to look for what nobody wakes us for. */
uint64_t shards_deadline(struct chat *);

/* What has left its log, of whichever worker, and comes back when the others
 * have begun another turn; in bytes. */
uint64_t memory_on_its_way(const struct chat *);

/* Whether memory is short, but will be less so soon: then nothing is begun that
 * takes more. */
bool memory_is_awaited(const struct chat *);

/* ---- stop.c ---- */

/* Goes on to stop, as far as the other workers have come: when letters have
 * been taken, and when they have been published. */
void stop_go_on(struct chat *);
void stop_arrive(struct chat *);

/* ---- registry.c ---- */

/* A keyed hash of the name in lower case. */
unsigned name_hash(const struct chat *, struct slice name);

/* The worker that the room of a name belongs to. */
uint32_t room_owner(const struct chat *, struct slice name);

struct room *room_find(struct chat *, struct slice name);
bool room_add(struct chat *, struct room *);
void room_remove(struct chat *, struct room *);

/* With the lock held. Counts one more session of the address; NULL if it has as
 * many as it may, or without memory. */
struct address *address_enter(struct chat *, const uint8_t key[ADDRESS_BYTES]);
void address_leave(struct chat *, struct address *);

/* ---- following.c ---- */

/* The room's following of that encoding, made if there is none; NULL without
 * memory. */
struct following *following_get(struct chat *, struct room *, enum encoding);

/* As with followers. The following may be gone after following_refuse and
 * following_leave. */
void following_join(struct chat *, struct following *, struct shared_lane *,
                    struct cursor);
void following_refuse(struct chat *, struct following *);
void following_leave(struct chat *, struct following *, struct cursor);
void following_skip(struct chat *, struct following *, struct cursor *,
                    struct cursor to);
void following_take(struct chat *, struct following *, struct cursor *,
                    uint64_t end, struct span *);

/* Brings it up to date, once a turn; so far at least. */
void following_refresh(struct chat *, struct following *);
void following_reach(struct chat *, struct following *, uint64_t position);

/* The owner has settled the lane, and forgotten us if we asked for that. */
void following_settled(struct chat *, struct following *, bool released);

/* The lane has news, up to there. */
void following_news(struct chat *, struct reach *, struct cursor head);

/* ---- handover.c: what other workers ask and answer ---- */

void request_take(struct chat *, uint32_t from, const struct letter *);
void answer_take(struct chat *, const struct letter *);

/* Fills in what a waiter has waited to say. */
void waiter_write(struct waiter *, struct letter *);

/* Tells other workers which of our rooms have news. */
void news_publish(struct chat *);

/* ---- listing.c: what is asked of all workers ---- */

/* Has the session told what its command asks for; false without memory. */
bool listing_rooms(struct session *);
bool listing_members(struct session *, const struct room *);
bool listing_metrics(struct session *);
/* Logs the server's metrics. */
bool listing_log(struct chat *);

/* It has come round to us. */
void listing_take(struct chat *, struct listing *);

/* The one that waits. */
struct listing *listing_of(struct waiter *);

/* ---- command.c ---- */

/* Waits until all that the session has said is in its rooms; false without
 * memory. */
bool session_fence(struct session *);

/* Answers of other workers, and what is said at once where none is needed. */
void reply_joined(struct session *, struct slice room, uint32_t members);
void reply_left(struct session *, struct slice room);
/* "N members" */
void build_members(struct builder *, uint32_t members);
void reply_renamed(struct session *);
void reply_topic(struct session *, struct slice room, struct slice topic);
void reply_told(struct session *, struct slice nick, enum error_code outcome,
                bool command);

/* A command line without its `/`. */
void command_run(struct session *, struct slice line);

/* A message for a room or a person. */
void message_post(struct session *, const struct request *);

/* The session takes the nick; false: it may not, and is told why. */
bool nick_or_refuse(struct session *, struct slice nick);

#endif
